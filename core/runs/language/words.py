"""The words of the language: prefixes, attributes, functions, and what a name may have meant."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

PREFIXES: Mapping[str, str] = {
    "metric": "metrics",
    "metrics": "metrics",
    "param": "params",
    "params": "params",
    "parameter": "params",
    "parameters": "params",
    "tag": "tags",
    "tags": "tags",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}
"""What may stand before the dot, and the kind that it means. MLflow's, all of them."""

KINDS = ("metrics", "params", "tags")

DATASET_FIELDS = ("name", "digest", "context")


@dataclass(frozen=True)
class Attribute:
    """Something every run has.

    Attributes:
        type: text, time (milliseconds), span (seconds) or truth.
        mlflow: whether MLflow's filter knows it.
        many: whether a run can have several, as it has data sets.
    """

    type: str
    mlflow: bool = False
    many: bool = False


ATTRIBUTES: Mapping[str, Attribute] = {
    "run_id": Attribute("text", mlflow=True),
    "run_name": Attribute("text", mlflow=True),
    "status": Attribute("text", mlflow=True),
    "user_id": Attribute("text", mlflow=True),
    "artifact_uri": Attribute("text", mlflow=True),
    "start_time": Attribute("time", mlflow=True),
    "end_time": Attribute("time", mlflow=True),
    "duration": Attribute("span"),
    "user": Attribute("text"),
    "experiment": Attribute("text"),
    "experiment_id": Attribute("text"),
    "parent": Attribute("text"),
    "registered": Attribute("text", many=True),
    "deleted": Attribute("truth"),
}

ALIASES: Mapping[str, str] = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
    # The columns of our tables.
    "name": "run_name",
    "started_at": "start_time",
    "ended_at": "end_time",
    "seconds": "duration",
    "parent_id": "parent",
}

HISTORY_FUNCTIONS = ("min", "max", "first", "last", "mean", "best", "step_of_best")
"""Functions over a metric's whole history."""
FUNCTIONS = (*HISTORY_FUNCTIONS, "ago", "now", "isnan")

UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
"""Units of a length of time, in seconds."""

_PLAIN = re.compile(r"[^\W\d]\w*(?:\.\w+)*")


class Known(Protocol):
    """A metric, param or tag that some run has. ``core.runs.names.Name`` is one."""

    @property
    def kind(self) -> str:
        """metrics, params or tags."""

    @property
    def name(self) -> str:
        """Its name without a prefix."""


def quoted(column: str) -> str:
    """``metrics.a b`` as a filter names it: ``metrics.`a b` ``.

    A name that holds both kinds of quotes cannot be written so that MLflow understands it.
    """
    kind, _, name = column.partition(".")
    return f"{kind}.{quoted_name(name)}"


def quoted_name(name: str) -> str:
    """A name as a filter has it, quoted where it must be."""
    if _PLAIN.fullmatch(name):
        return name
    return f'"{name}"' if "`" in name else f"`{name}`"


def quoted_text(value: str) -> str:
    """A text as a filter has it; one that holds both kinds of quotes cannot be written."""
    return f'"{value}"' if "'" in value or value.endswith("\\") else f"'{value}'"


def meant(typed: str, known: Iterable[Known], kinds: Iterable[str] = KINDS) -> list[Known]:
    """The known metrics, params and tags that are called exactly ``typed``."""
    wanted = set(kinds)
    return [one for one in known if one.name == typed and one.kind in wanted]


def nearest(typed: str, known: Iterable[Known], kinds: Iterable[str] = KINDS) -> str:
    """The column whose name is nearest to ``typed``, as a filter has it, or ""."""
    wanted = set(kinds)
    pool: dict[str, Known] = {}
    for one in known:
        if one.kind in wanted:
            pool.setdefault(one.name.lower(), one)
    near = difflib.get_close_matches(typed.lower(), list(pool), 1, cutoff=0.6)
    return quoted(f"{pool[near[0]].kind}.{pool[near[0]].name}") if near else ""


def nearest_word(typed: str, words: Iterable[str]) -> str:
    """The word that is nearest to ``typed``, or ""."""
    near = difflib.get_close_matches(typed.lower(), list(words), 1, cutoff=0.6)
    return near[0] if near else ""
