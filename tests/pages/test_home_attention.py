"""Home says what of the promotion desk waits for whoever looks, and leads there."""

import pytest

from core.lifecycle.deck import Deck
from core.lifecycle.overview import for_person
from core.people import Everything, Permission
from core.registry.reconcile import reconcile
from tests.pages.asked import asks, checks, read, wine
from tests.pages.conftest import Open, Store


@pytest.fixture
def here(own_store: Store) -> Deck:
    return wine(own_store)


def test_requests_that_wait_and_changes_without_modeldeck_are_said(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(here.desk)
    assert for_person(here.desk) == []
    checks(here, asks(here))
    here.mlflow.registry.set_alias("wine", "champion", 3)
    reconcile(here.desk)
    found = for_person(here.desk)
    assert [(one.page, one.query) for one in found] == [
        ("approvals", ()), ("ledger", (("model", "wine"),)),
    ]  # fmt: skip
    app = open_page("home")
    assert not app.exception
    labels = [one.proto.label for one in app.get("page_link")]
    assert any(label.startswith("1 request waits for your decision") for label in labels)
    assert any("without Modeldeck" in label for label in labels)
    assert "Wants attention" in read(app)
    monkeypatch.setattr(Everything, "on_model", lambda *_: Permission.NONE)
    monkeypatch.setattr(Everything, "readable", lambda *_: [])
    assert for_person(here.desk) == []
