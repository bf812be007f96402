"""Evidence as plain JSON, to be frozen into a request, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from core.registry.gates.evidence import Answered, Evidence, Pins, Side

_MOMENTS = ("created_at", "trained_at")


def as_json(evidence: Evidence) -> dict[str, Any]:
    """As plain JSON: moments as ISO texts, tuples as lists."""
    plain: dict[str, Any] = _plain(asdict(evidence))
    return plain


def from_json(data: Mapping[str, Any]) -> Evidence:
    """Back from JSON; of an older or newer Modeldeck's, what is known here."""
    holder, example, pins = data.get("holder"), data.get("example"), data.get("pins")
    return Evidence(
        **{
            **_known(Evidence, data),
            "at": datetime.fromisoformat(data["at"]),
            "challenger": _side(data["challenger"]),
            "holder": None if holder is None else _side(holder),
            "example": None if example is None else Answered(**_known(Answered, example)),
            "pins": None if pins is None else _pins(pins),
        }
    )


def _side(data: Mapping[str, Any]) -> Side:
    found = _known(Side, data)
    for name in _MOMENTS:
        if found.get(name) is not None:
            found[name] = datetime.fromisoformat(found[name])
    for name in ("datasets", "inputs", "outputs", "requirements", "code", "flavors"):
        if found.get(name) is not None:
            found[name] = tuple(found[name])
    found["replicates"] = {k: tuple(v) for k, v in found.get("replicates", {}).items()}
    found["replicate_seeds"] = tuple(found.get("replicate_seeds", ()))
    return Side(**found)


def _pins(data: Mapping[str, Any]) -> Pins:
    found = _known(Pins, data)
    for name in ("other", "than_holder"):
        found[name] = tuple(tuple(row) for row in found.get(name, ()))
    if found.get("python") is not None:
        found["python"] = tuple(found["python"])
    for name in ("missing", "broken", "unread"):
        found[name] = tuple(found.get(name, ()))
    return Pins(**found)


def _known(noun: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(noun)}
    return {name: value for name, value in data.items() if name in names}


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime():
            return value.isoformat()
    return value
