"""The Model page: its ladder, thousands of versions, asking, the way back, card and lineage."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from benchmarks import stores
from core.ledger import now
from core.ledger.chain import Entry, append
from core.lifecycle.card_hints import hints
from core.lifecycle.deck import Deck
from core.lifecycle.lineage import trace
from core.people import Actor
from core.registry.card import read_card, write_card
from core.registry.catalogue import dossier, first_look
from core.registry.plan import Wanted
from core.registry.reconcile import reconcile
from core.registry.record import record
from core.registry.requests import State, listed
from core.registry.transitions import read_state, transition
from core.serving import endpoints
from core.ui.deck import deck
from core.ui.model.whole import Readers
from tests.pages.conftest import Open, Store, drawn
from tests.waiting import until

BLOCKING = """
rules:
  - models: "*"
    rung: Staging
    approvals: 1
    decide: [max]
    gates:
      - {gate: card_complete, level: block}
"""


@pytest.fixture
def wine(own_store: Store) -> Deck:
    """A model of three versions; version 1 is in Production."""
    here = deck()
    registry = here.mlflow.registry
    registry.create_model("wine", "Which grower.", {"team": "blue"})
    for run in (own_store.run, own_store.other, own_store.child):
        registry.create_version("wine", f"models:/{own_store.model_id}", run, f"From {run}")
    move(here, 1, "Production")
    return here


def move(here: Deck, version: int, rung: str, who: str = "anna") -> None:
    transition(here.mlflow, here.ledger, Actor(who), Wanted("wine", version, rung))


def where(here: Deck) -> dict[int, str]:
    return {v.version: v.stage for v in read_state(here.mlflow, "wine").versions}


def texts(app: AppTest) -> str:
    return drawn(app).replace("\\", "")


def tab(app: AppTest, name: str) -> AppTest:
    """Open one of the tabs below, as a click does."""
    app.session_state["model_tabs"] = name
    return app.run()


class TestLadder:
    def test_who_stands_where_since_when_and_by_whom(self, wine: Deck, open_page: Open) -> None:
        said = texts(open_page("model", model="wine"))
        assert "Nobody in Staging" in said
        assert "by anna" in said
        assert "Nobody in Production" not in said
        assert "None: 2" in said

    def test_nobody_in_production_and_what_moved_elsewhere_are_seen(
        self, wine: Deck, open_page: Open
    ) -> None:
        wine.mlflow.registry.set_stage("wine", 1, "None")
        wine.mlflow.registry.delete_alias("wine", "champion")
        wine.mlflow.registry.set_stage("wine", 2, "Staging")
        said = texts(open_page("model", model="wine"))
        assert "Nobody in Production" in said
        assert "Moved without Modeldeck" in said

    def test_what_was_moved_outside_is_known_since_it_was_found(
        self, wine: Deck, open_page: Open
    ) -> None:
        wine.mlflow.registry.set_stage("wine", 2, "Staging")
        reconcile(wine.desk, "wine")
        app = open_page("model", model="wine")
        assert "who moved it is not known" in texts(app)
        assert "Moved without Modeldeck" not in texts(app)
        table = next(d.value for d in tab(app, "Who stood where").dataframe if "how" in d.value)
        rows = table[["rung", "version", "by", "how"]].to_numpy().tolist()
        assert rows == [
            ["Staging", "v2", "not known", "found there; it may have been there before"],
            ["Production", "v1", "anna", "from the record"],
        ]

    def test_marks_of_two_rungs_and_two_at_once_are_said(self, wine: Deck, open_page: Open) -> None:
        wine.mlflow.registry.set_stage("wine", 2, "Production")
        wine.mlflow.registry.set_alias("wine", "challenger", 2)
        app = open_page("model", model="wine")
        assert "2 versions at once" in texts(app)
        assert any("challenger" in w.value for w in app.warning)

    def test_changes_without_modeldeck_are_told_until_acknowledged(
        self, wine: Deck, open_page: Open
    ) -> None:
        store = wine.mlflow.address
        entry = Entry("unattributed.stage", "unknown", "worker", "reconcile", store, "wine", 2)
        with wine.ledger.transaction("writing") as connection:
            append(connection, entry)
        app = open_page("model", model="wine")
        assert any("found in MLflow" in w.value for w in app.warning)


class TestWayBack:
    def test_the_steps_are_shown_and_the_earlier_holder_comes_back(
        self, wine: Deck, open_page: Open
    ) -> None:
        move(wine, 2, "Production")
        app = open_page("model", model="wine")
        said = texts(app)
        assert "Put v1 back in Production" in said
        assert "v1 → Production" in said
        app.button(key="rollback:wine:Production:do").click().run()
        assert app.success
        assert where(wine) == {1: "Production", 2: "Archived", 3: "None"}
        newest = record(wine.ledger, "wine")[0]
        assert newest.comment.startswith("Back to v1")
        assert newest.path == "rollback"

    def test_no_earlier_holder_no_way_back(self, wine: Deck, open_page: Open) -> None:
        app = open_page("model", model="wine")
        assert not [b for b in app.button if str(b.key).startswith("rollback:")]

    def test_what_changed_while_it_was_looked_at_is_refused(
        self, wine: Deck, open_page: Open
    ) -> None:
        move(wine, 2, "Production")
        app = open_page("model", model="wine")
        move(wine, 3, "Production", who="bert")
        app.button(key="rollback:wine:Production:do").click().run()
        assert not app.success
        assert where(wine) == {1: "Archived", 2: "Archived", 3: "Production"}

    def test_of_what_is_asked_for_too(self, wine: Deck, home: Path, open_page: Open) -> None:
        (home / "desk.yaml").write_text(BLOCKING.replace("Staging", "Production"), "utf-8")
        for version in (2, 3):
            transition(
                deck().mlflow, wine.ledger, Actor("anna"), Wanted("wine", version, "Production")
            )
            if version == 2:
                app = open_page("model", model="wine")
        app.button(key="rollback:wine:Production:do").click().run()
        assert "v3 was moved to Production by anna" in app.error[0].value
        assert listed(deck().desk, model="wine") == []


class TestAsking:
    @pytest.fixture
    def blocked(self, home: Path, wine: Deck) -> Deck:
        (home / "desk.yaml").write_text(BLOCKING, "utf-8")
        return deck()

    def test_what_will_be_checked_is_said_and_asking_leads_to_the_request(
        self, blocked: Deck, open_page: Open
    ) -> None:
        app = open_page("model", model="wine", version="2")
        app.session_state["move:wine:2:to:0"] = "Staging"
        app.run()
        said = texts(app)
        assert "must pass: Model card complete" in said
        assert not [b for b in app.button if b.key == "move:wine:2:do:0"]
        app.text_area(key="move:wine:2:comment:0").set_value("Better.")
        app.button(key="move:wine:2:ask:0").click().run()
        (asked,) = listed(blocked.desk, model="wine")
        assert (asked.version, asked.rung, asked.comment) == (2, "Staging", "Better.")
        assert asked.state is State.CHECKING
        again = open_page("model", model="wine")
        assert "v2: being checked" in texts(again)

    def test_without_a_comment_nothing_is_asked(self, blocked: Deck, open_page: Open) -> None:
        app = open_page("model", model="wine", version="2")
        app.session_state["move:wine:2:to:0"] = "Staging"
        app.run()
        app.button(key="move:wine:2:ask:0").click().run()
        assert app.error
        assert listed(blocked.desk, model="wine") == []

    def test_an_alias_of_a_rung_that_is_asked_for_is_not_set_by_hand(
        self, blocked: Deck, open_page: Open
    ) -> None:
        app = open_page("model", model="wine", version="2")
        app.session_state["version_tabs:wine:2"] = "Aliases"
        app.run()
        app.text_input(key="alias:wine:2").set_value("challenger").run()
        app.button(key="alias:wine:2:do").click().run()
        assert "challenger" in app.error[0].value
        assert "challenger" not in blocked.mlflow.registry.model("wine").aliases


class TestCard:
    def test_a_suggestion_stands_in_the_form_and_is_written_when_saved(
        self, wine: Deck, open_page: Open
    ) -> None:
        app = tab(open_page("model", model="wine"), "Model card")
        assert "0 of 7 fields" in texts(app)
        assert read_card(wine.mlflow.registry.model("wine"))["purpose"] == ""
        area = next(a for a in app.text_area if str(a.key).startswith("card:wine:purpose:text"))
        assert area.value == "Which grower."
        app.button(key="card:wine:purpose:save").click().run()
        assert read_card(wine.mlflow.registry.model("wine"))["purpose"] == "Which grower."

    def test_what_somebody_else_wrote_meanwhile_is_kept_and_so_is_what_was_typed(
        self, wine: Deck, open_page: Open
    ) -> None:
        app = tab(open_page("model", model="wine"), "Model card")
        write_card(wine.desk, "wine", "limits", "Theirs.", seen="")
        area = next(a for a in app.text_area if str(a.key).startswith("card:wine:limits:text"))
        area.set_value("Mine.")
        app.button(key="card:wine:limits:save").click().run()
        assert read_card(wine.mlflow.registry.model("wine"))["limits"] == "Theirs."
        assert "Limits" in app.error[0].value
        values = [a.value for a in app.text_area if str(a.key).startswith("card:wine:limits:text")]
        assert values == ["Mine."]

    def test_suggestions_come_from_what_is_known(self, wine: Deck) -> None:
        found = trace(wine, wine.mlflow.registry.version("wine", 1))
        offered = hints(wine.mlflow.registry.model("wine"), found, now().date())
        assert offered["purpose"] == "Which grower."
        assert offered["data"] == "cells (digest abc123), used for training"
        assert offered["owner"] == "ada"
        assert "limits" not in offered


class TestLineage:
    def test_data_run_copies_and_endpoints(
        self, wine: Deck, own_store: Store, open_page: Open
    ) -> None:
        version = wine.mlflow.registry.version("wine", 1)
        wine.mlflow.registry.create_model("wine-prod")
        wine.mlflow.registry.create_version(
            "wine-prod", f"models:/{own_store.model_id}", own_store.run
        )
        endpoints.request(wine.ledger, Actor("bert"), version)
        found = trace(wine, version)
        assert [d.name for d in found.datasets] == ["cells"]
        assert [(v.model, v.version) for v in found.copies] == [("wine-prod", 1)]
        assert [e.requested_by for e in found.endpoints] == ["bert"]
        said = texts(tab(open_page("model", model="wine", version="1"), "Lineage"))
        for words in ("cells", "forest-a", "wine-prod, version 1", "asked by bert"):
            assert words in said

    def test_a_run_that_is_gone_is_said(self, wine: Deck, own_store: Store) -> None:
        wine.mlflow.registry.create_version("wine", "s3://there/model", "0" * 32)
        found = trace(wine, wine.mlflow.registry.version("wine", 4))
        assert found.run is None
        assert "0" * 32 in found.missing[0]


def test_aliases_have_rows_beside_the_rungs(wine: Deck, open_page: Open) -> None:
    wine.mlflow.registry.set_alias("wine", "live", 2)
    reconcile(wine.desk, "wine")
    wine.mlflow.registry.set_alias("wine", "fast", 3)
    app = tab(open_page("model", model="wine"), "Who stood where")
    assert not app.exception
    held = next(d.value for d in app.dataframe if "how" in d.value)
    assert [*held["rung"]].count("Production") == 1
    assert {("@live", "v2"), ("@fast", "v3")} < {*zip(held["rung"], held["version"], strict=True)}
    assert "@champion" not in [*held["rung"]]  # its version stands on its rung


def test_it_is_said_whose_values_the_metrics_are(wine: Deck, open_page: Open) -> None:
    app = open_page("model", model="wine")
    assert texts(app).count("those of the versions' runs") == 2  # below the table and the chart
    wine.mlflow.registry.create_model("plain")
    held = wine.mlflow.registry.version("wine", 1)
    wine.mlflow.registry.create_version("plain", "file:///elsewhere", held.run_id)
    assert "those of the versions' runs" not in texts(open_page("model", model="plain"))


class TestThousands:
    MANY = 230

    @pytest.fixture
    def many(self, home: Path, monkeypatch: pytest.MonkeyPatch, fresh_caches: None) -> Deck:
        """The embedded store with a model of 230 versions; Production is v110."""
        stores.versions(home / "mlflow.db", self.MANY, production_age=120)
        monkeypatch.setenv("MODELDECK_WORKER", "external")
        return deck()

    def test_a_page_of_them_and_those_on_a_rung(self, many: Deck, open_page: Open) -> None:
        app = open_page("model", model="search-ranker")
        assert not app.exception
        table = next(d.value for d in app.dataframe if "version" in d.value)
        assert len(table) == 101
        assert list(table["version"])[:2] == ["v230", "v229"]
        assert list(table["version"])[-1] == "v110"
        assert "1 to 100 of 230 versions" in texts(app)
        assert app.query_params["version"] in ("110", ["110"])

    def test_older_ones_are_turned_to_and_searched(self, many: Deck, open_page: Open) -> None:
        app = open_page("model", model="search-ranker", version="230")
        app.button(key="versions_page:search-ranker::older").click().run()
        table = next(d.value for d in app.dataframe if "version" in d.value)
        assert list(table["version"])[1] == "v130"
        assert "101 to 200 of 230" in texts(app)
        app = open_page("model", model="search-ranker", version="230", find="v7")
        table = next(d.value for d in app.dataframe if "version" in d.value)
        assert list(table["version"]) == ["v230", "v7"]
        assert "1 that match" in texts(app)

    def test_the_first_look_holds_what_matters(self, many: Deck) -> None:
        here = many.mlflow
        some = first_look(here, "search-ranker", many.rules.ladder, most=100, also=5)
        whole = dossier(here, "search-ranker", many.rules.ladder)
        assert not some.complete
        assert {5, 110, 227, 230} <= {v.version for v in some.versions}
        assert some.newer(whole.versions, complete=True) == whole
        assert first_look(here, "search-ranker", most=1000).complete
        assert first_look(here, "bare").versions == ()


def test_a_reading_is_shared_and_made_again_once_it_is_too_old() -> None:
    readers, calls, gate = Readers(), [], threading.Event()

    def call() -> tuple[()]:
        calls.append(1)
        assert gate.wait(30)
        return ()

    began = now()
    first = readers.ask("k", began, call, 0)
    assert (first.versions, first.reading) == (None, True)
    assert readers.ask("k", now(), call, 0).reading
    assert len(calls) <= 1
    gate.set()
    until(lambda: not readers.busy("k"), 30, "the reading")
    assert readers.ask("k", began, call, 0).versions == ()
    assert len(calls) == 1
    later = readers.ask("k", now() + timedelta(hours=1), call, 30)
    assert later.versions == ()
    until(lambda: len(calls) == 2, 30, "the second reading")
