"""The list of registered models, one model, and moving its versions."""

import getpass
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextArea

from core.ledger import now
from core.ledger.schema import transitions
from core.lifecycle.deck import Deck
from core.people import Actor
from core.registry.plan import Wanted
from core.registry.record import State, record
from core.registry.transitions import read_state, set_alias, transition
from core.ui.deck import deck, forget
from core.ui.markup import visible
from tests.faults import Fault, FaultProxy
from tests.pages.conftest import HOSTILE, Open, Store, drawn
from tests.servers import MlflowServer
from tests.waiting import until

ME = getpass.getuser()
HOSTILE_NAME = ("**bold** <script>alert(1) $a$ `b` [x] \u202eltr \"q\" 'p' " + "long " * 60)[:250]

HOSTILE_NAMES = [HOSTILE_NAME, "two\nlines 'and' \"more\"\n", (HOSTILE_NAME * 2)[:500]]


@pytest.fixture
def wine(own_store: Store) -> Deck:
    """A model of three versions; version 1 is in Production. And one without versions."""
    here = deck()
    registry = here.mlflow.registry
    registry.create_model("wine", "Which grower.", {"team": "blue"})
    for run in (own_store.run, own_store.other, own_store.child):
        registry.create_version("wine", f"models:/{own_store.model_id}", run, f"From {run}")
    move(here, "wine", 1, "Production")
    registry.create_model("bare")
    return here


def move(here: Deck, model: str, version: int, rung: str, who: str = "anna") -> None:
    transition(here.mlflow, here.ledger, Actor(who), Wanted(model, version, rung))


def where(here: Deck, model: str = "wine") -> dict[int, str]:
    return {v.version: v.stage for v in read_state(here.mlflow, model).versions}


def choose(app: AppTest, version: int, rung: str, model: str = "wine", turn: int = 0) -> AppTest:
    """Choose a rung on the card, as a click does."""
    app.session_state[f"move:{model}:{version}:to:{turn}"] = rung
    return app.run()


def confirm(app: AppTest, version: int, comment: str = "", model: str = "wine") -> AppTest:
    app.text_area(key=f"move:{model}:{version}:comment:0").set_value(comment)
    app.button(key=f"move:{model}:{version}:do:0").click()
    return app.run()


def plan(app: AppTest) -> list[str]:
    """The steps planned on the card as drawn, without icons and escapes."""
    drawn = [m.value for m in app.markdown]
    card = drawn[drawn.index("**This will change**") :] if "**This will change**" in drawn else []
    steps = (text for text in card if text.startswith(":material/"))
    return [s.split(": ", 1)[1].replace("\\", "") for s in steps if "→" in s or "taken" in s]


def about(app: AppTest) -> TextArea:
    """The text area with the model's description."""
    return next(a for a in app.text_area if str(a.key).startswith("describe:wine::text:"))


def save(app: AppTest, text: str) -> None:
    about(app).set_value(text)
    app.button(key="describe:wine::save").click().run()


class TestModels:
    def test_each_model_with_what_is_where(self, wine: Deck, open_page: Open) -> None:
        move(wine, "wine", 2, "Staging")
        app = open_page("models")
        assert not app.exception
        table = app.dataframe[0].value.set_index("name")
        assert table.loc["wine", "versions"] == 3
        assert table.loc["wine", "Production"] == "v1"
        assert table.loc["wine", "Staging"] == "v2"
        assert list(table.loc["wine", "aliases"]) == ["challenger v2", "champion v1"]
        assert table.loc["bare", "versions"] == 0
        assert "1 has no version in Production" in drawn(app)

    def test_those_without_a_production_version(self, wine: Deck, open_page: Open) -> None:
        app = open_page("models", view="Without Production")
        assert list(app.dataframe[0].value["name"]) == ["bare"]

    def test_search_looks_at_descriptions_aliases_and_tags(
        self, wine: Deck, open_page: Open
    ) -> None:
        for words in ("grower", "CHAMPION wine", "team blue"):
            assert list(open_page("models", q=words).dataframe[0].value["name"]) == ["wine"]
        assert "No registered model matches" in drawn(open_page("models", q="zebra"))

    def test_an_empty_registry_says_what_to_do(self, own_store: Store, open_page: Open) -> None:
        assert "No model is registered yet" in drawn(open_page("models"))

    def test_a_model_is_created(self, own_store: Store, open_page: Open) -> None:
        app = open_page("models")
        app.text_input(key="model_new_name").set_value("fresh")
        app.text_area(key="model_new_about").set_value("Why.")
        app.button(key="model_new_do").click().run()
        assert deck().mlflow.registry.model("fresh").description == "Why."

    @pytest.mark.parametrize(("name", "said"), [("wine", "exists"), ("a/b", "no valid model name")])
    def test_a_name_that_cannot_be_used_is_said_and_stays_typed(
        self, wine: Deck, open_page: Open, name: str, said: str
    ) -> None:
        app = open_page("models")
        app.text_input(key="model_new_name").set_value(name)
        app.button(key="model_new_do").click().run()
        assert said in app.error[0].value.replace("\\", "")
        assert app.text_input(key="model_new_name").value == name


class TestModel:
    def test_versions_with_stage_aliases_metrics_and_run(self, wine: Deck, open_page: Open) -> None:
        app = open_page("model", model="wine")
        assert not app.exception
        table = next(d.value for d in app.dataframe if "version" in d.value).set_index("version")
        assert list(table.index) == ["v3", "v2", "v1"]
        assert list(table.loc["v1", "stage"]) == ["Production"]
        assert list(table.loc["v1", "aliases"]) == ["champion"]
        assert table.loc["v1", "run"] == "forest-a"
        assert table.loc["v2", "metrics.accuracy"] == pytest.approx(0.93)
        assert app.query_params["version"] == "1"
        assert "Version 1" in drawn(app)

    def test_the_link_names_the_version(self, wine: Deck, open_page: Open) -> None:
        app = open_page("model", model="wine", version="2")
        assert "Version 2" in drawn(app)
        assert app.query_params["version"] == "2"

    @pytest.mark.parametrize("version", ["9", "x", "-1", "1" + "0" * 30])
    def test_a_version_that_is_not_there_is_said_so(
        self, wine: Deck, open_page: Open, version: str
    ) -> None:
        app = open_page("model", model="wine", version=version)
        assert app.error[0].value
        assert "no version" in app.error[0].value

    def test_a_link_without_or_with_an_unknown_model(self, wine: Deck, open_page: Open) -> None:
        assert "names no registered model" in open_page("model").error[0].value
        assert open_page("model", model="nothing").error
        assert open_page("model", model="a/b").error

    def test_a_model_without_versions(self, wine: Deck, open_page: Open) -> None:
        app = open_page("model", model="bare")
        assert not app.exception
        assert "no versions yet" in drawn(app)

    def test_the_signature_is_read_from_the_files(self, wine: Deck, open_page: Open) -> None:
        app = open_page("model", model="wine", version="1")
        app.session_state["version_tabs:wine:1"] = "Signature"
        app.run()
        assert not app.exception
        assert any("radius" in str(table.value.to_dict()) for table in app.dataframe)

    def test_descriptions_and_tags_are_edited(self, wine: Deck, open_page: Open) -> None:
        app = open_page("model", model="wine", version="2")
        save(app, "Told anew.")
        assert not app.error
        assert wine.mlflow.registry.model("wine").description == "Told anew."
        app.text_input(key="tags:wine:2:name").set_value("owner")
        app.text_input(key="tags:wine:2:value").set_value("ben")
        app.button(key="tags:wine:2:set").click().run()
        assert wine.mlflow.registry.version("wine", 2).tags["owner"] == "ben"
        app.selectbox(key="tags:wine:2:gone").select("owner")
        app.button(key="tags:wine:2:remove").click().run()
        assert "owner" not in wine.mlflow.registry.version("wine", 2).tags

    def test_a_description_that_somebody_else_changed_is_not_replaced_unread(
        self, wine: Deck, open_page: Open
    ) -> None:
        registry = wine.mlflow.registry
        app = open_page("model", model="wine", version="2")
        assert about(app).value == "Which grower."
        registry.describe_model("wine", "Ben's text.")
        st.cache_data.clear()  # some seconds later
        save(app, "Mine.")
        assert "Somebody else changed this description" in app.error[0].value
        assert registry.model("wine").description == "Ben's text."
        assert about(app).value == "Mine."
        app.run()
        assert not app.error
        assert about(app).value == "Mine."
        assert "Ben's text." in drawn(app)
        assert "not saved yet" in drawn(app)
        save(app, "Mine and Ben's.")
        assert registry.model("wine").description == "Mine and Ben's."
        assert "not saved yet" not in drawn(app)
        registry.describe_model("wine", "Later.")
        st.cache_data.clear()
        assert about(app.run()).value == "Later."

    def test_a_tag_that_somebody_else_changed_is_not_replaced_unread(
        self, wine: Deck, open_page: Open
    ) -> None:
        registry = wine.mlflow.registry
        app = open_page("model", model="wine", version="2")
        registry.set_model_tag("wine", "team", "green")
        app.text_input(key="tags:wine::name").set_value("team")
        app.text_input(key="tags:wine::value").set_value("red")
        app.button(key="tags:wine::set").click().run()
        assert "value is green now" in app.error[0].value
        assert registry.model("wine").tags["team"] == "green"
        assert app.text_input(key="tags:wine::value").value == "red"
        app.button(key="tags:wine::set").click().run()
        assert registry.model("wine").tags["team"] == "red"
        registry.set_model_tag("wine", "team", "blue")
        app.selectbox(key="tags:wine::gone").select("team")
        app.button(key="tags:wine::remove").click().run()
        assert "value is blue now" in app.error[0].value
        assert registry.model("wine").tags["team"] == "blue"

    def test_an_alias_says_what_it_moves_and_is_recorded(self, wine: Deck, open_page: Open) -> None:
        set_alias(wine.mlflow, wine.ledger, Actor("anna"), "wine", "blue", 1, seen=None)
        app = open_page("model", model="wine", version="2")
        app.session_state["version_tabs:wine:2"] = "Aliases"
        app.run()
        app.text_input(key="alias:wine:2").set_value("champion").run()
        assert "belongs to Production" in app.warning[0].value
        app.text_input(key="alias:wine:2").set_value("blue").run()
        assert "blue points at v1 now and is moved to v2" in drawn(app)
        app.button(key="alias:wine:2:do").click().run()
        assert read_state(wine.mlflow, "wine").carrier("blue") == 2
        assert record(wine.ledger, "wine")[0].actor == ME

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_hostile_text_is_text(self, own_store: Store, open_page: Open, name: str) -> None:
        here = deck()
        registry = here.mlflow.registry
        # Without Modeldeck: it makes no such names, and has to show them.
        here.mlflow.gateway.write(
            "making", lambda c: c.create_registered_model(name, {"evil": HOSTILE}, HOSTILE)
        )
        registry.create_version(
            name, f"models:/{own_store.model_id}", own_store.hostile_run, HOSTILE,
            {"evil": HOSTILE},
        )  # fmt: skip
        move(here, name, 1, "Production", who=HOSTILE[:100])
        assert visible(name) in list(open_page("models").dataframe[0].value["name"])
        app = open_page("model", model=name, version="1")
        app.session_state["model_tabs"] = "History"
        app = choose(app, 1, "Archived", name)
        assert not app.exception
        assert not app.error
        assert "Version 1" in drawn(app)
        marked = [m.value for m in (*app.markdown, *app.caption, *app.title, *app.subheader)]
        marked += [b.label for b in app.button]
        for text in marked:
            assert "![](" not in text
            assert ":red[" not in text
            assert "<script>" not in text
            assert "**bold**" not in text
            assert "\u202e" not in text

    def test_the_record_tells_the_story(self, wine: Deck, open_page: Open) -> None:
        move(wine, "wine", 2, "Production", who="ben")
        app = open_page("model", model="wine")
        app.session_state["model_tabs"] = "History"
        app.run()
        table = app.dataframe[-1].value
        assert list(table["what"]) == ["v2 → Production", "v1 → Production"]
        assert list(table["who"]) == ["ben", "anna"]
        assert "alias champion v1 → v2" in table["steps"][0]
        assert "2 transitions, all there are." in drawn(app)

    def test_a_change_that_broke_off_is_settled_from_the_history(
        self, wine: Deck, open_page: Open
    ) -> None:
        with wine.ledger.transaction("test") as connection:
            connection.execute(
                transitions.update().values(
                    state="applying", after=None, begun_at=now() - timedelta(minutes=2)
                )
            )
        app = open_page("model", model="wine")
        app.session_state["model_tabs"] = "History"
        app.run()
        assert "its ending was never written down" in app.warning[0].value
        app.button(key="settle").click().run()
        assert not app.warning
        assert record(wine.ledger, "wine")[0].state is State.DONE

    def test_the_tag_that_tells_the_stage_is_not_set_by_hand(
        self, wine: Deck, open_page: Open
    ) -> None:
        app = open_page("model", model="wine", version="2")
        app.text_input(key="tags:wine:2:name").set_value("modeldeck.stage")
        app.text_input(key="tags:wine:2:value").set_value("Production")
        app.button(key="tags:wine:2:set").click().run()
        assert "written by moving the version" in app.error[0].value
        assert "modeldeck.stage" not in wine.mlflow.registry.version("wine", 2).tags


class TestMove:
    def test_the_plan_stands_in_words_before_anything_is_written(
        self, wine: Deck, open_page: Open
    ) -> None:
        app = choose(open_page("model", model="wine", version="2"), 2, "Production")
        assert plan(app) == ["v2 → Production", "alias champion v1 → v2", "v1 → Archived"]
        assert app.toggle[0].label == "Archive v1, which is in Production now"
        label = app.button(key="move:wine:2:do:0").label
        assert label == "Move wine v2 to Production"
        assert where(wine)[2] == "None"

    def test_without_archiving_the_plan_says_so(self, wine: Deck, open_page: Open) -> None:
        app = choose(open_page("model", model="wine", version="2"), 2, "Production")
        app.toggle[0].set_value(False).run()
        assert plan(app) == ["v2 → Production", "alias champion v1 → v2"]
        confirm(app, 2)
        assert where(wine) == {1: "Production", 2: "Production", 3: "None"}

    def test_confirmed_it_is_done_and_read_back(self, wine: Deck, open_page: Open) -> None:
        app = choose(open_page("model", model="wine", version="2"), 2, "Production")
        app = confirm(app, 2, "Better.")
        assert not app.error
        assert "Read back from MLflow" in app.success[0].value
        assert "v2: Production, champion" in app.success[0].value.replace("\\", "")
        assert "v1: Archived, no alias" in app.success[0].value
        assert where(wine) == {1: "Archived", 2: "Production", 3: "None"}
        (newest, _) = record(wine.ledger, "wine")
        assert (newest.actor, newest.comment) == (ME, "Better.")

    def test_where_nothing_would_change_nothing_can_be_confirmed(
        self, wine: Deck, open_page: Open
    ) -> None:
        app = choose(open_page("model", model="wine", version="1"), 1, "Production")
        assert "nothing to change" in drawn(app)
        assert not [b for b in app.button if b.label.startswith("Move")]

    def test_two_browsers_one_is_applied_and_the_other_is_told_with_what_it_typed_kept(
        self, wine: Deck, open_page: Open
    ) -> None:
        one = choose(open_page("model", model="wine", version="2"), 2, "Production")
        two = choose(open_page("model", model="wine", version="3"), 3, "Production")
        one = confirm(one, 2, "Mine is better.")
        assert one.success
        two = confirm(two, 3, "No, mine.")
        told = two.error[0].value.replace("\\", "")
        assert f"v2 was moved to Production by {ME}" in told
        assert not two.success
        assert two.text_area(key="move:wine:3:comment:0").value == "No, mine."
        assert where(wine) == {1: "Archived", 2: "Production", 3: "None"}
        # Beside what was told stands the plan as it would be now; confirmed again, it is applied.
        assert plan(two) == ["v3 → Production", "alias champion v2 → v3", "v2 → Archived"]
        two = confirm(two, 3, "Yes, mine.")
        assert two.success
        assert where(wine) == {1: "Archived", 2: "Archived", 3: "Production"}

    def test_a_click_on_what_would_do_something_else_by_now_does_nothing(
        self, wine: Deck, home: Path, open_page: Open
    ) -> None:
        rule = "rules:\n  - {models: '*', rung: Staging, archive_earlier: false}\n"
        (home / "desk.yaml").write_text(rule, "utf-8")
        app = choose(open_page("model", model="wine", version="2"), 2, "Staging")
        assert not app.toggle
        move(wine, "wine", 3, "Staging", who="bert")
        forget()
        app = confirm(app, 2, "Mine.")
        assert "this would do something else" in app.error[0].value
        assert where(wine)[2] == "None"
        assert app.toggle[0].label == "Archive v3, which is in Staging now"
        assert app.text_area(key="move:wine:2:comment:0").value == "Mine."
        app = confirm(app, 2)
        assert app.success
        assert where(wine)[2] == "Staging"


class TestTrouble:
    @pytest.fixture
    def behind(
        self,
        mlflow_server: MlflowServer,
        monkeypatch: pytest.MonkeyPatch,
        fresh_caches: None,
    ) -> Iterator[FaultProxy]:
        with FaultProxy(mlflow_server.url) as proxy:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
            yield proxy
            deck().mlflow.gateway.close()

    def test_a_server_that_goes_leaves_the_page_and_what_was_typed(
        self, behind: FaultProxy, open_page: Open
    ) -> None:
        tracking, registry = deck().mlflow.tracking, deck().mlflow.registry
        run = tracking.create_run(tracking.create_experiment("pages: trouble"), "trained")
        registry.create_model("troubled")
        registry.create_version("troubled", f"{run.artifact_uri}/model", run.id)
        app = choose(open_page("model", model="troubled", version="1"), 1, "Production", "troubled")
        behind.set(Fault.REFUSE)
        app = confirm(app, 1, "Typed with care.", "troubled")
        assert app.error
        assert not app.exception
        assert app.text_area(key="move:troubled:1:comment:0").value == "Typed with care."
        behind.set(Fault.PASS)
        app = until(lambda: back(app), 20, "the page to work again")
        assert where(deck(), "troubled") == {1: "None"}
        assert app.text_area(key="move:troubled:1:comment:0").value == "Typed with care."


def back(app: AppTest) -> AppTest | None:
    """The page drawn anew, once it draws without an error."""
    again = app.run()
    return None if again.error else again
