"""``python -m core.training.builtin.sample``: makes the sample, and says how far it is.

Prints lines ``progress 12/105 what``, and ends with one line of JSON that says what is there.
SIGTERM stops it; exit codes: 0 made, 1 the server refused or failed, 143 stopped.
"""

import argparse
import json
import os
import signal
import sys
import threading

os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow.exceptions import MlflowException

from core.training.builtin.sample.train import build


def main(arguments: list[str]) -> int:
    """Make the sample as the arguments say; the process's exit code."""
    parser = argparse.ArgumentParser(prog="sample", description="Makes Modeldeck's sample.")
    parser.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI"))
    parser.add_argument("--artifact-root", help="folder or URI; the server's own where not given")
    options = parser.parse_args(arguments)
    if not options.tracking_uri:
        parser.error("name the store: --tracking-uri, or MLFLOW_TRACKING_URI")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def progress(done: int, total: int, what: str) -> None:
        print(f"progress {done}/{total} {what}", flush=True)

    try:
        result = build(options.tracking_uri, options.artifact_root, progress, stop.is_set)
    except MlflowException as error:
        print(f"The tracking server refused or failed: {error.message}", file=sys.stderr)
        return 1
    print(
        json.dumps(
            {
                "made_runs": result.made_runs,
                "kept_runs": result.kept_runs,
                "made_versions": result.made_versions,
                "kept_versions": result.kept_versions,
                "models": {key: dict(one) for key, one in result.existing.versions.items()},
                "names": dict(result.existing.models),
                "stopped": result.stopped,
            }
        )
    )
    return 128 + signal.SIGTERM if result.stopped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
