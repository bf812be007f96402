"""The desk's YAML file, checked wholly before any of it holds. ``docs/desk.md`` says every key."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode

from core.errors import DeckError
from core.people import Permission
from core.registry.gates import Gate, all_gates, with_own
from core.registry.gates import options as gate_options
from core.registry.ladder import NO_STAGE, Ladder
from core.registry.ladder_file import read_ladder
from core.registry.marked import MOST_BYTES, Fault, Reader, empty, nodes, plain
from core.registry.policy import (
    EVERYONE,
    RULES,
    GateUse,
    Level,
    Policy,
    Rule,
    Rules,
    UnknownRegistrant,
)
from core.settings import BadSetting, Settings
from core.texts import t

SECTIONS = ("ladder", "groups", "administrators", "permissions", "rules")
RULE = (
    "models", "rung", "ask", "decide", "approvals", "lives", "archive_earlier",
    "unknown_registrant", "gates",
)  # fmt: skip
PERMISSION = ("who", "models", "level")
USE = ("gate", "level")
"""Keys of a gate's use, besides the gate's own options."""

_GROUP = "group:"
_LIVES = re.compile(r"(\d{1,5}) *(minute|hour|day|week)s?")
_SHORTEST, _LONGEST = timedelta(minutes=5), timedelta(days=366)
_MOST_APPROVALS = 20


@dataclass(frozen=True)
class Reading:
    """What a file came to."""

    rules: Rules | None
    """None where there are faults."""
    faults: tuple[str, ...]
    """Every one, with its place; plain text."""
    warnings: tuple[str, ...]
    """What is allowed and probably not meant."""


def desk_file(settings: Settings) -> Path | None:
    """The file that holds; None where what is built in does."""
    if settings.desk_file is not None:
        return settings.desk_file
    usual = settings.home / "desk.yaml"
    return usual if usual.exists() else None


def gate_folder(settings: Settings) -> Path:
    """Where the administrator's own gates lie."""
    return settings.home / "gates"


def load_rules(settings: Settings) -> Rules:
    """The rules that hold: the file's, or those built in where there is none.

    Raises:
        BadSetting: the file, or a gate of the administrator's own, has faults; all are named.
    """
    found = check(settings)
    if found.rules is None:
        raise BadSetting("\n".join(found.faults))
    return found.rules


def check(settings: Settings, file: Path | None = None) -> Reading:
    """Read a file, the one that holds unless given, and say everything that is wrong with it."""
    file = file or desk_file(settings)
    try:
        gates = with_own(gate_folder(settings))
    except DeckError as error:
        gates, trouble = all_gates(), tuple(error.what.splitlines())
    else:
        trouble = ()
    if file is None:
        alone = settings.identity == "local"
        found = Reading(_built_in(gates), (), () if alone else (t("rules.nobody_decides"),))
    else:
        try:
            with file.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
            found = read_rules(data, str(file), settings.identity, gates)
        except OSError as error:
            fault = t("rules.unreadable", file=str(file), why=error.strerror or "")
            found = Reading(None, (fault,), ())
    if not trouble:
        return found
    return Reading(None, trouble + found.faults, found.warnings)


def read_rules(
    data: bytes, name: str, identity: str = "local", gates: Mapping[str, Gate] | None = None
) -> Reading:
    """The rules in a file's bytes.

    Args:
        name: of the file, for its faults.
        identity: how people are known; what must be named depends on it.
        gates: that may be named; those that Modeldeck brings unless given.
    """
    known = all_gates() if gates is None else gates
    reader = Reader()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reader.faults.append(Fault(line, 1, t("rules.yaml.utf8")))
        return _reading(None, reader, name)
    root = reader.mapping(reader.root(text), SECTIONS, t("rules.what.file"))
    made = _File(reader, identity, known, dict(nodes(root))).rules()
    digest = hashlib.sha256(data).hexdigest()
    rules = Rules(**made, digest=digest, file=name, gates=known)
    return _reading(rules, reader, name)


def _built_in(gates: Mapping[str, Gate]) -> Rules:
    return Rules(rules=RULES.rules, gates=gates)


def _reading(rules: Rules | None, reader: Reader, name: str) -> Reading:
    short = Path(name).name
    return Reading(
        None if reader.faults else rules,
        tuple(fault.said(short) for fault in sorted(reader.faults)),
        # Beside faults a warning may be a mere consequence.
        () if reader.faults else tuple(fault.said(short) for fault in sorted(reader.warnings)),
    )


class _File:
    """The file's sections, taken one after another."""

    def __init__(
        self, reader: Reader, identity: str, gates: Mapping[str, Gate], root: Mapping[str, Node]
    ) -> None:
        self._read, self._identity, self._gates, self._root = reader, identity, gates, root
        before = len(reader.faults)
        self._ladder: Ladder = read_ladder(reader, root.get("ladder"))
        self._laddered = len(reader.faults) == before
        self._groups = self._read_groups()

    def rules(self) -> dict[str, Any]:
        """The fields of ``Rules``."""
        return {
            "ladder": self._ladder,
            "groups": self._groups,
            "administrators": self._people(self._root.get("administrators"), "administrators"),
            "permissions": self._permissions(),
            "rules": self._rules(),
        }

    def _read_groups(self) -> dict[str, tuple[str, ...]]:
        groups = {}
        for name, node in nodes(self._read.mapping(self._root.get("groups"), None, "groups")):
            members = self._read.texts(node, t("rules.what.members", group=name))
            for member, place in members:
                if member.startswith(_GROUP) or member == EVERYONE:
                    self._read.fault(place, t("rules.nested_group", name=member))
            groups[name] = tuple(dict.fromkeys(member for member, _ in members))
        return groups

    def _people(self, node: Node | None, what: str) -> tuple[str, ...]:
        """Names, groups and ``everyone``; a group must be one that exists."""
        found = self._read.texts(node, what)
        for name, place in found:
            if name.startswith(_GROUP):
                self._known_group(name.removeprefix(_GROUP), place)
        return tuple(dict.fromkeys(name for name, _ in found))

    def _known_group(self, group: str, place: Node) -> None:
        if group in self._groups:
            return
        if self._identity == "oidc" and group:
            self._read.warn(place, t("rules.group_of_provider", group=group))
        else:
            names = ", ".join(self._groups) or t("rules.none")
            self._read.fault(place, t("rules.no_group", group=group, names=names))

    def _permissions(self) -> tuple[tuple[str, str, str], ...]:
        node = self._root.get("permissions")
        if node is not None and self._identity != "oidc":
            self._read.warn(node, t("rules.permissions_unused", identity=self._identity))
        found = []
        for item in self._read.items(node, "permissions"):
            parts = dict(nodes(self._read.mapping(item, PERMISSION, t("rules.what.permission"))))
            if not self._has(item, parts, PERMISSION):
                continue
            who = self._people(parts["who"], "who")
            models = self._read.text(parts["models"], "models")
            level = self._read.choice(parts["level"], "level", [p.name for p in Permission])
            found += [(name, models, level) for name in who if models and level]
        return tuple(found)

    def _rules(self) -> tuple[Rule, ...]:
        node = self._root.get("rules")
        if node is None:
            if self._identity != "local":
                self._read.warn(None, t("rules.nobody_decides"))
            # On a ladder without Production the highest rung is what has to be asked for.
            top = self._ladder.top.name
            return tuple(replace(r, rung=self._rung(r.rung) or top) for r in RULES.rules)
        found: list[Rule] = []
        for item in self._read.items(node, "rules"):
            rule = self._rule(item)
            if rule is None:
                continue
            earlier = next((r for r in found if covers(r, rule)), None)
            if earlier is not None:
                said = t("rules.covered", models=rule.models, rung=rule.rung, line=earlier.line)
                self._read.warn(item, said)
            found.append(rule)
        self._shared_stages(node, found)
        return tuple(found)

    def _shared_stages(self, node: Node, rules: Sequence[Rule]) -> None:
        """Warn of rungs of one stage of which the lower asks fewer people: MLflow serves the newest
        version of a stage, whichever rung it stands on."""
        most = {r.name: 0 for r in self._ladder.rungs}
        for rule in rules:
            most[rule.rung] = max(most[rule.rung], rule.policy.approvals)
        staged = [r for r in self._ladder.rungs if r.stage != NO_STAGE]
        for place, one in enumerate(staged):
            for other in staged[:place]:
                if one.stage == other.stage and most[one.name] != most[other.name]:
                    strict, lax = sorted((one.name, other.name), key=lambda n: -most[n])
                    said = t("rules.shared_stage", first=strict, second=lax, stage=one.stage)
                    self._read.warn(node, said)

    def _rule(self, item: Node) -> Rule | None:
        parts = dict(nodes(self._read.mapping(item, RULE, t("rules.what.rule"))))
        rung = self._rung(_word(parts.get("rung")))
        policy = self._policy(item, parts, rung)
        if not self._has(item, parts, ("models", "rung")):
            return None
        models = self._read.text(parts["models"], "models")
        wanted = self._read.text(parts["rung"], "rung")
        if wanted and not rung and self._laddered:
            names = ", ".join(r.name for r in self._ladder.rungs)
            self._read.fault(parts["rung"], t("rules.no_rung", name=wanted, names=names))
        line = item.start_mark.line + 1
        return Rule(models, rung, policy, line) if models and rung else None

    def _rung(self, name: str) -> str:
        """The rung's name as the ladder writes it; "" where there is none."""
        folded = name.casefold()
        return next((r.name for r in self._ladder.rungs if r.name.casefold() == folded), "")

    def _policy(self, item: Node, parts: Mapping[str, Node], rung: str) -> Policy:
        read, usual = self._read, Policy()
        given: dict[str, Any] = {}
        if "ask" in parts:
            given["ask"] = self._people(parts["ask"], "ask")
            if not given["ask"]:
                read.warn(parts["ask"], t("rules.nobody_asks"))
        if "decide" in parts:
            given["decide"] = self._people(parts["decide"], "decide")
        if "approvals" in parts:
            given["approvals"] = read.whole(parts["approvals"], "approvals", 0, _MOST_APPROVALS)
        if "lives" in parts:
            given["lives"] = self._lives(parts["lives"])
        if "archive_earlier" in parts:
            node = parts["archive_earlier"]
            given["archive_earlier"] = read.flag(node, "archive_earlier", usual.archive_earlier)
        if "unknown_registrant" in parts:
            words = [u.value for u in UnknownRegistrant]
            chosen = read.choice(parts["unknown_registrant"], "unknown_registrant", words)
            given["unknown_registrant"] = UnknownRegistrant(chosen or usual.unknown_registrant)
        uses = [self._use(n, rung) for n in read.items(parts.get("gates"), "gates")]
        policy = Policy(**given, gates=tuple(use for use in uses if use is not None))
        self._enough(policy, parts.get("approvals") or parts.get("decide") or item)
        return policy

    def _enough(self, policy: Policy, place: Node) -> None:
        """Whether as many can approve as must."""
        if policy.decide and not policy.approvals:
            self._read.warn(place, t("rules.decide_unused"))
        if policy.unknown_registrant is UnknownRegistrant.BLOCK and not policy.approvals:
            self._read.warn(place, t("rules.block_unused"))
        if not policy.approvals or EVERYONE in policy.decide:
            return
        if self._identity == "local":
            if policy.approvals > 1:
                self._read.warn(place, t("rules.local_alone", n=policy.approvals))
            return
        people: set[str] = set()
        for name in policy.decide:
            group = name.removeprefix(_GROUP) if name.startswith(_GROUP) else None
            if group is not None and group not in self._groups:
                return  # the provider says who is in it
            people |= set(self._groups[group]) if group is not None else {name}
        if len(people) < policy.approvals:
            said = t("rules.too_few", n=policy.approvals, people=len(people))
            self._read.fault(place, said)
        elif (
            policy.unknown_registrant is UnknownRegistrant.ONE_MORE
            and len(people) == policy.approvals
        ):
            said = t("rules.one_more_too_few", n=policy.approvals + 1, people=len(people))
            self._read.warn(place, said)

    def _lives(self, node: Node) -> timedelta:
        matched = _LIVES.fullmatch(_word(node))
        if matched:
            lives = timedelta(**{f"{matched[2]}s": int(matched[1])})
            if _SHORTEST <= lives <= _LONGEST:
                return lives
        self._read.fault(node, t("rules.need.lives"))
        return Policy().lives

    def _use(self, item: Node, rung: str) -> GateUse | None:
        parts = self._read.mapping(item, None, t("rules.what.gate"))
        values = dict(nodes(parts))
        if not self._has(item, values, USE):
            return None
        name = self._read.choice(values["gate"], "gate", sorted(self._gates))
        level = self._read.choice(values["level"], "level", [one.value for one in Level])
        if name is None or level is None:
            return None
        given = {key: plain(node) for key, node in values.items() if key not in USE}
        for key, what in gate_options.faults(self._gates[name], given):
            self._read.fault(parts[key][0] if key in parts else item, what)
        shared = rung and not self._ladder.rung(rung).exclusive
        if shared and "holder" in self._gates[name].needs:
            self._read.warn(item, t("rules.nothing_to_compare", gate=name, rung=rung))
        return GateUse(name, Level(level), given)

    def _has(self, item: Node, parts: Mapping[str, Node], keys: tuple[str, ...]) -> bool:
        if not isinstance(item, MappingNode) and not empty(item):
            return False  # which was told already
        missing = [key for key in keys if key not in parts]
        if missing:
            self._read.fault(item, t("rules.need.keys", n=len(missing), names=", ".join(missing)))
        return not missing


def _word(node: Node | None) -> str:
    """What stands there; "" where it is no single value."""
    return node.value.strip() if isinstance(node, ScalarNode) else ""


def covers(earlier: Rule, later: Rule) -> bool:
    """Whether every model of the later rule is one of the earlier, on the same rung."""
    if earlier.rung != later.rung:
        return False
    # A star or question mark of the later pattern stands for itself; only a star covers a star.
    patterns = {"*": ".*", "?": "[^\0]"}
    pattern = "".join(patterns.get(c, re.escape(c)) for c in earlier.models)
    text = later.models.replace("*", "\0").replace("?", "\1")
    return re.fullmatch(pattern, text, re.DOTALL) is not None
