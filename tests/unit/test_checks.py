"""Each check of the documents finds the fault that it is for."""

from pathlib import Path

import pytest

from tests.checks import ROOT, __main__, documents, keys, release

PROJECT = {
    "project": {"version": "1.2.0", "dependencies": ["psycopg[binary]>=3", "PyYAML"]},
    "dependency-groups": {"dev": ["pytest>=9"]},
}


def test_a_setting_without_a_row_and_a_row_without_a_setting_are_found() -> None:
    document = "| `MODELDECK_HOME` | folder |\n| `MODELDECK_COLOUR` | gone |\n"
    assert documents.settings_documented(["MODELDECK_HOME", "MODELDECK_PORT"], document) == [
        "docs/settings.md has no row for MODELDECK_PORT",
        "docs/settings.md has a row for MODELDECK_COLOUR, no setting",
    ]


def test_a_document_that_names_no_setting_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("Set `MODELDECK_PROT=1`, or MODELDECK_PORT.")
    assert documents.settings_exist(["MODELDECK_PORT"], [page], tmp_path) == [
        "a.md names MODELDECK_PROT, which is no setting"
    ]


def test_dependencies_are_compared_by_normal_name() -> None:
    document = "| `psycopg` | a |\n| `pyyaml` | b |\n| `left-pad` | c |\n"
    assert documents.dependencies_documented(PROJECT, document) == [
        "docs/dependencies.md does not say why pytest",
        "docs/dependencies.md explains left-pad, which is not used",
    ]


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("[a](there.md)", ""),
        ("[a](there.md#one-two)", ""),
        ("[a](#here)", ""),
        ("[a](https://example.org/x.md)", ""),
        ("```\n[a](gone.md)\n```", ""),
        ("[a](gone.md)", "there is no such file"),
        ("![a](gone.png)", "there is no such file"),
        ('<img src="gone.png">', "there is no such file"),
        ("[a](there.md#three)", "there is no such heading"),
        ("[a](../../outside.md)", "it leaves the project"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str, fault: str) -> None:
    (tmp_path / "there.md").write_text("# There\n\n## One: *two*\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\n{link}\n")
    faults = documents.links_resolve([page], tmp_path)
    assert [entry.rpartition(": ")[2] for entry in faults] == ([fault] if fault else [])


def test_the_changelog_needs_the_present_version_or_unreleased() -> None:
    assert documents.changelog_current(PROJECT, "# Changes\n\n## Unreleased\n") == []
    assert documents.changelog_current(PROJECT, "# Changes\n\n## 1.2.0 - today\n") == []
    assert documents.changelog_current(PROJECT, "# Changes\n\n## 1.1.0\n") != []


def test_an_option_without_a_comment_is_found() -> None:
    config = "[server]\n# Where.\naddress = 1\nport = 2\n\nlone = 3\nother = 4  # four\n"
    assert documents.options_commented(config) == [
        ".streamlit/config.toml says nothing about lone = 3"
    ]


def test_a_folder_of_somebodys_machine_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.py"
    home = "/" + "root"
    page.write_text(f"good = 'http://x.example{home}/'\nbad = '{home}/notes'\n")
    assert documents.no_foreign_paths([page], tmp_path) == [f"a.py:2 names {home}"]


def test_texts_and_their_uses_are_compared_both_ways(tmp_path: Path) -> None:
    code = tmp_path / "a.py"
    code.write_text(
        't("home.title")\n'
        'md("home.run", name=1)\n'
        't("home.count", n=2)\n'
        't(f"home.kind.{kind}")\n'
        't("home.a" if x else "home.b")\n'
        'table = {"x": "home.held"}\n'
        't("home.gone")\n'
        't("home.run")\n'
    )
    catalogue = {
        "home.title": "Home",
        "home.run": "Run {name}",
        "home.count.one": "1 run",
        "home.count.other": "{n} runs",
        "home.kind.red": "Red",
        "home.a": "A",
        "home.b": "B",
        "home.held": "Held",
        "home.idle": "Idle",
    }
    assert keys.texts_complete([code], catalogue, tmp_path) == [
        "a.py:7 asks for home.gone, which is not in core/texts",
        "a.py:8 gives home.run no name",
        "core/texts: nothing asks for home.idle",
    ]


def test_an_import_of_what_only_others_bring_is_found(tmp_path: Path) -> None:
    code = tmp_path / "a.py"
    code.write_text("import os\nimport yaml.nodes\nfrom idna import encode\nimport core\n")
    held = {"yaml": ["PyYAML"], "idna": ["idna"]}
    assert release.imports_declared(PROJECT, [code], held, tmp_path) == [
        "a.py imports idna, which pyproject.toml does not list"
    ]


def test_pins_that_differ_or_are_none_are_found() -> None:
    runtime = "# made by hand\npsycopg[binary]==3.1\n    # via us\npyyaml>=6\n"
    faults = release.pins_agree(PROJECT, runtime, "psycopg==3.2\n")
    assert faults == [
        "requirements.txt is no pin: pyyaml>=6",
        "requirements.txt has psycopg 3.1, tests/requirements.txt has not: run `make lock`",
        "requirements.txt does not pin pyyaml: run `make lock`",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"ports": ["8501:8501"]}, "publishes 8501:8501 beyond loopback"),
        ({"image": "postgres:latest"}, "has no pinned image, but postgres:latest"),
        ({"command": "run it"}, "has a command for a shell instead of a list"),
        (
            {"environment": {"PGPASSWORD": "${PASSWORD:-}"}},
            "gives PGPASSWORD a secret that may be empty or stands in the file",
        ),
        (
            {"environment": {"URI": "postgresql://me:secret@db/x"}},
            "gives URI a secret that may be empty or stands in the file",
        ),
    ],
)
def test_a_careless_service_is_found(change: dict[str, object], fault: str) -> None:
    careful = {
        "image": "postgres:18.4",
        "ports": ["127.0.0.1:8501:8501"],
        "environment": {"PGPASSWORD": "${PASSWORD:?set it}", "URI": "http://db:5432"},
    }
    faults = release.compose_is_careful({"services": {"db": careful | change}})
    assert faults == ([f"docker-compose.yml: db {fault}"] if fault else [])


def test_the_project_itself_is_read() -> None:
    files = __main__.tracked(ROOT)
    assert ROOT / "pyproject.toml" in files
    assert not [path for path in files if ".venv" in path.parts]
