"""The runs that versions were made from, with their metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from core.mlflow_api.nouns import ModelVersion
from core.runs.query import RunQuery, RunTable
from core.ui import runs


@dataclass(frozen=True)
class Measured:
    """Some versions, and what the run mirror holds of their runs."""

    versions: tuple[ModelVersion, ...]
    table: RunTable

    def column(self, name: str) -> list[object]:
        """One column of the runs, in the order of the versions; None for no value."""
        if name not in self.table.frame:
            return [None] * len(self.versions)
        values = self.table.frame[name].astype(object).to_numpy()
        rows = (self._rows.get(v.run_id or "") for v in self.versions)
        found = (None if row is None else values[row] for row in rows)
        return [None if value is pd.NA else value for value in found]

    def names(self) -> list[str]:
        """The names of the versions' runs; the id where the name is not known, "" for no run."""
        named = zip(self.column("name"), self.versions, strict=True)
        return [str(name or version.run_id or "") for name, version in named]

    def name(self, version: ModelVersion) -> str:
        """The name of one version's run."""
        place = next(i for i, v in enumerate(self.versions) if v.version == version.version)
        return self.names()[place]

    def metrics(self) -> list[str]:
        """The metrics, those first that most versions have; times last."""
        frame = self.table.frame
        return sorted(
            self.table.of("metrics"), key=lambda n: (-int(frame[n].notna().sum()), _is_time(n))
        )

    @property
    def of_runs(self) -> bool:
        """Whether a version's own model may have other values: here are those of its run."""
        return any(v.logged_model_id for v in self.versions) and bool(self.table.of("metrics"))

    @cached_property
    def _rows(self) -> dict[str, int]:
        if "run_id" not in self.table.frame:
            return {}
        return {run: row for row, run in enumerate(self.table.frame["run_id"])}


def measure(versions: Sequence[ModelVersion], columns: tuple[str, ...] | None = None) -> Measured:
    """Read the runs of some versions.

    Args:
        columns: only these, such as ``metrics.loss``; None for all.
    """
    ids = tuple(dict.fromkeys(v.run_id for v in versions if v.run_id))
    asked = RunQuery(run_ids=ids, columns=columns)
    return Measured(tuple(versions), runs.table(asked) if ids else RunTable(pd.DataFrame()))


def _is_time(name: str) -> bool:
    """Whether a metric tells how long something took, which says little of a model's worth."""
    return any(word in name for word in ("seconds", "time", "duration"))
