"""What can be asked, in examples with the store's own names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.runs.language import words
from core.texts import t


class Described(Protocol):
    """A metric, param or tag and what is known of its values; ``core.runs.names.Name`` is one."""

    @property
    def kind(self) -> str:
        """metrics, params or tags."""

    @property
    def name(self) -> str:
        """Its name without a prefix."""

    @property
    def runs(self) -> int:
        """How many runs have it."""

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""

    @property
    def minimum(self) -> float | None:
        """The least of the values that are numbers."""

    @property
    def maximum(self) -> float | None:
        """The greatest of them."""


@dataclass(frozen=True)
class Example:
    """A filter that works here, and what it asks for in words."""

    text: str
    means: str


@dataclass(frozen=True)
class Topic:
    """Examples that belong together."""

    title: str
    examples: tuple[Example, ...]


def topics(names: Iterable[Described], values: Mapping[str, str]) -> tuple[Topic, ...]:
    """Everything that can be asked, grouped.

    Args:
        names: what the runs have; those that most runs have are taken for examples.
        values: for some columns, such as ``params.opt``, a value that a run has.
    """
    known = sorted(names, key=lambda n: (n.name.startswith(("system/", "mlflow.")), -n.runs))
    metrics = [n for n in known if n.kind == "metrics"]
    texts = [n for n in known if n.kind != "metrics" and not n.numeric]
    numbers = [n for n in known if n.kind == "params" and n.numeric]
    made = (
        ("metrics", _of_metrics(metrics)),
        ("params", _of_params(texts, numbers, values)),
        ("history", _of_history(metrics)),
        ("runs", _RUNS),
        ("times", _TIMES),
        ("joining", _of_joining(metrics)),
    )
    return tuple(
        Topic(
            t(f"query.help.{topic}.title"),
            tuple(Example(text, t(f"query.help.{topic}.{key}")) for key, text in examples),
        )
        for topic, examples in made
    )


_RUNS = (
    ("status", "status IN ('FAILED', 'KILLED')"),
    ("name", "name ILIKE '%base%'"),
    ("user", "user = 'ada'"),
    ("experiment", "experiment LIKE 'wine%'"),
    ("parent", "parent IS NULL"),
    ("registered", "registered IS NOT NULL"),
    ("dataset", "dataset.name = 'train'"),
    ("deleted", "NOT deleted"),
)
_TIMES = (
    ("ago", "start_time > ago(7d)"),
    ("date", "start_time >= '2026-11-01'"),
    ("day", "start_time = '2026-11-01'"),
    ("moment", "end_time < '2026-11-01 14:30'"),
    ("duration", "duration > 1.5h"),
)


def _of_metrics(metrics: Sequence[Described]) -> list[tuple[str, str]]:
    first, second = _two(metrics, "loss", "val_loss")
    middle = _middle(metrics, 0.5)
    return [
        ("compare", f"{first} < {middle}"),
        ("between", f"{first} BETWEEN 0 AND {middle}"),
        ("difference", f"{second} - {first} > 0.1"),
        ("missing", f"{first} IS NULL"),
        ("nan", f"isnan({first})"),
    ]


def _of_params(
    texts: Sequence[Described], numbers: Sequence[Described], values: Mapping[str, str]
) -> list[tuple[str, str]]:
    text, value = "params.optimizer", "adam"
    if texts:
        text, value = words.quoted(f"{texts[0].kind}.{texts[0].name}"), "x"
    for name in texts:
        held = values.get(f"{name.kind}.{name.name}", "")
        if 0 < len(held) <= 30 and not ("'" in held and '"' in held):
            text, value = words.quoted(f"{name.kind}.{name.name}"), held
            break
    number = words.quoted(f"params.{numbers[0].name}") if numbers else "params.lr"
    middle = _middle(numbers, 0.01)
    return [
        ("equal", f"{text} = {words.quoted_text(value)}"),
        ("one_of", f"{text} IN ({words.quoted_text(value)}, 'other')"),
        ("like", f"{text} ILIKE {words.quoted_text(value[:3] + '%')}"),
        ("expression", f"{text} RLIKE '^[a-m]'"),
        ("number", f"{number} >= {middle}"),
        ("missing", f"{text} IS NOT NULL"),
    ]


def _of_history(metrics: Sequence[Described]) -> list[tuple[str, str]]:
    name = words.quoted_name(metrics[0].name) if metrics else "loss"
    middle = _middle(metrics, 0.5)
    return [
        ("best", f"best({name}) < {middle}"),
        ("minimum", f"min({name}) < {middle}"),
        ("change", f"first({name}) - last({name}) > 0.1"),
        ("mean", f"mean({name}, 10) < {middle}"),
        ("step", f"step_of_best({name}) > 100"),
    ]


def _of_joining(metrics: Sequence[Described]) -> list[tuple[str, str]]:
    first, _ = _two(metrics, "loss", "val_loss")
    middle = _middle(metrics, 0.5)
    return [
        ("and", f"{first} < {middle} AND status = 'FINISHED'"),
        ("or", f"status = 'FAILED' OR {first} IS NULL"),
        ("not", f"NOT ({first} < {middle} OR duration > 2h)"),
    ]


def _two(metrics: Sequence[Described], *otherwise: str) -> tuple[str, str]:
    named = [words.quoted(f"metrics.{n.name}") for n in metrics[:2]]
    filled = [*named, *(f"metrics.{n}" for n in otherwise)]
    return filled[0], filled[1]


def _middle(names: Sequence[Described], otherwise: float) -> str:
    """A number between the least and the greatest of the first name's values."""
    if not names or names[0].minimum is None or names[0].maximum is None:
        return f"{otherwise:g}"
    return f"{names[0].minimum / 2 + names[0].maximum / 2:.3g}"
