"""The process in which a model answers its own input example.

Run as ``python -m core.mlflow_api.answering --model FOLDER --result FILE --seconds 120 --memory
4000000000``. The model is loaded and asked twice, over the same code that answers an endpoint's
``/invocations``. What came of it is written to FILE as JSON: ``{"ok", "reason", "rows",
"load_seconds", "seconds", "memory"}``; a process that ends without a file has failed.

The limits set here are a second fence: whoever started it watches time and memory, and ends it with
all its children.
"""

import argparse
import gc
import json
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from core.texts import t

EXAMPLE = "serving_input_example.json"
_FILE_BYTES = 1_000_000_000
_NICE = 10
_WORDS = 300


def main(arguments: list[str] | None = None) -> int:
    """Load, ask twice, write the result; 0 where one was written."""
    options = _parser().parse_args(arguments)
    _limit(options.seconds, options.memory)
    try:
        found = _answer(options.model)
    except BaseException as error:  # noqa: BLE001 - a model's code may raise anything
        traceback.print_exc()
        found = {"ok": False, "reason": t("evidence.example.raised", said=_words(error))}
    unit = 1 if sys.platform == "darwin" else 1024
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    part = options.result.with_name(f"{options.result.name}.part")
    part.write_text(json.dumps(found), "utf-8")
    part.replace(options.result)
    return 0


def _limit(seconds: float, memory: int) -> None:
    os.nice(_NICE)
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        # Only memory that is written to counts here, not what libraries reserve.
        (resource.RLIMIT_DATA, 2 * memory),
    ):
        resource.setrlimit(what, (most, most))
    # Where the worker that started it has gone, nobody else would end it.
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> NoReturn:
    os._exit(9)


def _answer(folder: Path) -> dict[str, Any]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    text = (folder / EXAMPLE).read_text("utf-8")
    gc.disable()  # importing makes many objects and hardly any garbage
    from mlflow.pyfunc import load_model, scoring_server

    gc.enable()
    begun = time.perf_counter()
    model = load_model(str(folder))
    loaded = time.perf_counter()
    schema = model.metadata.get_input_schema()
    seconds = 0.0
    for _ in range(2):  # the first call warms up
        asked = time.perf_counter()
        reply = scoring_server.invocations(text, "application/json", model, schema)
        seconds = time.perf_counter() - asked
    if reply.status != 200:
        return {"ok": False, "reason": t("evidence.example.refused", status=reply.status)}
    return {
        "ok": True,
        "reason": "",
        "rows": _rows(json.loads(reply.response)),
        "load_seconds": loaded - begun,
        "seconds": seconds,
    }


def _words(error: BaseException) -> str:
    """What the model said; MLflow wraps it, and keeps its traceback as text."""
    trace = str(getattr(error, "json_kwargs", {}).get("stack_trace", "")).strip()
    said = trace.splitlines()[-1] if trace else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:_WORDS]


def _rows(answer: Any) -> int:
    inner = answer.get("predictions", answer) if isinstance(answer, dict) else answer
    return len(inner) if isinstance(inner, list) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="core.mlflow_api.answering", allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, help="folder that holds MLmodel")
    parser.add_argument("--result", type=Path, required=True, help="file that takes the result")
    parser.add_argument("--seconds", type=float, required=True, help="most seconds altogether")
    parser.add_argument("--memory", type=int, required=True, help="most resident bytes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
