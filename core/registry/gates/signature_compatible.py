"""Whoever calls the present version can call this one in the same way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Status, Verdict, nobody
from core.texts import t

Column = Mapping[str, Any]
_WIDER = {("integer", "long"), ("float", "double"), ("integer", "double")}
"""(what callers send, what the model takes): MLflow converts these without loss."""


@dataclass(frozen=True)
class Options:
    """What is tolerated."""

    removed: bool = True
    """Whether the model may take fewer columns: MLflow leaves out what callers send in excess."""
    outputs: bool = True
    """Whether what it answers is compared too."""


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Name every column that was added, removed or changed, and say which break callers."""
    if evidence.holder is None:
        return Verdict(Status.NOT_NEEDED, nobody(evidence))
    new, old = evidence.challenger, evidence.holder
    if old.inputs is None:
        return Verdict(Status.NOT_NEEDED, t("gates.signature.holder_none", version=old.version))
    if new.inputs is None:
        return Verdict(Status.FAIL, t("gates.signature.none", version=new.version))
    changes = _inputs(old.inputs, new.inputs, options)
    if options.outputs and old.outputs is not None:
        changes += _outputs(old.outputs, new.outputs or ())
    breaking = [said for said, breaks in changes if breaks]
    harmless = [said for said, breaks in changes if not breaks]
    inputs = {"holder_version": old.version, "breaking": breaking, "harmless": harmless}
    if breaking:
        return Verdict(
            Status.FAIL, t("gates.signature.breaks", what="; ".join(breaking + harmless)), inputs
        )
    key = "compatible" if harmless else "same"
    said = t(f"gates.signature.{key}", version=old.version, what="; ".join(harmless))
    return Verdict(Status.PASS, said, inputs)


def _inputs(
    old: Sequence[Column], new: Sequence[Column], options: Options
) -> list[tuple[str, bool]]:
    before, after = _by_name(old), _by_name(new)
    changes = [
        (t("gates.signature.removed", name=name), not options.removed)
        for name in before.keys() - after.keys()
    ]
    for name in after.keys() - before.keys():
        required = bool(after[name].get("required", True))
        key = "added_required" if required else "added_optional"
        changes.append((t(f"gates.signature.{key}", name=name), required))
    for name in before.keys() & after.keys():
        was, now = before[name], after[name]
        if _kind(was) != _kind(now):
            fits = (was.get("type"), now.get("type")) in _WIDER
            same_shape = was.get("shape") == now.get("shape")
            changes.append((_changed(name, was, now), not (fits and same_shape)))
        if now.get("required", True) and not was.get("required", True):
            changes.append((t("gates.signature.now_required", name=name), True))
        elif was.get("required", True) and not now.get("required", True):
            changes.append((t("gates.signature.now_optional", name=name), False))
    return sorted(changes)


def _outputs(old: Sequence[Column], new: Sequence[Column]) -> list[tuple[str, bool]]:
    before, after = _by_name(old), _by_name(new)
    changes = [
        (t("gates.signature.output_removed", name=n), True) for n in before.keys() - after.keys()
    ]
    changes += [
        (t("gates.signature.output_added", name=n), False) for n in after.keys() - before.keys()
    ]
    changes += [
        (t("gates.signature.output", what=_changed(n, before[n], after[n])), True)
        for n in before.keys() & after.keys()
        if _kind(before[n]) != _kind(after[n])
    ]
    return sorted(changes)


def _by_name(columns: Iterable[Column]) -> dict[str, Column]:
    """By name; those without one by their place."""
    return {str(c.get("name") or f"#{place}"): c for place, c in enumerate(columns, 1)}


def _kind(column: Column) -> tuple[str, str]:
    return str(column.get("type")), str(column.get("shape"))


def _changed(name: str, was: Column, now: Column) -> str:
    return t("gates.signature.changed", name=name, was=_words(was), now=_words(now))


def _words(column: Column) -> str:
    shape = column.get("shape")
    return str(column.get("type")) + (f" {shape}" if shape else "")


GATE = Gate(
    "signature_compatible",
    frozenset({"challenger", "holder", "signature", "holder.signature"}),
    Options,
    decide,
)
