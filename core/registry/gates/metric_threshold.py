"""A metric lies within bounds."""

from dataclasses import dataclass

from core import formats
from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Status, Verdict
from core.registry.gates.measured import as_set, measured
from core.texts import t


@dataclass(frozen=True)
class Options:
    """Which metric, and its bounds; one of them at least."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        low, high = self.at_least, self.at_most
        if low is None and high is None:
            raise ValueError(t("gates.threshold.no_bound"))
        if low is not None and high is not None and low > high:
            raise ValueError(t("gates.threshold.crossed"))


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Compare the last value with the bounds, which themselves pass."""
    value, why = measured(evidence.challenger, options.metric)
    inputs = {"metric": options.metric, "value": value}
    if value is None:
        return Verdict(Status.UNKNOWN, why, inputs)
    low, high = options.at_least, options.at_most
    within = (low is None or value >= low) and (high is None or value <= high)
    shown = formats.number(value)
    said = t("gates.threshold.said", metric=options.metric, value=shown, bounds=_bounds(options))
    return Verdict(Status.PASS if within else Status.FAIL, said, inputs)


def _bounds(options: Options) -> str:
    low, high = options.at_least, options.at_most
    parts = [t("gates.threshold.at_least", bound=as_set(low))] if low is not None else []
    if high is not None:
        parts.append(t("gates.threshold.at_most", bound=as_set(high)))
    return t("gates.and").join(parts)


GATE = Gate("metric_threshold", frozenset({"challenger", "metrics"}), Options, decide)
