"""The section ``ladder`` of the desk's file: rungs, and what each means in MLflow."""

import re

from yaml.nodes import Node

from core.errors import InvalidInput
from core.mlflow_api import ids
from core.registry.ladder import LADDER, NO_STAGE, Ladder, Rung
from core.registry.marked import Reader, empty, nodes
from core.texts import t

SECTION = ("rungs", "retired", "tag")
RUNG = ("name", "stage", "alias", "exclusive")
STAGES = ("None", "Staging", "Production", "Archived")

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/ ]{0,249}")


def read_ladder(reader: Reader, node: Node | None) -> Ladder:
    """The ladder that the section describes; the built-in one where there is none, or a fault."""
    if node is None or empty(node):
        return LADDER
    before = len(reader.faults)
    parts = dict(nodes(reader.mapping(node, SECTION, "ladder")))
    tag = LADDER.tag
    if "tag" in parts:
        tag = reader.text(parts["tag"], "tag")
        if tag and (not _TAG.fullmatch(tag) or tag.startswith("mlflow.")):
            reader.fault(parts["tag"], t("rules.ladder.tag"))
    if "rungs" not in parts:
        reader.fault(node, t("rules.need.keys", n=1, names="rungs"))
        return LADDER
    listed = reader.items(parts["rungs"], "rungs")
    if not listed and len(reader.faults) == before:
        reader.fault(parts["rungs"], t("rules.ladder.first"))
    found = [_rung(reader, item) for item in listed]
    read = [(rung, place) for rung, place in found if rung is not None]
    _distinct(reader, read)
    rungs = tuple(rung for rung, _ in read)
    if read and len(read) == len(found):  # else the one that is missed may be the very one at fault
        _whole(reader, node, rungs)
        _retired(reader, node, parts.get("retired"), rungs)
    if len(reader.faults) > before:
        return LADDER
    retired = parts.get("retired")
    name = reader.text(retired, "retired") if retired is not None else LADDER.retired
    return Ladder(rungs, next(r.name for r in rungs if r.name.casefold() == name.casefold()), tag)


def _rung(reader: Reader, item: Node) -> tuple[Rung | None, Node]:
    parts = dict(nodes(reader.mapping(item, RUNG, t("rules.what.rung"))))
    if "name" not in parts:
        reader.fault(item, t("rules.need.keys", n=1, names="name"))
        return None, item
    name = reader.text(parts["name"], "name", 60)
    stage: str | None = NO_STAGE
    if "stage" in parts:
        stage = reader.choice(parts["stage"], "stage", STAGES)
    alias = None
    if "alias" in parts:
        alias = reader.text(parts["alias"], "alias")
        try:
            alias = ids.alias(alias) if alias else None
        except InvalidInput as error:
            reader.fault(parts["alias"], error.what)
    exclusive = "exclusive" in parts and reader.flag(parts["exclusive"], "exclusive", False)
    rung = Rung(name, stage, alias, exclusive) if name and stage else None
    return rung, item


def _distinct(reader: Reader, found: list[tuple[Rung, Node]]) -> None:
    """No name, and no alias, may stand for two rungs."""
    names: set[str] = set()
    aliases: set[str] = set()
    for rung, place in found:
        if rung.name.casefold() in names:
            reader.fault(place, t("rules.ladder.two_names", name=rung.name))
        if rung.alias is not None and rung.alias.casefold() in aliases:
            reader.fault(place, t("rules.ladder.two_aliases", alias=rung.alias))
        names.add(rung.name.casefold())
        if rung.alias is not None:
            aliases.add(rung.alias.casefold())


def _whole(reader: Reader, node: Node, rungs: tuple[Rung, ...]) -> None:
    """Where new versions stand, and where the best one does, must be on it."""
    if rungs[0].stage != NO_STAGE or rungs[0].alias or rungs[0].exclusive:
        reader.fault(node, t("rules.ladder.first"))
        return
    if not any(rung.exclusive for rung in rungs):
        reader.fault(node, t("rules.ladder.no_top"))


def _retired(reader: Reader, node: Node, given: Node | None, rungs: tuple[Rung, ...]) -> None:
    name = reader.text(given, "retired") if given is not None else LADDER.retired
    rung = next((r for r in rungs if r.name.casefold() == name.casefold()), None)
    if name and rung is None:
        names = ", ".join(r.name for r in rungs)
        reader.fault(given or node, t("rules.ladder.no_retired", name=name, names=names))
    elif rung is not None and (rung.exclusive or rung.alias):
        reader.fault(given or node, t("rules.ladder.retired", name=name))
