"""Who is here, and where identity local may be served."""

import getpass
import os

import pytest

from core.errors import NotAllowed
from core.people import local_actor, require_safe_identity
from core.settings import load


def test_the_actor_is_this_machines_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert local_actor().name == "ada"
    assert local_actor().kind == "local"


def test_a_user_that_is_only_a_number_has_a_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError(f"getpwuid(): uid not found: {os.getuid()}")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert local_actor().name == f"uid {os.getuid()}"


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_identity_local_is_served_on_loopback(address: str) -> None:
    require_safe_identity(load({}), address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.5", ""])
def test_identity_local_is_refused_beyond_loopback(address: str) -> None:
    with pytest.raises(NotAllowed) as refusal:
        require_safe_identity(load({}), address)
    assert (address or "all addresses") in refusal.value.what
    assert "MODELDECK_ALLOW_LOCAL_BEYOND_LOOPBACK" in refusal.value.next_step


def test_a_setting_may_allow_it() -> None:
    allowed = load({"MODELDECK_ALLOW_LOCAL_BEYOND_LOOPBACK": "true"})
    require_safe_identity(allowed, "0.0.0.0")
