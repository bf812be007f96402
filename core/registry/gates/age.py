"""Training and its data are not too old."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.registry.gates.evidence import Evidence, Side
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t

_DAY = 86_400.0


@dataclass(frozen=True)
class Options:
    """The limits; one of them at least."""

    training_days: float | None = None
    """Most days since the run ended."""
    data_days: float | None = None
    """Most days since the newest data set that it was trained on was made."""

    def __post_init__(self) -> None:
        if self.training_days is None and self.data_days is None:
            raise ValueError(t("gates.age.no_limit"))


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Compare the days since then with the limits."""
    side = evidence.challenger
    days: dict[str, float | None] = {}
    if options.training_days is not None:
        days["training"] = _days(evidence.at, side.trained_at)
    if options.data_days is not None:
        days["data"] = _days(evidence.at, _newest(side))
    limits = {"training": options.training_days, "data": options.data_days}
    said, status = [], Status.PASS
    for what, age in days.items():
        most = limits[what] or 0.0
        if age is None:
            said.append(t(f"gates.age.{what}_unknown"))
            status = Status.FAIL if status is Status.FAIL else Status.UNKNOWN
        else:
            old = age > most
            status = Status.FAIL if old else status
            words = t(f"gates.age.{what}", n=int(age)) if age >= 1 else t(f"gates.age.{what}_today")
            key = "too_old" if old else "fine"
            said.append(f"{words} {t(f'gates.age.{key}', most=f'{most:g}')}")
    return Verdict(status, " ".join(said), {"days": days})


def _newest(side: Side) -> datetime | None:
    found = (_moment(data.get("at")) for data in side.datasets)
    return max((at for at in found if at is not None), default=None)


def _moment(at: Any) -> datetime | None:
    if isinstance(at, str) and at:
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    if not isinstance(at, datetime):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _days(now: datetime, at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds() / _DAY)


GATE = Gate("age", frozenset({"challenger", "run"}), Options, decide)
