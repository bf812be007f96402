"""What a figure drew and what it could not draw, so that nothing is left out in silence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.charts.labels import clean
from core.texts import t


@dataclass(frozen=True)
class Notes:
    """What stands beside a figure."""

    drawn: int
    """How many were drawn: runs, points of a curve or versions, by the kind of figure."""

    total: int
    """How many there were to draw."""

    sentences: tuple[str, ...]
    """The same in words, then every reservation. Plain text that holds outside names: draw it as
    text, never as Markdown."""

    @property
    def text(self) -> str:
        """All sentences on one line, plain text."""
        return " ".join(self.sentences)

    @property
    def complete(self) -> bool:
        """Whether everything was drawn."""
        return self.drawn == self.total


def notes(drawn: int, total: int, sentences: Iterable[str]) -> Notes:
    """`Notes` with empty sentences left out and outside text on one line."""
    return Notes(drawn, total, tuple(clean(sentence) for sentence in sentences if sentence))


def naming(key: str, each: str, counts: Mapping[str, int]) -> str:
    """The sentence ``charts.notes.<key>`` over all names whose count is not 0; else empty.

    Args:
        key: the sentence, which has the field ``names``.
        each: the key for one name with its count, "named" (runs) or "values".
        counts: how many, by name.
    """
    listed = [t(f"charts.notes.{each}", n=n, name=name) for name, n in counts.items() if n]
    return t(f"charts.notes.{key}", names=", ".join(listed)) if listed else ""
