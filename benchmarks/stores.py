"""Big MLflow stores to measure on, made in seconds to minutes.

MLflow makes the database, tables and experiment; the rows are then written into its tables in bulk,
as they would stand there had MLflow's client logged them one by one (which takes hours). The same
numbers come out on every machine: one seed, fixed times.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from numpy.typing import NDArray

FIRST_START = 1_760_000_000_000
"""When the first run started, in ms since 1970; one follows the other every 20 s."""
EVERY = 20_000
SPIKES = 20
"""One-step spikes in the curve of ``spiky``, and so many NaN besides."""

_ROWS_AT_ONCE = 50_000
_SEED = 20


@dataclass(frozen=True)
class BigStore:
    """A store that was made."""

    path: Path
    experiment: str
    runs: int

    @property
    def uri(self) -> str:
        """MLflow's address of it."""
        return f"sqlite:///{self.path}"


def wide(path: Path, runs: int) -> BigStore:
    """``runs`` runs × 20 params × 20 metrics × 5 tags in one experiment, in a new file ``path``.

    Of the metrics, 1 % are missing and 0.3 % are NaN; five runs make a configuration with five
    seeds. Scores follow from the params, with noise.
    """
    experiment = _new(path, "Image search")
    draw = np.random.default_rng(_SEED)
    ids = _ids(runs)
    params = _params(draw, runs)
    metrics = _metrics(draw, runs, params)
    missing = draw.random((runs, len(metrics))) < 0.01
    nan = draw.random((runs, len(metrics))) < 0.003
    starts = FIRST_START + EVERY * np.arange(runs)
    ends = starts + (1000 * draw.lognormal(5.0, 0.6, runs)).astype(np.int64)
    status = draw.choice(["FINISHED", "FAILED", "KILLED"], runs, p=[0.96, 0.03, 0.01])
    names = [f"{a}-{i:06d}" for i, a in enumerate(params["architecture"])]
    tags = {
        "mlflow.runName": names,
        "mlflow.user": [str(x) for x in draw.choice(["ada", "grace", "emmy", "alan"], runs)],
        "mlflow.source.name": ["train.py"] * runs,
        "team": [str(x) for x in draw.choice(["north", "south", "lab"], runs)],
        "campaign": [f"sweep {i // 2000}" for i in range(runs)],
    }
    with _open(path) as db:
        _insert(db, "runs", _RUN, (
            (ids[i], names[i], "LOCAL", tags["mlflow.user"][i], str(status[i]), int(starts[i]),
             int(ends[i]), "active", f"file:///nowhere/{ids[i]}/artifacts", int(experiment))
            for i in range(runs)
        ))  # fmt: skip
        _insert(db, "params", "run_uuid, key, value", (
            (ids[i], key, str(column[i])) for i in range(runs) for key, column in params.items()
        ))  # fmt: skip
        _insert(db, "tags", "run_uuid, key, value", (
            (ids[i], key, column[i]) for i in range(runs) for key, column in tags.items()
        ))  # fmt: skip
        for table in ("metrics", "latest_metrics"):
            _insert(db, table, _METRIC, (
                (ids[i], key, 0.0 if nan[i, k] else float(column[i]), int(ends[i]), 10,
                 bool(nan[i, k]))
                for i in range(runs)
                for k, (key, column) in enumerate(metrics.items())
                if not missing[i, k]
            ))  # fmt: skip
    return BigStore(path, experiment, runs)


def curves(path: Path, runs: int = 100, metrics: int = 20, steps: int = 10_000) -> BigStore:
    """``runs`` runs with ``metrics`` histories of ``steps`` points each, in a new file ``path``.

    In ``metric_00`` of the first run (``spiky``), ``SPIKES`` steps stand far out and ``SPIKES``
    others are NaN; ``planted`` says which.
    """
    experiment = _new(path, "Long training")
    draw = np.random.default_rng(_SEED)
    ids = _ids(runs)
    spikes, nans = planted(steps)
    names = ["spiky", *(f"long-{i:03d}" for i in range(1, runs))]
    keys = [f"metric_{k:02d}" for k in range(metrics)]
    starts = [FIRST_START + EVERY * i for i in range(runs)]
    at = np.arange(steps)

    def values(i: int, k: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        made = (0.2 + 0.02 * k) + 2.0 * np.exp(-at / (steps * (0.1 + 0.004 * i)))
        made = made + draw.normal(0.0, 0.02, steps).cumsum() * 0.02 + draw.normal(0, 0.015, steps)
        bad = np.zeros(steps, dtype=bool)
        if i == 0 and k == 0:
            made[spikes] += 3.0
            bad[nans] = True
            made[bad] = 0.0
        return made, bad

    def points(last: list[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
        for i, run in enumerate(ids):
            for k, key in enumerate(keys):
                made, bad = values(i, k)
                times = (starts[i] + 50 * at).tolist()
                rows = zip(made.tolist(), times, at.tolist(), bad.tolist(), strict=True)
                for value, when, step, is_nan in rows:
                    yield (run, key, value, when, step, is_nan)
                last.append((run, key, value, when, step, is_nan))

    with _open(path) as db:
        _insert(db, "runs", _RUN, (
            (run, names[i], "LOCAL", "ada", "FINISHED", starts[i], starts[i] + 50 * steps,
             "active", f"file:///nowhere/{run}/artifacts", int(experiment))
            for i, run in enumerate(ids)
        ))  # fmt: skip
        _insert(db, "tags", "run_uuid, key, value",
                ((run, "mlflow.runName", names[i]) for i, run in enumerate(ids)))  # fmt: skip
        _insert(db, "params", "run_uuid, key, value",
                ((run, "seed", str(i)) for i, run in enumerate(ids)))  # fmt: skip
        last: list[tuple[object, ...]] = []
        _insert(db, "metrics", _METRIC, points(last))
        _insert(db, "latest_metrics", _METRIC, last)
    return BigStore(path, experiment, runs)


def versions(
    path: Path, versions: int = 5_000, model: str = "search-ranker", *, production_age: int = 10
) -> BigStore:
    """One registered model of ``versions`` versions, each of a run of its own as in ``wide``.

    The newest but ``production_age`` is in Production, the newest but three in Staging, each with
    its alias; the 50 before Production are archived, the others stand nowhere. There is a bare
    model too.
    """
    store = wide(path, versions)
    client = MlflowClient(store.uri)
    client.create_registered_model("bare")
    client.create_registered_model(model, description="Ranks pictures for a text.")
    client.set_registered_model_tag(model, "team", "north")
    production, staging = max(1, versions - production_age), max(1, versions - 3)
    stages = {production: "Production", staging: "Staging"}
    stages |= dict.fromkeys(range(max(1, production - 50), production), "Archived")
    ids = _ids(versions)

    def made(n: int) -> int:
        return FIRST_START + EVERY * n + 5_000

    with _open(path) as db:
        _insert(db, "model_versions", _VERSION, (
            ("default", model, n, made(n), made(n), f"Trained in campaign {n // 500}.",
             stages.get(n, "None"), f"models:/m-{ids[n - 1]}", f"file:///nowhere/{ids[n - 1]}",
             ids[n - 1], "READY")
            for n in range(1, versions + 1)
        ))  # fmt: skip
        _insert(db, "model_version_tags", "workspace, name, version, key, value", (
            ("default", model, n, key, value)
            for n in range(1, versions + 1)
            for key, value in (("campaign", f"sweep {n // 500}"), ("modeldeck.by", "ada"))
        ))  # fmt: skip
    client.set_registered_model_alias(model, "champion", str(production))
    client.set_registered_model_alias(model, "challenger", str(staging))
    return store


def planted(steps: int = 10_000) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps of ``curves`` at which spikes stand, and those at which NaN does."""
    chosen = np.random.default_rng(_SEED + 1).permutation(np.arange(50, steps - 50))
    return np.sort(chosen[:SPIKES]), np.sort(chosen[SPIKES : 2 * SPIKES])


_RUN = (
    "run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, "
    "artifact_uri, experiment_id"
)
_VERSION = (
    "workspace, name, version, creation_time, last_updated_time, description, current_stage, "
    "source, storage_location, run_id, status"
)
_METRIC = "run_uuid, key, value, timestamp, step, is_nan"


def _new(path: Path, experiment: str) -> str:
    client = MlflowClient(f"sqlite:///{path}")
    place = (path.parent / f"{path.stem}-artifacts").as_uri()
    return str(client.create_experiment(experiment, artifact_location=place))


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    # A crash here costs a file that is made again; MLflow reads it with its own settings.
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")
    return db


def _insert(
    db: sqlite3.Connection, table: str, columns: str, rows: Iterable[Sequence[object]]
) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - ours
    db.commit()


def _ids(runs: int) -> list[str]:
    draw = np.random.default_rng(_SEED + 2)
    raw = draw.bytes(16 * runs)
    return [uuid.UUID(bytes=raw[16 * i : 16 * i + 16]).hex for i in range(runs)]


def _params(draw: np.random.Generator, runs: int) -> dict[str, list[object]]:
    """20 columns of params: numbers over decades, small integers, words, and some constants."""
    configurations = -(-runs // 5)

    def each(values: NDArray[np.generic]) -> list[object]:
        return [x.item() for x in np.repeat(values, 5)[:runs]]

    def pick(*words: str) -> list[object]:
        return each(draw.choice(np.array(words), configurations))

    def decades(low: float, high: float) -> list[object]:
        exact = 10 ** draw.uniform(low, high, configurations)
        return each(np.array([float(f"{x:.3g}") for x in exact]))

    def whole(*numbers: int) -> list[object]:
        return each(draw.choice(np.array(numbers), configurations))

    return {
        "learning_rate": decades(-5, -1),
        "weight_decay": decades(-6, -2),
        "dropout": each(np.round(draw.uniform(0, 0.6, configurations), 2)),
        "depth": whole(6, 12, 18, 24, 36),
        "width": whole(64, 128, 256, 512),
        "batch_size": whole(32, 64, 128, 256),
        "epochs": whole(10, 20, 50),
        "warmup_steps": whole(0, 100, 1000),
        "architecture": pick("convnet", "vit", "mixer", "resnet"),
        "optimizer": pick("adamw", "sgd", "lion"),
        "scheduler": pick("cosine", "linear", "none"),
        "activation": pick("gelu", "relu", "silu"),
        "augmentation": pick("none", "light", "strong"),
        "label_smoothing": each(np.round(draw.uniform(0, 0.2, configurations), 3)),
        "momentum": each(np.round(draw.uniform(0.8, 0.99, configurations), 3)),
        "gradient_clip": decades(-1, 1),
        "image_size": whole(160, 224, 288),
        "seed": [i % 5 for i in range(runs)],
        "precision": ["bf16"] * runs,
        "data_version": ["2025-09"] * runs,
    }


def _metrics(
    draw: np.random.Generator, runs: int, params: dict[str, list[object]]
) -> dict[str, NDArray[np.float64]]:
    """20 columns of metrics, most of them a noisy function of some params."""
    rate = np.log10(np.array(params["learning_rate"], dtype=float))
    depth = np.array(params["depth"], dtype=float)
    width = np.array(params["width"], dtype=float)
    drop = np.array(params["dropout"], dtype=float)
    size = np.array(params["image_size"], dtype=float)
    bonus = {"convnet": 0.0, "vit": 0.05, "mixer": -0.04, "resnet": 0.02}
    family = np.array([bonus[str(a)] for a in params["architecture"]])
    skill = (
        0.85 - 0.05 * (rate + 3) ** 2 + 0.04 * np.log2(depth / 6) - 0.25 * (drop - 0.2) ** 2
        + 0.0003 * (size - 224) + family
    )  # fmt: skip

    def noisy(base: NDArray[np.float64], by: float) -> NDArray[np.float64]:
        made: NDArray[np.float64] = base + draw.normal(0, by, runs)
        return made

    accuracy = np.clip(noisy(skill, 0.02), 0.01, 0.999)
    seconds = depth * width * size / 8e3
    made = {
        "accuracy": accuracy,
        "val_loss": np.clip(noisy(1.6 * (1 - skill), 0.03), 0.01, None),
        "train_loss": np.clip(noisy(1.2 * (1 - skill), 0.03), 0.005, None),
        "f1": np.clip(noisy(accuracy - 0.01, 0.01), 0, 1),
        "auc": np.clip(noisy(0.5 + accuracy / 2, 0.005), 0.5, 1),
        "top5_accuracy": np.clip(noisy(accuracy + 0.08, 0.01), 0, 1),
        "recall_at_10": np.clip(noisy(accuracy - 0.05, 0.02), 0, 1),
        "latency_ms": np.clip(noisy(seconds / 10, 1.0), 0.5, None),
        "throughput": np.clip(noisy(4e4 / seconds, 20), 1, None),
        "train_seconds": np.clip(noisy(seconds * 4, 30), 5, None),
        "memory_gb": np.clip(noisy(1 + depth * width / 2e3, 0.2), 0.5, None),
        "gradient_norm": np.exp(noisy(rate, 0.4)),
        "calibration_error": np.abs(noisy(0.05 - 0.03 * skill, 0.01)),
    }
    for k in range(20 - len(made)):
        made[f"slice_{k}_accuracy"] = np.clip(noisy(accuracy - 0.02 * k, 0.03), 0, 1)
    return made
