"""A metric of one version, or why it has none to compute with."""

from core.registry.gates.evidence import Side
from core.statistics import LARGEST
from core.texts import t


def as_set(bound: float) -> str:
    """A number of the rules as somebody wrote it: 0.9, not 0.9000."""
    return f"{bound:.12g}"


def measured(side: Side, metric: str) -> tuple[float | None, str]:
    """The last value of a metric, or None and why there is none, in plain words."""
    if metric not in side.metrics:
        return None, t("gates.measured.missing", version=side.version, metric=metric)
    value = side.metrics[metric]
    if value is None or value != value:
        return None, t("gates.measured.nan", version=side.version, metric=metric)
    if abs(value) >= LARGEST:
        return None, t("gates.measured.infinite", version=side.version, metric=metric)
    return value, ""
