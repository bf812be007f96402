"""The mirror's tables in DuckDB: long form, no indexes, one surrogate number a run and a name."""

FORMAT = 1
"""Grows with every change to the tables: a file of another format is built anew."""

TABLES = {
    "runs": "no INTEGER, run_id VARCHAR, experiment_id VARCHAR, name VARCHAR, status VARCHAR, "
    "user_id VARCHAR, start_time BIGINT, end_time BIGINT, artifact_uri VARCHAR, "
    "lifecycle_stage VARCHAR, parent_id VARCHAR",
    "keys": "id INTEGER, kind VARCHAR, name VARCHAR",
    "metrics": "run INTEGER, key INTEGER, value DOUBLE, is_nan BOOLEAN, step BIGINT, "
    "timestamp BIGINT",
    "params": "run INTEGER, key INTEGER, value VARCHAR, number DOUBLE",
    "tags": "run INTEGER, key INTEGER, value VARCHAR",
    "datasets": "run INTEGER, name VARCHAR, digest VARCHAR, context VARCHAR",
    "registered": "run_id VARCHAR, model VARCHAR, version INTEGER",
    # Over a metric's whole history, NaN left out; filled when somebody asks for it.
    "aggregates": "run INTEGER, key INTEGER, count BIGINT, minimum DOUBLE, maximum DOUBLE, "
    "first DOUBLE, last DOUBLE, mean DOUBLE, step_of_minimum BIGINT, step_of_maximum BIGINT",
    "tails": "run INTEGER, key INTEGER, k INTEGER, mean DOUBLE",
    # What the file belongs to and how far it has come, as text.
    "facts": "name VARCHAR, value VARCHAR",
}
"""Table → its columns.

``run`` stands for ``runs.no``, which never changes for a run while the file lives; ``key`` for
``keys.id``. A metric that is NaN has the value 0 and ``is_nan``. ``params.number`` is the value
as a finite number, null where it is none. Times are milliseconds since the epoch.
"""

OF_RUN = ("metrics", "params", "tags", "datasets")
"""Tables with rows of one run each, which are written together with it."""

DERIVED = ("aggregates", "tails")
"""Tables computed from a run's histories; void when its metrics change."""

KINDS = {"metrics": "metric", "params": "param", "tags": "tag"}
"""Table → the kind that its names have in ``keys``."""


def create_all() -> str:
    """The statements that make the tables where they are missing."""
    return ";".join(f"CREATE TABLE IF NOT EXISTS {name} ({of})" for name, of in TABLES.items())
