"""The evidence page: champion against challenger, and the decision."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import streamlit as st

from core.errors import DeckError, NotFound
from core.ledger import chain
from core.ledger.chain import Line
from core.lifecycle import brief
from core.registry.gates import Evidence, Result
from core.registry.gates.evidence_json import from_json
from core.registry.requests import Request, Rights, get, may
from core.registry.requests.frozen import contradicted
from core.runs import directions
from core.runs.directions import Direction
from core.texts import t
from core.ui import runs
from core.ui.deck import deck

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Look:
    """One request as one person sees it now."""

    request: Request
    evidence: Evidence | None
    rights: Rights
    lines: tuple[Line, ...]
    """Of the record that belong to it, oldest first; the newest where there are many."""
    lines_in_all: int
    contradicted: int | None
    """The line about its check that says that what the request holds was changed since."""

    @cached_property
    def metrics(self) -> tuple[brief.Metric, ...]:
        """The metrics of both; compared once a check."""
        if self.evidence is None:
            return ()
        ways = _ways(self.evidence.challenger.run_id)
        at = self.request.checked_at
        what = f"{self.request.id} {at} {sorted(ways.items())}"
        return _metrics(what, self.evidence, self.request.results, ways)


def look(request_id: str) -> Look:
    """The request that the link names.

    Raises:
        NotFound: the link names none, or one that does not exist.
        NotAllowed: this person may not read the model.
    """
    if not request_id:
        raise NotFound(t("evidence_page.none"), t("evidence_page.none_next"))
    if not _ID.fullmatch(request_id):
        raise NotFound(t("requests.gone"), t("requests.gone_next"))
    desk = deck().desk
    request = get(desk, request_id)
    lines = chain.lines(desk.ledger, request_id=request_id, limit=_MOST_LINES)
    in_all = len(lines)
    if in_all == _MOST_LINES:
        in_all = chain.count(desk.ledger, request_id=request_id)
    evidence = from_json(request.evidence) if request.evidence else None
    contradiction = contradicted(desk.ledger, request_id)
    rights = may(desk, request)
    return Look(request, evidence, rights, tuple(reversed(lines)), in_all, contradiction)


_MOST_LINES = 1_000


def _ways(run_id: str | None) -> Mapping[str, Direction]:
    """What the challenger's experiment says of its metrics; nothing where it cannot be asked."""
    if run_id is None:
        return {}
    try:
        experiment = runs.run(run_id).experiment_id
        return directions.of_experiments(e for e in runs.experiments() if e.id == experiment)
    except DeckError:
        return {}  # names decide, as they do where an experiment says nothing


@st.cache_data(max_entries=60, show_spinner=False)
def _metrics(
    what: str,  # noqa: ARG001 - the key of the memory
    _evidence: Evidence,
    _results: tuple[Result, ...],
    _ways: Mapping[str, Direction],
) -> tuple[brief.Metric, ...]:
    return brief.metrics(_evidence, _results, _ways)
