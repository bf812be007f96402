"""Values that are JSON or YAML, opened into paths and leaves. Pure, runs nothing."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

LEAVES = 500
"""Leaves of one value that are opened; a value with more stays closed."""

LONGEST = 20_000
"""Characters of a value that is opened; MLflow itself keeps at most 8,000."""


@lru_cache(maxsize=4096)
def opened(text: str) -> tuple[tuple[str, str], ...] | None:
    """The leaves of a value that is a mapping or a list, as pairs of path and text.

    Paths look like ``.optimizer.lr`` and ``.layers[0].units``; a name with signs in it stands in
    quotes, as in ``["a.b"]``, so that no two leaves share a path. Texts tell types apart as JSON
    does: a text that reads as a number is in quotes. Empty mappings and lists are leaves.

    Returns:
        None where the text is no mapping or list, or one that is too large or odd to open.
    """
    value = _parsed(text)
    if not isinstance(value, dict | list) or not value:
        return None
    found: list[tuple[str, str]] = []
    try:
        for leaf in _leaves("", value):
            "".join(leaf).encode()  # half a character cannot be drawn
            found.append(leaf)
            if len(found) > LEAVES:
                return None
    except (RecursionError, ValueError):  # too deep, or a number too long to be written
        return None
    return tuple(found)


def _parsed(text: str) -> Any:
    kept = text.strip()
    if len(kept) > LONGEST or not kept:
        return None
    if kept[0] in "{[":
        try:
            return json.loads(kept)
        except (ValueError, RecursionError):
            pass  # what Python writes of a dict is no JSON, and mostly YAML
    elif "\n" not in kept:
        return None
    try:
        # An alias in YAML can stand for any number of copies of what it names.
        if any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(kept, yaml.SafeLoader)):
            return None
        return yaml.safe_load(kept)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(path + _step(key), inner)
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from _leaves(f"{path}[{i}]", inner)
    else:
        yield path, _text(value)


def _step(key: object) -> str:
    if isinstance(key, str) and key.replace("-", "_").isidentifier():
        return f".{key}"
    return f"[{json.dumps(key, ensure_ascii=False) if isinstance(key, str) else f'<{key}>'}]"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return value
    return json.dumps(value, ensure_ascii=False)
