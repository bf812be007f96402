"""Promotion without a worker and without a browser: people at a desk, and a cheap check.

anna, ben = person(deck, "anna"), person(deck, "ben")
done = promote(anna, ben, "wine", 2)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.desk_keeper import DeskKeeper
from core.people import Actor, Permission
from core.registry import requests
from core.registry.desk import Desk
from core.registry.gates import Result, Status
from core.registry.plan import ModelState, Seen, Wanted, plan_transition, see
from core.registry.policy import Policy, Rule, Rules
from core.registry.requests import Bound, Check, Checked, Request
from core.registry.requests.binding import statuses
from core.registry.transitions import Outcome, read_state
from core.settings import load


class Rights:
    """A fake of MLflow's answers about accounts, for tests that need many of them: by name."""

    def __init__(self, levels: Mapping[str, Permission] | None = None) -> None:
        self.levels = dict(levels or {})

    def on_model(self, actor: Actor, model: str) -> Permission:
        return self.levels.get(actor.name, Permission.READ)

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        return self.levels.get(actor.name, Permission.READ)

    def readable(self, actor: Actor, listed: Sequence[str]) -> list[str]:
        return [name for name in listed if self.on_model(actor, name) >= Permission.READ]


def production(
    *, decide: tuple[str, ...] = ("ben", "carl"), approvals: int = 1, **more: object
) -> Rules:
    """Rules for Production alone."""
    policy = Policy(decide=decide, approvals=approvals, lives=timedelta(days=1))
    return Rules(rules=(Rule("*", "Production", replace(policy, **more)),))  # type: ignore[arg-type]


def person(
    deck: Deck,
    name: str,
    rules: Rules | None = None,
    rights: Rights | None = None,
    *,
    kind: str = "oidc",
    administrator: bool = False,
) -> Desk:
    """The desk as somebody sees it, under that name; there is no server that could be asked whether
    they still have an account."""
    actor = Actor(name, kind, administrator=administrator)
    return Desk(
        deck.mlflow, deck.service, deck.ledger, actor, rights or Rights(), rules or production()
    )


def cheap_check(
    desk: Desk, *verdicts: tuple[str, str, Status], state: ModelState | None = None
) -> Check:
    """A check over MLflow's rows alone: the source stands for the artifacts.

    Args:
        verdicts: (gate, level, status) of what the gates are to have said.
        state: what was read a moment ago; read anew at each check unless given.
    """
    known = state

    def check(request: Request) -> Checked:
        ladder = desk.rules.ladder
        state = known or read_state(desk.service, request.model)
        seen = see(state, request.version, request.rung, ladder)
        results = tuple(Result(gate, level, status, "Said.") for gate, level, status in verdicts)
        source = state.version(request.version).source
        digest = sha256(source.encode()).hexdigest()
        bound = Bound(
            request.version, source, digest, "listing", seen.holders, seen.carrier, seen.rung,
            statuses(results),
        )  # fmt: skip
        wanted = Wanted(request.model, request.version, request.rung, request.archive_existing)
        return Checked(bound, {}, results, plan_transition(state, wanted, ladder))

    return check


def look(desk: Desk, model: str, version: int, rung: str = "Production") -> Seen:
    """What a person sees who thinks of moving a version."""
    return see(read_state(desk.mlflow, model), version, rung, desk.rules.ladder)


def asked(
    desk: Desk, model: str, version: int, rung: str = "Production", **options: object
) -> Request:
    """Somebody asks."""
    seen = look(desk, model, version, rung)
    return requests.ask(desk, model, version, rung, "It is better.", seen=seen, **options)  # type: ignore[arg-type]


def waiting(
    desk: Desk, model: str, version: int, rung: str = "Production",
    verdicts: tuple[tuple[str, str, Status], ...] = (), **options: object,
) -> Request:  # fmt: skip
    """Somebody asks, and the worker checks it."""
    request = asked(desk, model, version, rung, **options)
    return requests.checked(desk.ledger, request.id, cheap_check(desk, *verdicts)(request))


def approved(desk: Desk, request: Request, comment: str = "Fine.") -> Request:
    """Somebody approves what they see."""
    return requests.approve(desk, request.id, comment, binding=requests.binding(request))


def back(desk: Desk, model: str, version: int, comment: str = "") -> Request:
    """Somebody asks for the earlier holder of Production, as they see it."""
    seen = look(desk, model, version)
    return requests.roll_back(desk, model, "Production", comment, version=version, seen=seen)


def promote(asker: Desk, decider: Desk, model: str, version: int) -> Outcome:
    """The whole way: asked for, checked, approved, carried out."""
    request = approved(decider, waiting(asker, model, version))
    return requests.carry_out(decider, request.id, cheap_check(decider))


def wished(environment: Mapping[str, str], model: str) -> str:
    """A request for version 1 to go to Production, asked by the person of this machine and checked
    as the worker does; its id.

    Args:
        environment: the settings of the application whose person asks.
    """
    here = open_deck(load(environment))
    try:
        seen = see(read_state(here.mlflow, model), 1, "Production", here.rules.ladder)
        request = requests.ask(here.desk, model, 1, "Production", "A wish", seen=seen)
        DeskKeeper(here, "tests").check(request.id)
    finally:
        here.ledger.close()
        here.mlflow.gateway.close()
    return request.id
