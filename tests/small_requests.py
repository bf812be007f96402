"""Requests and their evidence as plain data, for tests of what is said about them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.registry.gates import Evidence, Result, Status
from core.registry.gates.evidence import Side
from core.registry.plan import Seen, Step, StepKind
from core.registry.policy import Policy
from core.registry.requests.nouns import Kind, Request, State

AT = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)

PASSED = Result("card_complete", "warn", Status.PASS, "All 5 required fields are filled in.")
WARNED = Result("drift", "warn", Status.UNKNOWN, "It could not be checked.")
BLOCKED = Result(
    "metric_threshold",
    "block",
    Status.FAIL,
    "accuracy is 0.8; at least 0.9 is asked.",
    {"metric": "accuracy", "value": 0.8},
    {"metric": "accuracy", "at_least": 0.9},
)


def side(version: int, metrics: Mapping[str, float | None] | None = None, **more: Any) -> Side:
    """One version with a run."""
    made = Side(
        version, f"{version:032x}", f"run {version}", f"models:/m-{version}", "ada", AT, AT,
        metrics={"accuracy": 0.951 + 0.011 * (version == 7)} if metrics is None else metrics,
    )  # fmt: skip
    return replace(made, **more)


def evidence(
    challenger: Side | None = None, holder: Side | None = None, *, alone: bool = False, **more: Any
) -> Evidence:
    """Version 7 against version 5 in Production; against nobody where ``alone``."""
    other = None if alone else holder or side(5)
    made = Evidence("wine", "Production", AT, challenger or side(7), other)
    return replace(made, **more)


def request(state: State = State.WAITING, **more: Any) -> Request:
    """Ada's wish that v7 of wine goes to Production."""
    checked = None if state is State.CHECKING else AT + timedelta(minutes=1)
    made = Request(
        id="a" * 32, store="sqlite:///mlflow.db", model="wine", version=7, kind=Kind.MOVE,
        rung="Production", archive_existing=True, requester="ada", requester_kind="mlflow",
        registrant="ada", comment="Better on wet days.", reason="", state=state, message="",
        seen=Seen("None", (5,), 5), policy=Policy(approvals=1), approvals_needed=1, bound=None,
        evidence=None, results=(PASSED,),
        steps=(Step(StepKind.SET_STAGE, 7, "Production", "None"),), decisions=(), asked_at=AT,
        checked_at=checked, expires_at=AT + timedelta(days=14), closed_at=None,
        transition_id=None,
    )  # fmt: skip
    return replace(made, **more)
