"""A model's requirements against the interpreter that serves, and against the holder's."""

import csv
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from inspect import getmodulename
from pathlib import PurePosixPath

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from core import formats
from core.registry.gates.evidence import Pins

Installed = Callable[[str], str | None]
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s+--hash(=|\s+)\S+")
_SETTING = re.compile(
    r"(-i|--index-url|--extra-index-url|--no-index|-f|--find-links|--no-binary|--only-binary"
    r"|--prefer-binary|--pre|--trusted-host|--use-feature|--require-hashes)(?=[\s=]|$)"
)
"""Options that name no package."""
_NAMING = re.compile(r"\s(-[rce]|--requirement|--constraint|--editable)")
"""Options that name packages, behind others."""
_SECRET = re.compile(r"(?<=//)[^/\s@]+@|\?\S*")
"""What may let somebody into a repository or an index."""
_LONGEST = 80


def installed(package: str) -> str | None:
    """The version of a package that this interpreter has; None where it has none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def importable(package: str) -> bool:
    """Whether the interpreter finds a module of an installed package; nothing is imported. Also
    where the package brings none, as one that only names others."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return True
    # Not ``found.files``: newer Pythons leave out what is not there, which is what is asked.
    rows = csv.reader((found.read_text("RECORD") or "").splitlines())
    files = [PurePosixPath(row[0]) for row in rows if row]
    names = {*(found.read_text("top_level.txt") or "").split()} or {
        file.parts[0] if len(file.parts) > 1 else getmodulename(file.name) or "" for file in files
    }
    # One is enough: such lists also name tests and examples that were never installed.
    modules = [name for name in names - {"__pycache__"} if name.isidentifier()]
    return not modules or any(n in sys.modules or find_spec(n) is not None for n in modules)


def pins(
    requirements: Sequence[str],
    python: str,
    holder: Sequence[str] | None,
    *,
    has: Installed = installed,
    finds: Callable[[str], bool] = importable,
    here: str = platform.python_version(),
) -> Pins:
    """What differs between a model's requirements, an interpreter and the holder's requirements.

    Lines of which nobody can tell what they need (other files, addresses, odd markers) are named as
    unread. Options that name no package are left out, as are packages whose marker does not concern
    the interpreter.

    Args:
        python: the Python version that the model names, "" where it names none.
        holder: the holder's requirements; None where there is no holder, or it has none.
        has: the interpreter's version of a package.
        finds: whether it finds modules of a package that it has.
        here: the interpreter's Python version.
    """
    wanted, not_understood = _read(requirements)
    missing, broken, other, unread = [], [], [], [*not_understood]
    for line, requirement in wanted:
        try:
            concerns = requirement.marker is None or requirement.marker.evaluate()
        except (UndefinedComparison, UndefinedEnvironmentName):
            unread.append(line)
            continue
        if not concerns:
            continue
        name = canonicalize_name(requirement.name)
        found = has(name)
        if found is None:
            missing.append(name)
            continue
        if not finds(name):
            broken.append(name)
        if not _fits(requirement, found):
            other.append((name, _pin(requirement), found))
    theirs = {} if holder is None else _pinned(*_read(holder))
    ours = _pinned(wanted, not_understood)
    differing = sorted(n for n in {*ours, *theirs} if ours.get(n) != theirs.get(n))
    return Pins(
        missing=tuple(sorted({*missing})),
        broken=tuple(sorted({*broken})),
        other=tuple(sorted(other)),
        python=(python, here) if python and _minor(python) != _minor(here) else None,
        than_holder=()
        if holder is None
        else tuple((_shown(n), theirs.get(n, ""), ours.get(n, "")) for n in differing),
        unread=tuple(_shown(line) for line in unread),
    )


def _read(lines: Iterable[str]) -> tuple[list[tuple[str, Requirement]], list[str]]:
    """The packages that are named, each with its line, and the lines that are not understood."""
    found: list[tuple[str, Requirement]] = []
    unread: list[str] = []
    for whole in _joined(lines):
        line = _HASH.sub("", _COMMENT.sub("", whole)).strip()
        if not line or (_SETTING.match(line) and not _NAMING.search(line)):
            continue
        try:
            found.append((line, Requirement(line)))
        except InvalidRequirement:
            unread.append(line)
    return found, unread


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Lines that go on after a backslash as one, as pip has them."""
    begun = ""
    for line in lines:
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            begun += f"{line[:-1]} "
            continue
        yield begun + line
        begun = ""
    yield begun


def _pinned(named: Iterable[tuple[str, Requirement]], unread: Iterable[str]) -> dict[str, str]:
    """Package → how it is pinned, once for each marker; a line that is not understood as it is."""
    found: dict[str, str] = {}
    for _, requirement in named:
        name, pin = canonicalize_name(requirement.name), _pin(requirement)
        found[name] = f"{found[name]}, {pin}" if name in found else pin
    return {**found, **dict.fromkeys(unread, "*")}


def _shown(line: str) -> str:
    return formats.shorten(_SECRET.sub("", line), _LONGEST)


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _pin(requirement: Requirement) -> str:
    return str(requirement.specifier) or (requirement.url or "*")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
