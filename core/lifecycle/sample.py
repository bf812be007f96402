"""The sample project: trained by the built-in project, promoted on the same path as all else."""

from collections.abc import Callable

from core.errors import Busy
from core.ledger import leases
from core.lifecycle.deck import Deck
from core.mlflow_api.credentials import bound, service_account
from core.registry.ladder import LADDER, Ladder, Rung
from core.registry.plan import Wanted
from core.registry.transitions import set_alias, transition
from core.texts import t

Say = Callable[[int, int, str], None]
_LEASE = "sample"
_LEASE_SECONDS = 45.0


def make(deck: Deck, say: Say, should_stop: Callable[[], bool]) -> bool:
    """Make the sample, or complete one that broke off; nothing that is there is made twice.

    Args:
        say: takes how much is done, of how much, and what is being done.
        should_stop: asked between steps.

    Returns:
        whether it is complete; False where it was stopped.

    Raises:
        Busy: it is being made already.
    """
    # A database store is opened, and a new one gets its tables, with our artifact root.
    deck.mlflow.tracking.experiments()
    lease = leases.take(deck.ledger, _LEASE, deck.actor.name, _LEASE_SECONDS)
    if lease is None:
        raise Busy(t("sample.busy"))

    def go_on(done: int, total: int, what: str) -> None:
        if not leases.renew(deck.ledger, lease, _LEASE_SECONDS):
            raise Busy(t("sample.busy"))
        say(done, total, what)

    try:
        return _make(deck, go_on, should_stop)
    finally:
        leases.give_back(deck.ledger, lease)


def _make(deck: Deck, say: Say, should_stop: Callable[[], bool]) -> bool:
    from core.training.builtin.sample.plan import SAMPLE
    from core.training.builtin.sample.train import build

    root = str(deck.settings.artifact_root) if deck.mlflow.gateway.is_database else None
    moves = [(model, version) for model in SAMPLE.models for version in model.versions]
    total = SAMPLE.steps + len(moves)
    # It speaks to MLflow as any project does; where the server has accounts, as Modeldeck's own.
    with bound(service_account(deck.settings)):
        result = build(
            deck.settings.tracking_uri,
            root,
            lambda done, _total, what: say(done, total, what),
            should_stop,
        )
    if result.stopped:
        return False
    for place, (model, planned) in enumerate(moves):
        if should_stop():
            return False
        name = result.existing.models[model.key]
        number = result.existing.versions[model.key][planned.run]
        say(SAMPLE.steps + place, total, t("sample.placing", name=name, version=number))
        _place(deck, name, number, planned.stage, planned.aliases)
    say(total, total, t("sample.done"))
    return True


def _place(deck: Deck, model: str, number: int, rung: str, aliases: tuple[str, ...]) -> None:
    """Bring a version to its place, unless somebody has given it another since."""
    ladder = deck.rules.ladder
    version = deck.mlflow.registry.version(model, number)
    here = ladder.standing(version.stage, version.aliases, version.tags)
    there = _rung(ladder, rung)
    if here not in (ladder.rungs[0], there):
        return
    if here != there:
        comment = t("sample.comment")
        wanted = Wanted(model, number, there.name, archive_existing=False, comment=comment)
        transition(deck.mlflow, deck.ledger, deck.actor, wanted, ladder)
    carried = deck.mlflow.registry.model(model).aliases
    for alias in aliases:
        if alias not in carried and ladder.rung_of_alias(alias) in (None, there):
            set_alias(deck.mlflow, deck.ledger, deck.actor, model, alias, number, seen=None)


def _rung(ladder: Ladder, name: str) -> Rung:
    """The rung that the sample means; on a ladder without it the highest for Production, else the
    lowest."""
    found = next((rung for rung in ladder.rungs if rung.name == name), None)
    return found or (ladder.top if name == LADDER.top.name else ladder.rungs[0])
