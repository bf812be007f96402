"""The ASGI application around the shell: trusted hosts, the worker's supervisor, the error net."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import BaseRoute

from core import logs
from core.errors import NotAllowed
from core.lifecycle.rules import held
from core.lifecycle.supervisor import Supervisor
from core.mlflow_api.credentials import take_over
from core.people import require_safe_identity
from core.people.oidc import require_provider
from core.settings import BadSetting, Settings, load


def parts() -> dict[str, Any]:
    """What ``st.App`` is given beside the shell. A bad setting ends the process with its name."""
    logs.setup()
    try:
        settings = load()
        require_safe_identity(settings, str(st.get_option("server.address") or ""))
        take_over(settings)
        require_provider(settings)
        held(settings)
    except BadSetting as error:
        sys.exit(f"Modeldeck does not start.\n{error}")
    except NotAllowed as error:
        sys.exit(f"Modeldeck does not start.\n{error.what}\n{error.next_step}")
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=trusted_hosts(settings))]
    routes: list[BaseRoute] = []
    if settings.identity == "mlflow":
        from core.ui.signin import OnlySignedIn, SignIn

        guards.append(Middleware(OnlySignedIn, settings=settings))
        routes = SignIn(settings).routes
    return {
        "lifespan": _lifespan(settings),
        "middleware": guards,
        "routes": routes,
        "on_script_error": _on_script_error,
    }


def _on_script_error(error: Exception) -> bool:
    # Imported at need: the rooms behind it declare caches, and before the server runs Streamlit
    # would give them a storage of the wrong kind, with a warning.
    from core.ui import errors

    return errors.on_script_error(error)


def trusted_hosts(settings: Settings) -> list[str]:
    """Host names that a browser may have typed; others may be a rebound name."""
    own = [] if settings.host in ("0.0.0.0", "::") else [settings.host]  # noqa: S104
    return ["localhost", "127.0.0.1", "[::1]", *own, *settings.allowed_hosts]


def _lifespan(settings: Settings) -> Any:
    @asynccontextmanager
    async def lifespan(_app: st.App) -> AsyncIterator[None]:
        from core.ui.deck import close_mirror, own_deck  # at need, as above: now the server runs

        supervisor = Supervisor(settings, own_deck)
        supervisor.start()
        yield
        close_mirror()
        for line in supervisor.close():
            print(line, flush=True)  # noqa: T201 - Ctrl-C names what still runs

    return lifespan
