"""Off the stages on a real store: the plan, the writing, what is left, and who may."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import Conflict, NotAllowed
from core.lifecycle.deck import Deck
from core.people import Actor
from core.registry.ladder import LADDER
from core.registry.migration import Progress, migrate, plan_all
from core.registry.record import record
from core.registry.transitions import read_state
from core.ui.deck import deck, forget
from tests.pages.conftest import Open, Store, drawn
from tests.waiting import until

BARE = """\
ladder:
  rungs:
    - name: None
    - {name: Staging, alias: challenger, exclusive: true}
    - {name: Production, alias: champion, exclusive: true}
    - name: Archived
"""


@pytest.fixture
def staged(own_store: Store) -> Deck:
    """Two models on stages alone; of one, two versions are in Production."""
    here = deck()
    registry = here.mlflow.registry
    for model, stages in (
        ("wine", ("Archived", "Production", "Staging", "None")),
        ("torn", ("Production", "Production", "Staging")),
    ):
        registry.create_model(model)
        for number, stage in enumerate(stages, 1):
            registry.create_version(model, f"models:/{own_store.model_id}", own_store.run, "")
            if stage != "None":
                registry.set_stage(model, number, stage)
    return here


def rungs(here: Deck, model: str = "wine") -> dict[int, str]:
    ladder = deck().rules.ladder
    versions = read_state(here.mlflow, model).versions
    return {v.version: ladder.standing(v.stage, v.aliases, v.tags).name for v in versions}


def marks(here: Deck, model: str = "wine") -> dict[int, tuple[str, tuple[str, ...], str | None]]:
    versions = read_state(here.mlflow, model).versions
    return {v.version: (v.stage, v.aliases, v.tags.get(LADDER.tag)) for v in versions}


def write(app: AppTest) -> None:
    """Agree, and wait until all is written."""
    app.button(key="migration_do_0").click().run()
    job = app.session_state["migration:job"]
    until(lambda: job.ended, what="the end of the writing")
    forget()
    app.run()


def test_aliases_and_tags_are_written_and_then_the_stages_go(
    staged: Deck, open_page: Open, home: Path
) -> None:
    before = rungs(staged)
    app = open_page("migration")
    assert "To write: 4 versions" in drawn(app)
    assert "Left as they are: 2 versions" in drawn(app)
    assert "the alias champion names one alone: decide which" in app.dataframe[1].value["why"][0]
    write(app)
    assert "4 versions were written." in drawn(app)
    assert rungs(staged) == before
    assert marks(staged) == {
        1: ("Archived", (), "Archived"),
        2: ("Production", ("champion",), "Production"),
        3: ("Staging", ("challenger",), "Staging"),
        4: ("None", (), None),
    }
    assert marks(staged, "torn")[1] == ("Production", (), None)
    assert marks(staged, "torn")[3] == ("Staging", ("challenger",), "Staging")
    lines = record(staged.ledger, "wine")
    assert [(line.state, line.comment) for line in lines] == [("done", "Moved off stages")] * 3
    assert "There is nothing to write here." in drawn(app)
    # The ladder gives its stages up: everything reads the same, and now they can go.
    (home / "desk.yaml").write_text(BARE)
    assert rungs(staged) == before
    app = open_page("migration", model="wine")
    assert "The ladder does without stages" in drawn(app)
    assert "To write: 3 versions" in drawn(app)
    write(app)
    assert rungs(staged) == before
    assert {stage for stage, _, _ in marks(staged).values()} == {"None"}
    # What nobody wrote down is not lost: the stage of these stays.
    assert marks(staged, "torn")[1][0] == "Production"


def test_only_an_administrator_writes(staged: Deck) -> None:
    planned = plan_all(staged.mlflow.registry.all_versions(), LADDER)
    other = replace(staged, actor=Actor("anna", "mlflow"))
    with pytest.raises(NotAllowed, match="Only an administrator"):
        list(migrate(other.desk, planned))
    assert marks(staged)[2] == ("Production", (), None)


def test_it_stops_between_two_versions_and_goes_on_later(staged: Deck) -> None:
    planned = plan_all(staged.mlflow.registry.all_versions(), LADDER)
    asked: Iterator[bool] = iter([False, False, True])
    came = list(migrate(staged.desk, planned, lambda: next(asked)))
    assert came == [Progress(1, 4, "torn", 3), Progress(2, 4, "wine", 1)]
    again = plan_all(staged.mlflow.registry.all_versions(), LADDER)
    assert [w.version for one in again for w in one.writings] == [2, 3]


def test_what_changed_since_the_plan_is_not_written_and_the_rest_is(staged: Deck) -> None:
    planned = plan_all(staged.mlflow.registry.all_versions(), LADDER)
    staged.mlflow.registry.set_stage("wine", 1, "Production")
    forget()
    errors = {(at.model, at.version): at.error for at in migrate(staged.desk, planned)}
    assert isinstance(errors["wine", 1], Conflict)
    assert isinstance(errors["wine", 2], Conflict)
    assert errors["wine", 3] is None
    assert marks(staged)[2] == ("Production", (), None)


def test_a_store_without_stages_says_so(own_store: Store, open_page: Open) -> None:
    assert "No version has a stage" in drawn(open_page("migration"))
