"""The worker's part in promotion: check what was asked for, carry out what was approved."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from core.errors import Conflict, DeckError, NotFound
from core.ledger import Ledger, leases, new_id, now
from core.lifecycle.deck import Deck
from core.lifecycle.evidence import Stopped, Work, gather
from core.lifecycle.visit import current
from core.people import MODELDECK, Actor
from core.registry import requests
from core.registry.gates import judge, needs
from core.registry.gates.evidence_json import as_json, from_json
from core.registry.heads import publishing
from core.registry.plan import Wanted, plan_transition, see
from core.registry.reconcile import reconcile
from core.registry.requests import Bound, Checked, Request, State, rows
from core.registry.requests.binding import statuses
from core.registry.transitions import Outcome
from core.texts import t

_log = logging.getLogger("modeldeck.worker")
_AGAIN = "-again"
"""Ends the names of folders of looks before applying: a page and the worker may be at one request
at the same time, and neither may take the other's files away."""
_LEASE_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_RENEW_SECONDS = 15.0
_REST_SECONDS = 10.0
_EXPIRE_SECONDS = 30.0
_SETTLE_SECONDS = 10.0
_APPROVED_SECONDS = 5.0
_RECONCILE_SECONDS = 60.0
_LEFT_AFTER = timedelta(seconds=10)
AT_ONCE = 2
"""Requests that one worker checks at a time: each may fetch and load a model."""


def check(
    deck: Deck, request: Request, *, before_applying: bool = False, work: Work | None = None
) -> Checked:
    """Look at everything that a request is decided on: evidence, gates, plan.

    Args:
        before_applying: the artifacts are compared again up to the size that the settings name,
            above it by their listing; no model is run, its answer counts while the artifacts are
            the same.
        work: how it is done; in a folder of its own unless given.

    Raises:
        NotFound: the model or the version is gone.
        DeckError: a server does not answer.
    """
    ladder, policy = deck.rules.ladder, request.policy
    known = from_json(request.evidence) if before_applying and request.evidence else None
    evidence, state = gather(
        deck,
        request.model,
        request.version,
        request.rung,
        needs(policy, deck.rules.gates),
        work=work or Work(_folder(deck, f"{new_id()}{_AGAIN}"), request.id),
        known=known,
    )
    results = judge(evidence, policy, deck.rules.gates)
    seen = see(state, request.version, request.rung, ladder)
    digest, of = evidence.digest, evidence.digest_of
    if known is not None and evidence.listing and evidence.digest_of != known.digest_of:
        # Too large to be read again: an unchanged listing stands for what was approved.
        same = evidence.listing == known.listing
        digest, of = (known.digest, known.digest_of) if same else (digest, of)
    wanted = Wanted(request.model, request.version, request.rung, request.archive_existing)
    bound = Bound(
        version=request.version,
        source=evidence.challenger.source,
        digest=digest,
        digest_of=of,
        holders=seen.holders,
        carrier=seen.carrier,
        standing=seen.rung,
        gates=statuses(results),
    )
    return Checked(bound, as_json(evidence), results, plan_transition(state, wanted, ladder))


def carry_out(deck: Deck, request_id: str) -> Outcome:
    """Carry an approved request out, after a look at all that it was decided on.

    Raises:
        DeckError: as ``core.registry.requests.carry_out``.
    """
    return requests.carry_out(
        deck.desk, request_id, lambda request: check(deck, request, before_applying=True)
    )


class DeskKeeper:
    """Looks after open requests of one store, for one worker.

    Args:
        deck: the worker's parts.
        owner: names the worker, so that of several one checks a request.
    """

    def __init__(self, deck: Deck, owner: str) -> None:
        self._given = deck
        self._owner = owner
        self._closing = threading.Event()
        self._tasks: Mapping[str, tuple[float, Callable[[], object]]] = {
            "expire": (_EXPIRE_SECONDS, lambda: requests.expire(self._deck.desk)),
            "settle": (_SETTLE_SECONDS, lambda: requests.settle(self._deck.desk)),
            "approved": (_APPROVED_SECONDS, self._carry_out_approved),
            "reconcile": (_RECONCILE_SECONDS, lambda: reconcile(self._deck.desk)),
        }
        self._rests_until: dict[str, float] = {}
        for left in _folder(deck, "").glob("*"):  # by a worker that was killed in a check
            if not left.name.endswith(_AGAIN):
                shutil.rmtree(left, ignore_errors=True)

    @property
    def _deck(self) -> Deck:
        # The rules may have changed since the worker began.
        return as_worker(current(self._given))

    @property
    def timers(self) -> Mapping[str, float]:
        """What is done again and again: its name for ``do`` → seconds in between."""
        return {name: seconds for name, (seconds, _) in self._tasks.items()}

    def do(self, name: str) -> None:
        """Do one of the ``timers``.

        Raises:
            DeckError: a server does not answer, say; it is tried again.
        """
        self._tasks[name][1]()

    def _carry_out_approved(self) -> None:
        """Carry out what was approved while nobody stayed to do it.

        Raises:
            Exception: a defect that one of them met; the others were carried out.
        """
        defects: list[Exception] = []
        for request in self._select(State.APPROVED):
            decided = max((d.at for d in request.decisions), default=None)
            if decided is not None and now() - decided < _LEFT_AFTER:
                continue  # the page of whoever approved does it
            try:
                carry_out(self._deck, request.id)
            except DeckError as error:
                _log.warning("request %s: %s", request.id, error)
                _why_it_waits(self._deck.ledger, request, error.what)
            except Exception as error:  # noqa: BLE001 - told below: it must not hold up the others
                _log.warning("request %s met a defect: %r", request.id, error)
                defects.append(error)
        if defects:
            raise defects[0]

    def close(self) -> None:
        """End checks that are under way; the next worker begins them anew."""
        self._closing.set()

    def waiting(self) -> list[str]:
        """Requests that wait for a check, oldest first."""
        found = self._select(State.CHECKING)
        ids = [request.id for request in sorted(found, key=lambda r: r.asked_at)]
        self._rests_until = {k: at for k, at in self._rests_until.items() if k in ids}
        return [i for i in ids if time.monotonic() > self._rests_until.get(i, 0.0)]

    def check(self, request_id: str) -> None:
        """Check one request, unless another worker does, and freeze what was found into it.

        Where a server does not answer, the request goes on waiting, and says so.
        """
        ledger = self._deck.ledger
        lease = leases.take(ledger, f"check:{request_id}", self._owner, _LEASE_SECONDS)
        if lease is None:
            return
        try:
            request = rows.get(ledger, request_id)
            if request.state is State.CHECKING:
                with publishing(self._deck.desk, request.model):
                    self._check(request, lease)
        except Stopped:
            return
        finally:
            leases.give_back(ledger, lease)

    def _check(self, request: Request, lease: leases.Lease) -> None:
        ledger = self._deck.ledger
        work = Work(
            _folder(self._deck, request.id),
            request.id,
            say=lambda what: _say(ledger, request, what),
            check=_watching(ledger, request, lease, self._closing),
        )
        _say(ledger, request, t("evidence.checking"))
        try:
            found = check(self._deck, request, work=work)
            if leases.renew(ledger, lease, _LEASE_SECONDS):
                requests.checked(ledger, request.id, found)
        except NotFound as error:
            requests.outdate(ledger, request.id, error.what)
        except DeckError as error:
            _log.warning("request %s: %s", request.id, error)
            self._rest(request, error.what)
        except Stopped:
            raise
        except Exception:
            self._rest(request, t("evidence.failed"))
            raise

    def _rest(self, request: Request, what: str) -> None:
        self._rests_until[request.id] = time.monotonic() + _REST_SECONDS
        _say(self._deck.ledger, request, what)

    def _select(self, *states: State) -> list[Request]:
        deck = self._deck
        return rows.select(deck.ledger, store=deck.service.address, states=states)


def as_worker(deck: Deck) -> Deck:
    """The same parts for Modeldeck itself: it reads with the service account, under its name."""
    return replace(deck, mlflow=deck.service, actor=Actor(MODELDECK, kind="worker"))


def _folder(deck: Deck, name: str) -> Path:
    return deck.settings.home / "checks" / name


def _say(ledger: Ledger, request: Request, what: str) -> None:
    """Tell on the request what is being done; it was closed where that is refused."""
    try:
        with ledger.transaction(t("requests.recording")) as connection:
            rows.change(connection, request, State.CHECKING, message=what[:500])
    except Conflict:
        raise Stopped from None


def _why_it_waits(ledger: Ledger, request: Request, what: str) -> None:
    """Tell on an approved request why it was not carried out yet; one that was closed says so
    itself."""
    with ledger.transaction(t("requests.recording")) as connection:
        now_is = rows.read(connection, request.id, lock=True)
        if now_is.state is State.APPROVED:
            rows.change(connection, now_is, State.APPROVED, message=what[:500])


def _watching(
    ledger: Ledger, request: Request, lease: leases.Lease, closing: threading.Event
) -> Callable[[], None]:
    """Looks now and then whether the check is still wanted, and holds on to its lease."""
    looked = renewed = time.monotonic()

    def look() -> None:
        nonlocal looked, renewed
        if closing.is_set():
            raise Stopped
        at = time.monotonic()
        if at - looked < _LOOK_SECONDS:
            return
        looked = at
        if rows.get(ledger, request.id).state is not State.CHECKING:
            raise Stopped
        if at - renewed > _RENEW_SECONDS:
            renewed = at
            if not leases.renew(ledger, lease, _LEASE_SECONDS):
                raise Stopped

    return look
