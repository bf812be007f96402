"""Runs every check and prints its faults."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

from core import settings, texts
from tests.checks import ROOT, documents, keys, release

IGNORED = (".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")


def tracked(root: Path) -> list[Path]:
    """The files of the project, whether or not the checkout has its history."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [root / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in root.rglob("*") if not set(path.parts) & set(IGNORED)]
    return sorted(path for path in found if path.is_file())


def checks(root: Path) -> dict[str, Callable[[], list[str]]]:
    """Each check by name, ready to run on the project in ``root``."""
    files = tracked(root)
    markdown = [path for path in files if path.suffix == ".md"]
    code = [
        path
        for path in files
        if path.suffix == ".py" and path.relative_to(root).parts[0] not in ("tests", "benchmarks")
    ]
    project = tomllib.loads(read(root / "pyproject.toml"))
    catalogue = {key: texts.t(key) for key in sorted(texts.keys())}
    variables = set(settings.variables().values())
    named = [path for path in files if path.suffix in (".md", ".yml") or path.name == "Dockerfile"]
    return {
        "settings": lambda: documents.settings_documented(
            variables, read(root / "docs/settings.md")
        ),
        "setting names": lambda: documents.settings_exist(variables, named, root),
        "dependencies": lambda: documents.dependencies_documented(
            project, read(root / "docs/dependencies.md")
        ),
        "links": lambda: documents.links_resolve(markdown, root),
        "changelog": lambda: documents.changelog_current(project, read(root / "CHANGELOG.md")),
        "streamlit options": lambda: documents.options_commented(
            read(root / ".streamlit/config.toml")
        ),
        "foreign paths": lambda: documents.no_foreign_paths(files, root),
        "texts": lambda: keys.texts_complete(code, catalogue, root),
        "imports": lambda: release.imports_declared(project, code, packages_distributions(), root),
        "pins": lambda: release.pins_agree(
            project, read(root / "requirements.txt"), read(root / "tests/requirements.txt")
        ),
        "compose": lambda: release.compose_is_careful(
            yaml.safe_load(read(root / "docker-compose.yml"))
        ),
    }


def read(path: Path) -> str:
    """The text of ``path``, or nothing: each check says what it misses in an empty text."""
    return path.read_text("utf-8") if path.exists() else ""


def main() -> int:
    """Run all; 0 when there is no fault."""
    count = 0
    for name, check in checks(ROOT).items():
        for fault in check():
            print(f"{name}: {fault}")
            count += 1
    print(f"{count} faults" if count else "Documents, texts, pins and compose file: no fault")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
