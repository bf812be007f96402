"""What a metric's whole history comes to: smallest, largest, first, last, mean, mean of the last k.

The mirror knows the last value alone. What a question needs beyond that is planned first: which
histories of which runs. Where MLflow's database can be read, one statement groups them there; else
they are fetched one by one, which is named beforehand. What was read is kept in the mirror until
the run's metrics change, so for runs that have ended: for good.

NaN is left out of all of them, and infinite values out of means. So ``last(x)`` is the last value
that is a number, while ``metrics.x`` is the value at the highest step whatever it is, as MLflow
keeps it. A point that is added below the highest step when everything was read already is not
noticed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from core.mlflow_api import Mlflow
from core.mlflow_api.batch import LARGEST
from core.mlflow_api.bulk import AGGREGATES, TAILS
from core.mlflow_api.bulk_connection import BulkFailed
from core.mlflow_api.histories import ClientHistories, History
from core.mlflow_api.pool import ContextPool
from core.runs import columns, language, spine
from core.runs.asked import RunQuery
from core.runs.columns import Column
from core.runs.mirror import Mirror
from core.runs.select import candidates, parsed, select
from core.runs.spine import Rows, Spine
from core.runs.values import key_ids

FEW = 300
"""Histories that are fetched one by one without asking first."""
FEW_POINTS = 5_000_000
"""Points that a database may be asked to group without asking a person first."""

_AT_ONCE = 6
_RUNS_AT_ONCE = 20
_RUNS_IN_BULK = 1000
_LOOK_SECONDS = 0.2

Progress = Callable[[int, int], None]
"""Told how many of how many histories were read."""


@dataclass(frozen=True, order=True)
class Need:
    """A metric whose histories are needed, whole or their last ``last`` values."""

    metric: str
    last: int | None = None


@dataclass(frozen=True)
class Plan:
    """Which histories have to be read before a question can be answered."""

    missing: tuple[tuple[Need, tuple[str, ...]], ...] = ()
    """What is needed, and the ids of the runs of which it was not read."""
    points: int = 0
    """About how many values there are in them, by their highest steps."""
    in_bulk: bool = False
    """Whether one statement groups them in MLflow's database."""

    @property
    def histories(self) -> int:
        """How many histories have to be read."""
        pairs = {(need.metric, run) for need, runs in self.missing for run in runs}
        return len(pairs)

    @property
    def at_once(self) -> bool:
        """Whether they are so few that nobody needs to be asked."""
        return self.points <= FEW_POINTS if self.in_bulk else self.histories <= FEW


def needs(asked: RunQuery, mirror: Mirror, readable: frozenset[str]) -> tuple[set[Need], set[Need]]:
    """What the filter and the order of a question need, and what its columns need.

    Raises:
        InvalidInput: the filter, the order or a column cannot be used.
    """
    first = {
        Need(c.name, c.last)
        for c in (columns.parse(o.column, "order") for o in asked.order)
        if c.kind == "aggregate"
    }
    if "(" in asked.filter:  # every aggregate is written as a call
        found = language.aggregates_in(parsed(mirror, asked, readable))
        first |= {Need(a.metric, a.last) for a in found}
    shown = {
        Need(c.name, c.last)
        for c in map(columns.parse, asked.columns or ())
        if c.kind == "aggregate"
    }
    return first, shown


def plan_histories(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> Plan:
    """Which histories have to be read so that ``asked`` can be answered; empty where none.

    What filter and order need is planned for all runs that the rest of the filter lets through,
    what columns need for the rows shown alone; these are known once the former was read.

    Raises:
        InvalidInput: the filter, the order or a column cannot be used.
    """
    first, shown = needs(asked, mirror, readable)
    if first:
        chosen = candidates(mirror, asked, readable)
        plan = _missing(mirror, chosen.spine, chosen.rows, first)
        if plan.missing:
            return plan
    if shown:
        found = select(mirror, asked, readable)
        end = None if asked.limit is None else asked.offset + asked.limit
        rows = found.rows if asked.run_ids else found.rows[asked.offset : end]
        return _missing(mirror, found.spine, rows, shown)
    return Plan()


def _missing(mirror: Mirror, held: Spine, rows: Rows, wanted: Iterable[Need]) -> Plan:
    made = []
    points = 0
    with mirror.cursor() as cursor:
        cursor.register("asked_runs", pa.table({"no": held.no[rows]}))
        for need in sorted(wanted, key=lambda n: (n.metric, n.last or 0)):
            key = key_ids(cursor, [Column("metrics", need.metric)]).get(("metric", need.metric))
            table, k = ("aggregates", "") if need.last is None else ("tails", "AND a.k = ?")
            found = cursor.execute(
                "SELECT m.run, m.step FROM metrics m SEMI JOIN asked_runs ON m.run = no "  # noqa: S608 - words of ours alone
                f"ANTI JOIN {table} a ON a.run = m.run AND a.key = m.key {k} WHERE m.key = ?",
                [*([] if need.last is None else [need.last]), key],
            ).fetchnumpy()
            at = held.at(np.asarray(found["run"], np.int32))
            if len(at):
                runs = held.column("run_id").take(np.sort(at)).to_pylist()
                made.append((need, tuple(runs)))
                points += int(np.clip(found["step"] + 1, 1, 10_000_000).sum())
    return Plan(tuple(made), points, mirror.source.kind == "database")


def fill(
    mirror: Mirror,
    mlflow: Mlflow,
    plan: Plan,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Read the histories planned and keep what they come to; says how many were read.

    What was read before a stop or a failure stays.

    Args:
        mlflow: asked where the database cannot be read in bulk.
        stop: looked at now and then; once it is true no more is begun.

    Raises:
        DeckError: MLflow does not answer.
    """
    tell = progress or (lambda _done, _all: None)
    whole = plan.histories
    done: set[tuple[str, str]] = set()
    read = _bulk(mirror, plan) if plan.in_bulk else _client(mlflow, plan, stop)
    try:
        for pairs, aggregates, tails in read:
            _keep(mirror, aggregates, tails)
            done.update(pairs)
            tell(len(done), whole)
            if stop():
                break
    except BulkFailed:
        # Some were kept; the others the client can read, which takes longer.
        rest = _left(mirror, plan)
        return len(done) + fill(mirror, mlflow, rest, progress, stop)
    return len(done)


def _left(mirror: Mirror, plan: Plan) -> Plan:
    held = spine.spine(mirror)
    again = [
        _missing(mirror, held, np.compress(held.places(runs) >= 0, held.places(runs)), [need])
        for need, runs in plan.missing
    ]
    return Plan(tuple(one for some in again for one in some.missing), plan.points)


_Read = tuple[list[tuple[str, str]], pa.Table, pa.Table]
"""Which histories were read (metric, run), and the rows for ``aggregates`` and ``tails``."""


def _bulk(mirror: Mirror, plan: Plan) -> Iterator[_Read]:
    source: Any = mirror.source
    for need, runs in plan.missing:
        for start in range(0, len(runs), _RUNS_IN_BULK):
            some = runs[start : start + _RUNS_IN_BULK]
            pairs = [(need.metric, run) for run in some]
            if need.last is None:
                found = source.metric_aggregates(some, [need.metric])
                yield pairs, _all_of(some, need, found), TAILS.empty_table()
            else:
                found = source.metric_tails(some, [need.metric], need.last)
                tails = _all_of(some, need, found)
                yield pairs, AGGREGATES.empty_table(), tails


def _all_of(runs: Sequence[str], need: Need, found: pa.Table) -> pa.Table:
    """The rows found, and an empty one for each run that has none: it was looked at."""
    there = set(found.column("run_id").to_pylist())
    away = [{"run_id": run, "key": need.metric, "count": 0, "k": need.last}
            for run in runs if run not in there]  # fmt: skip
    return pa.concat_tables([found, pa.Table.from_pylist(away, schema=found.schema)])


def _client(mlflow: Mlflow, plan: Plan, stop: Callable[[], bool]) -> Iterator[_Read]:
    """Histories through the client, some at a time, side by side."""
    reader = ClientHistories(mlflow.gateway)
    wanted: dict[str, dict[str, list[Need]]] = {}
    for need, runs in plan.missing:
        for run in runs:
            wanted.setdefault(need.metric, {}).setdefault(run, []).append(need)
    parts = [
        (metric, runs[start : start + _RUNS_AT_ONCE], by_run)
        for metric, by_run in wanted.items()
        for runs in [list(by_run)]
        for start in range(0, len(runs), _RUNS_AT_ONCE)
    ]

    def read(metric: str, runs: list[str], by_run: dict[str, list[Need]]) -> _Read:
        found = reader.many(runs, metric)
        whole: list[dict[str, object]] = []
        tails: list[dict[str, object]] = []
        for run in runs:
            if stop():
                break
            if run not in found:
                found[run] = reader.whole(run, metric)
            history = found[run]
            for need in by_run[run]:
                row = {"run_id": run, "key": metric}
                if need.last is None:
                    whole.append(row | summed_up(history))
                else:
                    mean = mean_of_last(history, need.last)
                    tails.append(row | {"k": need.last, "mean": mean})
        return (
            [(metric, run) for run in found],
            pa.Table.from_pylist(whole, schema=AGGREGATES),
            pa.Table.from_pylist(tails, schema=TAILS),
        )

    pool = ContextPool(_AT_ONCE, "aggregates")
    waiting: set[Future[_Read]] = {pool.submit(read, *part) for part in parts}
    try:
        while waiting:
            ended, waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
            for one in ended:
                yield one.result()
    finally:
        pool.shutdown()


def summed_up(history: History) -> dict[str, object]:
    """One row of ``aggregates``: what a whole history comes to; NaN counts in ``count`` alone."""
    good = ~np.isnan(history.values)
    steps, values, times = history.steps[good], history.values[good], history.times[good]
    if not len(values):
        return {"count": len(history)}
    # Several values may have been logged for one step at one moment: the largest is the last one.
    end = (steps == steps[-1]) & (times == times[-1])
    start = (steps == steps[0]) & (times == times[0])
    finite = np.abs(values) < LARGEST
    return {
        "count": len(history),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "first": float(values[start].min()),
        "last": float(values[end].max()),
        "mean": float(values[finite].mean()) if finite.any() else None,
        "step_of_minimum": int(steps[values.argmin()]),
        "step_of_maximum": int(steps[values.argmax()]),
    }


def mean_of_last(history: History, k: int) -> float | None:
    """The mean of the last ``k`` finite values; None where there is none."""
    good = np.abs(history.values) < LARGEST  # NaN is not
    order = np.lexsort((history.values[good], history.times[good], history.steps[good]))
    values = history.values[good][order][-k:]
    return float(values.mean()) if len(values) else None


def _keep(mirror: Mirror, aggregates: pa.Table, tails: pa.Table) -> None:
    with mirror.writing() as connection:
        _insert(connection, "aggregates", aggregates, AGGREGATES.names[2:])
        _insert(connection, "tails", tails, TAILS.names[2:])


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, names: Sequence[str]
) -> None:
    if not rows.num_rows:
        return
    connection.register("read_rows", rows)
    chosen = (
        f"SELECT r.no, m.id, {', '.join('g.' + n for n in names)} FROM read_rows g "  # noqa: S608 - words of ours
        "JOIN runs r USING (run_id) JOIN keys m ON m.name = g.key AND m.kind = 'metric'"
    )
    same = "AND o.k = n.k" if "k" in names else ""
    more = ", k" if "k" in names else ""
    # Two sessions may have read the same one at once.
    connection.execute(
        f"DELETE FROM {table} o USING (SELECT no AS run, id AS key{more} FROM ({chosen})) n "  # noqa: S608
        f"WHERE o.run = n.run AND o.key = n.key {same}"
    )
    connection.execute(f"INSERT INTO {table} (run, key, {', '.join(names)}) {chosen}")
    connection.unregister("read_rows")
