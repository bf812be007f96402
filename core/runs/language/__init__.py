"""The language that runs are asked in: every filter of MLflow, with the same meaning, and more.

``read`` makes a checked tree of a text, ``compile_filter`` SQL of a tree.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from core.errors import InvalidInput
from core.runs.directions import direction
from core.runs.language import compiling, tree
from core.runs.language.compiling import Condition
from core.runs.language.helping import Described, Example, Topic, topics
from core.runs.language.reading import read
from core.runs.language.tree import Aggregate, AllOf, Filter
from core.runs.language.words import Known, quoted, quoted_text

__all__ = [
    "Aggregate",
    "Condition",
    "Described",
    "Example",
    "Filter",
    "Known",
    "Topic",
    "aggregates_in",
    "compile_filter",
    "equal_to",
    "help_on",
    "parse",
    "quoted",
    "quoted_text",
    "texts_in",
    "without_aggregates",
]


def parse(text: str, names: Iterable[Known] = ()) -> Filter:
    """The checked tree of a filter.

    Args:
        names: the metrics, params and tags that runs have. A name without a prefix is looked up
            in them, and errors suggest the nearest.

    Raises:
        InvalidInput: it cannot be understood; ``field`` is "filter", ``position`` the offset.
    """
    return read(text, names)


def compile_filter(
    filtered: str | Filter,
    *,
    dialect: str | None,
    zone: str,
    now: datetime,
    names: Iterable[Known] = (),
    experiments: Mapping[str, str] | None = None,
    directions: Callable[[str], str | None] = direction,
) -> Condition:
    """A filter as a condition in SQL over ``runs r`` and its joins.

    Args:
        filtered: its text, or what ``parse`` made of it.
        dialect: the kind of MLflow's own database ("sqlite", "postgresql"), whose LIKE is followed.
        zone: the viewer's IANA zone, for dates without one.
        now: what ``ago`` counts from.
        experiments: names of experiments by their ids; ``experiment = 'name'`` looks there.
        directions: tells of a metric whether "lower" or "higher" is better, or None; for ``best``.

    Raises:
        InvalidInput: see ``parse``.
    """
    made = read(filtered, names) if isinstance(filtered, str) else filtered
    setting = compiling.Setting(dialect, zone, now, experiments or {}, directions)
    return compiling.compiled(made.condition, setting)


def aggregates_in(filtered: str | Filter, names: Iterable[Known] = ()) -> set[Aggregate]:
    """Which aggregates of which metrics a filter asks for; the metrics' histories are needed."""
    made = read(filtered, names) if isinstance(filtered, str) else filtered
    return {o for o in made.operands() if isinstance(o, Aggregate)}


def texts_in(text: str) -> list[str] | None:
    """The texts that a filter asks for, in order, as it is read; None where it cannot be.

    Whoever writes a filter around values from outside compares them with these: literals have no
    escapes, so that two that end in backslashes are read as one.
    """
    try:
        return [o.value for o in read(text, ()).operands() if isinstance(o, tree.Text)]
    except InvalidInput:
        return None


def equal_to(values: Mapping[str, str | None]) -> str | None:
    """The filter of runs that have just these values; None where it would be read otherwise.

    Args:
        values: column (``params.depth``, ``tags.a b``, an attribute) → its text, None for missing.
    """
    parts = [
        f"{quoted(column) if '.' in column else column} "
        + ("IS NULL" if value is None else f"= {quoted_text(value)}")
        for column, value in values.items()
    ]
    text = " AND ".join(parts)
    return text if texts_in(text) == [v for v in values.values() if v is not None] else None


def without_aggregates(filtered: str | Filter, names: Iterable[Known] = ()) -> Filter:
    """The part of a filter that holds of no fewer runs and needs no history: of the conditions
    joined by AND, those without an aggregate.
    """
    made = read(filtered, names) if isinstance(filtered, str) else filtered
    whole = made.condition
    parts = whole.parts if isinstance(whole, AllOf) else (whole,)
    kept = [p for p in parts if not any(isinstance(o, Aggregate) for o in tree.operands(p))]
    return Filter(AllOf(tuple(kept)))


def help_on(
    names: Iterable[Described], values: Mapping[str, str] | None = None
) -> tuple[Topic, ...]:
    """Everything that can be asked, grouped, in examples with the store's own names.

    Args:
        names: what the runs have, as ``core.runs.names`` sums it up.
        values: for some columns, such as ``params.opt``, a value that a run has.
    """
    return topics(names, values or {})
