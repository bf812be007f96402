"""A metric of one version, or why it has none to compute with."""

from core.registry.gates.evidence import Side
from core.statistics import LARGEST
from core.texts import t


def measured(side: Side, metric: str) -> tuple[float | None, str]:
    """The last value of a metric, or None and why there is none, in plain words."""
    if side.run_id is None:
        return None, t("gates.measured.no_run", version=side.version)
    if metric not in side.metrics:
        return None, t("gates.measured.missing", version=side.version, metric=metric)
    value = side.metrics[metric]
    if value is None or value != value:
        return None, t("gates.measured.nan", version=side.version, metric=metric)
    if abs(value) >= LARGEST:
        return None, t("gates.measured.infinite", version=side.version, metric=metric)
    return value, ""
