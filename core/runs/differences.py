"""What differs between runs: every param, metric, tag, input, … as one row over all runs. Pure.

Each ``of_…`` function gives the rows of one section in the order of their names; a row holds one
value for each run, None where the run has none.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from core import formats
from core.mlflow_api.nouns import Column, DatasetInput, ModelInfo, Run
from core.runs import inputs
from core.runs.nested import opened
from core.texts import t

MOST_RUNS = 30
"""Runs side by side; a person cannot read more columns."""

MOST_CELLS = 15_000
"""Cells of the table; a search narrows the rows."""

MOST_ROWS = 2_000

SHORT = 80
"""Characters of a value that stand in the table."""

CODE = (
    "mlflow.source.git.commit",
    "mlflow.source.git.branch",
    "mlflow.source.git.repoURL",
    "mlflow.source.name",
    "mlflow.source.type",
    "mlflow.project.entryPoint",
    "mlflow.project.env",
    "mlflow.project.backend",
)
"""Tags in which MLflow writes what code a run ran."""

_SYSTEM = "mlflow."
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)")

Value = str | float | None


@dataclass(frozen=True)
class Change:
    """A number against the baseline's."""

    absolute: float
    relative: float | None
    """Part of the baseline's size; None where that is 0."""
    better: bool | None
    """None where no direction is known, or nothing changed."""


@dataclass(frozen=True)
class Difference:
    """One thing that runs may have, over all runs."""

    name: str
    values: tuple[Value, ...]
    better: str | None = None
    """lower or higher, where a metric's direction is known."""
    seconds: bool = False
    """Whether the numbers are spans of time."""

    @property
    def distinct(self) -> int:
        """How many different values there are; none at all counts as one."""
        return len({"NaN" if isinstance(v, float) and v != v else v for v in self.values})

    @property
    def differs(self) -> bool:
        """Whether any two runs differ in it."""
        return self.distinct > 1

    @property
    def same_number(self) -> bool:
        """Whether the values differ as text only, such as 1, 1.0 and 1e0."""
        if not self.differs or not all(isinstance(v, str) for v in self.values):
            return False
        numbers = {_number(v) for v in self.values}
        return len(numbers) == 1 and None not in numbers

    @property
    def spread(self) -> float | None:
        """The highest minus the lowest finite number; None where there are no two."""
        finite = [v for v in self.values if isinstance(v, float) and math.isfinite(v)]
        return max(finite) - min(finite) if len(finite) > 1 else None

    @property
    def texts(self) -> tuple[str | None, ...]:
        """Its values as a person reads them; what differs also looks different."""
        write = formats.duration if self.seconds else _figures
        made = [write(v) if isinstance(v, float) else v for v in self.values]
        if len(set(made)) < self.distinct:
            made = [repr(v) if isinstance(v, float) else v for v in self.values]
        return tuple(made)

    def change(self, run: int, baseline: int) -> Change | None:
        """The number of one run against the baseline's; None where either is no finite number."""
        value, base = _number(self.values[run]), _number(self.values[baseline])
        if value is None or base is None:
            return None
        absolute = value - base
        if not math.isfinite(absolute):
            return None
        relative = absolute / abs(base) if base else None
        better = None
        if self.better and absolute:
            better = (absolute > 0) == (self.better == "higher")
        return Change(absolute, relative, better)


def of_params(runs: Sequence[Run]) -> list[Difference]:
    """Params; those that are JSON or YAML in any run are compared leaf by leaf."""
    return _opened([run.params for run in runs])


def of_metrics(
    runs: Sequence[Run], direction: Callable[[str], str | None] = lambda _: None
) -> list[Difference]:
    """Last values of metrics.

    Args:
        direction: lower, higher or None for a metric's name.
    """
    return [
        Difference(d.name, d.values, direction(d.name))
        for d in _rows([run.metrics for run in runs])
    ]


def of_tags(runs: Sequence[Run]) -> list[Difference]:
    """Tags, those of people first, then MLflow's own but for the ones about code."""
    own = [{k: v for k, v in run.tags.items() if not k.startswith(_SYSTEM)} for run in runs]
    system = [
        {k: v for k, v in run.tags.items() if k.startswith(_SYSTEM) and k not in CODE}
        for run in runs
    ]
    return _opened(own) + _rows(system)


def of_attributes(runs: Sequence[Run], experiments: Mapping[str, str]) -> list[Difference]:
    """Status, user, duration, experiment, parent.

    Args:
        experiments: id → name.
    """
    made = [
        Difference(t("differences.attribute.status"), tuple(r.status for r in runs)),
        Difference(t("differences.attribute.user"), tuple(r.user or None for r in runs)),
        Difference(
            t("differences.attribute.duration"), tuple(r.seconds for r in runs), seconds=True
        ),
        Difference(
            t("differences.attribute.experiment"),
            tuple(experiments.get(r.experiment_id, r.experiment_id) for r in runs),
        ),
        Difference(t("differences.attribute.parent"), tuple(r.parent_id for r in runs)),
    ]
    return [d for d in made if any(v is not None for v in d.values)]


def of_code(runs: Sequence[Run]) -> list[Difference]:
    """Commit, source and entry point."""
    found = _rows([{k: v for k, v in run.tags.items() if k in CODE} for run in runs])
    return sorted(found, key=lambda d: CODE.index(d.name))


def of_inputs(runs: Sequence[Run]) -> list[Difference]:
    """Data sets that were read: name, digest, source, profile, and each column of the schema."""
    return _rows([_inputs(run.inputs) for run in runs])


def of_signatures(models: Sequence[ModelInfo | None]) -> list[Difference]:
    """Columns of the models' signatures: what goes in, what comes out, params."""
    return _rows([_signature(model) for model in models])


def of_requirements(models: Sequence[ModelInfo | None]) -> list[Difference]:
    """Packages that the models need, by name, with the versions they ask for."""
    return _rows([_requirements(model.requirements if model else ()) for model in models])


def of_files(files: Sequence[Mapping[str, str]]) -> list[Difference]:
    """Files by their path; the values say what is known of each, such as its size."""
    return _rows(files)


def side_by_side(
    rows: Iterable[Difference], labels: Sequence[str], baseline: int | None = None
) -> pd.DataFrame:
    """A table of one row for each difference: name, distinct, spread, then a column a run.

    Args:
        labels: what to call the runs, all different, in the order of their values.
        baseline: the run that numbers are held against; the change stands beside the number.
    """
    kept = list(rows)
    columns: dict[str, object] = {
        "name": [d.name for d in kept],
        "distinct": [d.distinct for d in kept],
        "spread": pd.Series([d.spread for d in kept], dtype=float),
    }
    texts = [d.texts for d in kept]
    for i, label in enumerate(labels):
        cells = [_cell(d, texts[at][i], i, baseline) for at, d in enumerate(kept)]
        columns[label] = pd.Series(cells, dtype=object)
    return pd.DataFrame(columns)


def change_text(change: Change) -> str:
    """A change in words: sign, size, part of the baseline, better or worse."""
    if not change.absolute:
        return t("differences.unchanged")
    said = f"{change.absolute:+.4g}"
    if change.relative is not None:
        said += f" ({change.relative:+.2%})"
    if change.better is None:
        return said
    return t(f"differences.{'better' if change.better else 'worse'}", change=said)


def _cell(row: Difference, text: str | None, run: int, baseline: int | None) -> str | None:
    if text is None:
        return None
    short = text if len(text) <= SHORT and "\n" not in text else formats.shorten(text, SHORT)
    if baseline is None or run == baseline:
        return short
    change = row.change(run, baseline)
    if change is not None:
        return f"{short}  {change_text(change)}"
    return short if row.values[run] == row.values[baseline] else f"≠ {short}"


def _rows(values: Sequence[Mapping[str, Value]]) -> list[Difference]:
    names = sorted({name for of_run in values for name in of_run}, key=_natural)
    return [Difference(name, tuple(of_run.get(name) for of_run in values)) for name in names]


def _opened(values: Sequence[Mapping[str, str]]) -> list[Difference]:
    """Rows with nested values in the place of those that can be opened.

    Where one run has a plain value under the same name, a row of the name itself says so.
    """
    made: list[Difference] = []
    for row in _rows(values):
        leaves = [opened(v) if isinstance(v, str) else None for v in row.values]
        if not any(leaves):
            made.append(row)
            continue
        if any(v is not None and not inner for v, inner in zip(row.values, leaves, strict=True)):
            closed = ["{…}" if i else v for v, i in zip(row.values, leaves, strict=True)]
            made.append(Difference(row.name, tuple(closed)))
        made += _rows([{row.name + path: text for path, text in i or ()} for i in leaves])
    return made


def _inputs(data: Sequence[DatasetInput]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    often: dict[str, int] = {}
    for one in data:
        use = one.context or t("differences.input.no_context")
        often[use] = often.get(use, 0) + 1
        use = use if often[use] == 1 else f"{use} ({often[use]})"
        found[f"{use} · {t('differences.input.name')}"] = one.name
        found[f"{use} · {t('differences.input.digest')}"] = one.digest
        for kind, pairs in (("source", inputs.source_of(one)), ("profile", inputs.profile_of(one))):
            for key, value in pairs:
                name = f"{use} · {t(f'differences.input.{kind}')} · {key}"
                found |= {name + path: leaf for path, leaf in opened(value) or (("", value),)}
        schema = inputs.schema_of(one)
        for column in schema.to_dict("records") if schema is not None else ():
            name = f"{use} · {t('differences.input.column')} · {column['name']}"
            found[name] = _needed(str(column["type"]), bool(column["required"]))
    return found


def _signature(model: ModelInfo | None) -> dict[str, Value]:
    if model is None or model.signature is None:
        return {}
    return {
        f"{t(f'run.side.{side}')} · {column.name or i}": _column(column)
        for side in ("inputs", "outputs", "params")
        for i, column in enumerate(getattr(model.signature, side))
    }


def _column(column: Column) -> str:
    kind = column.type if column.shape is None else f"{column.type} {list(column.shape)}"
    if column.default is not None:
        return f"{kind} = {column.default}"
    return _needed(kind, column.required)


def _needed(kind: str, required: bool) -> str:
    return kind if required else t("differences.optional", type=kind)


def _requirements(lines: Sequence[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for line in lines:
        kept = line.partition(" #")[0].strip()
        if not kept or kept.startswith("#"):
            continue
        match = _REQUIREMENT.fullmatch(kept)
        if match is None or "://" in kept.partition("@")[0]:
            found[kept] = t("differences.listed")
            continue
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        found[name + (match[2] or "")] = match[3].strip() or t("differences.any_version")
    return found


def _figures(value: float) -> str:
    return formats.number(value, 6)


def _number(value: Value) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return value if value is not None and math.isfinite(value) else None


def _natural(name: str) -> tuple[object, ...]:
    """Sorts ``a[2]`` before ``a[10]``, and letters whatever their case."""
    pieces = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(p), "") if p.isdecimal() and len(p) < 19 else (1, 0, p) for p in pieces)
