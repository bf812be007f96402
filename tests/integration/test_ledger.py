"""The ledger on real databases, used by several processes at once."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql

import core.ledger
from core.errors import LedgerFailed
from core.ledger import SCHEMA, VERSION_TABLE, Ledger, leases, now
from core.ledger.schema import leases as lease_table
from core.ledger.schema import metadata
from core.people import Actor
from core.training import jobs
from tests.servers import MlflowServer, Postgres
from tests.waiting import until

SPAWN = multiprocessing.get_context("spawn")
PEOPLE = 4
ROUNDS = 10
PATIENCE = 120.0


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.fresh_database()


@pytest.fixture
def ledger(address: str) -> Iterator[Ledger]:
    opened = Ledger(address)
    opened.migrate()
    yield opened
    opened.close()


def at_once(work: Callable[..., None], *arguments: Any, people: int = PEOPLE) -> None:
    """Do the work in several processes, which begin together; each has to end well."""
    barrier = SPAWN.Barrier(people)
    workers = [
        SPAWN.Process(target=work, args=(barrier, number, *arguments)) for number in range(people)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    codes = [worker.exitcode for worker in workers]
    for worker in workers:
        worker.kill()
    assert codes == [0] * people


def test_hosts_that_share_postgresql_go_by_its_clock(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(postgres.fresh_database())
    ledger.migrate()
    lease = leases.take(ledger, "model", "a", 60)
    assert lease is not None
    monkeypatch.setattr(leases, "now", lambda: now() + timedelta(hours=1))  # another host's
    assert leases.take(ledger, "model", "b", 60) is None
    assert leases.renew(ledger, lease, 60)
    leases.check(ledger, lease)
    leases.give_back(ledger, lease)
    monkeypatch.undo()
    assert leases.take(ledger, "model", "b", 60) is not None
    ledger.close()


# ---------------------------------------------------------------------------------- migrations


def migrate_twice(barrier: Barrier, _number: int, address: str) -> None:
    ledger = Ledger(address)
    barrier.wait(PATIENCE)
    ledger.migrate()
    ledger.migrate()
    ledger.close()


def test_several_processes_bring_the_tables_up_at_once(address: str) -> None:
    at_once(migrate_twice, address)
    ledger = Ledger(address)
    with ledger.transaction("looking") as connection:
        found = set(sa.inspect(connection).get_table_names())
        versions = connection.execute(sa.text(f"SELECT * FROM {VERSION_TABLE}")).all()  # noqa: S608
    ledger.close()
    assert found == {*metadata.tables, VERSION_TABLE}
    assert len(versions) == 1


def test_the_migrations_make_the_tables_that_the_code_knows(ledger: Ledger) -> None:
    with ledger.transaction("comparing") as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_a_table_that_no_migration_makes_is_found(ledger: Ledger) -> None:
    more = sa.MetaData()
    for table in metadata.tables.values():
        table.to_metadata(more)
    sa.Table("forgotten", more, sa.Column("id", sa.Integer, primary_key=True))
    with ledger.transaction("comparing") as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert [change[0] for change in compare_metadata(context, more)] == ["add_table"]


# ------------------------------------------------------------------------------ beside MLflow


def mlflow_client(uri: str) -> Any:
    from mlflow import MlflowClient  # here: the processes of this module begin without it

    return MlflowClient(uri)


def mlflow_state(address: str) -> tuple[set[str], list[Any]]:
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        tables = set(sa.inspect(connection).get_table_names("public"))
        version = list(connection.execute(sa.text("SELECT * FROM public.alembic_version")))
    engine.dispose()
    return tables, version


def use(ledger: Ledger) -> None:
    job = jobs.submit_sample(ledger, Actor("ada"))
    assert jobs.claim(ledger, "w", 1) == jobs.get(ledger, job.id)


def test_it_shares_a_database_with_mlflow_and_leaves_its_tables_alone(
    mlflow_server_on_postgres: MlflowServer,
) -> None:
    address = mlflow_server_on_postgres.backend_uri
    before = mlflow_state(address)
    assert {"jobs", "endpoints", "alembic_version"} <= before[0], "MLflow has tables of these names"
    ledger = Ledger(address)
    ledger.migrate()
    use(ledger)
    ledger.close()
    assert mlflow_state(address) == before
    client = mlflow_client(mlflow_server_on_postgres.url)
    assert client.create_run(client.create_experiment("beside the ledger")).info.run_id


def test_mlflow_may_come_second(postgres: Postgres) -> None:
    address = postgres.fresh_database()
    ledger = Ledger(address)
    ledger.migrate()
    mlflow_client(address).search_experiments()
    tables, version = mlflow_state(address)
    assert {"jobs", "experiments"} <= tables
    assert len(version) == 1
    ledger.migrate()
    use(ledger)
    ledger.close()


# -------------------------------------------------------------------------------------- leases


def count(barrier: Barrier, number: int, address: str, file: str, alone: bool) -> None:
    """Add one to the number in a file, again and again: read, let others in, write."""
    ledger, path, pause = Ledger(address), Path(file), threading.Event()
    barrier.wait(PATIENCE)
    for _ in range(ROUNDS):
        lease = until(
            lambda: leases.take(ledger, "counter", str(number), PATIENCE) if alone else True,
            PATIENCE,
            every=0.002,
        )
        seen = int(path.read_text())
        pause.wait(0.003)
        part = path.with_suffix(f".{number}")
        part.write_text(str(seen + 1))
        part.replace(path)
        if isinstance(lease, leases.Lease):
            with path.with_suffix(".tokens").open("a") as tokens:
                tokens.write(f"{lease.token}\n")
            leases.give_back(ledger, lease)
    ledger.close()


def test_a_lease_keeps_processes_apart(ledger: Ledger, address: str, tmp_path: Path) -> None:
    file = tmp_path / "counter"
    file.write_text("0")
    at_once(count, address, str(file), True)
    assert int(file.read_text()) == PEOPLE * ROUNDS
    tokens = [int(line) for line in file.with_suffix(".tokens").read_text().split()]
    assert tokens == list(range(1, PEOPLE * ROUNDS + 1)), "each taking has a larger token"


def test_without_the_lease_they_get_in_each_others_way(tmp_path: Path) -> None:
    file = tmp_path / "counter"
    file.write_text("0")
    at_once(count, "sqlite://", str(file), False)
    assert int(file.read_text()) < PEOPLE * ROUNDS


def take_and_hang(address: str, seconds: float) -> None:
    assert leases.take(Ledger(address), "mine", "dead", seconds)
    threading.Event().wait(PATIENCE)


def test_whoever_is_killed_loses_it_in_the_end(ledger: Ledger, address: str) -> None:
    holder = SPAWN.Process(target=take_and_hang, args=(address, 2.0))
    holder.start()

    def taken() -> bool:
        with ledger.transaction("looking") as connection:
            return connection.execute(sa.select(lease_table)).first() is not None

    until(taken, PATIENCE, "the other process to take the lease")
    holder.kill()
    holder.join(PATIENCE)
    lease = until(lambda: leases.take(ledger, "mine", "b", 60), PATIENCE, "the lease to run out")
    assert lease.token == 2


# -------------------------------------------------------------------------------------- queue


def claim_all(barrier: Barrier, number: int, address: str, folder: str) -> None:
    ledger = Ledger(address)
    barrier.wait(PATIENCE)
    mine = []
    while job := jobs.claim(ledger, f"worker-{number}", 1):
        mine.append(job.id)
    Path(folder, str(number)).write_text("\n".join(mine))
    ledger.close()


def test_no_job_is_claimed_twice(ledger: Ledger, address: str, tmp_path: Path) -> None:
    number = 60
    with ledger.transaction("filling the queue") as connection:
        jobs_table = metadata.tables["jobs"]
        connection.execute(
            jobs_table.insert(),
            [
                {
                    "id": f"{n:032x}", "project": "tabular", "entry_point": "main", "title": "x",
                    "params": {}, "state": jobs.QUEUED, "message": "", "requested_by": "ada",
                    "requested_at": now(), "claim_token": 0,
                }
                for n in range(number)
            ],
        )  # fmt: skip
    folder = tmp_path / "claimed"
    folder.mkdir()
    at_once(claim_all, address, str(folder))
    claims = [line for file in folder.iterdir() for line in file.read_text().splitlines()]
    assert len(claims) == len(set(claims)) == number
    assert {job.state for job in jobs.recent(ledger, number)} == {jobs.STARTING}


# --------------------------------------------------------------------------------- in trouble


def test_a_database_that_goes_away_and_comes_back() -> None:
    with Postgres() as postgres:
        address = postgres.fresh_database()
        ledger = Ledger(address)
        ledger.migrate()
        use(ledger)
        postgres.end()
        for _ in range(2):
            with pytest.raises(LedgerFailed) as failure:
                jobs.recent(ledger)
            assert f"{postgres.host}:{postgres.port}" in failure.value.what
            assert "reading the list of jobs" in failure.value.what
            assert postgres.password not in failure.value.what
            assert "MODELDECK_LEDGER_URI" in failure.value.next_step
            assert failure.value.retryable
        with pytest.raises(LedgerFailed):
            Ledger(address).migrate()
        postgres.start()
        assert len(jobs.recent(ledger)) == 1
        ledger.close()


def test_a_database_that_restarts_between_two_questions_is_not_noticed() -> None:
    with Postgres() as postgres:
        ledger = Ledger(postgres.fresh_database())
        ledger.migrate()
        use(ledger)
        postgres.end()
        postgres.start()
        assert len(jobs.recent(ledger)) == 1
        ledger.close()


def test_a_wrong_password_is_said_without_it(postgres: Postgres) -> None:
    address = postgres.fresh_database().replace(postgres.password, "hunter2")
    with pytest.raises(LedgerFailed) as failure:
        Ledger(address).migrate()
    assert "hunter2" not in failure.value.what


def test_who_stops_in_the_middle_of_a_transaction_does_not_stop_the_others(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "lock_timeout=10s" in core.ledger._POSTGRES_OPTIONS
    impatient = core.ledger._POSTGRES_OPTIONS.replace("10s", "1s")
    monkeypatch.setattr(core.ledger, "_POSTGRES_OPTIONS", impatient)
    address = postgres.fresh_database()
    ledger = Ledger(address)
    ledger.migrate()
    assert leases.take(ledger, "x", "a", 0) is not None
    with psycopg.connect(address.replace("+psycopg", "")) as stuck:
        stuck.execute(
            sql.SQL("SELECT * FROM {} FOR UPDATE").format(sql.Identifier(SCHEMA, "leases"))
        )
        with pytest.raises(LedgerFailed, match="taking a lease"):
            leases.take(ledger, "x", "b", 60)
        stuck.rollback()
    assert leases.take(ledger, "x", "b", 60) is not None
    ledger.close()
