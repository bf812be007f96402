"""Modeldeck's own account: its settings, and how a training job gets it and nobody else."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core import logs
from core.ledger import Ledger
from core.ledger.processes import LOG
from core.mlflow_api import connect
from core.mlflow_api.credentials import IN_ENVIRONMENT, Credential, service_account, take_over
from core.people import Actor
from core.processes import reap
from core.settings import BadSetting, Settings, load
from core.training import jobs
from core.training.keeper import JobKeeper, Launch, lend_credential, project_environment
from tests.waiting import until

SECRET = "s3cret-%(x)s-ü;#="


def settings_of(home: Path, file: Path | None, **more: str) -> Settings:
    given = {
        "MODELDECK_HOME": str(home),
        "MODELDECK_IDENTITY": "mlflow",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "MODELDECK_SERVICE_USER": "service",
        "MODELDECK_SERVICE_PASSWORD_FILE": str(file) if file else "",
    }
    return load(given | more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "password"
    made.write_text(f"{SECRET}\n")
    made.chmod(0o600)
    return made


def test_a_credential_is_never_shown() -> None:
    shown = repr(Credential("ann", SECRET))
    assert "ann" in shown
    assert SECRET not in shown
    assert SECRET not in str(Credential("ann", SECRET))


def test_the_service_account(home: Path, file: Path) -> None:
    ours = Credential("service", SECRET, signed_in=False)
    assert service_account(settings_of(home, file)) == ours
    assert service_account(load({"MODELDECK_HOME": str(home)})) is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"MODELDECK_SERVICE_USER": ""}, "set both"),
        ({"MODELDECK_SERVICE_PASSWORD_FILE": ""}, "set both"),
        ({"MODELDECK_SERVICE_USER": "", "MODELDECK_SERVICE_PASSWORD_FILE": ""}, "are needed"),
        ({"MODELDECK_SERVICE_USER": "a:b"}, "colon"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////tmp/x.db"}, "http"),
        ({"MLFLOW_REGISTRY_URI": "http://other:9"}, "one server"),
        ({"MODELDECK_SERVICE_PASSWORD_FILE": "/nowhere/password"}, "cannot be read"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    home: Path, file: Path, more: dict[str, str], words: str
) -> None:
    with pytest.raises(BadSetting, match=words):
        service_account(settings_of(home, file, **more))


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff", b" blank", b"x" * 5000])
def test_a_file_that_holds_no_password(home: Path, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(BadSetting, match="one line"):
        service_account(settings_of(home, file))


def test_a_file_that_everybody_may_read(home: Path, file: Path) -> None:
    file.chmod(0o604)
    with pytest.raises(BadSetting, match="everybody"):
        service_account(settings_of(home, file))


def test_the_environment_keeps_no_credential(
    home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in IN_ENVIRONMENT:
        monkeypatch.setenv(name, "someone")
    take_over(load({"MODELDECK_HOME": str(home)}))
    assert set(IN_ENVIRONMENT) <= set(os.environ), "without an account of ours they are needed"
    take_over(settings_of(home, file))
    assert not set(IN_ENVIRONMENT) & set(os.environ)
    assert SECRET not in logs.redact(f"it was {SECRET}, they say")


def test_a_job_finds_the_account_in_a_file_of_its_own(home: Path, file: Path) -> None:
    folder = home / "jobs" / "one"
    lent = lend_credential(settings_of(home, file), folder)
    assert SECRET not in str(lent)
    kept = Path(lent["HOME"]) / ".mlflow" / "credentials"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(lent["HOME"]).stat().st_mode) == 0o700
    asked = "from mlflow.utils.credentials import read_mlflow_creds as r; print(ascii(tuple(r())))"
    said = subprocess.run(
        [sys.executable, "-c", asked],
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **lent},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == ascii(("service", SECRET))
    # Once more, as after a crash.
    assert lend_credential(settings_of(home, file), folder) == lent


def test_without_an_account_a_job_gets_nothing_more(home: Path) -> None:
    assert lend_credential(load({"MODELDECK_HOME": str(home)}), home / "jobs" / "one") == {}
    assert not (home / "jobs").exists()


def test_the_file_is_there_for_as_long_as_the_job_runs(home: Path, file: Path) -> None:
    settings = settings_of(home, file)
    ledger = Ledger(settings.ledger_uri)
    ledger.migrate()
    code = (
        "import os; home = os.environ['HOME']; "
        "print('found', os.path.exists(home + '/.mlflow/credentials'), home)"
    )
    keeper = JobKeeper(
        settings,
        connect(settings),
        ledger,
        lambda job: Launch([sys.executable, "-c", code], home, project_environment(settings, job)),
    )
    jobs.submit_sample(ledger, Actor("ada"))
    job = jobs.claim(ledger, "w", 1)
    assert job is not None

    def ended() -> bool:
        reap()
        keeper.look(jobs.get(ledger, job.id))
        return not jobs.get(ledger, job.id).open

    until(ended, 60, "the job to end")
    log = (keeper.folder(job) / LOG).read_text()
    lent = Path(log.split("found True ")[1].strip())
    assert lent.is_relative_to(home)
    assert not lent.exists()
    ledger.close()
