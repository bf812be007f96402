"""The Ledger page: lines in words, filters, files, and whether the record holds."""

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa
import streamlit as st
from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest

from core.ledger import chain, now
from core.lifecycle.deck import Deck
from core.registry import requests
from core.registry.reconcile import reconcile
from core.registry.requests import binding
from core.ui.ledger import lines, saving
from tests.pages.asked import asks, checks, read, visit_as, wine
from tests.pages.conftest import HOSTILE, Open, Store
from tests.tampering import allow_changes

ALL = lines.Wish(None, None, None, None, None, None)


@pytest.fixture
def here(own_store: Store) -> Deck:
    return wine(own_store)


def told(app: object) -> list[dict[str, object]]:
    """The rows of the table."""
    (frame,) = app.get("arrow_data_frame") or app.get("dataframe")  # type: ignore[attr-defined]
    rows: list[dict[str, object]] = frame.value.to_dict("records")
    return rows


def test_nothing_is_on_record(here: Deck, open_page: Open) -> None:
    app = open_page("ledger")
    assert not app.exception
    assert "Nothing is on record yet" in read(app)


def test_the_lines_tell_the_story_newest_first(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here, comment="Better on wet days."))
    app = open_page("ledger")
    assert not app.exception
    rows = told(app)
    assert [row["what"] for row in rows] == ["Checked v2 → Production", "Asked for v2 → Production"]
    assert rows[1]["who"] == "anna"
    assert rows[1]["why"] == "Better on wet days."
    assert made.model == rows[1]["model"]


def test_only_what_was_asked_for_is_listed(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here))
    requests.comment(here.desk, made.id, "Why so soon?")
    assert [row["what"] for row in told(open_page("ledger", q="so soon"))] == [
        "Commented on v2 → Production"
    ]
    assert [row["who"] for row in told(open_page("ledger", who="anna"))] == ["anna"]
    app = open_page("ledger", kind="Changes of versions")
    assert "No line matches." in read(app)


def test_the_link_of_a_request_finds_its_lines_and_no_other(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here))
    requests.withdraw(here.desk, made.id)
    asks(here)
    evidence = open_page("evidence", request=made.id)
    way = next(
        parse_qs(link.proto.query_string)
        for link in evidence.get("page_link")
        if "q=" in link.proto.query_string
    )
    assert way["q"] == [made.id]
    rows = told(open_page("ledger", **{name: values[0] for name, values in way.items()}))
    assert [row["what"] for row in rows] == [
        "Withdrew v2 → Production", "Checked v2 → Production", "Asked for v2 → Production",
    ]  # fmt: skip
    assert len(told(open_page("ledger"))) == 4  # the control


def test_who_is_no_administrator_sees_the_models_that_they_may_read(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(here, asks(here))
    entry = chain.Entry("webhook.made", "root")
    with here.ledger.transaction("test") as connection:
        chain.append(connection, entry)
    assert "Set up a webhook" in [row["what"] for row in told(open_page("ledger"))]
    visit_as(monkeypatch, "zoe")
    assert "Set up a webhook" not in [row["what"] for row in told(open_page("ledger"))]


def test_who_may_not_read_a_model_is_told_nothing_of_it_nor_of_its_people(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(here, asks(here))
    store = here.mlflow.address
    with here.ledger.transaction("test") as connection:
        chain.append(connection, chain.Entry("request.asked", "mallory", store=store, model="dark"))
    app = open_page("ledger")
    assert "dark" in [row["model"] for row in told(app)]
    assert "mallory" in app.selectbox(key="who").options
    visit_as(monkeypatch, "zoe")
    app = open_page("ledger", model="dark")
    assert "mallory" not in app.selectbox(key="who").options
    assert not app.exception
    assert {row["model"] for row in told(app)} == {"wine"}


def test_hostile_text_stays_text(here: Deck, open_page: Open) -> None:
    checks(here, asks(here, comment=HOSTILE[:1000]))
    app = open_page("ledger")
    assert not app.exception
    assert "\u202e" not in str(told(app))


def test_hostile_text_in_a_line_that_was_chosen_stays_text(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_table", lambda found, **_: found[0])
    name = "turned \u202e round"
    MlflowClient(here.mlflow.gateway.tracking_uri).create_registered_model(name)
    entry = chain.Entry(
        "card.changed", "anna", store=here.mlflow.address, model=name,
        before={"owner": "\u202e"}, after={"owner": "\u202ed"}, details={"\u202ekey": ["\u202e"]},
    )  # fmt: skip
    with here.ledger.transaction("test") as connection:
        chain.append(connection, entry)
    for tab, key in (("Record", "model"), ("What stood where", "stood_model")):
        app = open_page("ledger")
        app.session_state["tab"] = tab
        app.run()
        assert not app.exception
        assert any("turned" in option for option in app.selectbox(key=key).options)
        assert "\u202e" not in str(app.selectbox(key=key).options)
        drawn = [*(one.value for one in app.text), *(one.value for one in app.json)]
        assert "\u202e" not in "".join(drawn)
        assert "\\u202e" not in "".join(drawn)
        assert bool(drawn) == (tab == "Record")
    change_body(here, 1, "body || char(8238)")
    st.cache_data.clear()
    codes = [one.value for one in open_page("ledger").code]
    assert any("owner" in code for code in codes)
    assert "\u202e" not in str(codes)


def test_a_spreadsheet_does_not_carry_a_comment_out(here: Deck) -> None:
    asks(here, comment="=1+1")
    rows = list(csv.DictReader(io.StringIO(saving.as_csv(ALL).decode("utf-8-sig"))))
    assert rows[0]["why"] == "'=1+1"


def test_the_saved_lines_can_be_hashed_again_and_name_the_head(here: Deck) -> None:
    checks(here, asks(here))
    *saved, last = [json.loads(line) for line in saving.as_lines(ALL).splitlines()]
    before = chain.START
    for row in saved:
        assert row["previous"] == before
        assert chain.link(row["number"], row["previous"], row["body"]) == row["hash"]
        before = row["hash"]
    assert last["head"] == f"{len(saved)}:{before}"


def test_the_record_is_verified_and_a_changed_line_is_named(here: Deck, open_page: Open) -> None:
    made = checks(here, asks(here))
    requests.approve(here.desk, made.id, "Good.", binding=binding(made))
    app = open_page("ledger")
    app.session_state["tab"] = "Verify"
    app.run()
    app.button(key="verify").click().run()
    assert not app.exception
    assert "The record holds" in str([one.value for one in app.success])
    allow_changes(here.ledger)
    with here.ledger.transaction("test") as connection:
        connection.execute(sa.text("UPDATE record SET actor = 'eve' WHERE number = 2"))
    app.button(key="verify").click().run()
    assert "does not hold" in str([one.value for one in app.error])
    assert "Line 2 was changed" in read(app)


def test_who_is_no_administrator_is_told_where_and_not_what(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(here, asks(here))
    dark = chain.Entry("request.asked", "mallory", store=here.mlflow.address, model="dark")
    with here.ledger.transaction("test") as connection:
        number = chain.append(connection, dark).number
    allow_changes(here.ledger)
    with here.ledger.transaction("test") as connection:
        query = "UPDATE record SET actor = 'eve' WHERE number = :n"
        connection.execute(sa.text(query), {"n": number})
    here.mlflow.registry.set_model_tag("wine", "modeldeck.record", "rubbish about dark")
    for name, told_all in (("", True), ("zoe", False)):
        if name:
            visit_as(monkeypatch, name)
        app = open_page("ledger")
        app.session_state["tab"] = "Verify"
        app.run()
        app.button(key="verify").click().run()
        assert not app.exception
        assert "does not hold: 2 faults" in str([one.value for one in app.error])
        text = read(app)
        assert ("mallory" in text and "rubbish about dark" in text) == told_all
        assert (f"Found at line {number}." in text) != told_all


def change_body(deck: Deck, number: int, change: str) -> None:
    """Write another body, past the guards."""
    allow_changes(deck.ledger)
    with deck.ledger.transaction("test") as connection:
        query = f"UPDATE record SET body = {change} WHERE number = :n"  # noqa: S608 - our own
        connection.execute(sa.text(query), {"n": number})


def test_a_line_that_cannot_be_read_takes_no_page_down_and_is_named(
    here: Deck, open_page: Open
) -> None:
    reconcile(here.desk)
    here.mlflow.registry.set_alias("wine", "champion", 3)
    reconcile(here.desk)
    (alert,) = chain.lines(here.ledger, action="unattributed.")
    change_body(here, alert.number, "replace(body, '\"rung\"', '\"rvng\"')")
    for page in ("home", "ledger"):
        app = open_page(page)
        assert not app.exception
    assert told(app)[0]["what"] == "This line is not as it was written: verify the record"
    app.session_state["tab"] = "Verify"
    app.run()
    app.button(key="verify").click().run()
    assert not app.exception
    assert f"The hash of line {alert.number} does not fit" in read(app)
    app = open_page("model", model="wine")
    assert not app.exception


def test_the_saved_lines_show_what_was_changed_without_changing_what_it_says(here: Deck) -> None:
    checks(here, asks(here))
    change_body(here, 2, "' ' || body")
    *saved, _ = [json.loads(line) for line in saving.as_lines(ALL).splitlines()]
    right = [chain.link(r["number"], r["previous"], r["body"]) == r["hash"] for r in saved]
    assert right == [True, False]


def test_what_stood_where_is_told_by_the_record(here: Deck, open_page: Open) -> None:
    reconcile(here.desk)
    app = open_page("ledger")
    app.session_state["tab"] = "What stood where"
    app.run()
    assert not app.exception
    (row,) = told(app)  # by itself what stands now, also what came a second ago
    assert (row["model"], row["version"]) == ("wine", "v1")
    app.date_input(key="stood_day").set_value((now() - timedelta(days=2)).date()).run()
    assert told_nothing(app)


def test_what_stood_where_is_asked_for_by_a_link(here: Deck, open_page: Open) -> None:
    reconcile(here.desk)
    tab = {"tab": "What stood where", "stood_model": "wine"}
    tomorrow, before = ((now() + timedelta(days=n)).date().isoformat() for n in (1, -2))
    (row,) = told(open_page("ledger", stood_day=tomorrow, **tab))
    assert (row["model"], row["version"]) == ("wine", "v1")
    (row,) = told(open_page("ledger", stood_day=tomorrow, stood_rung="Staging", **tab))
    assert (row["model"], row["version"]) == ("wine", "nothing")
    assert told_nothing(open_page("ledger", stood_day=before, stood_time="14:00", **tab))


def test_rungs_and_models_that_only_the_record_names_can_be_asked_for(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"rung": "Shadow", "stage": "None", "aliases": []}
    entry = chain.Entry(
        "transition.done", "anna", store=here.mlflow.address, model="gone", version=4,
        before={}, after={"4": place},
    )  # fmt: skip
    with here.ledger.transaction("test") as connection:
        chain.append(connection, entry)

    def asked() -> AppTest:
        app = open_page("ledger")
        app.session_state["tab"] = "What stood where"
        return app.run()

    app = asked()
    rungs, models = (app.selectbox(key=f"stood_{name}") for name in ("rung", "model"))
    assert rungs.options == ["None", "Staging", "Production", "Archived", "Shadow"]
    assert models.options == ["gone", "wine"]
    app.date_input(key="stood_day").set_value((now() + timedelta(days=1)).date())
    app.selectbox(key="stood_rung").set_value("Shadow").run()
    assert [(row["model"], row["version"]) for row in told(app)][:1] == [("gone", "v4")]
    visit_as(monkeypatch, "zoe")
    assert asked().selectbox(key="stood_model").options == ["wine"]


def test_what_was_only_found_gone_is_not_told_as_exact(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(rung: str) -> dict[str, object]:
        return {"1": {"rung": rung, "stage": rung, "aliases": []}}

    today = now()
    about = chain.Entry("baseline", "", store=here.mlflow.address, model="wine")
    known = {"last_known": (today - timedelta(hours=36)).isoformat()}
    gone = replace(about, action="unattributed.stage", before=place("Production"), details=known)
    with here.ledger.transaction("test") as connection, monkeypatch.context() as earlier:
        earlier.setattr(chain, "now", lambda: today - timedelta(days=2))
        chain.append(connection, replace(about, after=place("Production")))
        earlier.setattr(chain, "now", lambda: today)
        chain.append(connection, replace(gone, after=place("Archived")))
    app = stood(open_page, today - timedelta(days=1))
    (row,) = told(app)
    assert (row["version"], row["line"]) == ("v1", 1)
    assert str(row["how"]).startswith("found there: it may have come there earlier; known there")
    assert "found gone at" in str(row["how"])


def test_who_may_not_read_what_stood_there_is_told_so(
    here: Deck, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit_as(monkeypatch, "zoe")
    app = stood(open_page, now() - timedelta(days=2))
    assert told_nothing(app)
    assert "Of the models that you may read the record knows of none" in read(app)


def stood(open_page: Open, at: datetime) -> AppTest:
    """What stood where on the day of that moment, at its hour."""
    app = open_page("ledger")
    app.session_state["tab"] = "What stood where"
    app.run()
    app.date_input(key="stood_day").set_value(at.date())
    app.time_input(key="stood_time").set_value(at.time()).run()
    assert not app.exception
    return app


def told_nothing(app: AppTest) -> bool:
    """Whether there is no table."""
    return not app.get("arrow_data_frame") and not app.get("dataframe")


def test_a_change_without_modeldeck_is_said_until_somebody_takes_note(
    here: Deck, open_page: Open
) -> None:
    reconcile(here.desk)
    here.mlflow.registry.set_alias("wine", "champion", 3)
    reconcile(here.desk)
    app = open_page("ledger")
    assert not app.exception
    assert "not through Modeldeck" in str([box.label for box in app.expander])
    app.text_input(key="acknowledge_words_wine").input("An emergency, by hand.")
    next(b for b in app.button if str(b.key).startswith("FormSubmitter:acknowledge")).click().run()
    assert not app.exception
    st.cache_data.clear()
    again = open_page("ledger")
    assert "not through Modeldeck" not in str([box.label for box in again.expander])
    assert "An emergency, by hand." in [row["why"] for row in told(again)]
