"""A model answers its input example in a child process: bounded, without credentials, ended whole.

The models here do what a careless or a hostile one may do. Each guard has a control: the same model
passes where the limit is wide enough.
"""

import json
import os
import threading
import warnings
from pathlib import Path

import pandas as pd
import psutil
import pytest

from core.lifecycle.example import Limits, answer
from core.processes import CHILD_MARK
from core.registry.gates.evidence import Answered
from tests.waiting import until

WIDE = Limits(120.0, 2_000_000_000)
CODE = """
import json, os, subprocess, sys, threading
import mlflow
{before}

class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        {inside}
        return model_input * 2

mlflow.models.set_model(Doubler())
"""
FOREVER = "threading.Event().wait()"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A saved model whose code ``ask`` replaces."""
    import mlflow

    code = tmp_path / "code.py"
    code.write_text(CODE.format(before="", inside="pass"))
    folder = tmp_path / "work" / "model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the libraries say to each other here
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(code),
            pip_requirements=["mlflow"],
            input_example=pd.DataFrame({"a": [1.0, 2.0, 3.0]}),
        )
    return folder


def ask(model: Path, inside: str = "pass", before: str = "", limits: Limits = WIDE) -> Answered:
    (model / "code.py").write_text(CODE.format(before=before, inside=inside))
    return answer(model, f"mark-{model.parent.parent.name}", limits)


def left(model: Path) -> list[psutil.Process]:
    """What still lives of the child."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(CHILD_MARK) == f"mark-{model.parent.parent.name}":
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_model_answers_and_is_measured(model: Path) -> None:
    found = ask(model)
    assert (found.ok, found.rows) == (True, 3)
    assert 0 < (found.seconds or 0) < 60
    assert 0 < (found.load_seconds or 0) < 60
    assert 50_000_000 < (found.memory or 0) < WIDE.memory
    assert left(model) == []


def test_what_the_model_raises_is_told(model: Path) -> None:
    found = ask(model, "raise ValueError('its heart is broken')")
    assert not found.ok
    assert "ValueError: its heart is broken" in found.reason
    assert "broken at once" in ask(model, before="raise ImportError('broken at once')").reason


def test_one_that_ends_its_process_has_not_answered(model: Path) -> None:
    assert "exit code 7" in ask(model, "os._exit(7)").reason


def test_one_that_hangs_is_ended(model: Path) -> None:
    found = ask(model, FOREVER, limits=Limits(10.0, WIDE.memory))
    assert not found.ok
    assert "10 s" in found.reason
    assert left(model) == []


def test_one_that_takes_too_much_memory_is_ended(model: Path) -> None:
    # Slowly enough to be seen; what is taken at one blow is stopped by the process's own limit.
    greedy = "kept = [b'1' * 10_000_000 for _ in range(40)]; threading.Event().wait(1)"
    found = ask(model, greedy, limits=Limits(60.0, 400_000_000))
    assert not found.ok
    assert "400" in found.reason
    assert ask(model, greedy).ok  # the control


def test_one_blow_of_memory_is_stopped(model: Path) -> None:
    found = ask(model, "bytearray(5_000_000_000)")
    assert not found.ok
    assert "MemoryError" in found.reason


def test_all_that_it_starts_is_ended(model: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    wait = "import threading; threading.Event().wait()"
    before = (
        f"p = subprocess.Popen([sys.executable, '-c', {wait!r}], start_new_session=True)\n"
        f"open({str(started)!r}, 'a').write(f'{{p.pid}}\\n')"
    )
    assert ask(model, before=before).ok
    pids = [int(line) for line in started.read_text().split()]
    assert pids
    until(lambda: not any(_lives(pid) for pid in pids), 30, "what it started to end")


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_is_given_no_credentials(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "MODELDECK_LEDGER_URI"):
        monkeypatch.setenv(name, "hunter2")
    seen = tmp_path / "seen"
    inside = f"open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))"
    assert ask(model, inside).ok
    assert "hunter2" not in seen.read_text()
    assert "hunter2" in json.dumps(dict(os.environ))  # the control


@pytest.mark.parametrize(
    "written",
    [
        "no json",
        '["ok"]',
        '{"ok": true, "rows": 1e999, "load_seconds": 1, "seconds": 1}',
        '{"ok": true, "rows": 1, "load_seconds": NaN, "seconds": true}',
    ],
)
def test_a_result_that_it_forged_has_to_have_the_form(model: Path, written: str) -> None:
    result = model.parent / "answer" / "result.json"
    before = f"open({str(result)!r}, 'w').write({written!r})\nsys.stdout.flush(); os._exit(0)"
    found = ask(model, before=before)
    assert not found.ok
    assert "cannot be read" in found.reason


def test_a_model_without_an_example_is_not_loaded(model: Path, tmp_path: Path) -> None:
    (model / "serving_input_example.json").unlink()
    touched = tmp_path / "touched"
    found = ask(model, before=f"open({str(touched)!r}, 'w')")
    assert not found.ok
    # MLflow logged the example in its other form too, as older versions do alone.
    assert "has an input example, but none in the form" in found.reason
    (model / "input_example.json").unlink()
    assert "without an input example" in ask(model, before=f"open({str(touched)!r}, 'w')").reason
    assert not touched.exists()


def test_it_is_ended_when_nobody_wants_it_any_more(model: Path) -> None:
    (model / "code.py").write_text(CODE.format(before="", inside=FOREVER))
    since = threading.Event()
    timer = threading.Timer(1.0, since.set)
    timer.start()

    def check() -> None:
        if since.is_set():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        answer(model, f"mark-{model.parent.parent.name}", WIDE, check)
    assert left(model) == []
