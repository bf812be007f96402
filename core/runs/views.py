"""Saved views: which runs, columns, order and grouping somebody wants to see again.

A view lives in MLflow, in tags of an experiment, so that everybody who opens the store has it:
``modeldeck.view.<id>`` holds it as JSON. Run ids that are too many for that are packed into tags
of their own, ``modeldeck.view.<id>.<digest>.<number>``, written before the first one names them
and removed after it no longer does, so that a view is whole at every moment or not there.
A view over several experiments lies in the first of them.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar, get_args

from core.errors import Conflict, InvalidInput, NotFound
from core.mlflow_api import Mlflow
from core.mlflow_api.ids import is_run_id
from core.mlflow_api.nouns import Experiment
from core.runs.asked import VIEWS, Nesting, Order, RunQuery
from core.runs.selection import pack, pieces, unpack
from core.texts import t

T = TypeVar("T")

PREFIX = "modeldeck.view."
LONGEST_TAG = 20_000
"""Characters that MLflow takes in an experiment's tag."""
LONGEST_NAME = 100
MOST_RUNS = 20_000
"""Runs that one view may name; they fill 22 tags."""
FORMAT = 1
_ID = re.compile(r"[0-9a-z]{8,16}")


@dataclass(frozen=True)
class View:
    """What a person sees of some experiments' runs, under a name."""

    name: str
    experiment_ids: tuple[str, ...]
    filter: str = ""
    order: tuple[Order, ...] = ()
    columns: tuple[str, ...] = ()
    """Empty: those that vary."""
    view: str = "active"
    nesting: Nesting = "families"
    group: tuple[str, ...] = ()
    """Params, tags and attributes that runs are grouped by."""
    all_but: bool = False
    """Whether runs are grouped by all params but these."""
    run_ids: tuple[str, ...] = ()
    """The runs chosen; empty: all that match."""
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    by: str = ""
    """Who saved it last."""
    at: datetime | None = None
    """When."""

    def query(self, zone: str = "UTC") -> RunQuery:
        """The question whose answer are the view's runs.

        Args:
            zone: the IANA time zone in which the filter's dates are meant.
        """
        return RunQuery(
            self.experiment_ids,
            self.filter,
            self.order or RunQuery().order,
            columns=self.columns or None,
            limit=None,
            view=self.view,
            nesting=self.nesting,
            zone=zone,
            run_ids=self.run_ids,
        )


@dataclass(frozen=True)
class Held:
    """A view as it lies in an experiment: its fields, and the tag they were read from."""

    view: View
    experiment_id: str
    """Where it lies."""
    raw: str
    """The text of its tag; whoever replaces it compares with that."""
    runs: int
    """How many runs it names; ``view.run_ids`` are read by ``load`` alone."""


def held(experiments: Iterable[Experiment]) -> list[Held]:
    """The views that lie in some experiments, by name; damaged ones are left out."""
    found = []
    for experiment in experiments:
        for key, raw in experiment.tags.items():
            view_id = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and _ID.fullmatch(view_id):
                one = _read(experiment.id, view_id, raw)
                if one is not None:
                    found.append(one)
    return sorted(found, key=lambda h: (h.view.name.casefold(), h.view.id))


def load(mlflow: Mlflow, experiment_id: str, view_id: str) -> View:
    """A view with the runs that it names.

    Raises:
        NotFound: there is no such view.
        InvalidInput: it is damaged.
    """
    tags = mlflow.tracking.experiment(experiment_id).tags
    raw = tags.get(PREFIX + view_id) if _ID.fullmatch(view_id) else None
    if raw is None:
        raise NotFound(t("experiments.views.gone", id=view_id[:40]), t("experiments.views.other"))
    one = _read(experiment_id, view_id, raw)
    ids = None if one is None else _run_ids(tags, view_id, json.loads(raw))
    if one is None or ids is None:
        raise InvalidInput(
            t("experiments.views.damaged", id=view_id), t("experiments.views.other"), field="view"
        )
    return replace(one.view, run_ids=ids)


def save(mlflow: Mlflow, view: View, by: str, seen: str | None = None) -> View:
    """Write a view into the first of its experiments, and return it as written.

    Args:
        by: who saves it.
        seen: the tag's text as the person saw it; None: there was none.

    Raises:
        InvalidInput: its name is blank or long, or it holds more than tags can take.
        Conflict: somebody else changed or removed it meanwhile.
    """
    view = replace(view, name=view.name.strip(), by=by, at=datetime.now(UTC))
    tags = written(view)
    home = view.experiment_ids[0]
    head = PREFIX + view.id
    there = mlflow.tracking.experiment(home).tags
    if there.get(head) != seen:
        raise Conflict(t("experiments.views.changed", name=view.name))
    for key, value in tags.items():  # the head is the last one
        mlflow.tracking.set_experiment_tag(home, key, value)
    _remove(mlflow, home, [k for k in _parts_of(there, view.id) if k not in tags])
    return view


def rename(mlflow: Mlflow, one: Held, name: str, by: str) -> None:
    """Give a view another name.

    Raises:
        InvalidInput: it is blank or too long.
        Conflict: somebody else changed or removed it meanwhile.
    """
    save(mlflow, replace(load(mlflow, one.experiment_id, one.view.id), name=name), by, one.raw)


def delete(mlflow: Mlflow, one: Held) -> None:
    """Remove a view.

    Raises:
        Conflict: somebody else changed it meanwhile.
    """
    tags = mlflow.tracking.experiment(one.experiment_id).tags
    head = PREFIX + one.view.id
    if tags.get(head, one.raw) != one.raw:
        raise Conflict(t("experiments.views.changed", name=one.view.name))
    gone = ([head] if head in tags else []) + _parts_of(tags, one.view.id)
    _remove(mlflow, one.experiment_id, gone)


def written(view: View) -> dict[str, str]:
    """The tags that hold ``view``, the one that names the others last.

    Raises:
        InvalidInput: its name is blank or long, or it holds more than tags can take.
    """
    if not view.name or len(view.name) > LONGEST_NAME:
        raise InvalidInput(t("experiments.views.name_bad", most=LONGEST_NAME), field="name")
    if len(view.run_ids) > MOST_RUNS:
        raise InvalidInput(
            t("experiments.views.too_many", n=len(view.run_ids), most=MOST_RUNS),
            t("experiments.views.too_many_next"),
        )
    tags: dict[str, str] = {}
    fields: dict[str, Any] = {**asdict(view), "format": FORMAT, "at": _time(view.at)}
    fields["order"] = [[o.column, o.descending] for o in view.order]
    del fields["id"], fields["run_ids"]
    if view.run_ids:
        packed = pack(view.run_ids)
        digest = _digest(packed)
        cut = pieces(packed, LONGEST_TAG)
        tags = {f"{PREFIX}{view.id}.{digest}.{i}": piece for i, piece in enumerate(cut)}
        fields["runs"] = {"n": len(view.run_ids), "digest": digest, "tags": len(cut)}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    if len(text) > LONGEST_TAG:
        raise InvalidInput(t("experiments.views.too_long", n=len(text), most=LONGEST_TAG))
    return {**tags, PREFIX + view.id: text}


def _read(experiment_id: str, view_id: str, raw: str) -> Held | None:
    """The view in a tag's text, without its run ids; None where it cannot be read."""
    try:
        fields = json.loads(raw)
        json.dumps(fields, ensure_ascii=False).encode()  # half a character cannot be drawn
        view = View(
            name=str(fields["name"]),
            experiment_ids=tuple(map(str, fields["experiment_ids"])) or (experiment_id,),
            filter=str(fields["filter"]),
            order=tuple(Order(str(c), bool(d)) for c, d in fields["order"]),
            columns=tuple(map(str, fields["columns"])),
            view=_one_of(VIEWS, fields["view"]),
            nesting=_one_of(get_args(Nesting), fields["nesting"]),
            group=tuple(map(str, fields["group"])),
            all_but=bool(fields["all_but"]),
            id=view_id,
            by=str(fields["by"]),
            at=datetime.fromisoformat(fields["at"]).astimezone(UTC) if fields["at"] else None,
        )
        n = int(fields["runs"]["n"]) if "runs" in fields else 0
    except (
        ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError,
        OverflowError,
    ):  # fmt: skip
        return None  # anybody may write such a tag
    return Held(view, experiment_id, raw, n)


def _one_of(allowed: Sequence[T], value: object) -> T:
    return next(a for a in allowed if a == value)


def _run_ids(
    tags: Mapping[str, str], view_id: str, fields: Mapping[str, Any]
) -> tuple[str, ...] | None:
    if "runs" not in fields:
        return ()
    said = fields["runs"]
    try:
        keys = [f"{PREFIX}{view_id}.{said['digest']}.{i}" for i in range(min(said["tags"], 1000))]
        packed = "".join(tags[key] for key in keys)
        ids = unpack(packed)
    except (KeyError, TypeError, ValueError):
        return None
    whole = _digest(packed) == said["digest"] and len(ids) == said["n"] <= MOST_RUNS
    return tuple(ids) if whole and all(map(is_run_id, ids)) else None


def _parts_of(tags: Mapping[str, str], view_id: str) -> list[str]:
    return [key for key in tags if key.startswith(f"{PREFIX}{view_id}.")]


def _remove(mlflow: Mlflow, experiment_id: str, keys: Sequence[str]) -> None:
    for key in keys:
        mlflow.tracking.delete_experiment_tag(experiment_id, key)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
