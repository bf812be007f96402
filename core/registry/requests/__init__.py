"""Promotion requests: asked for, checked, decided, carried out.

Every use case takes the ``Desk`` first, asks MLflow and the rules anew what the person may do, and
writes what it did into the record in the same transaction.
"""

from core.registry.requests.acting import expire
from core.registry.requests.asking import ask, roll_back
from core.registry.requests.binding import binding
from core.registry.requests.carrying_out import carry_out, settle
from core.registry.requests.checking import checked, outdate, recheck
from core.registry.requests.deciding import approve, break_glass, comment, reject, withdraw
from core.registry.requests.direct import move, remove_alias, set_alias
from core.registry.requests.may import Rights
from core.registry.requests.nouns import (
    OPEN,
    Bound,
    Check,
    Checked,
    Choice,
    Decision,
    Kind,
    Request,
    State,
)
from core.registry.requests.reading import Page, get, listed, may, page, tally, waiting_for

__all__ = [
    "OPEN",
    "Bound",
    "Check",
    "Checked",
    "Choice",
    "Decision",
    "Kind",
    "Page",
    "Request",
    "Rights",
    "State",
    "approve",
    "ask",
    "binding",
    "break_glass",
    "carry_out",
    "checked",
    "comment",
    "expire",
    "get",
    "listed",
    "may",
    "move",
    "outdate",
    "page",
    "recheck",
    "reject",
    "remove_alias",
    "roll_back",
    "set_alias",
    "settle",
    "tally",
    "waiting_for",
    "withdraw",
]
