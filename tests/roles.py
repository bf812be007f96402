"""Roles and actions: who is who, what they try, and the world in which they try it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from core.errors import EndpointFailed, ServerFailed, SignedOut
from core.ledger import processes as ledger_processes
from core.ledger.processes import Process
from core.lifecycle import launch, permissions, running, supervisor
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import Run
from core.mlflow_api.whoami import Who
from core.people import Actor, Permission
from core.processes import ProcessRef
from core.registry import card, editing, requests
from core.registry.applying import read_state
from core.registry.origin import note_registered
from core.registry.plan import Wanted, plan_transition, see
from core.registry.policy import Policy, Rule, Rules
from core.registry.register import register, source_of_folder
from core.registry.requests import Bound, Checked, Request, binding
from core.registry.settling import settle_for
from core.registry.transitions import transition
from core.serving import endpoints
from core.settings import load
from core.training import jobs, projects

MANAGERS = frozenset({"managers"})
RULES = Rules(rules=(Rule("*", "Production", Policy(decide=("group:managers",), approvals=1)),))
"""Production needs one manager; the other rungs need nobody but EDIT."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Role:
    """Somebody, with the level that MLflow gives them on everything."""

    name: str
    level: Permission
    groups: frozenset[str] = frozenset()
    administrator: bool = False
    kind: str = "oidc"
    """Not ``mlflow``, but for who is gone: else a server is asked whether the account is there."""
    ended: bool = False
    """Whether their session has expired."""
    later: Permission | None = None
    """The level that they have by the time they act: it was taken away meanwhile."""

    @property
    def actor(self) -> Actor:
        """As the use cases see them."""
        return Actor(self.name, self.kind, self.groups, self.administrator)


ROLES = (
    Role("nobody", Permission.NONE),
    Role("reader", Permission.READ),
    Role("user", Permission.USE),
    Role("editor", Permission.EDIT),
    Role("manager", Permission.MANAGE),  # MLflow's MANAGE makes no decider
    Role("decider", Permission.READ, MANAGERS),
    Role("blind", Permission.NONE, MANAGERS),  # decides, and may not read
    Role("asker", Permission.READ, MANAGERS),  # decides, and has asked
    Role("maker", Permission.READ, MANAGERS),  # decides, and registered the version
    Role("admin", Permission.MANAGE, administrator=True),
    Role("service", Permission.MANAGE, kind="worker"),
    Role("revoked", Permission.EDIT, MANAGERS, later=Permission.NONE),
    Role("expired", Permission.MANAGE, MANAGERS, kind="mlflow", ended=True),
)


@dataclass
class Table:
    """Permissions by a plain table; whose session is over gets an error."""

    levels: dict[str, Permission]
    over: set[str] = field(default_factory=set)

    def on_model(self, actor: Actor, model: str) -> Permission:
        """The level, on every model."""
        if actor.name in self.over:
            raise SignedOut("The session is over.")
        return self.levels.get(actor.name, Permission.NONE)

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        """The same, on every experiment."""
        return self.on_model(actor, experiment_id)

    def readable(self, actor: Actor, listed: Sequence[str]) -> list[str]:
        """Of some models those that the person may read."""
        return [name for name in listed if self.on_model(actor, name) >= Permission.READ]


@dataclass(frozen=True)
class Asked(Mlflow):
    """A store that is asked as somebody, which may have to tell that they are not there."""

    table: Table
    name: str

    def whoami(self) -> Who:
        """The account, as long as it is there."""
        if self.name in self.table.over:
            raise SignedOut("The account is gone.")
        return Who(self.name, False)


@dataclass
class Case:
    """One person before one model, with what others have done there."""

    deck: Deck
    role: Role
    table: Table
    run: Run
    model: str
    act: Callable[[], None] = lambda: None
    """Is called when everything is prepared: what is taken away goes now."""

    def as_(self, name: str, *groups: str) -> Deck:
        """Somebody else's deck, who may do everything."""
        self.table.levels[name] = Permission.MANAGE
        return replace(self.deck, actor=Actor(name, "oidc", frozenset(groups)))

    def ask(self, deck: Deck) -> Request:
        """Ask for Production of version 2."""
        desk, ladder = deck.desk, deck.rules.ladder
        seen = see(read_state(desk.mlflow, self.model), 2, "Production", ladder)
        return requests.ask(desk, self.model, 2, "Production", "please", seen=seen)

    def waiting(self, requester: Deck) -> Request:
        """A request that was checked and waits for a decision."""
        return self.checked(self.ask(requester))

    def checked(self, request: Request) -> Request:
        """What the worker does: look, and freeze it."""
        return requests.checked(self.deck.ledger, request.id, found(self.deck, request))

    def prepared(self, requester: Deck | None = None) -> Request:
        """A request of another's, or of ``asker``'s own; and then the time to act comes."""
        by = requester or (self.own() if self.role.name == "asker" else self.as_("somebody"))
        made = self.waiting(by)
        self.act()
        return made

    def own(self) -> Deck:
        """The person's own deck while they still could ask."""
        now = self.table.levels[self.role.name]
        self.table.levels[self.role.name] = max(now, Permission.READ)
        self.table.over.discard(self.role.name)
        return self.deck


def found(deck: Deck, request: Request) -> Checked:
    """A check that finds everything in order."""
    state, ladder = read_state(deck.mlflow, request.model), deck.rules.ladder
    seen = see(state, request.version, request.rung, ladder)
    wanted = Wanted(request.model, request.version, request.rung, request.archive_existing)
    source = state.version(request.version).source
    bound = Bound(
        request.version, source, "digest", "content", seen.holders, seen.carrier, seen.rung, {}
    )
    return Checked(bound, {}, (), plan_transition(state, wanted, ladder))


class World:
    """A store with a run, in which each case gets a model of its own."""

    def __init__(self, home: Path) -> None:
        self.table = Table({})
        opened = open_deck(load({"MODELDECK_HOME": str(home)}))
        self.deck = replace(opened, rules=RULES, permissions=self.table)
        mlflow = self.deck.mlflow
        self.run = mlflow.tracking.create_run("0", "r")
        mlflow.tracking.set_status(self.run.id, "FINISHED")

    def close(self) -> None:
        """End what was started."""
        self.deck.mlflow.gateway.close()

    def case(self, role: Role) -> Case:
        """A model with version 1 in Production, version 2 registered by ``maker``."""
        asked = Asked(**vars(self.deck.mlflow), table=self.table, name=role.name)
        deck = replace(self.deck, mlflow=asked, actor=role.actor)
        model = f"model-{next(_numbers)}"
        registry = deck.mlflow.registry
        registry.create_model(model)
        registrant = role if role.name == "maker" else Role("else", Permission.EDIT)
        for number in (1, 2):
            source = source_of_folder(self.run.id, f"m{number}")
            version = registry.create_version(model, source, self.run.id, "", {})
            note_registered(deck.ledger, deck.mlflow.address, registrant.actor, version)
        registry.set_stage(model, 1, "Production")
        registry.set_alias(model, "champion", 1)
        self.table.levels = {role.name: role.level}
        self.table.over = set()

        def act() -> None:
            self.table.levels[role.name] = role.level if role.later is None else role.later
            self.table.over = {role.name} if role.ended else set()

        return Case(deck, role, self.table, self.run, model, act)


# ------------------------------------------------------------------------------------ actions


def see_request(case: Case) -> None:
    """Open somebody's request."""
    made = case.prepared()
    requests.get(case.deck.desk, made.id)


def ask(case: Case) -> None:
    """Ask for Production."""
    case.act()
    case.ask(case.deck)


def comment(case: Case) -> None:
    """Say something about somebody's request."""
    requests.comment(case.deck.desk, case.prepared().id, "hm")


def withdraw_own(case: Case) -> None:
    """Take one's own request back."""
    requests.withdraw(case.deck.desk, case.prepared(case.own()).id)


def withdraw_other(case: Case) -> None:
    """Take another's request back."""
    requests.withdraw(case.deck.desk, case.prepared(case.as_("somebody")).id)


def recheck(case: Case) -> None:
    """Have somebody's request checked again."""
    requests.recheck(case.deck.desk, case.prepared().id)


def approve(case: Case) -> None:
    """Approve somebody's request; ``asker``'s is their own."""
    made = case.prepared()
    requests.approve(case.deck.desk, made.id, binding=binding(made))


def approve_own(case: Case) -> None:
    """Approve one's own request."""
    made = case.prepared(case.own())
    requests.approve(case.deck.desk, made.id, binding=binding(made))


def reject(case: Case) -> None:
    """Reject somebody's request."""
    made = case.prepared()
    requests.reject(case.deck.desk, made.id, "no", binding=binding(made))


def break_glass(case: Case) -> None:
    """Approve alone, as an administrator."""
    made = case.prepared()
    requests.break_glass(case.deck.desk, made.id, "it burns", binding=binding(made))


def roll_back(case: Case) -> None:
    """Ask for the earlier holder of Production."""
    other, ladder = case.as_("somebody"), case.deck.rules.ladder
    wanted = Wanted(case.model, 2, "Production")
    transition(other.mlflow, other.ledger, other.actor, wanted, ladder)
    seen = see(read_state(other.mlflow, case.model), 1, "Production", ladder)
    case.act()
    requests.roll_back(case.deck.desk, case.model, "Production", version=1, seen=seen)


def move(case: Case) -> None:
    """Move a version to Staging, for which nobody is asked."""
    case.act()
    requests.move(case.deck.desk, Wanted(case.model, 2, "Staging"))


def move_past(case: Case) -> None:
    """Move a version to Production without asking."""
    case.act()
    requests.move(case.deck.desk, Wanted(case.model, 2, "Production"))


def leave_past(case: Case) -> None:
    """Archive what is in Production without asking."""
    case.act()
    requests.move(case.deck.desk, Wanted(case.model, 1, "Archived"))


def set_alias(case: Case) -> None:
    """Give a version an alias of no rung."""
    case.act()
    requests.set_alias(case.deck.desk, case.model, "mine", 2, seen=None)


def take_alias(case: Case) -> None:
    """Give a version the alias of Production."""
    case.act()
    requests.set_alias(case.deck.desk, case.model, "champion", 2, seen=1)


def register_version(case: Case) -> None:
    """Register a run's model as a version of a model that is there."""
    case.act()
    register(case.deck.desk, case.run.id, source_of_folder(case.run.id, "new"), case.model)


def register_model(case: Case) -> None:
    """Register a run's model under a new name."""
    case.act()
    source = source_of_folder(case.run.id, "new")
    register(case.deck.desk, case.run.id, source, f"{case.model}-new")


def create_model(case: Case) -> None:
    """Make a registered model without versions."""
    case.act()
    launch.create_model(case.deck, f"{case.model}-empty", "")


def describe(case: Case) -> None:
    """Write a version's description."""
    case.act()
    editing.describe(case.deck.desk, case.model, 2, "good", seen="")


def tag(case: Case) -> None:
    """Write a tag of the model."""
    case.act()
    editing.set_tag(case.deck.desk, case.model, None, "k", "v", seen=None)


def edit_card(case: Case) -> None:
    """Write a field of the model's card."""
    case.act()
    card.write_card(case.deck.desk, case.model, "purpose", "wine", seen="")


def start_endpoint(case: Case) -> None:
    """Serve a version."""
    case.act()
    launch.start_endpoint(case.deck, case.model, 2)


def stop_own_endpoint(case: Case) -> None:
    """Stop an endpoint that one asked for."""
    _serve(case, case.deck)
    case.act()
    launch.stop_endpoint(case.deck, endpoints.recent(case.deck.ledger, 1)[0].id)


def stop_endpoint(case: Case) -> None:
    """Stop an endpoint that another asked for."""
    _serve(case, case.as_("somebody"))
    case.act()
    launch.stop_endpoint(case.deck, endpoints.recent(case.deck.ledger, 1)[0].id)


def predict(case: Case) -> None:
    """Ask an endpoint; it does not run, which only those are told who may ask."""
    _serve(case, case.as_("somebody"))
    case.act()
    asked = endpoints.recent(case.deck.ledger, 1)[0].id
    try:
        launch.ask_endpoint(case.deck, asked, {"inputs": [1]})
    except EndpointFailed:
        return
    raise AssertionError("an endpoint that does not run has answered")


def launch_job(case: Case) -> None:
    """Start a training job in an experiment that is there."""
    case.act()
    typed = {"data": "bundled:iris", "family": "linear", "folds": "2"}
    launch.launch_job(case.deck, projects.tabular(), typed, experiment="Default", title="t")


def launch_into(case: Case) -> None:
    """Start a training job that adds a version to a model that is there."""
    case.act()
    typed = {"data": "bundled:iris", "family": "linear", "folds": "2", "register_as": case.model}
    launch.launch_job(case.deck, projects.tabular(), typed, experiment="Default", title="t")


def stop_job(case: Case) -> None:
    """Stop a job that another asked for."""
    other = case.as_("somebody")
    made = jobs.submit_sample(other.ledger, other.actor)
    case.act()
    launch.stop_job(case.deck, made.id)


def load_sample(case: Case) -> None:
    """Have the sample made."""
    case.act()
    launch.load_sample(case.deck)


def settle(case: Case) -> None:
    """Find out how changes ended that broke off."""
    case.act()
    settle_for(case.deck.desk, case.model)


def upload(case: Case) -> None:
    """Keep a file to train on."""
    case.act()
    launch.keep_upload(case.deck, "rows.csv", b"a,b\n1,2\n")


def start_worker(case: Case) -> None:
    """Start Modeldeck's worker, on the page of processes; here none is really started."""
    case.act()
    with mock.patch.object(supervisor, "start_worker"):
        supervisor.start_worker_for(case.deck)


def stop_worker(case: Case) -> None:
    """Stop Modeldeck's worker, on the page of processes."""
    process = _worker(case.deck)
    case.act()
    running.stop(case.deck, process)


def see_rights(case: Case) -> None:
    """See who could change everybody's models."""
    case.act()
    try:
        permissions.overview(case.deck)
    except ServerFailed:  # they may; and this store, which is no server, has no accounts to tell
        return


ACTIONS: Mapping[str, Callable[[Case], None]] = {
    action.__name__: action
    for action in (
        see_request, ask, comment, withdraw_own, withdraw_other, recheck, approve, approve_own,
        reject, break_glass, roll_back, move, move_past, leave_past, set_alias, take_alias,
        register_version, register_model, create_model, describe, tag, edit_card, start_endpoint,
        stop_own_endpoint, stop_endpoint, predict, launch_job, launch_into, stop_job, load_sample,
        settle, upload, start_worker, stop_worker, see_rights,
    )
}  # fmt: skip


def _serve(case: Case, deck: Deck) -> None:
    version = case.deck.mlflow.registry.version(case.model, 2)
    endpoints.request(deck.ledger, deck.actor, version)


def _worker(deck: Deck) -> Process:
    home, ref = deck.settings.home, ProcessRef(1, 0.0)
    return ledger_processes.record(
        deck.ledger, ledger_processes.WORKER, f"w{next(_numbers)}", node=deck.settings.node,
        home=home, ref=ref, folder=home,
    )  # fmt: skip
