"""Projects: params with types that hold, and a command that no value can break out of."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, NotFound
from core.training import projects
from core.training.projects import Project, check, command, counts, find, load, tabular

MLPROJECT = """
name: typed
entry_points:
  main:
    parameters:
      data: {type: string, default: "bundled:iris"}
      whole: {type: string, default: 3}
      part: {type: string, default: 0.5}
      free: {type: float, default: 0}
      kind: {type: string, default: a}
      only_b: {type: string, default: auto}
      note: {type: string, default: ""}
      must: string
    command: python echo.py --data={data} --note={note} --must={must} {note}
  other:
    command: "true"
"""
FORM = """
title: A typed project
params:
  data: {kind: data, files: [csv], choices: {"bundled:iris": Iris}}
  whole: {kind: int, min: 1, max: 10}
  part: {kind: float, min: 0, max: 1, auto: true}
  free: {kind: float}
  kind: {kind: choice, choices: {a: A, b: B}}
  only_b: {kind: int, min: 0, max: 9, auto: true, only_for: {kind: [b]}}
"""
ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "MLproject").write_text(MLPROJECT)
    (folder / "form.yaml").write_text(FORM)
    (folder / "echo.py").write_text(ECHO)
    return load(folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose files may be read, with one beside it whose files may not."""
    for name in ("data", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.csv").write_text("a,b\n1,2\n")
    return tmp_path / "data"


def fault(project: Project, root: Path, **typed: str) -> str:
    with pytest.raises(InvalidInput) as refusal:
        check(project, {"must": "x", **typed}, [root])
    assert refusal.value.field in typed
    return refusal.value.what


# ------------------------------------------------------------------------------------ reading


def test_a_project_is_read_with_its_form(project: Project) -> None:
    assert (project.name, project.title, project.entry_point) == (
        "typed",
        "A typed project",
        "main",
    )
    assert [p.name for p in project.params][:3] == ["data", "whole", "part"]
    assert project.param("whole").default == "3"
    assert project.param("note").kind == "text"
    assert project.param("must").required
    assert not project.param("note").required
    assert load(project.folder, "other").params == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "name: x", "entry_points: {}", "a: [", "entry_points: 3"]
)
def test_a_folder_without_that_entry_point_is_said_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLproject").write_text(text)
    with pytest.raises(InvalidInput, match="holds no MLflow project with the entry point main"):
        load(tmp_path)
    with pytest.raises(InvalidInput, match="holds no MLflow project"):
        load(tmp_path / "nowhere")


def test_only_registered_projects_are_found() -> None:
    assert find("tabular") == tabular()
    for name in ("../tabular", "/tmp", "https://example.org/x.git", ""):
        with pytest.raises(NotFound):
            find(name)


# ------------------------------------------------------------------------------------- values


def test_values_come_out_complete_and_as_text(project: Project, root: Path) -> None:
    values = check(project, {"must": "  x ", "whole": " 7 ", "only_b": "nonsense"}, [root])
    assert values == {
        "data": "bundled:iris", "whole": "7", "part": "0.5", "free": "0", "kind": "a",
        "only_b": "auto", "note": "", "must": "x",
    }  # fmt: skip


def test_what_does_not_count_is_not_looked_at(project: Project) -> None:
    assert "only_b" not in [p.name for p in counts(project, {})]
    assert "only_b" in [p.name for p in counts(project, {"kind": "b"})]


def test_every_fault_is_named_at_once(project: Project, root: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check(project, {"whole": "x", "kind": "c"}, [root])
    assert refusal.value.field == "whole"
    assert [line.split(":")[0] for line in refusal.value.what.splitlines()] == [
        "Whole", "Kind", "Must",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("param", "value", "words"),
    [
        ("whole", "1.5", "whole number"),
        ("whole", "0", "from 1 to 10"),
        ("whole", "11", "from 1 to 10"),
        ("whole", "auto", "whole number"),
        ("whole", "9" * 5000, "whole number"),
        ("part", "1,5", "with a point"),
        ("part", "nan", "with a point"),
        ("part", "-0.1", "from 0 to 1"),
        ("free", "nan", "with a point"),
        ("free", "-inf", "with a point"),
        ("free", "1e999", "with a point"),
        ("kind", "c", "one of a, b"),
        ("kind", "A", "one of a, b"),
        ("must", "", "a value is needed"),
        ("must", "   ", "a value is needed"),
        ("note", "two\nlines", "line breaks"),
        ("note", "nul\x00", "line breaks"),
        ("note", "escape\x1b[2J", "line breaks"),
        ("data", "bundled:none", "whole path"),
        ("data", "table.csv", "whole path"),
        ("data", "../secret/table.csv", "whole path"),
        ("data", "/etc/passwd", "outside"),
        ("data", "file:///etc/passwd", "whole path"),
        ("data", "https://example.org/t.csv", "whole path"),
    ],
)
def test_what_cannot_be_used_is_said(
    project: Project, root: Path, param: str, value: str, words: str
) -> None:
    assert words in fault(project, root, **{param: value})


@pytest.mark.parametrize(
    ("param", "value"), [("whole", "10"), ("part", "auto"), ("free", "-1e300"), ("kind", "b")]
)
def test_what_can_be_used(project: Project, root: Path, param: str, value: str) -> None:
    assert check(project, {"must": "x", param: value}, [root])[param] == value


# -------------------------------------------------------------------------------------- files


def test_a_file_inside_a_root_can_be_used(project: Project, root: Path) -> None:
    path = str(root / "table.csv")
    assert check(project, {"must": "x", "data": path}, [root])["data"] == path


def test_paths_out_of_the_root_are_refused(project: Project, root: Path) -> None:
    secret = root.parent / "secret"
    (root / "link.csv").symlink_to(secret / "table.csv")
    (root / "folder").symlink_to(secret)
    (root / "chain.csv").symlink_to(root / "link.csv")
    for path in (
        secret / "table.csv",
        root / ".." / "secret" / "table.csv",
        root / "link.csv",
        root / "folder" / "table.csv",
        root / "chain.csv",
        Path(f"{root}-other") / "table.csv",
    ):
        assert "outside" in fault(project, root, data=str(path)), path


def test_the_link_guard_is_what_refuses_it(
    project: Project, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = root / "link.csv"
    link.symlink_to(root.parent / "secret" / "table.csv")
    monkeypatch.setattr(Path, "resolve", lambda path: path)
    assert check(project, {"must": "x", "data": str(link)}, [root])["data"] == str(link)


def test_a_root_that_is_a_link_itself_holds_its_files(project: Project, root: Path) -> None:
    link = root.parent / "mounted"
    link.symlink_to(root)
    path = str(link / "table.csv")
    assert check(project, {"must": "x", "data": path}, [link])["data"] == path


def test_files_that_are_none_are_said(project: Project, root: Path) -> None:
    (root / "loop.csv").symlink_to(root / "loop.csv")
    (root / "notes.txt").write_text("x")
    (root / "sub.csv").mkdir()
    assert "there is no file" in fault(project, root, data=str(root / "gone.csv"))
    assert "there is no file" in fault(project, root, data=str(root / "loop.csv"))
    assert "there is no file" in fault(project, root, data=str(root / ("x" * 300 + ".csv")))
    assert "there is no file" in fault(project, root, data=str(root / "sub.csv"))
    assert "end with one of: csv" in fault(project, root, data=str(root / "notes.txt"))


def test_without_a_root_no_file_can_be_read(project: Project, root: Path) -> None:
    with pytest.raises(InvalidInput, match="outside"):
        check(project, {"must": "x", "data": str(root / "table.csv")}, [])


# ------------------------------------------------------------------------------------ command

NASTY = [
    "with spaces",
    "a; touch {folder}/owned",
    "$(touch {folder}/owned)",
    "`touch {folder}/owned`",
    "'; touch {folder}/owned; '",
    "\"quoted\" \\ and 'more'",
    "& | > < * ? ~ # !",
    "{must}{note}{0}{x.y}",
    "--must=other",
    "%s %(x)s $HOME",
    "größe 名前",
]


@pytest.mark.parametrize("value", NASTY)
def test_a_value_stays_one_argument_whatever_is_in_it(
    project: Project, root: Path, value: str
) -> None:
    folder = project.folder
    typed = value.replace("{folder}", str(folder))
    said = run(project, check(project, {"must": "x", "note": typed}, [root]))
    assert said == ["--data=bundled:iris", f"--note={typed}", "--must=x", typed]
    assert sorted(f.name for f in folder.iterdir()) == ["MLproject", "echo.py", "form.yaml"]


@given(st.dictionaries(st.sampled_from(["note", "must", "data"]), st.text(max_size=40)))
def test_the_number_of_arguments_never_depends_on_the_values(values: Mapping[str, str]) -> None:
    made = Project("p", Path(), "main", "", "", (), "python x --a={note} {must} b{data}c")
    words = command(made, values)
    assert len(words) == 5
    assert words[2:] == [
        f"--a={values.get('note', '')}",
        values.get("must", ""),
        f"b{values.get('data', '')}c",
    ]


def test_python_is_the_one_that_runs_modeldeck(project: Project) -> None:
    assert Path(command(project, {})[0]).is_absolute()
    other = Project("p", Path(), "main", "", "", (), "bash -c {x}")
    assert command(other, {"x": "a b"}) == ["bash", "-c", "a b"]


def test_the_built_in_project_accepts_its_own_defaults() -> None:
    project = tabular()
    values = check(project, {}, [])
    assert values["data"] == "bundled:iris"
    words = command(project, values)
    assert words[1] == "train.py"
    assert (project.folder / words[1]).is_file()
    assert len(words) == 2 + len(project.params)
    assert projects.AUTO in values.values()


def run(project: Project, values: Mapping[str, str]) -> list[str]:
    done = subprocess.run(
        command(project, values),
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said: list[str] = json.loads(done.stdout)
    return said
