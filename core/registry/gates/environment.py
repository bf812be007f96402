"""The model's requirements fit the interpreter that serves, and those of the present version."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.registry.gates.evidence import Evidence
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t

_NAMED = 8


@dataclass(frozen=True)
class Options:
    """What else than a missing package fails."""

    python: bool = True
    """Whether the model must be of the interpreter's Python (3.11 and 3.12 are two)."""
    same_versions: bool = False
    """Whether every package must be installed in the very version that is pinned."""
    as_holder: bool = False
    """Whether the pins must be those of the version that would be replaced."""


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Name what is missing, what is of another version, what differs from the holder, and what was
    not understood or could not be compared: neither passes for what fits."""
    pins = evidence.pins
    if pins is None:
        return Verdict(Status.UNKNOWN, t("gates.environment.none"))
    said, failed = [], False
    holder = evidence.holder
    bare = holder is not None and holder.requirements is None
    if pins.missing:
        failed = True
        said.append(t("gates.environment.missing", names=_some(pins.missing)))
    if pins.broken:
        failed = True
        said.append(t("gates.environment.broken", names=_some(pins.broken)))
    if pins.python is not None:
        failed = failed or options.python
        said.append(t("gates.environment.python", model=pins.python[0], here=pins.python[1]))
    if pins.other:
        failed = failed or options.same_versions
        pairs = (t("gates.environment.pair", name=n, a=a, b=b) for n, a, b in pins.other)
        said.append(t("gates.environment.other", names=_some(pairs)))
    if pins.than_holder:
        failed = failed or options.as_holder
        pairs = (_than(name, theirs, ours) for name, theirs, ours in pins.than_holder)
        said.append(t("gates.environment.holder", rung=evidence.rung, names=_some(pairs)))
    if holder is not None and bare:
        said.append(t("gates.environment.holder_none", version=holder.version))
    if pins.unread:
        said.append(t("gates.environment.unread", lines=_some(pins.unread)))
    inputs = {
        "missing": pins.missing,
        "broken": pins.broken,
        "other": pins.other,
        "python": pins.python,
        "than_holder": pins.than_holder,
        "unread": pins.unread,
    }
    if not said:
        said.append(t(f"gates.environment.fits{'_alone' if holder is None else ''}"))
    elif not failed and not pins.unread:
        said.insert(0, t("gates.environment.importable"))
    unknown = bool(pins.unread) or (bare and options.as_holder)
    status = Status.FAIL if failed else Status.UNKNOWN if unknown else Status.PASS
    return Verdict(status, " ".join(said), inputs)


def _than(name: str, theirs: str, ours: str) -> str:
    none = t("gates.environment.no_pin")
    return t("gates.environment.than", name=name, theirs=theirs or none, ours=ours or none)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _NAMED
    cut = ", ".join(listed[:_NAMED])
    return t("gates.environment.more", names=cut, n=more) if more > 0 else cut


GATE = Gate("environment", frozenset({"pins", "holder.pins"}), Options, decide)
