"""From a batch to the mirror's rows: only what differs is written."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from core.mlflow_api.batch import Batch
from core.mlflow_api.nouns import PARENT_TAG
from core.runs.mirror.tables import DERIVED, KINDS, OF_RUN

# Text such as 1_000, nan and inf is no number to anybody who compares.
_NUMBER = (
    "CASE WHEN NOT contains(value, '_') AND isfinite(TRY_CAST(value AS DOUBLE)) "
    "THEN TRY_CAST(value AS DOUBLE) END"
)
_COLUMNS = {
    "metrics": "value, is_nan, step, timestamp",
    "params": f"value, {_NUMBER} AS number",
    "tags": "value",
}
_RUN = (
    "run_id, experiment_id, name, status, user_id, start_time, end_time, artifact_uri, "
    "lifecycle_stage, parent_id"
)


def write(connection: duckdb.DuckDBPyConnection, batch: Batch) -> int:
    """Put the batch's runs into the mirror, replacing what it held of them.

    Runs that the mirror holds exactly so are not touched.

    Returns:
        How many runs were new or differed.
    """
    if not len(batch):
        return 0
    given = {
        "given_runs": batch.runs,
        "given_metrics": batch.metrics,
        "given_params": batch.params,
        "given_tags": batch.tags,
        "given_datasets": batch.datasets,
    }
    for name, table in given.items():
        connection.register(name, table)
    try:
        with _transaction(connection):
            return _write(connection)
    finally:
        for name in given:
            connection.unregister(name)


def forget(connection: duckdb.DuckDBPyConnection, run_ids: list[str]) -> int:
    """Remove runs with all that belongs to them; says how many there were."""
    connection.register("gone", pa.table({"run_id": pa.array(run_ids, pa.string())}))
    try:
        with _transaction(connection):
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE changed AS "
                "SELECT no AS run FROM runs SEMI JOIN gone USING (run_id)"
            )
            _delete_changed(connection, (*OF_RUN, *DERIVED))
            connection.execute("DELETE FROM runs WHERE no IN (SELECT run FROM changed)")
        return _one(connection, "SELECT count(*) FROM changed")
    finally:
        connection.unregister("gone")


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All that is done within, or nothing of it: one that stays open refuses the next."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _write(c: duckdb.DuckDBPyConnection) -> int:
    c.execute(
        "CREATE OR REPLACE TEMP TABLE incoming AS "
        "SELECT coalesce(runs.no, (SELECT coalesce(max(no), 0) FROM runs) "
        "  + row_number() OVER (PARTITION BY runs.no IS NULL))::INTEGER AS no, "
        "runs.no IS NOT NULL AS held, given_runs.*, parents.value AS parent_id "
        "FROM given_runs LEFT JOIN runs USING (run_id) LEFT JOIN "
        "(SELECT run_id, value FROM given_tags WHERE key = ?) parents USING (run_id)",
        [PARENT_TAG],
    )
    for table, kind in KINDS.items():
        c.execute(
            "INSERT INTO keys SELECT (SELECT coalesce(max(id), 0) FROM keys) "
            "  + row_number() OVER (), ?, key "
            f"FROM (SELECT DISTINCT key FROM given_{table}) "
            "WHERE key NOT IN (SELECT name FROM keys WHERE kind = ?)",
            [kind, kind],
        )
    changed = _replace(c) if _one(c, "SELECT count(*) FROM incoming WHERE held") else 0
    for table in OF_RUN:
        c.execute(f"INSERT INTO {table} {_numbered(table)} WHERE NOT held")
    c.execute(f"INSERT INTO runs SELECT no, {_RUN} FROM incoming WHERE NOT held")
    return changed + _one(c, "SELECT count(*) FROM incoming WHERE NOT held")


def _replace(c: duckdb.DuckDBPyConnection) -> int:
    """Write those of the given runs anew that are held and differ; says how many."""
    for table in OF_RUN:
        c.execute(f"CREATE OR REPLACE TEMP TABLE new_{table} AS {_numbered(table)} WHERE held")
    # Derived rows outlive a change that does not touch the metrics.
    c.execute(f"CREATE OR REPLACE TEMP TABLE changed_metrics AS {_differing('metrics')}")
    _delete_changed(c, DERIVED, "changed_metrics")
    same = " AND ".join(f"i.{name} IS NOT DISTINCT FROM r.{name}" for name in _RUN.split(", "))
    every = [_differing(table) for table in OF_RUN if table != "metrics"]
    every.append("SELECT run FROM changed_metrics")
    every.append(f"SELECT i.no AS run FROM incoming i JOIN runs r USING (no) WHERE NOT ({same})")
    c.execute(f"CREATE OR REPLACE TEMP TABLE changed AS {' UNION '.join(every)}")
    changed = _one(c, "SELECT count(*) FROM changed")
    if changed:
        _delete_changed(c, OF_RUN)
        c.execute("DELETE FROM runs WHERE no IN (SELECT run FROM changed)")
        for table in OF_RUN:
            c.execute(
                f"INSERT INTO {table} SELECT * FROM new_{table} SEMI JOIN changed USING (run)"
            )
        run = f"INSERT INTO runs SELECT no, {_RUN} FROM incoming"
        c.execute(f"{run} WHERE no IN (SELECT run FROM changed)")
    for table in OF_RUN:
        c.execute(f"DROP TABLE new_{table}")
    return changed


def _numbered(table: str) -> str:
    """The given rows of one table with numbers in place of run ids and names."""
    if table == "datasets":
        return (
            "SELECT incoming.no AS run, g.name, g.digest, g.context "
            "FROM given_datasets g JOIN incoming USING (run_id)"
        )
    return (
        f"SELECT incoming.no AS run, keys.id AS key, {_COLUMNS[table]} "
        f"FROM given_{table} g JOIN incoming USING (run_id) "
        f"JOIN keys ON keys.name = g.key AND keys.kind = '{KINDS[table]}'"
    )


def _differing(table: str) -> str:
    """Runs of which the held rows are not the new ones: by number of rows and sum of hashes, which
    does not depend on the order of rows, and takes a fraction of the time of comparing them."""
    sums = "SELECT run, count(*) AS n, sum(hash(row_)) AS sum FROM {} row_ {} GROUP BY run"
    held = sums.format(table, "WHERE run IN (SELECT no FROM incoming WHERE held)")
    return (
        f"SELECT run FROM ({held}) a FULL JOIN ({sums.format(f'new_{table}', '')}) b USING (run) "
        "WHERE a.n IS DISTINCT FROM b.n OR a.sum IS DISTINCT FROM b.sum"
    )


def _delete_changed(
    c: duckdb.DuckDBPyConnection, tables: tuple[str, ...], changed: str = "changed"
) -> None:
    for table in tables:
        c.execute(f"DELETE FROM {table} WHERE run IN (SELECT run FROM {changed})")


def _one(c: duckdb.DuckDBPyConnection, sql: str) -> int:
    # All rows are fetched: a connection with a result left over refuses further work.
    return int(c.execute(sql).fetchall()[0][0])
