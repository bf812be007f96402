"""The page of webhooks: set up, the secret once, the history, and nobody but administrators."""

from dataclasses import replace
from typing import Any

import pytest

from core.ledger import outbox
from core.ledger.outbox import GROUPS, Shape
from core.lifecycle import webhooks
from core.people import Actor
from core.ui import deck as deck_module
from core.ui.deck import deck
from tests.pages.conftest import HOSTILE, Open, Store, drawn, markdown_of

URL = "http://127.0.0.1:9/services/very-secret"


@pytest.fixture(autouse=True)
def reachable(own_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELDECK_WEBHOOK_NETWORKS", "127.0.0.0/8")


def fill(app: Any, name: str, url: str) -> Any:
    app.text_input(key="webhook_new_name_0").set_value(name)
    app.text_input(key="webhook_new_url_0").set_value(url)
    return app.button(key="FormSubmitter:webhook_new_form-Set it up").click().run()


def test_where_there_is_none_it_says_what_to_do(open_page: Open) -> None:
    assert "Nobody is told yet" in drawn(open_page("webhooks"))


def test_one_is_set_up_and_its_secret_shown_once(open_page: Open) -> None:
    app = fill(open_page("webhooks"), "team", URL)
    (made,) = outbox.webhooks(deck().ledger)
    assert (made.url, made.actions) == (URL, tuple(GROUPS))
    assert [code.value for code in app.code] == [made.secret]
    app.button(key="webhook_secret_kept").click().run()
    assert made.secret not in drawn(app) + str([code.value for code in app.code])
    again = open_page("webhooks")
    assert "team" in drawn(again)
    for text in (drawn(again), str([code.value for code in again.code])):
        assert made.secret not in text
        assert "very-secret" not in text


@pytest.mark.parametrize(
    ("url", "said"), [("http://10.0.0.1/", "private network"), ("x", "is no address")]
)
def test_an_address_that_cannot_be_used_is_said_and_stays_typed(
    open_page: Open, url: str, said: str
) -> None:
    app = fill(open_page("webhooks"), "team", url)
    assert said in str([error.value for error in app.error])
    assert app.text_input(key="webhook_new_name_0").value == "team"
    assert outbox.webhooks(deck().ledger) == []


def test_a_test_is_asked_for_and_it_is_switched_off_and_removed(open_page: Open) -> None:
    webhook_id, _ = webhooks.make(deck(), "team", URL, Shape.SLACK, list(GROUPS))
    app = open_page("webhooks")
    app.button(key=f"webhook_test_{webhook_id}").click().run()
    (sent,) = webhooks.history(deck(), webhook_id)
    assert sent.is_sample
    app.button(key=f"webhook_switch_off_{webhook_id}").click().run()
    assert not outbox.webhook(deck().ledger, webhook_id).enabled
    app.button(key=f"webhook_remove_{webhook_id}").click().run()
    assert outbox.webhooks(deck().ledger) == []


def test_others_words_are_drawn_as_words(open_page: Open) -> None:
    webhooks.make(deck(), HOSTILE[:190], URL, Shape.SLACK, list(GROUPS), "*`:red[x]`*")
    text = markdown_of(open_page("webhooks"))
    assert "![](" not in text
    assert " :red[x]" not in text


def test_whoever_is_no_administrator_is_refused(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks.make(deck(), "team", URL, Shape.SLACK, list(GROUPS))
    ada = replace(deck(), actor=Actor("ada", "oidc"))
    monkeypatch.setattr(deck_module, "deck", lambda: ada)
    app = open_page("webhooks")
    assert "administrators" in str([error.value for error in app.error])
    assert "team" not in drawn(app)
    assert not app.text_input
