"""Training and its data are not too old."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.registry.gates.evidence import Evidence, Side
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t

_DAY = 86_400.0
_AHEAD = 1.0
"""Days by which something may lie ahead: clocks and time zones differ. Beyond, it is no age."""


@dataclass(frozen=True)
class Options:
    """The limits; one of them at least."""

    training_days: float | None = None
    """Most days since the run ended."""
    data_days: float | None = None
    """Most days since the newest data that it was trained on was made."""

    def __post_init__(self) -> None:
        if self.training_days is None and self.data_days is None:
            raise ValueError(t("gates.age.no_limit"))


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Compare the days since then with the limits."""
    side = evidence.challenger
    days: dict[str, float | None] = {}
    said, found = [], set()
    for what, at, most in (
        ("training", side.trained_at, options.training_days),
        ("data", _newest(side), options.data_days),
    ):
        if most is None:
            continue
        age = None if at is None else (evidence.at - at).total_seconds() / _DAY
        days[what] = None if age is None or age < -_AHEAD else max(0.0, age)
        status, words = _judged(what, at, days[what], most)
        found.add(status)
        said.append(words)
    worst = next(s for s in (Status.FAIL, Status.UNKNOWN, Status.PASS) if s in found)
    return Verdict(worst, " ".join(said), {"days": days})


def _judged(what: str, at: datetime | None, age: float | None, most: float) -> tuple[Status, str]:
    """What an age comes to, in a sentence or two."""
    if at is None:
        return Status.UNKNOWN, t(f"gates.age.{what}_unknown")
    if age is None:
        return Status.UNKNOWN, t(f"gates.age.{what}_ahead", date=at.date().isoformat())
    limit, old = f"{most:g}", age > most
    if old and int(age) <= most:  # by some hours: whole days would say that it is not
        words = t(f"gates.age.{what}_just", most=limit)
    else:
        words = t(f"gates.age.{what}", n=int(age)) if age >= 1 else t(f"gates.age.{what}_today")
    allowed = t(f"gates.age.{'too_old' if old else 'fine'}", most=limit)
    return Status.FAIL if old else Status.PASS, f"{words} {allowed}"


def _newest(side: Side) -> datetime | None:
    given = (side.data_at, *(data.get("at") for data in side.datasets))
    return max((at for at in map(_moment, given) if at is not None), default=None)


def _moment(at: Any) -> datetime | None:
    if isinstance(at, str) and at:
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    if not isinstance(at, datetime):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


GATE = Gate("age", frozenset({"challenger", "run"}), Options, decide)
