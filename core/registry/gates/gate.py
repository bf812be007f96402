"""What a gate is, and what it says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from core.registry.gates.evidence import Evidence
from core.texts import t

_OF_VERSION = ("run", "metrics", "replicates", "files", "signature", "pins")
PARTS = frozenset(
    [f.name for f in fields(Evidence)] + [of + p for p in _OF_VERSION for of in ("", "holder.")]
)
"""What a gate may need: fields of ``Evidence``, and what ``missing`` may name of a version."""


class Status(StrEnum):
    """How a gate decided."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """Evidence is missing: it counts as a failure, and says what is missing."""
    NOT_NEEDED = "not_needed"
    """It does not concern this version, such as a comparison where nobody holds the rung."""


@dataclass(frozen=True)
class Verdict:
    """What a gate's decision gives: the status, the reason, and the inputs it looked at."""

    status: Status
    reason: str
    """One or two sentences of plain text, with the numbers and their units."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What was looked at, plain JSON; frozen into the request."""


@dataclass(frozen=True)
class Gate:
    """One check that policies can name."""

    name: str
    """As policies write it, such as ``metric_threshold``."""
    needs: frozenset[str]
    """The parts of the evidence that it looks at, of ``PARTS``. Where one could not be gathered,
    the gate is not asked: it is ``unknown``, for what was not read must not pass for what is not
    there."""
    options: type
    """A frozen dataclass of what policies may set; its fields are typed and checked."""
    decide: Callable[[Evidence, Any], Verdict]
    """Pure: the evidence and the options in, the verdict out."""


@dataclass(frozen=True)
class Result:
    """A gate's verdict within one request."""

    gate: str
    level: str
    """``block``, ``warn`` or ``inform``."""
    status: Status
    reason: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it holds nothing against the version."""
        return self.status in (Status.PASS, Status.NOT_NEEDED)

    @property
    def blocks(self) -> bool:
        """Whether the request cannot be approved because of it."""
        return not self.passed and self.level == "block"


def nobody(evidence: Evidence) -> str:
    """Why there is no version to compare with, in plain words."""
    return t(f"gates.{'shared' if evidence.shared else 'nobody'}", rung=evidence.rung)
