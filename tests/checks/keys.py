"""Every text that the code asks for is in the catalogue, and every text there is asked for.

A key is asked for by a call such as ``t("home.title")`` or ``md("home.title", name=…)``. Where the
key is put together, as in ``t(f"errors.title.{kind}")``, all keys with that beginning count as
asked for. A key that stands in the code as a string of its own, in a table for instance, counts
too. What is built in another way is named in ``BUILT``, with the place.
"""

import ast
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ASKS = {"t", "md"}
PLURALS = ("one", "other")
BUILT: dict[str, str] = {}
"""Beginnings of keys whose use cannot be seen in the code, each with where they are built."""


@dataclass
class Uses:
    """What some code asks of the catalogue."""

    calls: list[tuple[str, str, frozenset[str] | None]] = field(default_factory=list)
    """Place, key, and the fields given (None where they cannot be seen) of each plain call."""
    beginnings: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)


def texts_complete(files: Iterable[Path], catalogue: Mapping[str, str], root: Path) -> list[str]:
    """Every key asked for exists and gets its fields; every key in the catalogue is asked for."""
    uses = Uses()
    for path in files:
        _collect(ast.parse(path.read_text("utf-8"), path), str(path.relative_to(root)), uses)
    faults = [fault for call in uses.calls for fault in _faults_of_call(call, catalogue)]
    beginnings = tuple(uses.beginnings | set(BUILT))
    return faults + [
        f"core/texts: nothing asks for {key}"
        for key in sorted(catalogue)
        if not key.startswith(beginnings) and not {key, _singular(key)} & uses.strings
    ]


def _collect(tree: ast.AST, place: str, uses: Uses) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            uses.strings.add(node.value)
        if not isinstance(node, ast.Call) or _called(node) not in ASKS or not node.args:
            continue
        key, where = node.args[0], f"{place}:{node.lineno}"
        if isinstance(key, ast.JoinedStr):
            first = key.values[0]
            if isinstance(first, ast.Constant) and "." in str(first.value):
                uses.beginnings.add(str(first.value))
        for choice in _choices(key):
            uses.calls.append((where, choice, _fields(node)))


def _choices(key: ast.expr) -> list[str]:
    """The keys that an expression may be, where they stand in it."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return [key.value]
    if isinstance(key, ast.IfExp):
        return _choices(key.body) + _choices(key.orelse)
    return []


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _fields(node: ast.Call) -> frozenset[str] | None:
    if any(keyword.arg is None for keyword in node.keywords):
        return None
    return frozenset(keyword.arg for keyword in node.keywords if keyword.arg)


def _faults_of_call(
    call: tuple[str, str, frozenset[str] | None], catalogue: Mapping[str, str]
) -> list[str]:
    where, key, given = call
    texts = [key, *(f"{key}.{plural}" for plural in PLURALS)]
    found = [catalogue[name] for name in texts if name in catalogue]
    if not found:
        return [f"{where} asks for {key}, which is not in core/texts"]
    if given is None:
        return []
    wanted = {name for text in found for _, name, _, _ in string.Formatter().parse(text) if name}
    missing = sorted({name.split(".")[0].split("[")[0] for name in wanted} - given)
    return [f"{where} gives {key} no {', '.join(missing)}"] if missing else []


def _singular(key: str) -> str:
    stem, _, ending = key.rpartition(".")
    return stem if ending in PLURALS else key
