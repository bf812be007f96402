"""A metric is better than that of the version that would be replaced."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from core import formats
from core.registry.gates.evidence import Evidence, Side
from core.registry.gates.gate import Gate, Status, Verdict, nobody
from core.registry.gates.measured import as_set, measured
from core.statistics import Difference, Sample, difference, sample
from core.texts import t

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Options:
    """Which metric, which way is better, and by how much."""

    metric: str
    better: Literal["higher", "lower"] = "higher"
    by: float = 0.0
    """How much better at least; negative: how much worse it may be at most. With 0 it must be
    better, by however little."""
    replicates: bool = False
    """Whether both must have runs that repeat them, so that there is an interval."""


def decide(evidence: Evidence, options: Options) -> Verdict:
    """By the interval of the difference where both have replicates, else by the two values."""
    holder = evidence.holder
    if holder is None:
        return Verdict(Status.NOT_NEEDED, nobody(evidence))
    metric = options.metric
    new, why = measured(evidence.challenger, metric)
    old, why_old = measured(holder, metric)
    inputs: dict[str, Any] = {"metric": metric, "challenger": new, "holder": old}
    if new is None or old is None:
        return Verdict(Status.UNKNOWN, why or why_old, inputs | {"holder_version": holder.version})
    inputs["holder_version"] = holder.version
    found = _replicated(evidence.challenger, holder, options)
    if found is not None and found.low is not None and found.high is not None:
        return _by_interval(found, options, inputs)
    if options.replicates:
        return Verdict(Status.UNKNOWN, t("gates.better.no_replicates", metric=metric), inputs)
    return _by_values(evidence, new, old, options, inputs)


def _replicated(challenger: Side, holder: Side, options: Options) -> Difference | None:
    """How much better the challenger's replicates are; None where one side has none."""
    sides = [_sample(side, options.metric) for side in (challenger, holder)]
    if any(one.n < 2 for one in sides):
        return None
    return difference(*(sides if options.better == "higher" else reversed(sides)))


def _sample(side: Side, metric: str) -> Sample:
    values = side.replicates.get(metric, ())
    seeds = side.replicate_seeds if len(side.replicate_seeds) == len(values) else ()
    return sample(values, seeds if all(seeds) else ())


def _by_interval(found: Difference, options: Options, inputs: dict[str, Any]) -> Verdict:
    value, low, high = found.value or 0.0, found.low or 0.0, found.high or 0.0
    inputs |= {"by": value, "low": low, "high": high, "n": list(found.n), "test": found.test}
    shown, lower, upper = formats.alike(abs(value), low, high)
    key = "better" if value > 0 else "worse" if value < 0 else "same"
    # The whole interval has to lie beyond, so that chance alone does not explain it.
    passed = low > options.by
    said = t(
        f"gates.better.interval_{'pass' if passed else 'fail'}",
        metric=options.metric,
        how=t(f"gates.better.{key}", by=shown),
        low=lower,
        high=upper,
        n=found.n[0],
        m=found.n[1],
        asked=_asked(options),
    )
    return Verdict(Status.PASS if passed else Status.FAIL, said, inputs)


def _by_values(
    evidence: Evidence, new: float, old: float, options: Options, inputs: dict[str, Any]
) -> Verdict:
    by = new - old if options.better == "higher" else old - new
    inputs["by"] = by
    slack = _ROUNDING * max(abs(new), abs(old))
    passed = by > slack if options.by == 0 else by >= options.by - slack
    key = "same" if math.isclose(by, 0, abs_tol=slack) else "better" if by > 0 else "worse"
    a, b = formats.alike(new, old)
    said = t(
        "gates.better.values",
        metric=options.metric,
        new=a,
        old=b,
        version=inputs["holder_version"],
        rung=evidence.rung,
        how=t(f"gates.better.{key}", by=formats.number(abs(by), 2)),
        asked=_asked(options),
    )
    return Verdict(Status.PASS if passed else Status.FAIL, said, inputs)


def _asked(options: Options) -> str:
    if options.by == 0:
        return t("gates.better.asked_any")
    key = "asked_more" if options.by > 0 else "asked_not_worse"
    return t(f"gates.better.{key}", by=as_set(abs(options.by)))


GATE = Gate(
    "better_than_holder",
    frozenset(
        {"challenger", "holder", "metrics", "holder.metrics", "replicates", "holder.replicates"}
    ),
    Options,
    decide,
)
