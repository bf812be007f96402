"""The nouns of promotion requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.registry.gates import Result
from core.registry.plan import Seen, Step
from core.registry.policy import Policy


class Kind(StrEnum):
    """What is asked for."""

    MOVE = "move"
    """A version to a rung."""
    ROLLBACK = "rollback"
    """The earlier holder back to its rung."""
    ARCHIVE = "archive"
    """A version to the retired rung."""


class State(StrEnum):
    """How far a request came. Those up to ``APPLYING`` are open."""

    CHECKING = "checking"
    """The worker gathers evidence."""
    BLOCKED = "blocked"
    """A gate blocks: it can be checked again or withdrawn, and by breaking the glass approved."""
    WAITING = "waiting"
    """It waits for a decision."""
    APPROVED = "approved"
    """Enough have approved; it is carried out next."""
    APPLYING = "applying"
    """It is being carried out."""
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """A newer request for the same model and rung took its place."""
    OUTDATED = "outdated"
    """What was approved is no longer what is there: it must be asked again."""
    FAILED = "failed"
    """It could not be carried out; nothing or not all of it is there, and the message says so."""


OPEN = (State.CHECKING, State.BLOCKED, State.WAITING, State.APPROVED, State.APPLYING)


class Choice(StrEnum):
    """How somebody decided."""

    APPROVE = "approve"
    REJECT = "reject"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True)
class Bound:
    """What an approval is bound to; if any of it has changed, it must be asked again."""

    version: int
    source: str
    digest: str
    """Of the artifacts; "" where it could not be made."""
    digest_of: str
    """``content`` or ``listing``."""
    holders: tuple[int, ...]
    """Who stood on the rung."""
    carrier: int | None
    """Which version carried the rung's alias."""
    standing: str
    """The rung that the version stood on."""
    gates: Mapping[str, str]
    """``"<place>:<gate>"`` → status."""


@dataclass(frozen=True)
class Decision:
    """One person's decision."""

    actor: str
    choice: Choice
    comment: str
    at: datetime
    own: bool = False
    """Whether it was their own request, or their own version."""
    binding: str = ""
    """What it was bound to (``binding.binding``); "" for a rollback, which is decided
    by asking, until it was first checked."""
    used_by: str | None = None
    """The transition that it was used for; it is used once."""


@dataclass(frozen=True)
class Request:
    """Somebody's wish that a version be moved."""

    id: str
    store: str
    model: str
    version: int
    kind: Kind
    rung: str
    archive_existing: bool
    requester: str
    requester_kind: str
    registrant: str | None
    """Who registered the version; None where that is not known."""
    comment: str
    reason: str
    """Why the glass was broken; "" else."""
    state: State
    message: str
    seen: Seen
    """What whoever asked saw."""
    policy: Policy
    """As it was when it was asked."""
    approvals_needed: int
    """With one more where the registrant is unknown and the policy says so."""
    bound: Bound | None
    evidence: Mapping[str, Any] | None
    """Frozen: ``gates.evidence.Evidence`` as JSON."""
    results: tuple[Result, ...]
    steps: tuple[Step, ...]
    """What approval would do, as planned when it was checked."""
    decisions: tuple[Decision, ...]
    asked_at: datetime
    checked_at: datetime | None
    expires_at: datetime
    closed_at: datetime | None
    transition_id: str | None

    @property
    def open(self) -> bool:
        """Whether anything may still come of it."""
        return self.state in OPEN

    @property
    def approvals(self) -> int:
        """How many have approved."""
        return sum(d.choice is not Choice.REJECT for d in self.decisions)

    @property
    def broke_glass(self) -> bool:
        """Whether an administrator broke the glass."""
        return any(d.choice is Choice.BREAK_GLASS for d in self.decisions)

    def overdue(self, at: datetime) -> bool:
        """Whether it has waited too long: nothing more may come of it, marked as such or not."""
        return self.open and self.state is not State.APPLYING and at >= self.expires_at


@dataclass(frozen=True)
class Checked:
    """What a check of a request found."""

    bound: Bound
    evidence: Mapping[str, Any]
    """``gates.evidence.Evidence`` as JSON."""
    results: tuple[Result, ...]
    steps: tuple[Step, ...]
    """What approval would do now."""


Check = Callable[[Request], Checked]
"""Looks anew: the digest, the gates, the plan. Made by ``core.lifecycle.desk_keeper``."""
