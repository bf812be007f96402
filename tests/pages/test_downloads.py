"""A file that was offered on a page is made later: with what one may read by then."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import SignedOut
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.visit import current
from core.people import Actor
from core.settings import load
from core.ui import provider, visit
from core.ui.ledger import lines, saving
from tests.pages.asked import asks, wine
from tests.pages.conftest import Store

ANN = {"is_logged_in": True, "email": "ann@x", "email_verified": True}
READS = 'permissions:\n  - {who: ann@x, models: "churn-*", level: READ}\n'


def test_the_record_s_file_holds_models_that_one_may_read_by_then(
    own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = wine(own_store)
    asks(here)
    visitor = replace(here, actor=Actor("zoe", "mlflow"))
    monkeypatch.setattr(saving, "deck", lambda: visitor)
    monkeypatch.setattr(lines, "deck", lambda: visitor)
    wishes = [lines.Wish(m, None, None, None, None, None) for m in (("wine", "tea"), None)]
    for wish in wishes:
        assert b"Better." in saving.as_csv(wish)
        assert b"Better." in saving.as_lines(wish)
    monkeypatch.setattr(type(here.mlflow.registry), "models", lambda _: [])
    for wish in wishes:  # None: when the page was drawn they were an administrator
        assert b"Better." not in saving.as_csv(wish)
        assert b"Better." not in saving.as_lines(wish)


@pytest.fixture
def provided(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deck]:
    """Modeldeck's own parts, with a model, where a provider says who is here."""
    (home / "desk.yaml").write_text(READS)
    monkeypatch.setenv("MODELDECK_IDENTITY", "oidc")
    monkeypatch.setattr(provider, "claims", lambda: {**ANN, "iat": time.time()})
    opened = open_deck(load())
    opened.mlflow.registry.create_model("churn-a")
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


def test_with_a_provider_the_rules_and_the_sign_in_are_looked_at_again(
    provided: Deck, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = provider.deck(current(provided))
    made = visit.bound(here, lambda: visit.present(provided).mlflow.registry.models())
    assert [model.name for model in made()] == ["churn-a"]
    (home / "desk.yaml").write_text(READS.replace("churn-*", "other-*"))
    assert made() == []
    monkeypatch.setattr(provider, "is_fresh", lambda *_: False)
    with pytest.raises(SignedOut):
        made()
