"""A model's requirements against the interpreter that serves, and against the holder's. Pure."""

import platform
import re
from collections.abc import Callable, Sequence
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from core.registry.gates.evidence import Pins

Installed = Callable[[str], str | None]
_COMMENT = re.compile(r"(^|\s)#.*$")


def installed(package: str) -> str | None:
    """The version of a package that this interpreter has; None where it has none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def pins(
    requirements: Sequence[str],
    python: str,
    holder: Sequence[str] | None,
    *,
    has: Installed = installed,
    here: str = platform.python_version(),
) -> Pins:
    """What differs between a model's requirements, an interpreter and the holder's requirements.

    Lines that name no package (options, addresses, files) are left out, as are those whose marker
    does not concern the interpreter.

    Args:
        python: the Python version that the model names, "" where it names none.
        holder: the holder's requirements; None where there is no holder, or it has none.
        has: the interpreter's version of a package.
        here: the interpreter's Python version.
    """
    wanted = _parsed(requirements)
    missing, other = [], []
    for name, requirement in wanted.items():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        found = has(name)
        if found is None:
            missing.append(name)
        elif not _fits(requirement, found):
            other.append((name, _pin(requirement), found))
    theirs = {} if holder is None else {n: _pin(r) for n, r in _parsed(holder).items()}
    ours = {name: _pin(requirement) for name, requirement in wanted.items()}
    differing = sorted(n for n in {*ours, *theirs} if ours.get(n) != theirs.get(n))
    return Pins(
        missing=tuple(sorted(missing)),
        other=tuple(sorted(other)),
        python=(python, here) if python and _minor(python) != _minor(here) else None,
        than_holder=()
        if holder is None
        else tuple((name, theirs.get(name, ""), ours.get(name, "")) for name in differing),
    )


def _parsed(lines: Sequence[str]) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    for line in lines:
        try:
            requirement = Requirement(_COMMENT.sub("", line).strip())
        except InvalidRequirement:
            continue
        found[canonicalize_name(requirement.name)] = requirement
    return found


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _pin(requirement: Requirement) -> str:
    return str(requirement.specifier) or (requirement.url or "*")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
