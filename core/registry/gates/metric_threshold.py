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
    shown = {"metric": options.metric, "value": formats.number(value)}
    for bound, key, broken in (
        (options.at_least, "below", options.at_least is not None and value < options.at_least),
        (options.at_most, "above", options.at_most is not None and value > options.at_most),
    ):
        if broken:
            said = t(f"gates.threshold.{key}", **shown, bound=as_set(bound))
            return Verdict(Status.FAIL, said, inputs)
    return Verdict(
        Status.PASS, t("gates.threshold.within", **shown, bounds=_bounds(options)), inputs
    )


def _bounds(options: Options) -> str:
    low, high = options.at_least, options.at_most
    parts = [t("gates.threshold.at_least", bound=as_set(low))] if low is not None else []
    if high is not None:
        parts.append(t("gates.threshold.at_most", bound=as_set(high)))
    return t("gates.and").join(parts)


GATE = Gate("metric_threshold", frozenset({"challenger"}), Options, decide)
