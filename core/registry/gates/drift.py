"""What monitoring says of the data that the model would meet."""

from dataclasses import dataclass

from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t

_STATUS = {"stable": Status.PASS, "drifting": Status.FAIL}


@dataclass(frozen=True)
class Options:
    """None."""


def decide(evidence: Evidence, _options: Options) -> Verdict:
    """``stable`` passes, ``drifting`` fails, anything else is unknown.

    The evidence holds ``{"state", "said"}``, the second in plain words.
    """
    if evidence.drift is None:
        return Verdict(Status.NOT_NEEDED, t("gates.drift.none"))
    state = str(evidence.drift.get("state", ""))
    status = _STATUS.get(state, Status.UNKNOWN)
    key = state if state in _STATUS else "unknown"
    said = t(f"gates.drift.{key}", said=str(evidence.drift.get("said", "")))
    return Verdict(status, said.strip(), dict(evidence.drift))


GATE = Gate("drift", frozenset({"drift"}), Options, decide)
