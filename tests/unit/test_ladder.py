"""Which rung a version stands on."""

import pytest

from core.errors import InvalidInput
from core.registry.ladder import LADDER, Ladder, Rung

CUSTOM = Ladder(
    rungs=(
        Rung("None", "None"),
        Rung("Shadow", "Staging", alias="shadow", exclusive=True),
        Rung("QA", "Staging", alias="qa", exclusive=True),
        Rung("Production", "Production", alias="champion", exclusive=True),
        Rung("Archived", "Archived"),
    ),
    retired="Archived",
)


@pytest.mark.parametrize(
    ("stage", "aliases", "tag", "rung"),
    [
        ("Production", (), "", "Production"),
        ("production", (), "", "Production"),
        ("Production", ("challenger",), "Staging", "Production"),
        ("None", (), "", "None"),
        ("", (), "", "None"),
        ("None", ("champion",), "", "Production"),
        ("None", ("challenger", "champion"), "", "Production"),
        ("None", ("blue",), "", "None"),
        ("None", (), "Production", "None"),
        ("Archived", ("champion",), "Production", "Archived"),
    ],
)
def test_the_stage_decides_and_an_alias_where_there_is_no_stage(
    stage: str, aliases: tuple[str, ...], tag: str, rung: str
) -> None:
    assert LADDER.standing(stage, aliases, {LADDER.tag: tag}).name == rung


def test_the_tag_tells_rungs_apart_that_share_a_stage() -> None:
    assert CUSTOM.standing("Staging", (), {CUSTOM.tag: "QA"}).name == "QA"
    assert CUSTOM.standing("Staging", (), {CUSTOM.tag: "Shadow"}).name == "Shadow"
    assert CUSTOM.standing("Staging", (), {}).name == "Shadow"
    assert CUSTOM.standing("Production", (), {CUSTOM.tag: "QA"}).name == "Production"


def test_a_rung_is_found_in_any_case_and_an_unknown_one_names_those_there_are() -> None:
    assert LADDER.rung(" production ").name == "Production"
    with pytest.raises(InvalidInput, match="None, Staging, Production, Archived"):
        LADDER.rung("Golden")


def test_the_rung_of_an_alias() -> None:
    champion = LADDER.rung_of_alias("champion")
    assert champion is not None
    assert champion.name == "Production"
    assert LADDER.rung_of_alias("blue") is None


def test_earlier_holders_go_to_a_rung_where_many_may_stand() -> None:
    for ladder in (LADDER, CUSTOM):
        assert not ladder.rung(ladder.retired).exclusive
        assert ladder.rung(ladder.retired).alias is None
