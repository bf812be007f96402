"""The SQL of bulk reads, made from MLflow's own table classes for one kind of database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.mlflow_api.batch import CONTEXT_TAG, LARGEST, NAME_TAG


@dataclass(frozen=True)
class Statement:
    """SQL with its parameters in the order in which it takes them: names, and what is fixed."""

    text: str
    names: tuple[str, ...]
    fixed: Mapping[str, object]

    def values(self, given: Mapping[str, object]) -> list[object]:
        """What to bind, with what is ``given`` for the names that are open."""
        return [given[name] if name in given else self.fixed[name] for name in self.names]


def statements(dialect: str) -> Mapping[str, Statement]:
    """The reads by name: experiments, others, heads, runs, params, metrics, tags, datasets,
    all_params, all_metrics, all_tags, all_datasets, aggregates, tails.

    Parameters: ``workspace`` a name, ``ids`` and ``keys`` JSON lists of text, ``last`` a number as
    text.

    Args:
        dialect: sqlite or postgresql.
    """
    import sqlalchemy as sa
    from mlflow.store.tracking.dbmodels import models

    tables: Any = models
    run, experiment, tag = tables.SqlRun, tables.SqlExperiment, tables.SqlTag
    metric, latest = tables.SqlMetric, tables.SqlLatestMetric
    used, input_tag = tables.SqlInput, tables.SqlInputTag

    def listed(name: str) -> Any:
        """The elements of a JSON list."""
        given = sa.bindparam(name, type_=sa.Text)
        if dialect == "sqlite":
            return sa.select(sa.func.json_each(given).table_valued("value").c.value)
        function = sa.func.json_array_elements_text(sa.cast(given, sa.JSON))
        return sa.select(function.table_valued("value").c.value)

    def text(column: Any) -> Any:
        """Null for an empty text. ADBC's driver for SQLite takes a column's type from the first
        rows, and would take one that begins with nulls for a column of numbers."""
        return sa.func.coalesce(column, "")

    first_name = (
        sa.select(tag.value)
        .where(tag.run_uuid == run.run_uuid, tag.key == NAME_TAG)
        .scalar_subquery()
    )
    here: Any = experiment.workspace == sa.bindparam("workspace", type_=sa.Text)
    columns: list[Any] = [
        run.run_uuid.label("run_id"),
        sa.cast(run.experiment_id, sa.Text).label("experiment_id"),
        sa.func.coalesce(sa.func.nullif(run.name, ""), first_name, "").label("name"),
        text(run.status).label("status"),
        text(run.user_id).label("user_id"),
        run.start_time.label("start_time"),
        sa.func.nullif(run.end_time, 0).label("end_time"),
        text(run.artifact_uri).label("artifact_uri"),
        run.lifecycle_stage.label("lifecycle_stage"),
    ]
    of_experiment: Any = experiment.experiment_id == run.experiment_id
    runs: Any = sa.select(*columns).join(experiment, of_experiment).where(here)

    def rows(table: Any, *columns: Any) -> Any:
        return sa.select(table.run_uuid.label("run_id"), table.key.label("key"), *columns)

    def counted(table: Any) -> Any:
        count = sa.func.count().label("n")
        return sa.select(table.run_uuid.label("run_id"), count).group_by(table.run_uuid)

    param = tables.SqlParam
    params: Any = rows(param, text(param.value).label("value"))
    tags: Any = rows(tag, text(tag.value).label("value"))
    metrics: Any = rows(
        latest,
        latest.value.label("value"),
        latest.is_nan.label("is_nan"),
        latest.step.label("step"),
        latest.timestamp.label("timestamp"),
    )
    datasets: Any = (
        sa.select(
            used.destination_id.label("run_id"),
            tables.SqlDataset.name.label("name"),
            tables.SqlDataset.digest.label("digest"),
            text(input_tag.value).label("context"),
        )
        .join(tables.SqlDataset, used.source_id == tables.SqlDataset.dataset_uuid)
        .outerjoin(
            input_tag,
            (input_tag.input_uuid == used.input_uuid) & (input_tag.name == CONTEXT_TAG),
        )
        .where(used.destination_type == "RUN")
    )

    value: Any = sa.case((metric.is_nan == sa.false(), metric.value))
    # An infinite value is the largest number to MLflow; two of them overflow a sum.
    finite: Any = (metric.is_nan == sa.false()) & (sa.func.abs(metric.value) < LARGEST)
    grouped = (
        rows(
            metric,
            sa.func.count().label("count"),
            sa.func.min(value).label("minimum"),
            sa.func.max(value).label("maximum"),
            sa.func.avg(sa.case((finite, metric.value))).label("mean"),
        )
        .where(metric.run_uuid.in_(listed("ids")), metric.key.in_(listed("keys")))
        .group_by(metric.run_uuid, metric.key)
        .subquery()
    )

    def one(what: Any, *order: Any, where: Any) -> Any:
        """One point of the history, found by MLflow's index of run, key and step."""
        return (
            sa.select(what)
            .where(
                metric.run_uuid == grouped.c.run_id,
                metric.key == grouped.c.key,
                metric.is_nan == sa.false(),
                where,
            )
            .order_by(*order)
            .limit(1)
            .scalar_subquery()
        )

    step, at = metric.step, metric.timestamp
    backwards = sa.func.row_number().over(
        partition_by=(metric.run_uuid, metric.key),
        order_by=(step.desc(), at.desc(), metric.value.desc()),
    )
    numbered = (
        rows(metric, metric.value.label("value"), backwards.label("place"))
        .where(metric.run_uuid.in_(listed("ids")), metric.key.in_(listed("keys")))
        .where(finite)
        .subquery()
    )
    last = sa.cast(sa.bindparam("last", type_=sa.Text), sa.Integer)
    made = {
        "experiments": sa.select(
            sa.cast(experiment.experiment_id, sa.Text).label("experiment_id"),
            experiment.creation_time.label("creation_time"),
        ).where(here),
        "others": sa.select(sa.func.count()).where(
            experiment.workspace != sa.bindparam("workspace", type_=sa.Text)
        ),
        "heads": runs.order_by(run.start_time.desc(), run.run_uuid),
        "runs": runs.where(run.run_uuid.in_(listed("ids"))),
        "params": params.where(param.run_uuid.in_(listed("ids"))),
        "metrics": metrics.where(latest.run_uuid.in_(listed("ids"))),
        "tags": tags.where(tag.run_uuid.in_(listed("ids"))),
        "datasets": datasets.where(used.destination_id.in_(listed("ids"))),
        "weights_of_params": counted(param),
        "weights_of_metrics": counted(latest),
        "all_params": params,
        "all_metrics": metrics,
        "all_tags": tags,
        "all_datasets": datasets,
        "aggregates": sa.select(
            grouped,
            one(metric.value, step, at, metric.value, where=sa.true()).label("first"),
            one(metric.value, step.desc(), at.desc(), metric.value.desc(), where=sa.true()).label(
                "last"
            ),
            one(step, step, where=metric.value == grouped.c.minimum).label("step_of_minimum"),
            one(step, step, where=metric.value == grouped.c.maximum).label("step_of_maximum"),
        ),
        "tails": sa.select(
            numbered.c.run_id, numbered.c.key, sa.func.avg(numbered.c.value).label("mean")
        )
        .where(numbered.c.place <= last)
        .group_by(numbered.c.run_id, numbered.c.key),
    }
    return {name: _compiled(statement, dialect) for name, statement in made.items()}


def _compiled(statement: Any, dialect: str) -> Statement:
    from sqlalchemy.dialects import postgresql, sqlite

    kind = (
        sqlite.dialect(paramstyle="qmark")
        if dialect == "sqlite"
        else postgresql.dialect(paramstyle="numeric_dollar")
    )
    compiled = statement.compile(dialect=kind)
    return Statement(str(compiled), tuple(compiled.positiontup), dict(compiled.params))
