"""How the page server is started."""

import os
from pathlib import Path

import pytest
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from core.__main__ import run
from core.settings import load


@pytest.mark.parametrize(("named", "believed"), [(None, False), ("127.0.0.1", True)])
def test_nobody_is_believed_about_addresses_who_was_not_named(
    monkeypatch: pytest.MonkeyPatch, named: str | None, believed: bool
) -> None:
    """Else whoever guesses passwords would come from a new address with each guess."""
    monkeypatch.chdir(Path.cwd())  # and back to it
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "as it was")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    assert loopback_is_believed(), "the control"
    if named is not None:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", named)
    monkeypatch.setattr(os, "execv", lambda *_: None)
    run(load())
    assert loopback_is_believed() == believed


def loopback_is_believed() -> bool:
    """Whether Uvicorn, as Streamlit starts it, takes X-Forwarded-For from loopback."""
    config = uvicorn.Config("never:loaded")
    proxied = ProxyHeadersMiddleware(config.app, config.forwarded_allow_ips)
    return "127.0.0.1" in proxied.trusted_hosts
