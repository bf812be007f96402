"""What could be retired: gathered from the registry, the record and the endpoints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from core.errors import DeckError
from core.ledger import now
from core.ledger import processes as ledger_processes
from core.lifecycle.deck import Deck
from core.mlflow_api.calls import calls
from core.mlflow_api.nouns import ModelVersion
from core.registry import requests
from core.registry.plan import ModelState, Seen, see
from core.registry.record import record
from core.registry.requests import OPEN, Kind, Request, rows
from core.registry.retirement import Candidate, Facts, Service, candidates
from core.serving import endpoints
from core.serving.endpoints import Endpoint

MOST_MOVES = 2_000
"""Transitions of the record that are looked through, newest first."""
MOST_ENDPOINTS = 500
MOST_ASKED = 50
"""Versions that are asked for at once."""


@dataclass(frozen=True)
class Served:
    """An endpoint that is up, and whether somebody asks it."""

    endpoint: Endpoint
    service: Service
    idle: bool
    """Whether it is certain that nobody has asked it for long."""
    rung: str | None = None
    """Where the version that it serves stands now; None: it is gone."""


@dataclass(frozen=True)
class Findings:
    """What could be retired, and how far was looked."""

    candidates: tuple[Candidate, ...]
    seen: Mapping[tuple[str, int], Seen]
    """Model and version → how it stood, for a request to archive it."""
    asked: frozenset[tuple[str, int]]
    """Model and version of open requests to archive."""
    endpoints: tuple[Served, ...]
    versions: int
    """How many were looked at."""
    models: int
    moves: int
    """How many transitions of the record were looked through."""
    whole_record: bool
    """Whether those were all."""


@dataclass(frozen=True)
class Asked:
    """What came of asking for one version."""

    model: str
    version: int
    request: Request | None
    why_not: str = ""


def find(deck: Deck, idle: timedelta) -> Findings:
    """Everything with a reason to retire it, among what the person may read.

    Args:
        idle: how long without a change, or without a call, is too long.

    Raises:
        DeckError: MLflow or the ledger does not answer.
    """
    ladder, at = deck.rules.ladder, now()
    models = deck.mlflow.registry.models()
    versions = deck.mlflow.registry.all_versions(models)
    moves = record(deck.ledger, limit=MOST_MOVES + 1, store=deck.mlflow.address)
    held: dict[tuple[str, int], list[str]] = {}
    exclusive = {rung.name for rung in ladder.rungs if rung.exclusive}
    for row in moves[:MOST_MOVES]:
        for number, place in row.before.items():
            if place.rung in exclusive:
                held.setdefault((row.model, number), []).append(place.rung)
    # Endpoints of models that the person may not read are none of their business.
    mine = {model.name for model in models}
    served = [s for s in _served(deck, idle) if s.endpoint.model in mine]
    by_version: dict[tuple[str, int], list[Service]] = {}
    for one in served:
        by_version.setdefault((one.endpoint.model, one.endpoint.version), []).append(one.service)
    every, seen = [], {}
    for model, group in groupby(versions, key=lambda v: v.model):
        here = list(group)
        state = ModelState.of(model, here)
        for version in here:
            key = (model, version.version)
            seen[key] = see(state, version.version, ladder.retired, ladder)
            every.append(
                Facts(
                    model,
                    version.version,
                    ladder.standing(version.stage, version.aliases, version.tags),
                    version.aliases,
                    _changed(version),
                    tuple(dict.fromkeys(held.get(key, ()))),
                    tuple(by_version.get(key, ())),
                )
            )
    standing = {(one.model, one.version): one.rung.name for one in every}
    return Findings(
        tuple(candidates(every, ladder, at, idle)),
        seen,
        frozenset(
            (request.model, request.version)
            for request in rows.select(deck.ledger, store=deck.mlflow.address, states=OPEN)
            if request.kind is Kind.ARCHIVE
        ),
        tuple(
            replace(one, rung=standing.get((one.endpoint.model, one.endpoint.version)))
            for one in served
        ),
        len(versions),
        len(models),
        min(len(moves), MOST_MOVES),
        len(moves) <= MOST_MOVES,
    )


def facts(deck: Deck, model: str, number: int) -> Facts:
    """What points to one version now, and where it stands.

    Raises:
        DeckError: there is no such version, or MLflow or the ledger does not answer.
    """
    version = deck.mlflow.registry.version(model, number)
    return Facts(
        model,
        number,
        deck.rules.ladder.standing(version.stage, version.aliases, version.tags),
        version.aliases,
        _changed(version),
        services=tuple(
            _service(deck, endpoint)
            for endpoint in endpoints.recent(deck.ledger, MOST_ENDPOINTS)
            if endpoint.open and (endpoint.model, endpoint.version) == (model, number)
        ),
    )


def ask_to_archive(
    deck: Deck, picked: Sequence[tuple[str, int]], seen: Mapping[tuple[str, int], Seen], why: str
) -> list[Asked]:
    """Ask for each version that it be archived; nothing is deleted, and none stops the others.

    Args:
        picked: models and versions, at most ``MOST_ASKED``.
        seen: how they stood when the person looked.
    """
    asked = []
    for model, version in picked[:MOST_ASKED]:
        try:
            made = requests.ask(
                deck.desk, model, version, deck.rules.ladder.retired, why,
                kind=Kind.ARCHIVE, seen=seen[model, version],
            )  # fmt: skip
        except DeckError as error:
            asked.append(Asked(model, version, None, error.what))
        else:
            asked.append(Asked(model, version, made))
    return asked


def _served(deck: Deck, idle: timedelta) -> Iterable[Served]:
    at = now()
    for endpoint in endpoints.recent(deck.ledger, MOST_ENDPOINTS):
        if endpoint.open:
            service = _service(deck, endpoint)
            yield Served(endpoint, service, service.idle(at, idle))


def _service(deck: Deck, endpoint: Endpoint) -> Service:
    """What is known of an endpoint's calls."""
    known, last = False, None
    if endpoint.process_id is not None:
        found = calls(ledger_processes.get(deck.ledger, endpoint.process_id).folder)
        known, last = found.known, found.last
    return Service(endpoint.id, known, endpoint.ready_at, last)


def _changed(version: ModelVersion) -> datetime | None:
    times = [at for at in (version.created_at, version.updated_at) if at is not None]
    return max(times, default=None)
