"""The desk's rules: the ladder, and for each model and rung who asks, who decides, what is checked.

They are read from a YAML file (``core.registry.rules_file``); without one, ``RULES`` holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from core.people import Actor
from core.people.patterns import fits
from core.registry.gates import Gate, all_gates
from core.registry.ladder import LADDER, Ladder

_GROUP = "group:"
EVERYONE = "everyone"
"""Stands for all who may read the model."""


class Level(StrEnum):
    """What a gate's failure does."""

    BLOCK = "block"
    """The request cannot be approved."""
    WARN = "warn"
    """Whoever decides is warned."""
    INFORM = "inform"
    """It is told."""


class UnknownRegistrant(StrEnum):
    """What holds where nobody knows who registered a version."""

    BLOCK = "block"
    ONE_MORE = "one_more"
    """One more approver than else."""
    ALLOW = "allow"


@dataclass(frozen=True)
class GateUse:
    """A gate as a policy uses it."""

    gate: str
    """The gate's name, such as ``metric_threshold``."""
    level: Level
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the gate is given, checked by the gate itself when the file is read."""


@dataclass(frozen=True)
class Policy:
    """What holds for moving a version to one rung."""

    ask: tuple[str, ...] = (EVERYONE,)
    """Who may ask: names, ``group:<name>``, or ``everyone`` (who may read the model)."""
    decide: tuple[str, ...] = ()
    """Who may decide: names or ``group:<name>``. Identity ``local`` needs none."""
    approvals: int = 0
    """How many approve. 0: whoever may ask moves it directly, unless a gate blocks."""
    lives: timedelta = timedelta(days=14)
    """How long a request waits before it expires."""
    archive_earlier: bool = True
    """Whether the earlier holder is archived, unless whoever asks says otherwise."""
    unknown_registrant: UnknownRegistrant = UnknownRegistrant.ONE_MORE
    gates: tuple[GateUse, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether any gate can block."""
        return any(use.level is Level.BLOCK for use in self.gates)

    def may_ask(self, actor: Actor) -> bool:
        """Whether the policy names this person among those who may ask. (READ is asked of MLflow
        beside it.)"""
        return actor.decides_alone or names(self.ask, actor)

    def may_decide(self, actor: Actor) -> bool:
        """Whether the policy names this person among those who decide."""
        return actor.decides_alone or names(self.decide, actor)


@dataclass(frozen=True)
class Rule:
    """A policy with the models and the rung for which it holds."""

    models: str
    """A pattern with ``*`` and ``?``, in MLflow's case; see ``core.people.patterns``."""
    rung: str
    policy: Policy
    line: int | None = None
    """Where it stands in the file; None for what is built in."""


@dataclass(frozen=True)
class Rules:
    """Everything that the desk's file says."""

    ladder: Ladder = LADDER
    rules: tuple[Rule, ...] = ()
    """In the file's order; the first that fits holds."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group → names of its members."""
    administrators: tuple[str, ...] = ()
    """Identity ``oidc``: names or ``group:<name>``. (MLflow says it for its own accounts.)"""
    permissions: tuple[tuple[str, str, str], ...] = ()
    """Identity ``oidc``: (name or ``group:<name>`` or ``everyone``, pattern of models, level)."""
    digest: str = ""
    """SHA-256 of the file; "" for what is built in."""
    file: str = ""
    """Where it was read from; "" for what is built in."""
    gates: Mapping[str, Gate] = field(default_factory=all_gates, repr=False, compare=False)
    """The gates that may be named: those that Modeldeck brings, and the administrator's own."""

    def policy(self, model: str, rung: str) -> Policy:
        """What holds for moving a version of ``model`` to ``rung``."""
        for rule in self.rules:
            if rule.rung.casefold() == rung.casefold() and fits(rule.models, model):
                return rule.policy
        return Policy()

    def groups_of(self, name: str) -> frozenset[str]:
        """The groups that the file puts a person in."""
        return frozenset(group for group, members in self.groups.items() if name in members)

    def absent(self, name: str, identity: str) -> Actor:
        """Somebody who is not here, with the groups that they are taken to be in.

        A provider tells somebody's groups only while they are here: of those that the file does not
        list, they are taken to be in all that may read, write or ask, for that was looked at when
        they were here.
        """
        groups = self.groups_of(name)
        if identity == "oidc":
            named = [who for who, *_ in self.permissions]
            named += [who for rule in self.rules for who in rule.policy.ask]
            told = {who.removeprefix(_GROUP) for who in named if who.startswith(_GROUP)}
            groups |= told - self.groups.keys()
        return Actor(name, identity, groups, administrator=identity == "local")


def names(listed: tuple[str, ...], actor: Actor) -> bool:
    """Whether a list of names and groups holds this person."""
    if EVERYONE in listed or actor.name in listed:
        return True
    return any(f"{_GROUP}{group}" in listed for group in actor.groups)


SHIPPED = (
    GateUse("signature_compatible", Level.WARN),
    GateUse("example_answered", Level.WARN),
    GateUse("environment", Level.WARN),
    GateUse("card_complete", Level.INFORM),
    GateUse("code_in_artifact", Level.INFORM),
    GateUse("age", Level.INFORM, {"training_days": 180}),
    GateUse("drift", Level.INFORM),
)
"""Gates that suit any model: they warn and inform, and block nothing."""

RULES = Rules(rules=(Rule("*", "Production", Policy(approvals=1, gates=SHIPPED)),))
"""What holds without a file: Production is asked for and approved, the rest is moved directly."""
