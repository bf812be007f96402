"""A ladder of one's own, from the desk's file to the pages and into MLflow."""

from pathlib import Path

import pytest

from core.lifecycle.overview import served
from core.registry.contradictions import contradictions
from core.registry.plan import Wanted
from core.registry.transitions import read_state, transition
from core.ui.deck import deck
from core.ui.registry import rung_colour
from tests.pages.conftest import Open, Store, drawn

NAMES = ("None", "QA", "Staging", "Shadow", "Production", "Archived")
STAGES = ("None", "Staging", "Staging", "Production", "Production", "Archived")
ALIASES = ("", "qa", "challenger", "shadow", "champion", "")

WAYS = {
    "both": (STAGES, ALIASES),
    "stages alone": (STAGES, ("",) * 6),
    "aliases alone": (("None",) * 6, ALIASES),
}


def desk_file(way: str) -> str:
    stages, aliases = WAYS[way]
    lines = ["ladder:", "  rungs:"]
    for name, stage, alias in zip(NAMES, stages, aliases, strict=True):
        exclusive = name not in ("None", "Archived")
        marks = f"name: {name}, stage: {stage}, exclusive: {exclusive}"
        lines.append(f"    - {{{marks}{f', alias: {alias}' if alias else ''}}}")
    return "\n".join(lines)


@pytest.mark.parametrize("way", WAYS)
def test_a_ladder_of_six_rungs_works_from_file_to_page(
    way: str, own_store: Store, home: Path, open_page: Open
) -> None:
    (home / "desk.yaml").write_text(desk_file(way))
    here = deck()
    ladder, registry = here.rules.ladder, here.mlflow.registry
    assert [rung.name for rung in ladder.rungs] == list(NAMES)
    registry.create_model("wine")
    for _ in range(4):
        registry.create_version("wine", f"models:/{own_store.model_id}", own_store.run, "")
    # All climb the whole ladder, each one rung less than the one before; the last goes all the way
    # to Production and archives the one that was there.
    for number, goal in ((1, "Production"), (2, "Shadow"), (3, "QA"), (4, "Production")):
        for rung in NAMES[1 : NAMES.index(goal) + 1]:
            if rung == goal or number == 4:
                wanted = Wanted("wine", number, rung, archive_existing=rung == goal)
                outcome = transition(here.mlflow, here.ledger, here.actor, wanted, ladder)
                assert outcome.complete
    state = read_state(here.mlflow, "wine")
    standing = {n: rung.name for rung in ladder.rungs for n in state.on(rung, ladder)}
    kept = standing.pop(2), standing.pop(3)
    assert standing == {1: "Archived", 4: "Production"}
    # Where aliases alone tell, v4 took those of the rungs that it passed without archiving.
    assert kept == (("None", "None") if way == "aliases alone" else ("Shadow", "QA"))
    assert contradictions(state, ladder) == ()
    stages, aliases = WAYS[way]
    best = state.version(4)
    assert best.stage == stages[4]
    assert best.aliases == ((aliases[4],) if aliases[4] else ())
    assert [one.version.version for one in served(registry.all_versions(), (), ladder)] == [4]

    app = open_page("models")
    table = app.dataframe[0].value
    assert {"Production", "Shadow", "Staging", "QA"} <= set(table.columns)
    assert table["Production"][0] == "v4"
    for page, query in (("model", {"model": "wine"}), ("home", {}), ("migration", {})):
        app = open_page(page, **query)
        assert not app.exception
        assert "Something went wrong" not in drawn(app)
    assert "In Production" in drawn(open_page("home"))


def test_every_rung_between_has_a_colour_of_its_own(own_store: Store, home: Path) -> None:
    (home / "desk.yaml").write_text(desk_file("both"))
    ladder = deck().rules.ladder
    colours = {rung.name: rung_colour(rung.name, ladder) for rung in ladder.rungs}
    assert (colours["None"], colours["Archived"], colours["Production"]) == (
        "grey", "grey", "green",
    )  # fmt: skip
    assert len({colours[name] for name in ("QA", "Staging", "Shadow", "Production")}) == 4
    (home / "desk.yaml").unlink()


def test_the_top_of_the_ladder_is_named_as_it_is_called(
    own_store: Store, home: Path, open_page: Open
) -> None:
    (home / "desk.yaml").write_text(
        "ladder:\n  rungs:\n    - name: None\n    - {name: Live, alias: live, exclusive: true}\n"
        "    - name: Archived\nrules: []\n"
    )
    here = deck()
    here.mlflow.registry.create_model("wine")
    here.mlflow.registry.create_version("wine", f"models:/{own_store.model_id}", own_store.run, "")
    assert "1 has no version in Live" in drawn(open_page("models"))
    home_page = drawn(open_page("home"))
    assert "In Live" in home_page
    assert "wine has no version in Live." in home_page.replace("\\", "")
