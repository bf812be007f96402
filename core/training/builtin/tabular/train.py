"""Entry point of the project ``tabular``: learns to predict one column of a table.

    mlflow run core/training/builtin/tabular -P data=/data/churn.csv -P target=left \
        --env-manager local

Continues the run named by MLFLOW_RUN_ID, or opens one of its own. Exit codes: 0 trained;
1 something failed; 2 what was asked for cannot be trained; 143 stopped by SIGTERM. Lines
``progress 3/8 …`` in the output say how many stages are done.
"""

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))  # `mlflow run` starts this file alone
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # the log is for people

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from core.training.builtin import recording
from core.training.builtin.data import BUNDLED_PREFIX, Table, load
from core.training.builtin.families import FAMILIES, family_named, read_hypers
from core.training.builtin.modelling import Recipe
from core.training.builtin.trouble import BadInput, Stopped

PROBLEM_TAG = "modeldeck.problem"
"""On a run that failed: why, in a sentence."""

HYPERS = tuple(dict.fromkeys(name for family in FAMILIES.values() for name in family.hypers))
DEFAULTS = {
    "data": "bundled:iris",
    "target": "target",
    "task": "auto",
    "family": "forest",
    **dict.fromkeys(HYPERS, "auto"),
    "folds": "0",
    "test_share": "0.25",
    "seed": "0",
    "register_as": "",
}

BAD_INPUT, FAILED, STOPPED = 2, 1, 128 + signal.SIGTERM


@dataclass(frozen=True)
class Request:
    """What was asked for, checked."""

    data: str
    target: str
    task: str
    recipe: Recipe
    register_as: str

    @property
    def stages(self) -> int:
        """Stages of the whole job, for its progress."""
        return 1 + recording.stages(self.recipe) + bool(self.register_as)


class Progress:
    """Prints ``progress <stages done>/<all stages> <what begins now>``."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, -1

    def __call__(self, what: str) -> None:
        """Announce the next stage; an empty text announces nothing."""
        if what:
            self.done += 1
            print(f"progress {self.done}/{self.total} {what}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Train as the arguments say; the process's exit code."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    asked = _parse(arguments)
    client = MlflowClient()
    try:
        name = f"{asked['family']} on {Path(asked['data']).stem.removeprefix(BUNDLED_PREFIX)}"
        with recording.running(os.environ.get("MLFLOW_RUN_ID"), name) as run_id:
            try:
                _train(client, run_id, asked)
            except BadInput as problem:
                client.set_tag(run_id, PROBLEM_TAG, str(problem))
                raise
    except BadInput as problem:
        print(f"Cannot train: {problem}", file=sys.stderr, flush=True)
        return BAD_INPUT
    except (Stopped, KeyboardInterrupt):
        print("Stopped.", flush=True)
        return STOPPED
    except MlflowException as error:
        print(f"The tracking server refused or failed: {error.message}", file=sys.stderr)
        return FAILED
    return 0


def check(asked: dict[str, str]) -> Request:
    """The request in what was typed; raises `BadInput` for the first value that is not allowed."""
    family = family_named(asked["family"])
    name = asked["register_as"].strip()
    if name and (re.search(r"[/:\x00-\x1f]", name) or len(name) > 250):
        raise BadInput(
            f"“{name}” cannot be the name of a registered model: it may have no “/”, no “:” and "
            "no line break, and at most 250 characters."
        )
    folds = int(_number("folds", asked["folds"], 0, 20, whole=True))
    if folds == 1:
        raise BadInput("folds is 1. Give 0 for no cross-validation, or 2 to 20.")
    return Request(
        data=asked["data"],
        target=asked["target"],
        task=asked["task"],
        recipe=Recipe(
            family=family.key,
            hypers=read_hypers(family, {hyper: asked[hyper] for hyper in HYPERS}),
            folds=folds,
            test_share=_number("test_share", asked["test_share"], 0.05, 0.5),
            seed=int(_number("seed", asked["seed"], 0, 2**32 - 1, whole=True)),
        ),
        register_as=name,
    )


def _train(client: MlflowClient, run_id: str, asked: dict[str, str]) -> None:
    request = check(asked)
    progress = Progress(request.stages)
    progress("Reading the data")
    table = load(request.data, request.target, request.task)
    _say(table)
    typed = {name: asked[name] for name in ("target", *request.recipe.hypers)}
    typed |= {name: asked[name] for name in ("task", "register_as") if asked[name]}
    made = recording.record(client, run_id, table, request.recipe, asked=typed, announce=progress)
    for name, value in sorted(made.metrics.items()):
        print(f"{name} = {value:.6g}", flush=True)
    if request.register_as:
        progress(f"Registering as {request.register_as}")
        number = recording.register(client, request.register_as, made)
        print(f"Registered {request.register_as} version {number}.", flush=True)
    progress("Done")


def _say(table: Table) -> None:
    print(
        f"Read {len(table.features)} rows and {len(table.features.columns)} columns to learn "
        f"from: {table.source}",
        flush=True,
    )
    for note in table.notes:
        print(note, flush=True)


def _parse(arguments: Sequence[str]) -> dict[str, str]:
    parser = argparse.ArgumentParser(
        description="Learns to predict one column of a table.", allow_abbrev=False
    )
    for name, default in DEFAULTS.items():
        parser.add_argument(f"--{name}", default=default)
    return dict(vars(parser.parse_args(arguments)))


def _number(name: str, text: str, least: float, most: float, *, whole: bool = False) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise BadInput(f"{name} is “{text}”. Give {kind} from {least:g} to {most:g}.")
    return number


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's form
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second signal does not wait
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
