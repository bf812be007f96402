"""What docs/query-language.md shows can be asked so."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from core.processes import ROOT
from core.runs import language

EXAMPLES = re.findall(
    r"^.+$",
    re.search(r"```\n(.*?)```", (ROOT / "docs/query-language.md").read_text(), re.DOTALL)[1],  # type: ignore[index]
    re.MULTILINE,
)


@dataclass(frozen=True)
class Name:
    kind: str
    name: str


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_is_read_and_compiled(example: str) -> None:
    filtered = language.parse(example, [Name("metrics", "loss"), Name("metrics", "val_loss")])
    made = language.compile_filter(filtered, dialect=None, zone="UTC", now=datetime.now(UTC))
    assert "?" in made.sql + made.joins or "NULL" in made.sql or "nan" in made.sql


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 10
