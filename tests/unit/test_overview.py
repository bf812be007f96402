"""What Home says: which versions serve, and what wants attention."""

from datetime import UTC, datetime

import pytest

from core.lifecycle.overview import Overview, attention, served
from core.mlflow_api.nouns import ModelVersion
from core.serving import endpoints
from core.serving.endpoints import Endpoint
from core.training import jobs
from core.training.jobs import Job

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def version(model: str, number: int, stage: str = "Production", *aliases: str) -> ModelVersion:
    return ModelVersion(
        model=model, version=number, stage=stage, aliases=aliases, description="", tags={},
        run_id=None, source="", status="READY", status_message="", created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def endpoint(model: str, number: int, state: str = endpoints.HEALTHY) -> Endpoint:
    return Endpoint(
        id=f"{model}{number}", model=model, version=number, run_id=None, source="", state=state,
        message="", requested_by="ada", requested_at=NOW, claimed_by=None, claim_token=0,
        process_id=None, host=None, port=None, nonce=None, restarts=0, ready_at=None,
        checked_at=None, ended_at=None, stop_requested_at=None, stop_requested_by=None,
    )  # fmt: skip


def job(number: int, state: str) -> Job:
    return Job(
        id=f"job{number}", project="tabular", entry_point="main", title=f"try {number}", params={},
        experiment_id="1", run_id=None, state=state, message="", requested_by="ada",
        requested_at=NOW, claimed_by=None, claim_token=0, process_id=None, started_at=None,
        ended_at=None, exit_code=None, stop_requested_at=None, stop_requested_by=None,
    )  # fmt: skip


def test_versions_in_production_with_what_serves_each() -> None:
    versions = [version("b", 1), version("a", 2), version("a", 10), version("a", 3, "Staging")]
    running = [endpoint("a", 2), endpoint("a", 2), endpoint("a", 3)]
    found = served(versions, running)
    assert [(s.version.model, s.version.version, len(s.endpoints)) for s in found] == [
        ("a", 10, 0), ("a", 2, 2), ("b", 1, 0),
    ]  # fmt: skip


def test_who_works_with_aliases_alone_has_a_version_in_production_too() -> None:
    found = served([version("a", 1, "None", "champion"), version("a", 2, "None")], [])
    assert [s.version.version for s in found] == [1]


def test_nothing_wants_attention_when_all_is_well() -> None:
    production = served([version("a", 1)], [endpoint("a", 1)])
    done = [job(1, jobs.FINISHED), job(2, jobs.STOPPED), job(3, jobs.RUNNING)]
    assert attention(production, ["a"], [endpoint("a", 1)], done, worker_runs=True) == []


def test_the_gravest_comes_first() -> None:
    production = served([version("a", 1), version("a", 2), version("b", 1)], [])
    sick = [endpoint("b", 1, endpoints.UNHEALTHY), endpoint("a", 1, endpoints.STARTING)]
    found = attention(production, ["a", "b", "c"], sick, [job(1, jobs.FAILED)], worker_runs=False)
    assert [(one.page, one.query) for one in found] == [
        ("processes", ()),
        ("model", (("model", "a"),)),
        ("endpoints", ()),
        ("training", (("job", "job1"),)),
        ("model", (("model", "c"),)),
    ]
    assert "b v1" in found[2].text
    assert "try 1" in found[3].text


def test_a_model_with_three_in_production_is_named_once() -> None:
    production = served([version("a", n) for n in (1, 2, 3)], [])
    found = attention(production, ["a"], [], [], worker_runs=True)
    assert [one.query for one in found] == [(("model", "a"),)]


def test_a_long_list_does_not_drown_the_rest() -> None:
    failed = [job(n, jobs.FAILED) for n in range(20)]
    models = [f"m{n}" for n in range(20)]
    found = attention((), models, [], failed, worker_runs=True)
    assert [one.page for one in found].count("training") == 5
    assert [one.page for one in found].count("model") == 5
    assert found[0].query == (("job", "job0"),), "the newest failure first"


@pytest.mark.parametrize(
    ("models", "any_run", "untouched"), [(0, False, True), (1, False, False), (0, True, False)]
)
def test_a_store_in_which_nothing_was_done(models: int, any_run: bool, untouched: bool) -> None:
    shown = Overview(
        experiments=(), latest=(), any_run=any_run, models=models, versions=0,
        rung="Production", production=(), attention=(),
    )  # fmt: skip
    assert shown.untouched is untouched
