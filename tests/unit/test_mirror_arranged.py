"""The mirror keeps the rows of each metric, param and tag together, and loses none by that."""

import duckdb

from core.runs.mirror.holding import Holding

RUNS = 2500
TABLES = {
    "metrics": "random(), false, 1, 1",
    "params": "'x', NULL",
    "tags": "'y'",
}


def fill(holding: Holding, first: int, last: int) -> None:
    with holding.writing() as c:
        c.execute(
            f"INSERT INTO runs (no, run_id) SELECT i, i::VARCHAR FROM range({first}, {last}) t(i)"  # noqa: S608 - ours
        )
        for table, values in TABLES.items():
            c.execute(
                f"INSERT INTO {table} SELECT i, k, {values} "  # noqa: S608 - ours
                f"FROM range({first}, {last}) t(i), range(3) u(k) ORDER BY i"
            )


def order(holding: Holding, table: str) -> list[tuple[int, int]]:
    with holding.cursor() as cursor:
        rows = cursor.execute(f"SELECT key, run FROM {table}").fetchall()  # noqa: S608 - ours
        return [(int(k), int(r)) for k, r in rows]


def test_rows_of_a_name_come_to_lie_side_by_side() -> None:
    with duckdb.connect() as connection:
        holding = Holding(connection)
        fill(holding, 0, RUNS)
        before = {table: order(holding, table) for table in TABLES}
        revision = holding.revision
        holding.arrange()
        for table in TABLES:
            assert before[table] != sorted(before[table])
            assert order(holding, table) == sorted(before[table])
        assert holding.revision == revision  # no answer changes


def test_a_few_new_runs_are_not_worth_it_and_small_stores_never() -> None:
    with duckdb.connect() as connection:
        holding = Holding(connection)
        fill(holding, 0, 100)
        holding.arrange()
        assert order(holding, "metrics") != sorted(order(holding, "metrics"))
        fill(holding, 100, RUNS)
        holding.arrange()
        fill(holding, RUNS, RUNS + 10)
        holding.arrange()
        assert order(holding, "metrics") != sorted(order(holding, "metrics"))
        fill(holding, RUNS + 10, 2 * RUNS)
        holding.arrange()
        assert order(holding, "metrics") == sorted(order(holding, "metrics"))
