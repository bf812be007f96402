"""The manager's inbox."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from core.ledger import new_id, now
from core.ledger.schema import requests as request_table
from core.lifecycle.deck import Deck
from core.people import Actor, Everything, Permission
from core.registry import requests
from core.registry.requests import Request, State, rows
from core.ui import approvals
from tests.pages.asked import asks, checks, read, visit_as, wine
from tests.pages.conftest import HOSTILE, Open, Store, markdown_of


@pytest.fixture
def here(own_store: Store) -> Deck:
    return wine(own_store)


def cards(app: AppTest) -> list[str]:
    """The ids of the requests shown, in order."""
    keys = [str(button.key) for button in app.button]
    return [key.removeprefix("open_") for key in keys if key.startswith("open_")]


def fill(here: Deck, like: Request, n: int) -> None:
    """So many open requests more, for versions of other numbers; each was asked a moment later."""
    with here.ledger.transaction("test") as connection:
        for i in range(1, n + 1):
            later = like.asked_at + timedelta(milliseconds=i)
            rows.insert(connection, replace(like, id=new_id(), version=1_000 + i, asked_at=later))


def test_nothing_waits(here: Deck, open_page: Open) -> None:
    app = open_page("approvals")
    assert not app.exception
    assert "Nothing waits for you." in read(app)
    for view, said in (
        ("Asked by me", "Ask on a model's page"),
        ("All open", "No request is open"),
        ("Closed lately", "No request was closed"),
    ):
        assert said in read(open_page("approvals", list=view))


def test_a_card_says_it_in_a_sentence(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here, comment="Better on wet days."))
    app = open_page("approvals")
    assert not app.exception
    assert cards(app) == [made.id]
    text = read(app)
    assert "wine v2 → Production" in text
    assert "accuracy 0.930 against 0.910 in Production; 1 check passes, 1 warns." in text
    assert "anna asked just now · 0 of 1 approval · expires in 14 days" in text
    assert "“Better on wet days.”" in text
    assert app.get("dataframe") == []


def test_the_card_opens_its_evidence(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here))
    app = open_page("approvals")
    app.button(key=f"open_{made.id}").click().run()
    assert not app.exception
    assert app.query_params["request"] == made.id
    assert app.title[0].value.replace("\\", "") == "wine v2 → Production"


def test_what_is_being_checked_does_not_wait_and_is_open(here: Deck, open_page: Open) -> None:
    made = asks(here)
    assert cards(open_page("approvals")) == []
    app = open_page("approvals", list="All open")
    assert cards(app) == [made.id]
    assert "The evidence is being gathered." in read(app)


def test_blocked_waits_for_those_who_may_reject(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here, 3))
    assert made.state is State.BLOCKED
    app = open_page("approvals")
    assert cards(app) == [made.id]
    assert "1 blocks" in read(app)
    assert "A gate blocks it" in read(app)


def test_one_who_may_not_decide_sees_why(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = checks(here, asks(here))
    visit_as(monkeypatch, "eve")
    assert cards(open_page("approvals")) == []
    app = open_page("approvals", list="All open")
    assert cards(app) == [made.id]
    assert "do not name you among those who decide" in read(app)


def test_ones_own_request_does_not_wait_for_one(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = checks(here, asks(here, who=Actor("max", kind="mlflow")))
    visit_as(monkeypatch, "max")
    assert cards(open_page("approvals")) == []
    app = open_page("approvals", list="Asked by me")
    assert cards(app) == [made.id]
    assert "You asked just now" in read(app)
    assert "somebody else decides" in read(app)
    visit_as(monkeypatch, "zoe")
    assert cards(open_page("approvals")) == [made.id]


def test_closed_lately_can_be_searched(here: Deck, open_page: Open) -> None:
    old = asks(here)
    requests.withdraw(here.desk, old.id)
    with here.ledger.transaction("test") as connection:
        connection.execute(
            sa.update(request_table)
            .where(request_table.c.id == old.id)
            .values(closed_at=now() - timedelta(days=40))
        )
    first = asks(here, comment="zebra crossing")
    requests.withdraw(here.desk, first.id)
    second = checks(here, asks(here, 3))
    requests.reject(here.desk, second.id, "Too low.", binding=requests.binding(second))
    app = open_page("approvals", list="Closed lately")
    assert cards(app) == [second.id, first.id]
    assert "Too low." in read(app)
    assert cards(open_page("approvals", list="Closed lately", q="ZEBRA wine")) == [first.id]
    assert cards(open_page("approvals", list="Closed lately", q="v3 rejected")) == [second.id]
    assert "No request matches." in read(open_page("approvals", list="Closed lately", q="nope"))


def test_models_that_may_not_be_read_are_not_there(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(here, asks(here))
    requests.withdraw(here.desk, asks(here, 3).id)
    monkeypatch.setattr(Everything, "on_model", lambda *_: Permission.NONE)
    monkeypatch.setattr(Everything, "readable", lambda *_: [])
    for view in ("Waits for me", "Asked by me", "All open", "Closed lately"):
        app = open_page("approvals", list=view)
        assert cards(app) == []
        assert "wine" not in read(app)


def test_more_than_are_shown_is_said(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.ui.approvals.SHOWN", 1)
    first = checks(here, asks(here, 2))
    second = checks(here, asks(here, 3, who=Actor("bob", kind="mlflow")))
    app = open_page("approvals")
    assert cards(app) == [first.id]
    assert "1 of 2 shown" in read(app)
    assert "oldest first" in read(app)
    app = open_page("approvals", list="All open")
    assert cards(app) == [second.id]
    assert "1 of 2 shown, newest first." in read(app)


def test_of_250_open_requests_all_are_counted_and_each_is_found(
    here: Deck, open_page: Open
) -> None:
    made = asks(here)
    fill(here, made, 249)
    app = open_page("approvals", list="All open")
    assert len(cards(app)) == approvals.SHOWN
    assert "50 of 250 shown, newest first." in read(app)
    assert cards(open_page("approvals", list="All open", q="WINE v2 anna checked")) == [made.id]


def test_ones_own_request_is_found_below_hundreds_of_others(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = asks(here, who=Actor("max", kind="mlflow"))
    closed = asks(here, 3)
    requests.withdraw(here.desk, closed.id)
    fill(here, replace(mine, requester="bob"), 250)
    visit_as(monkeypatch, "max")
    app = open_page("approvals", list="Asked by me")
    assert cards(app) == [mine.id]
    assert "shown" not in read(app)
    assert cards(open_page("approvals", list="Closed lately")) == [closed.id]


def test_what_nobody_could_mean_to_look_for_is_no_error(here: Deck, open_page: Open) -> None:
    asks(here)
    assert not open_page("approvals", list="All open", q="%_' " * 20_000).exception


def test_hostile_words_stay_words(own_store: Store, open_page: Open) -> None:
    name = HOSTILE.replace("/", "|").replace(":", ";")[:240]
    here = wine(own_store, model=name)
    evil = Actor(HOSTILE[:250], kind="mlflow")
    checks(here, asks(here, comment=HOSTILE, who=evil, model=name))
    for view in ("Waits for me", "All open"):
        text = markdown_of(open_page("approvals", list=view))
        assert "red" in text
        for raw in ("![](", ":red[", "<script>", "$a$", "`b`", "\u202e"):
            assert raw not in text


def test_how_long_until() -> None:
    assert approvals.until(now()) == "now"
    assert approvals.until(now() + timedelta(minutes=5, seconds=1)) == "in 5 minutes"
    assert approvals.until(now() + timedelta(hours=47)) == "in 47 hours"
    assert approvals.until(now() + timedelta(days=14)) == "in 14 days"
