"""The pages Retirement and Permissions, as whoever is at this machine sees them."""

import pytest
from streamlit.testing.v1 import AppTest

from core.lifecycle import permissions as use_case
from core.lifecycle.permissions import Overview, Row
from core.mlflow_api.holders import Account, Grant, Holder, Source, ways
from core.people import Permission
from core.registry import requests
from core.registry.requests import Kind
from core.ui import permissions
from core.ui.deck import deck
from core.ui.runs import fingerprint
from tests.pages.asked import read, wine
from tests.pages.conftest import HOSTILE, Open, Store, markdown_of


def table(app: AppTest) -> list[dict[str, object]]:
    """The rows of the page's first table."""
    frames = app.get("arrow_data_frame") or app.get("dataframe")
    rows: list[dict[str, object]] = frames[0].value.to_dict("records")
    return rows


def tick(app: AppTest, place: int) -> None:
    """Tick one version of the two that are listed."""
    key = f"retire_{fingerprint(['wine/2', 'wine/1', '[]'])}"
    assert key in app.session_state
    app.session_state[key] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    app.run()


def test_what_has_had_its_day_is_asked_to_be_archived(own_store: Store, open_page: Open) -> None:
    here = wine(own_store)
    here.mlflow.registry.set_stage("wine", 3, "Production")
    app = open_page("retirement")
    assert not app.exception
    assert "3 versions of 1 models were looked at" in read(app)
    assert [row["model"] for row in table(app)] == ["wine v2", "wine v1"]
    assert "champion" in str(table(app)[1]["breaks"])
    assert "v3 is newer and stands above it" in str(table(app)[0]["reasons"])

    tick(app, 0)
    assert "You ask that these be archived: wine v2." in read(app)
    app.text_area[0].set_value("old")
    app.button[0].click().run()
    assert not app.exception
    assert "1 version is asked to be archived." in read(app)
    (made,) = requests.listed(deck().desk)
    assert (made.version, made.kind, made.comment) == (2, Kind.ARCHIVE, "old")
    assert "asked to be archived" in str(table(app)[0]["reasons"])


def test_an_empty_comment_is_refused_and_said(own_store: Store, open_page: Open) -> None:
    here = wine(own_store)
    here.mlflow.registry.set_stage("wine", 3, "Production")
    app = open_page("retirement")
    tick(app, 0)
    app.button[0].click().run()
    assert "wine v2" in read(app)
    assert requests.listed(deck().desk) == []
    assert app.error


def test_nothing_to_retire(own_store: Store, open_page: Open) -> None:
    app = open_page("retirement")
    assert not app.exception
    assert "No version has a reason" in read(app)


@pytest.mark.parametrize("name", ["retirement", "permissions"])
def test_hostile_names_stay_text(own_store: Store, open_page: Open, name: str) -> None:
    model = HOSTILE.replace("/", "").replace(":", "")[:200]
    wine(own_store, model=model).mlflow.registry.set_stage(model, 3, "Production")
    app = open_page(name)
    assert not app.exception
    assert "![](" not in markdown_of(app)


def test_this_machines_user_is_told_what_holds(own_store: Store, open_page: Open) -> None:
    app = open_page("permissions")
    assert not app.exception
    assert "whoever may write to it" in read(app)
    assert "one person, this machine’s user" in read(app)


HOLDERS = (
    Holder("boss", Permission.MANAGE, Source.ADMINISTRATOR),
    Holder("modeldeck", Permission.MANAGE, Source.ADMINISTRATOR),
    Holder("keeper", Permission.MANAGE, Source.WORKSPACE),
    Holder("o'neil", Permission.EDIT, Source.GRANT, "", "wine", "registered_model"),
    Holder("ada", Permission.EDIT, Source.ROLE, "edi'tors", "*", "registered_model"),
    Holder("bob", Permission.EDIT, Source.ROLE, "edi'tors", "*", "registered_model"),
    Holder("eve", Permission.EDIT, Source.GRANT, "", "*", "registered_model_version"),
    Holder("all", Permission.EDIT, Source.DEFAULT),
)


def test_the_script_names_each_once_and_is_python() -> None:
    row = Row("wine", HOLDERS, "modeldeck", (HOLDERS[0], *HOLDERS[2:]))
    script = use_case.closing(row, "http://x")
    compile(script, "script", "exec")
    assert "'modeldeck'" not in script
    assert script.count("edi'tors") == 1
    assert "\"o'neil\", 'registered_model', 'wine', 'READ'" in script
    assert "grant_user_permission('eve'" not in script
    assert [h.account for h in row.granted] == ["o'neil", "ada", "bob", "eve", "all"]
    assert use_case.closing(Row("wine", HOLDERS[:1], "modeldeck"), "http://x") == ""


def test_whoever_has_a_right_more_than_once_is_lowered_everywhere() -> None:
    stacked = (
        Grant("registered_model", "wine", "MANAGE"),
        Grant("registered_model", "*", "EDIT"),
        Grant("registered_model", "*", "EDIT", "editors"),
        Grant("registered_model_version", "*", "MANAGE"),
        Grant("registered_model", "tea", "MANAGE"),  # another model
        Grant("registered_model", "wine", "READ", "readers"),  # no more than READ
        Grant("experiment", "*", "MANAGE"),
    )
    found = ways(Account("ada", False, stacked), "wine", Permission.READ, Permission.EDIT)
    assert [(h.kind[-7:], h.pattern, h.role) for h in found] == [
        ("d_model", "wine", ""),
        ("d_model", "*", ""),
        ("d_model", "*", "editors"),
        ("version", "*", ""),
    ]
    script = use_case.closing(Row("wine", (), "modeldeck", found), "http://x")
    compile(script, "script", "exec")
    assert script.count("auth.revoke_user_permission('ada'") == 3
    assert script.count("'editors'") == 1
    ada = Account("ada", False, (*stacked, Grant("registered_model", "*", "DENY")))
    assert ways(ada, "wine", Permission.READ, Permission.EDIT) == (), "nothing is left to take"
    by_default = ways(Account("bob", False), "wine", Permission.EDIT, Permission.EDIT)
    assert [h.source for h in by_default] == [Source.DEFAULT]


def test_every_way_to_a_right_has_words() -> None:
    assert len({permissions._how(h) for h in HOLDERS}) == 6
    assert Overview((), Permission.READ, 0).rows == ()
