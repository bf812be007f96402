"""What nobody has to approve: a version is moved at once, on the same path as a request."""

from core.errors import NotAllowed
from core.people import Permission
from core.people.permissions import require_model
from core.registry import transitions
from core.registry.applying import read_state
from core.registry.desk import Desk
from core.registry.heads import publishing
from core.registry.plan import ModelState, Wanted, losing, plan_transition, see
from core.registry.policy import Policy
from core.registry.requests.earlier import earlier_holder
from core.registry.requests.may import policy_for
from core.registry.requests.nouns import Kind
from core.registry.timeline import timeline
from core.registry.transitions import DIRECT, Outcome, Warrant, transition
from core.texts import t


def move(desk: Desk, wanted: Wanted, *, kind: Kind = Kind.MOVE) -> Outcome:
    """Move a version at once, where the rules ask nobody and no gate can block.

    Identity ``local`` moves where no gate can block: there is nobody else to ask. It stands in the
    record as ``direct``, done by whoever asked.

    Args:
        kind: ROLLBACK puts the earlier holder of a rung back, which stands in the record as
            ``rollback``; another version is moved as ever.

    Raises:
        NotAllowed: it has to be asked for; or the person lacks EDIT on the model, or the rules do
            not name them.
        NotFound, InvalidInput, Conflict, Busy, DeckError: as for ``transition``.
    """
    require_model(desk.permissions, desk.actor, wanted.model, Permission.EDIT)
    ladder = desk.rules.ladder
    rung = ladder.rung(wanted.rung).name
    state = read_state(desk.mlflow, wanted.model)
    back = kind is Kind.ROLLBACK and wanted.version == _earlier(desk, state, rung)
    standing = see(state, wanted.version, rung, ladder).rung
    lost = losing(plan_transition(state, wanted, ladder), ladder)
    policy = policy_for(desk.rules, wanted.model, standing, rung, kind if back else Kind.MOVE, lost)
    _require_direct(desk, policy, wanted.model, rung)
    if not policy.may_ask(desk.actor):
        raise NotAllowed(
            t("requests.not_asker", actor=desk.actor.name, model=wanted.model, rung=rung),
            t("requests.not_asker_next"),
        )
    warrant = Warrant("rollback") if back else DIRECT
    with publishing(desk, wanted.model):
        return transition(desk.service, desk.ledger, desk.actor, wanted, ladder, warrant=warrant)


def _earlier(desk: Desk, state: ModelState, rung: str) -> int | None:
    store, ladder = desk.mlflow.address, desk.rules.ladder
    told = timeline(desk.ledger, store, state.model)
    return earlier_holder(desk.ledger, store, told, state, ladder.rung(rung), ladder)


def goes_directly(desk: Desk, policy: Policy) -> bool:
    """Whether a move under ``policy`` (``may.policy_for``) needs no request."""
    return not policy.blocks and (policy.approvals == 0 or desk.actor.decides_alone)


def set_alias(
    desk: Desk, model: str, alias: str, version: int, *, seen: int | None, comment: str = ""
) -> Outcome:
    """Point an alias at a version, where it is not the alias of a rung that has to be asked for.

    Raises:
        NotAllowed: it is, or the person lacks EDIT on the model.
        InvalidInput, Conflict, NotFound, Busy, DeckError: as for ``transitions.set_alias``.
    """
    _require_alias(desk, model, alias, version)
    with publishing(desk, model):
        return transitions.set_alias(
            desk.service, desk.ledger, desk.actor, model, alias, version, seen=seen,
            comment=comment, ladder=desk.rules.ladder,
        )  # fmt: skip


def remove_alias(desk: Desk, model: str, alias: str, version: int, comment: str = "") -> Outcome:
    """Take an alias from a version; the same holds as for ``set_alias``."""
    _require_alias(desk, model, alias, version)
    with publishing(desk, model):
        return transitions.remove_alias(
            desk.service, desk.ledger, desk.actor, model, alias, version, comment=comment,
            ladder=desk.rules.ladder,
        )  # fmt: skip


def _require_alias(desk: Desk, model: str, alias: str, version: int) -> None:
    """Refuse an alias by hand that moves a version onto or off a rung that is decided by others."""
    require_model(desk.permissions, desk.actor, model, Permission.EDIT)
    ladder = desk.rules.ladder
    rung = ladder.rung_of_alias(alias)
    if rung is None:
        return
    state = read_state(desk.mlflow, model)
    for number in {version, state.carrier(alias) or version}:
        standing = see(state, number, rung.name, ladder).rung
        policy = policy_for(desk.rules, model, standing, rung.name, Kind.MOVE)
        if not goes_directly(desk, policy):
            raise NotAllowed(
                t("requests.alias_of_rung", alias=alias, rung=rung.name),
                t("requests.must_ask_next"),
            )


def _require_direct(desk: Desk, policy: Policy, model: str, rung: str) -> None:
    if not goes_directly(desk, policy):
        raise NotAllowed(
            t("requests.must_ask", model=model, rung=rung), t("requests.must_ask_next")
        )
