"""What the documents say agrees with what the project is."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SETTING = re.compile(r"\bMODELDECK_[A-Z][A-Z_]*[A-Z]\b")
FIRST_CELL = re.compile(r"^\|\s*`([^`]+)`", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
IMAGE_TAG = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)=\"([^\"]+)\"")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
FOREIGN = re.compile(r"(?<![\w.:/-])/(?:root|work|Users|opt/wheels|opt/pypi|tmp/w)(?=[/\s\"'`])")


def settings_documented(variables: Iterable[str], document: str) -> list[str]:
    """Every setting has a row in docs/settings.md, and every row names a setting."""
    known, rows = set(variables), set(FIRST_CELL.findall(document))
    missing = [f"docs/settings.md has no row for {name}" for name in sorted(known - rows)]
    extra = [f"docs/settings.md has a row for {name}, no setting" for name in sorted(rows - known)]
    return missing + extra


def settings_exist(variables: Iterable[str], files: Iterable[Path], root: Path) -> list[str]:
    """Every MODELDECK_ name in a document or a deployment file is a setting."""
    known = set(variables)
    return [
        f"{path.relative_to(root)} names {name}, which is no setting"
        for path in files
        for name in sorted(set(SETTING.findall(path.read_text("utf-8"))) - known)
    ]


def dependencies_documented(project: dict[str, Any], document: str) -> list[str]:
    """Every direct dependency has a row in docs/dependencies.md, and every row is one."""
    known = {name_of(line) for line in direct_dependencies(project)}
    rows = {normal(name) for name in FIRST_CELL.findall(document)}
    missing = [f"docs/dependencies.md does not say why {name}" for name in sorted(known - rows)]
    extra = [
        f"docs/dependencies.md explains {name}, which is not used" for name in sorted(rows - known)
    ]
    return missing + extra


def direct_dependencies(project: dict[str, Any]) -> list[str]:
    """The requirements that pyproject.toml itself lists, of the application and of development."""
    groups: dict[str, list[str]] = project.get("dependency-groups", {})
    return [
        *project["project"]["dependencies"],
        *(line for group in groups.values() for line in group),
    ]


def name_of(requirement: str) -> str:
    """The normalised name in a requirement such as "psycopg[binary]>=3.3"."""
    return normal(re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0])


def normal(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name.split("[", 1)[0]).lower()


def links_resolve(files: Sequence[Path], root: Path) -> list[str]:
    """Every relative link and image leads to a file of the project, and every anchor to a
    heading."""
    faults = []
    for path in files:
        text = FENCE.sub("", path.read_text("utf-8"))
        for link in [*LINK.findall(text), *IMAGE_TAG.findall(text)]:
            fault = _broken(link, path, root)
            if fault:
                faults.append(f"{path.relative_to(root)} links to {link}: {fault}")
    return faults


def _broken(link: str, path: Path, root: Path) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(root):
        return "it leaves the project"
    if not target.exists():
        return "there is no such file"
    if parts.fragment and target.suffix == ".md" and parts.fragment not in _anchors(target):
        return "there is no such heading"
    return ""


def _anchors(path: Path) -> set[str]:
    headings = HEADING.findall(FENCE.sub("", path.read_text("utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def changelog_current(project: dict[str, Any], changelog: str) -> list[str]:
    """CHANGELOG.md has a section for the present version or for what is not released yet."""
    version = re.escape(project["project"]["version"])
    if re.search(rf"^## \[?(?:Unreleased|{version})\b", changelog, re.MULTILINE):
        return []
    return [f"CHANGELOG.md has no section Unreleased or {project['project']['version']}"]


def options_commented(config: str) -> list[str]:
    """Every option of .streamlit/config.toml has a comment on its line, or above it with no empty
    line and no table between; one comment may speak for several options that follow it."""
    if not config.strip():
        return ["there is no .streamlit/config.toml"]
    faults, commented = [], False
    for line in map(str.strip, config.splitlines()):
        if line.startswith("#"):
            commented = True
        elif not line or line.startswith("["):
            commented = False
        elif not commented and re.match(r"[\w.]+\s*=[^#]*$", line):
            faults.append(f".streamlit/config.toml says nothing about {line}")
    return faults


def no_foreign_paths(files: Iterable[Path], root: Path) -> list[str]:
    """No file names a folder of the machine that somebody wrote it on."""
    faults = []
    for path in files:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), 1):
            found = FOREIGN.search(line)
            if found:
                faults.append(f"{path.relative_to(root)}:{number} names {found[0]}")
    return faults
