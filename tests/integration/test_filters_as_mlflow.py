"""Filters mean what they mean to MLflow: the same runs, on SQLite and on a real PostgreSQL, for
generated filters over a store with odd data; and what MLflow accepts, we accept.
"""

import itertools
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from psycopg import sql

from core.errors import InvalidInput
from core.mlflow_api import connect
from core.runs import language
from core.runs.mirror import Mirror
from core.settings import load
from tests.servers import Postgres

METRICS = ("loss", "a b", "val/loss", "m.x", "größe", "1st", "rare")
PARAMS = ("opt", "a b", "p.q", "in", "n")
TAGS = ("team", "a b", "mlflow.user", "x.y")
TEXTS = (
    "Adam", "adam", "ADAM", "50%", "50x", "a_b", "aXb", r"back\slash", "trail\\", "it's", "it''s",
    'say "x"', "É", "é", "ß", "0.1", "1e-1", "10", "9", "", " ", "a\nb", "日本", "NULL", "%",
)  # fmt: skip
NUMBERS = (0.0, -0.0, 1.0, 0.1, -2.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"))
TIMES = (1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002, 1_700_000_500_000)
RUNS = 48
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Store:
    """One store with odd data, MLflow's client to it, and our mirror of it."""

    client: MlflowClient
    experiment: str
    mirror: Mirror
    run_ids: tuple[str, ...]

    def theirs(self, text: str) -> set[str]:
        found = self.client.search_runs([self.experiment], text, ViewType.ALL, max_results=1000)
        return {run.info.run_id for run in found}

    def ours(self, text: str) -> set[str]:
        made = language.compile_filter(
            text, dialect=self.mirror.dialect, zone="UTC", now=MOMENT, names=()
        )
        query = f"SELECT run_id FROM runs r {made.joins} WHERE {made.sql}"  # noqa: S608 - compiled, values bound
        with self.mirror.cursor() as cursor:
            rows = cursor.execute(query, [*made.join_parameters, *made.parameters]).fetchall()
        assert len(rows) == len(set(rows)), "a join made rows more"
        return {str(row[0]) for row in rows}


def odd_store(uri: str, folder: Path) -> Store:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations that libraries tell each other
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        experiment = client.create_experiment("odd", artifact_location=folder.as_uri())
        ids = tuple(odd_run(client, experiment, i) for i in range(RUNS))
    opened = connect(load({"MODELDECK_HOME": str(folder), "MLFLOW_TRACKING_URI": uri}))
    mirror = Mirror.in_memory(opened)
    mirror.fill()
    return Store(client, experiment, mirror, ids)


def odd_run(client: MlflowClient, experiment: str, i: int) -> str:
    """The i-th run: each has another choice of what there is, and lacks some of it."""
    texts, numbers = itertools.cycle(TEXTS[i % len(TEXTS) :] + TEXTS), NUMBERS[i % len(NUMBERS) :]
    run = client.create_run(
        experiment, TIMES[i % len(TIMES)], {"mlflow.user": next(texts)}, run_name=TEXTS[-i % 13]
    )
    run_id = str(run.info.run_id)
    metrics = [
        Metric(name, (numbers + NUMBERS)[k], TIMES[0], 0)
        for k, name in enumerate(METRICS[:-1])
        if (i + k) % 4
    ]
    params = [Param(name, next(texts)) for k, name in enumerate(PARAMS) if (i + k) % 3]
    tags = [RunTag(n, next(texts)) for k, n in enumerate(TAGS) if (i + k) % 3]
    client.log_batch(run_id, metrics, params, tags)
    if i % 3:
        inputs = [
            DatasetInput(
                Dataset(TEXTS[(i + k) % 14] or "d", f"d{(i + k) % 4}", "local", "s"),
                [InputTag("mlflow.data.context", "train" if k else "eval")] if (i + k) % 5 else [],
            )
            for k in range(i % 3)
        ]
        client.log_inputs(run_id, inputs)
    if i % 4:
        status = ("FINISHED", "FAILED", "KILLED")[i % 3]
        client.set_terminated(run_id, status, TIMES[-1] + i % 3)
    if i % 7 == 0:
        client.delete_run(run_id)
    return run_id


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("odd-sqlite")
    return odd_store(f"sqlite:///{folder / 'mlflow.db'}", folder)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Store:
    # A database with a locale in UTF-8, as installed ones have: without it, ILIKE folds ASCII only.
    where = {"host": postgres.host, "port": postgres.port, "user": postgres.user}
    with psycopg.connect(
        **where, password=postgres.password, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(
            sql.SQL(
                "CREATE DATABASE odd TEMPLATE template0 LOCALE_PROVIDER builtin"
                " BUILTIN_LOCALE 'C.UTF-8'"
            )
        )
    return odd_store(f"{postgres.url}/odd", tmp_path_factory.mktemp("odd-postgres"))


# ---------------------------------------------------------------------------- generated filters


def quoted(name: str) -> st.SearchStrategy[str]:
    """A name as somebody may write it: in any of the quotes, or bare where it can be."""
    ways = [f"`{name}`", f'"{name}"']
    if name.replace(".", "").replace("_", "").isalnum():
        ways.append(name)
    return st.sampled_from(ways)


def key(prefixes: tuple[str, ...], names: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.tuples(
        st.sampled_from(prefixes), st.sampled_from(names).flatmap(quoted)
    ).map(".".join)  # fmt: skip


def texts() -> st.SearchStrategy[str]:
    """A quoted text: one that the store holds, a part of it, or anything."""
    anything = st.text(st.sampled_from("Aab_%\\ÉéXß09. '\""), max_size=6)
    whole = st.sampled_from(TEXTS) | anything
    return st.tuples(whole, st.sampled_from("'\"")).map(lambda of: f"{of[1]}{of[0]}{of[1]}")


def patterns() -> st.SearchStrategy[str]:
    made = st.text(st.sampled_from("Aad%_\\mÉé5B"), max_size=5)
    return (made | st.sampled_from(TEXTS)).map(lambda p: f"'{p}'")


NUMERIC = st.sampled_from(
    ["0", "-0", "1", "0.1", ".1", "-2.5", "1e-300", "1e300", "1.797e308", "1e400", "-1e400", "5."]
)
SIGNS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
EQUAL = st.sampled_from(["=", "!=", " = ", " != "])
LIKE = st.sampled_from([" LIKE ", " ILIKE ", " like ", " Ilike "])


def of_texts(left: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(left, EQUAL, texts()).map("".join) | st.tuples(left, LIKE, patterns()).map(
        "".join
    )


def listed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    way = st.sampled_from([" IN ", " NOT IN ", " in", " not in "])
    some = st.lists(values, min_size=1, max_size=4).map(", ".join)
    return st.tuples(way, some).map(lambda of: f"{of[0]}({of[1]})")


METRIC = key(("metrics", "metric", "`metrics`"), METRICS)
PARAM = key(("params", "param", "parameter", "parameters"), PARAMS)
TAG = key(("tags", "tag"), TAGS)
DATASET = key(("dataset", "datasets"), ("name", "digest", "context"))
ATTRIBUTE_PREFIX = st.sampled_from(["", "attributes.", "attribute.", "attr.", "run."])
TEXT_ATTRIBUTE = st.tuples(
    ATTRIBUTE_PREFIX,
    st.sampled_from(
        ["run_id", "run_name", "status", "user_id", "artifact_uri", "`run name`", '"Run name"',
         "`Run Name`"]
    ),
).map("".join)  # fmt: skip
TIME_ATTRIBUTE = st.tuples(
    ATTRIBUTE_PREFIX, st.sampled_from(["start_time", "end_time", "created", "Created"])
).map("".join)
TIME = st.sampled_from([*map(str, TIMES), "0", "-5", "1700000000001.5", "1700000000002.5", "1e12"])
RUN_ID = st.integers(0, RUNS - 1).map(lambda i: f"'@{i}'")

CLAUSE = st.one_of(
    st.tuples(METRIC, SIGNS, NUMERIC).map(" ".join),
    st.tuples(METRIC, SIGNS, NUMERIC).map("".join),
    of_texts(PARAM),
    of_texts(TAG),
    of_texts(TEXT_ATTRIBUTE),
    of_texts(DATASET),
    st.tuples(TEXT_ATTRIBUTE, EQUAL, st.sampled_from(["'FINISHED'", "'RUNNING'"])).map("".join),
    st.tuples(DATASET, EQUAL, st.sampled_from(["'d1'", "'train'", '"eval"'])).map("".join),
    st.tuples(DATASET, listed(texts() | st.sampled_from(["'d1'", "'eval'"]))).map("".join),
    st.tuples(ATTRIBUTE_PREFIX, st.just("run_id"), listed(RUN_ID)).map("".join),
    st.tuples(PARAM | TAG, st.sampled_from([" IS NULL", " IS NOT NULL", " is null"])).map("".join),
    st.tuples(TIME_ATTRIBUTE, SIGNS, TIME).map(" ".join),
)
JOINT = st.sampled_from([" AND ", " and ", "\nAND\t", " AND AND ", " "])


def joined(parts: list[tuple[str, str]]) -> str:
    """Clauses, each with what stands before it."""
    text = ""
    for clause, joint in parts:
        # Side by side means AND but before IS and IN: there it means nothing that anybody means.
        alone = joint == " " and re.search(r"\s(IS|IN|NOT)\b", clause, re.IGNORECASE)
        text += (" AND " if alone else joint) + clause if text else clause
    return text


FILTER = st.lists(st.tuples(CLAUSE, JOINT), min_size=1, max_size=3).map(joined)


def same(store: Store, text: str) -> None:
    """The same runs, where MLflow takes the filter at all."""
    text = re.sub(r"@(\d+)", lambda found: store.run_ids[int(found.group(1))], text)
    try:
        wanted = store.theirs(text)
    except MlflowException:
        reject()
    assert store.ours(text) == wanted, text


MANY = settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


@MANY
@given(FILTER)
def test_every_filter_gives_the_same_runs_on_sqlite(on_sqlite: Store, text: str) -> None:
    same(on_sqlite, text)


@MANY
@given(FILTER)
def test_every_filter_gives_the_same_runs_on_postgresql(on_postgres: Store, text: str) -> None:
    same(on_postgres, text)


CASES = (
    "",
    "AND",
    "metrics.loss > 0 AND",
    "metrics.loss != 1",
    "metrics.loss = 0",
    "metrics.loss >= 1e308",
    "metrics.loss > -1e400 params.opt = 'Adam'",
    "params.opt LIKE 'a%'",
    "params.opt ILIKE 'a%'",
    "params.opt ILIKE 'É'",
    "tags.team ILIKE 'é%'",
    r"params.opt LIKE 'back\slash'",
    r"params.opt LIKE 'back\\slash'",
    r"params.opt LIKE '50\%'",
    r"params.opt = 'trail\'",
    "params.opt = 'it''s'",
    'params.opt = "it\'s"',
    "params.`in` != '10' AND tags.`x.y` IS NULL",
    'params."p.q" IS NOT NULL',
    "dataset.name = 'Adam' AND dataset.digest = 'd1'",
    "dataset.name NOT IN ('Adam')",
    "dataset.name != 'Adam' AND dataset.context != 'eval'",
    "dataset.context NOT IN ('eval', 'x')",
    "dataset.name ILIKE 'ADAM'",
    "attributes.`Run name` ILIKE 'adam'",
    "run_name != 'adam'",
    "name_of_nothing = 'x'",
    "Created >= 1700000000001.5",
    "start_time = 1700000000002.5",
    "end_time < 1700000500002",
    "end_time != 1",
    "user_id != ''",
    '"status" = "FINISHED" and `status` != \'FAILED\'',
    "status LIKE 'F%'",
    "artifact_uri LIKE '%artifacts'",
)


@pytest.mark.parametrize("text", CASES)
@pytest.mark.parametrize("which", ["on_sqlite", "on_postgres"])
def test_these_filters_give_the_same_runs(
    which: str, text: str, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(which)
    try:
        wanted = store.theirs(text)
    except MlflowException:
        with pytest.raises(InvalidInput):
            store.ours(text)
    else:
        assert store.ours(text) == wanted


def test_the_store_tells_filters_apart(on_sqlite: Store) -> None:
    sizes = {len(on_sqlite.theirs(text)) for text in CASES if text != "name_of_nothing = 'x'"}
    assert len(sizes) > 10
    assert 0 < len(on_sqlite.theirs("metrics.loss < 1")) < RUNS


def test_a_strange_name_made_of_two_conditions_is_refused(on_sqlite: Store) -> None:
    text = "params.opt = 'x' params.n IS NULL"
    assert on_sqlite.theirs(text)  # MLflow looks for a param called "opt = 'x' params.n"
    with pytest.raises(InvalidInput) as raised:
        on_sqlite.ours(text)
    assert raised.value.position == text.index("params.n")


# ------------------------------------------------------------------------- what MLflow accepts

WORD = st.sampled_from(
    ["metrics.a", "params.`b c`", 'tags."x"', "run_id", '"status"', "start_time", "dataset.name",
     "=", "!=", "<", ">=", "LIKE", "ilike", "IN", "NOT", "IS", "NULL", "AND", "and", "'x'", '"y"',
     "1", "-1.5", "1e-3", ".5", "('a')", "('a', \"b\")", "a", "-", "(", ")", ",", "run.created",
     "`run name`", "attr.`Run Name`", "params.a.b", "'it''s'"]
)  # fmt: skip
SOUP = st.lists(st.tuples(WORD, st.sampled_from([" ", " ", "", "\n"])), max_size=9).map(
    lambda of: "".join(a + b for a, b in of)
)


@settings(max_examples=800, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SOUP)
def test_what_mlflow_accepts_is_accepted(on_sqlite: Store, text: str) -> None:
    try:
        wanted = on_sqlite.theirs(text)
    except MlflowException:
        with suppress(InvalidInput):  # more than MLflow, or an error of ours, and no other
            language.parse(text)
    else:
        assert on_sqlite.ours(text) == wanted, text
