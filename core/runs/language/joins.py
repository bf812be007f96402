"""What a condition needs beside ``runs r``: one row a run of what it names, joined on."""

from collections.abc import Callable, Mapping

from core.runs.language import tree
from core.runs.language.fragments import Sql


class Joins:
    """Collects joins; each thing is joined once. None makes rows of runs more or fewer.

    Args:
        experiments: names of experiments by their ids.
    """

    def __init__(self, experiments: Mapping[str, str]) -> None:
        self._known_experiments = experiments
        self._aliases: dict[object, str] = {}
        self._joins: list[str] = []
        self._values: list[object] = []

    @property
    def text(self) -> str:
        """All of them in SQL."""
        return " ".join(self._joins)

    @property
    def values(self) -> tuple[object, ...]:
        """The values bound in ``text``."""
        return tuple(self._values)

    def row(self, kind: str, name: str) -> str:
        """The name of a join that has the run's row of one metric, param or tag; ``kind`` is the
        table: metrics, params, tags, or aggregates of a metric.
        """
        of = "metric" if kind == "aggregates" else kind.removesuffix("s")
        return self._join((kind, name), f"(SELECT * FROM {kind} WHERE {_key_is(of)})", (name,))  # noqa: S608 - no text from outside

    def tail(self, metric: str, last: int) -> str:
        """The name of a join that has the mean of a metric's last values."""
        rows = f"(SELECT * FROM tails WHERE {_key_is('metric')} AND k = ?)"  # noqa: S608 - no text from outside
        return self._join(("tail", metric, last), rows, (metric, last))

    def many(self, left: tree.Named, test: Callable[[Sql], Sql]) -> str:
        """Whether any of several passes a test; NULL where there are none to be tested."""
        table, column, key, own = (
            ("datasets", left.name, "run", "no")
            if left.kind == "dataset"
            else ("registered", "model", "run_id", "run_id")
        )
        made = test(Sql(f"d.{column}"))
        rows = f"(SELECT {key} AS run, bool_or({made.text}) AS hit FROM {table} d GROUP BY {key})"  # noqa: S608 - no text from outside
        alias = self._join((table, made.text, repr(made.values)), rows, made.values, own=own)
        return f"{alias}.hit"

    def experiments(self) -> str:
        """The name of a join that has the experiment's name."""
        known = self._known_experiments
        return self._join(
            "experiments",
            "(SELECT unnest(?::VARCHAR[]) AS run, unnest(?::VARCHAR[]) AS name)",
            (list(known), list(known.values())),
            own="experiment_id",
        )

    def _join(self, key: object, rows: str, values: tuple[object, ...], own: str = "no") -> str:
        if key not in self._aliases:
            alias = f"f{len(self._aliases)}"
            self._aliases[key] = alias
            self._joins.append(f"LEFT JOIN {rows} {alias} ON {alias}.run = r.{own}")
            self._values += values
        return self._aliases[key]


def _key_is(kind: str) -> str:
    return f"key = (SELECT id FROM keys WHERE kind = '{kind}' AND name = ?)"  # noqa: S608 - no text from outside
