"""The pages Retirement and Permissions, as whoever is at this machine sees them."""

from collections.abc import Sequence

import pytest
from streamlit.testing.v1 import AppTest

from core.lifecycle import permissions as use_case
from core.lifecycle.permissions import Overview, Row
from core.mlflow_api.holders import Account, Grant, Holder, Source, ways
from core.people import Permission
from core.registry import requests
from core.registry.plan import see
from core.registry.requests import Kind
from core.registry.transitions import read_state
from core.serving import endpoints
from core.ui import permissions
from core.ui.deck import deck, forget
from core.ui.runs import fingerprint
from tests.pages.asked import read, wine
from tests.pages.conftest import HOSTILE, Open, Store, markdown_of


def table(app: AppTest) -> list[dict[str, object]]:
    """The rows of the page's first table."""
    frames = app.get("arrow_data_frame") or app.get("dataframe")
    rows: list[dict[str, object]] = frames[0].value.to_dict("records")
    return rows


def tick(app: AppTest, *places: int, listed: Sequence[int] = (2, 1)) -> None:
    """Tick versions of those that are listed."""
    key = f"retire_{fingerprint([*(str(('wine', v)) for v in listed), '[]'])}"
    assert key in app.session_state
    app.session_state[key] = {"selection": {"rows": list(places), "columns": [], "cells": []}}
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


def test_what_changed_since_it_was_drawn_is_a_conflict_and_the_words_stay(
    own_store: Store, open_page: Open
) -> None:
    """The page remembers MLflow's answers for seconds: the click must not be for what it reads
    anew, which nobody has seen."""
    here = wine(own_store)
    here.mlflow.registry.set_stage("wine", 3, "Production")
    app = open_page("retirement")
    tick(app, 0)
    here.mlflow.registry.set_stage("wine", 2, "Staging")
    forget()
    app.text_area[0].set_value("nobody needs it")
    app.button[0].click().run()
    assert not app.exception
    assert requests.listed(deck().desk) == []
    assert "wine v2" in app.error[0].value
    assert "Staging" in app.error[0].value
    assert app.text_area[0].value == "nobody needs it"
    assert "You ask that these be archived: wine v2." in read(app)

    app.button[0].click().run()  # now they have seen it
    assert [made.comment for made in requests.listed(deck().desk)] == ["nobody needs it"]
    assert not app.text_area


def test_a_click_is_not_lost_when_the_version_is_listed_no_longer(
    own_store: Store, open_page: Open
) -> None:
    here = wine(own_store)
    here.mlflow.registry.set_stage("wine", 3, "Production")
    app = open_page("retirement")
    tick(app, 0)
    here.mlflow.registry.set_stage("wine", 2, "Archived")
    forget()
    app.text_area[0].set_value("nobody needs it")
    app.button[0].click().run()
    assert not app.exception
    assert "wine v2" in app.error[0].value


def test_of_several_those_that_are_refused_stay_ticked_and_the_words_stay(
    own_store: Store, open_page: Open
) -> None:
    here = wine(own_store)
    here.mlflow.registry.set_stage("wine", 3, "Production")
    app = open_page("retirement")
    tick(app, 0, 1)
    here.mlflow.registry.set_stage("wine", 2, "Staging")
    app.text_area[0].set_value("both are old")
    app.button[0].click().run()
    assert not app.exception
    assert "1 version is asked to be archived." in read(app)
    assert [made.version for made in requests.listed(deck().desk)] == [1]
    assert "You ask that these be archived: wine v2." in read(app)
    assert app.text_area[0].value == "both are old"


def test_what_would_be_missed_is_said_of_as_many_as_are_named_and_the_rest_counted(
    own_store: Store, open_page: Open
) -> None:
    here = wine(own_store)
    registry = here.mlflow.registry
    for _ in range(4, 13):
        registry.create_version("wine", f"models:/{own_store.model_id}", own_store.run)
    for version in range(2, 12):
        registry.set_alias("wine", f"a{version}", version)
    registry.set_stage("wine", 12, "Production")
    app = open_page("retirement")
    listed = [int(str(row["model"]).rpartition("v")[2]) for row in table(app)]
    assert len(listed) == 11
    tick(app, *range(11), listed=listed)
    assert len(app.warning) == 9
    assert "3 more of those that are ticked would be missed" in app.warning[8].value


def test_who_decides_on_archiving_sees_what_would_miss_the_version_now(
    own_store: Store, open_page: Open
) -> None:
    here = wine(own_store)
    made = requests.ask(
        here.desk, "wine", 2, "Archived", "old", kind=Kind.ARCHIVE,
        seen=see(read_state(here.mlflow, "wine"), 2, "Archived", here.rules.ladder),
    )  # fmt: skip
    app = open_page("evidence", request=made.id)
    assert not app.exception
    assert "No alias points to wine v2, and no endpoint that is up serves it." in read(app)

    here.mlflow.registry.set_alias("wine", "nightly", 2)
    endpoint = endpoints.request(here.ledger, here.actor, here.mlflow.registry.version("wine", 2))
    forget()
    app = open_page("evidence", request=made.id)
    said = f"wine v2: the alias nightly; the endpoint {endpoint.id[:6]} (calls not known)"
    assert f"{said} would miss it." in app.warning[0].value.replace("\\", "")


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
