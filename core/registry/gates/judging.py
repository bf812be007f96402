"""Judging: the gates of a policy, each over the same evidence."""

import logging
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from core.registry.gates.evidence import Evidence
from core.registry.gates.finding import all_gates
from core.registry.gates.gate import Gate, Result, Status, Verdict
from core.registry.gates.options import make
from core.texts import has, t

if TYPE_CHECKING:
    from core.registry.policy import GateUse, Policy

_log = logging.getLogger(__name__)
_MOST = 500
"""Entries of one list or table among the inputs that are frozen; more are cut, and it says so."""
_LONGEST = 4_000
"""Characters of one text."""


def judge(
    evidence: Evidence, policy: "Policy", gates: Mapping[str, Gate] | None = None
) -> tuple[Result, ...]:
    """What every gate of a policy says, in the policy's order.

    A gate that fails to decide says so as ``unknown``: it holds nothing up for the others, and it
    lets nothing through.

    Args:
        gates: by name; those that Modeldeck brings unless given (``Rules.gates`` has also the
            administrator's own).
    """
    known = all_gates() if gates is None else gates
    return tuple(_result(use, evidence, known) for use in policy.gates)


def needs(policy: "Policy", gates: Mapping[str, Gate] | None = None) -> frozenset[str]:
    """The parts of the evidence that a policy's gates look at: names of fields of ``Evidence``."""
    known = all_gates() if gates is None else gates
    return frozenset(
        part for use in policy.gates if use.gate in known for part in known[use.gate].needs
    )


def _result(use: "GateUse", evidence: Evidence, gates: Mapping[str, Gate]) -> Result:
    verdict = _verdict(use, evidence, gates)
    return Result(
        gate=use.gate,
        level=use.level.value,
        status=verdict.status,
        reason=verdict.reason[:_LONGEST],
        inputs=verdict.inputs,
        options=_plain(use.options),
    )


def _verdict(use: "GateUse", evidence: Evidence, gates: Mapping[str, Gate]) -> Verdict:
    gate = gates.get(use.gate)
    if gate is None:
        return Verdict(Status.UNKNOWN, t("gates.no_such", name=use.gate))
    try:
        return _decided(gate, use, evidence)
    except Exception as error:  # noqa: BLE001 - a gate may be anybody's; it must not stop the others
        _log.exception("gate %s failed", use.gate)
        return Verdict(Status.UNKNOWN, t("gates.broke", error=type(error).__name__))


def _decided(gate: Gate, use: "GateUse", evidence: Evidence) -> Verdict:
    try:
        options = make(gate, use.options)
    except ValueError as error:
        return Verdict(Status.UNKNOWN, t("gates.bad_options", what=str(error)))
    for part in _missing(gate, evidence):
        why = evidence.missing[part]
        return Verdict(Status.UNKNOWN, t("gates.missing", part=_part(part), why=why))
    verdict = gate.decide(evidence, options)
    return Verdict(Status(verdict.status), str(verdict.reason), _plain(dict(verdict.inputs)))


def _missing(gate: Gate, evidence: Evidence) -> list[str]:
    """What the gate needs and could not be gathered; nothing where it compares with nobody."""
    found = sorted(gate.needs & set(evidence.missing))
    alone = evidence.holder is None and "holder" in gate.needs and "holder" not in found
    return [] if alone else found


def _part(name: str) -> str:
    of, _, part = name.rpartition(".")
    if of == "holder":
        return t("gates.of_holder", part=_part(part))
    return t(f"gates.part.{name}") if has(f"gates.part.{name}") else name


def _plain(value: Any) -> Any:
    """As plain JSON, bounded."""
    if isinstance(value, Mapping):
        cut = {str(k)[:_LONGEST]: _plain(v) for k, v in list(value.items())[:_MOST]}
        return cut | ({"…": len(value) - _MOST} if len(value) > _MOST else {})
    if isinstance(value, list | tuple | set | frozenset):
        listed = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        more = [f"… {len(listed) - _MOST}"] if len(listed) > _MOST else []
        return [_plain(part) for part in listed[:_MOST]] + more
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)[:_LONGEST]
