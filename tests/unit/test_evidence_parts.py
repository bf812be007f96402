"""Parts of the evidence that are decided by pure functions: pins, replicates, its form as JSON."""

import importlib
import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.lifecycle.evidence.measured import Measured
from core.lifecycle.evidence.pins import pins
from core.lifecycle.evidence.replicates import of_metrics, pick
from core.lifecycle.evidence.sides import side
from core.mlflow_api.nouns import (
    ArtifactFile,
    Column,
    DatasetInput,
    ModelInfo,
    ModelVersion,
    Run,
    Signature,
)
from core.registry.gates.evidence import Answered, Evidence, Pins, Side
from core.registry.gates.evidence_json import as_json, from_json
from core.training.builtin import DATA_AT

AT = datetime(2026, 3, 3, 14, 5, tzinfo=UTC)
INSTALLED = {"numpy": "2.4.6", "pandas": "3.1.1", "odd": "not a version"}


def run(name: str = "a", seed: str | None = "1", **changes: object) -> Run:
    params = {"depth": "3"} | ({"seed": seed} if seed is not None else {})
    made = Run(
        id=name, experiment_id="1", name=name, status="FINISHED", lifecycle_stage="active",
        user="ada", started_at=AT, ended_at=AT, artifact_uri="", params=params,
        metrics={"auc": float(ord(name[0]))}, tags={},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------- pins


def test_pins_name_what_is_missing_and_what_is_of_another_version() -> None:
    found = pins(
        ["numpy==2.4.6", "Pandas>=2  # any", "torch==3", "odd==1", "", "# a note \\"],
        "3.11.7", None, has=INSTALLED.get, here="3.11.9",
    )  # fmt: skip
    assert found == Pins(missing=("torch",), other=(("odd", "==1", "not a version"),))
    assert pins(["numpy<2"], "", None, has=INSTALLED.get).other == (("numpy", "<2", "2.4.6"),)


def test_pins_of_another_platform_do_not_concern_this_interpreter() -> None:
    line = "pywin32==300; sys_platform == 'win32' and python_version < '2'"
    assert pins([line], "", None, has=INSTALLED.get) == Pins()
    assert pins(["pywin32==300"], "", None, has=INSTALLED.get).missing == ("pywin32",)
    # One line concerns it, whatever another line says of the same package.
    here = "pywin32==300; python_version > '2'"
    assert pins([here, line], "", None, has=INSTALLED.get).missing == ("pywin32",)


def test_an_installed_package_of_which_no_module_is_found_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's metadata that stayed behind, as an install that broke off leaves it."""
    monkeypatch.syspath_prepend(tmp_path)
    named, listed = tmp_path / "half_here-1.0.dist-info", tmp_path / "half_there-1.0.dist-info"
    for folder, name in ((named, "half-here"), (listed, "half-there")):
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (named / "top_level.txt").write_text("half_here\nhalf_tests\n")
    (listed / "RECORD").write_text(
        "half_there.py,,\n__pycache__/half_there.cpython-311.pyc,,\n"
        "half_there-1.0.dist-info/METADATA,,\n"
    )
    (tmp_path / "__pycache__").mkdir()
    lines = ["half-here", "half-there==2", "pytest", "PyYAML", "types-PyYAML"]
    found = pins(lines, "", None)
    assert found.broken == ("half-here", "half-there")
    assert found.other == (("half-there", "==2", "1.0"),)
    for module in ("half_here", "half_there"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('it was imported')")
    importlib.invalidate_caches()
    assert pins(lines, "", None).broken == ()


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "-c other.txt",
        "-e .",
        "--pre -r other.txt",
        "./foo.whl",
        "git+https://example.org/a.git@v1",
        "numpy2 @",
        'numpy; sys_platform ~= "linux"',
        'numpy; "a" ~= "b"',
    ],
)
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    found = pins(["pandas", line], "", None, has=INSTALLED.get)
    assert found == Pins(unread=(line,))


@pytest.mark.parametrize(
    "lines",
    [
        ["nosuch==1.0 --hash=sha256:abc"],
        ["nosuch==1.0 --hash sha256:abc --hash=sha256:def  # two"],
        ["nosuch==1.0 \\", "--hash=sha256:abc \\", "--hash=sha256:def"],
        ["nosuch==1.0\\"],
    ],
)
def test_a_package_with_hashes_is_read_like_any_other(lines: list[str]) -> None:
    found = pins(["numpy", *lines], "", None, has=INSTALLED.get)
    assert found == Pins(missing=("nosuch",))


@pytest.mark.parametrize(
    "line", ["--index-url https://x/simple", "--extra-index-url=https://x", "-i https://x", "--pre"]
)
def test_options_that_name_no_package_are_left_out(line: str) -> None:
    assert pins([line], "", None, has=INSTALLED.get) == Pins()


def test_what_is_not_understood_is_compared_with_the_holders_and_shown_without_secrets() -> None:
    ours, theirs = "git+https://ada:key@x/a.git@v1?token=key", "git+https://x/a.git@v0"
    found = pins([ours, "-e ."], "", [theirs, "-e ."], has=INSTALLED.get)
    assert found.unread == ("git+https://x/a.git@v1", "-e .")
    assert found.than_holder == (
        ("git+https://x/a.git@v1", "", "*"),
        ("git+https://x/a.git@v0", "*", ""),
    )
    (long,) = pins([f"./{'x' * 500}.whl"], "", None).unread
    assert len(long) <= 80


def test_pins_tell_python_by_its_minor_version() -> None:
    assert pins([], "3.11.1", None, here="3.11.9").python is None
    assert pins([], "3.10.1", None, here="3.11.9").python == ("3.10.1", "3.11.9")
    assert pins([], "", None, here="3.11.9").python is None


def test_pins_are_compared_with_the_holders() -> None:
    found = pins(["numpy==2", "new"], "", ["Numpy==1", "old==3"], has=lambda _: "2")
    assert found.than_holder == (("new", "", "*"), ("numpy", "==1", "==2"), ("old", "==3", ""))
    assert pins(["numpy==2"], "", None, has=lambda _: "2").than_holder == ()


# ---------------------------------------------------------------------------------- replicates


def test_runs_that_differ_in_the_seed_alone_repeat_a_run() -> None:
    found = pick(run("a"), [run("b", "2"), run("c", "3")])
    assert found.values == {"auc": (97.0, 98.0, 99.0)}
    assert found.seeds == ("1", "2", "3")


def test_a_seed_counts_once() -> None:
    others = [run("a"), run("b", "2"), run("d", "2"), run("e", "1")]
    assert pick(run("a"), others).values == {"auc": (97.0, 99.0)}


def test_what_differs_in_more_is_no_repetition() -> None:
    data = DatasetInput("d", "1", "", "", "", "", "")
    others = [
        run("b", "2", params={"depth": "4", "seed": "2"}),
        run("c", None),
        run("d", "2", inputs=(data,)),
        run("e", "2", tags={"mlflow.parentRunId": "x"}),
    ]
    found = pick(run("a"), others)
    assert (found.values, found.seeds) == ({}, ())
    # The control: without those differences it is one.
    assert pick(run("a", inputs=(data,)), [others[2]]).values == {"auc": (97.0, 100.0)}


def test_runs_without_a_seed_stand_for_themselves() -> None:
    found = pick(run("a", None), [run("b", None), run("c", None)])
    assert (found.values, found.seeds) == ({"auc": (97.0, 98.0, 99.0)}, ())


def test_metrics_that_one_of_them_lacks_are_left_out() -> None:
    others = [run("b", "2", metrics={"loss": 1.0, "auc": math.nan})]
    own = run("a", metrics={"loss": 2.0, "auc": 1.0, "f1": 0.5})
    assert pick(own, others).values == {"loss": (2.0, 1.0)}


def test_a_metric_of_which_the_model_has_another_value_is_repeated_by_nobody() -> None:
    seeded = [run("b", "2", metrics={"loss": 1.0, "auc": 98.0})]
    found = pick(run("a", metrics={"loss": 2.0, "auc": 97.0}), seeded)
    assert of_metrics(found, {"loss": 2.0, "auc": 97.0}) == (found, set())
    part, other = of_metrics(found, {"loss": 2.0, "auc": 80.0})
    assert (part.values, part.seeds, other) == ({"loss": (2.0, 1.0)}, ("1", "2"), {"auc"})
    none, other = of_metrics(found, {})
    assert (none.values, none.seeds, other) == ({}, (), {"loss", "auc"})


# --------------------------------------------------------------------------------------- sides


def version() -> ModelVersion:
    return ModelVersion(
        "m", 2, "None", (), "", {"modeldeck.registered_by": "ada"}, "a", "models:/m-1", "READY",
        "", AT, AT,
    )  # fmt: skip


def test_a_side_tells_what_run_and_files_say() -> None:
    data = DatasetInput("offers", "d1", "", "s3://x", "", '{"num_rows": 5}', "training")
    told = run(
        "a", inputs=(data, replace(data, profile="[")), metrics={"auc": math.nan, "f1": 0.5},
        tags={DATA_AT: "2026-01-01", "mlflow.source.git.commit": "abc"},
    )  # fmt: skip
    info = ModelInfo(
        Signature((Column("rooms", "long", shape=(1, 2)),)), flavors=("sklearn",),
        requirements=("numpy",), has_requirements=True, python="3.11", code="lib",
        loader_module="mlflow.sklearn",
    )  # fmt: skip
    files = tuple(ArtifactFile(p, False, 3) for p in ("MLmodel", "lib/x.txt", "y.PY"))
    found = side(version(), told, Measured(told.metrics), None, info, files)
    assert found.metrics == {"auc": None, "f1": 0.5}
    assert [d["rows"] for d in found.datasets] == [5, None]
    assert (found.data_at, found.datasets[0]["at"]) == ("2026-01-01", "2026-01-01")
    assert found.inputs == ({"name": "rooms", "type": "long", "required": True, "shape": [1, 2]},)
    assert (found.outputs, found.requirements, found.code) == (
        (),
        ("numpy",),
        ("lib/x.txt", "y.PY"),
    )
    assert (found.files, found.bytes, found.git_commit) == (3, 9, "abc")


def test_a_side_of_which_nothing_is_known_is_empty() -> None:
    found = side(version(), None, Measured({}), None, None, ())
    assert (found.metrics, found.inputs, found.requirements, found.bytes) == ({}, None, None, None)
    assert found.trained_at is None


# ---------------------------------------------------------------------------------------- JSON


def test_evidence_comes_back_from_json_as_it_was() -> None:
    own = run("a")
    told = side(version(), own, Measured(own.metrics), pick(own, [run("b", "2")]), None, ())
    evidence = Evidence(
        "m", "Production", AT, told, replace(told, version=1), {"purpose": "x"},
        Answered(ok=True, rows=3, seconds=0.1),
        Pins(("a",), (("b", "1", "2"),), ("3.10", "3.11"), (), ("-e .",), ("c",)),
        None, "d", "content", notes={"replicates": "cut"}, missing={"drift": "none"},
    )  # fmt: skip
    frozen = json.loads(json.dumps(as_json(evidence)))
    assert from_json(frozen) == evidence
    assert from_json(frozen | {"of another version": 1}) == evidence
    assert evidence.pins is not None
    del frozen["pins"]["unread"]  # frozen by a Modeldeck that did not look for them
    assert from_json(frozen) == replace(evidence, pins=replace(evidence.pins, unread=()))


def test_evidence_with_nothing_comes_back_too() -> None:
    bare = Evidence("m", "Production", AT, Side(1, None, "", "", None, None, None))
    assert from_json(json.loads(json.dumps(as_json(bare)))) == bare
