"""The model answers its own input example, fast enough and in little enough memory."""

from dataclasses import dataclass

from core import formats
from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t


@dataclass(frozen=True)
class Options:
    """The bounds."""

    seconds: float | None = 5.0
    """Most seconds of a warm call."""
    memory_mb: float | None = 2_000.0
    """Most resident memory of the process that answered, in MB."""


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Look how it went in the child process."""
    answered = evidence.example
    if answered is None:
        return Verdict(Status.UNKNOWN, t("gates.example.none"))
    inputs = {
        "ok": answered.ok,
        "reason": answered.reason,
        "rows": answered.rows,
        "seconds": answered.seconds,
        "load_seconds": answered.load_seconds,
        "memory": answered.memory,
    }
    if not answered.ok:
        return Verdict(Status.FAIL, t("gates.example.failed", why=answered.reason), inputs)
    took, memory = answered.seconds, answered.memory
    if (took is None and options.seconds is not None) or (
        memory is None and options.memory_mb is not None
    ):
        return Verdict(Status.UNKNOWN, t("gates.example.unmeasured"), inputs)
    shown = {
        "n": answered.rows,
        "seconds": formats.duration(took),
        "memory": formats.size(memory),
    }
    over = []
    if took is not None and options.seconds is not None and took > options.seconds:
        over.append(t("gates.example.slow", most=formats.duration(options.seconds)))
    if memory is not None and options.memory_mb is not None and memory > options.memory_mb * 1e6:
        over.append(t("gates.example.large", most=formats.size(options.memory_mb * 1e6)))
    said = " ".join([t("gates.example.answered", **shown), *over])
    return Verdict(Status.FAIL if over else Status.PASS, said, inputs)


GATE = Gate("example_answered", frozenset({"example"}), Options, decide)
