"""A request in plain words, and champion against challenger: what managers' pages show. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from core import formats, statistics
from core.ledger.chain import Line
from core.registry import card
from core.registry.gates import Evidence, Result, Status
from core.registry.gates.evidence import Side
from core.registry.requests.nouns import Kind, Request, State
from core.runs import verdicts
from core.runs.differences import Change, Difference, change_text
from core.runs.directions import Direction, direction
from core.statistics import Difference as Tested
from core.texts import t

SYSTEM = "system/"
"""What the names of metrics of the machine begin with: they say nothing about the model."""

TALK = ("asked", "commented", "approved", "rejected", "withdrawn", "broke_glass")
"""Actions of the record in which people speak."""

FOREMOST = 4
"""Metrics that are shown large."""

_AT = {
    State.CHECKING: "checked",
    State.BLOCKED: "checked",
    State.WAITING: "decided",
    State.REJECTED: "decided",
    State.APPROVED: "done",
    State.APPLYING: "done",
    State.DONE: "done",
    State.FAILED: "done",
}
"""Where a request stands; one that was closed otherwise, wherever it was."""

_TOLD = ("test", "val", "eval", "cv")
"""Where a metric was measured, most telling first."""


@dataclass(frozen=True)
class Counts:
    """How the checks went."""

    passed: int = 0
    warned: int = 0
    blocked: int = 0
    informed: int = 0
    """Those that hold something against the version and are only told."""

    @property
    def all(self) -> int:
        """How many there are."""
        return self.passed + self.warned + self.blocked + self.informed


@dataclass(frozen=True)
class Metric:
    """One metric of the challenger beside the holder's."""

    name: str
    mine: float | None
    """The challenger's; NaN as such, None where it has none."""
    theirs: float | None
    """The holder's; None where it has none, or there is no holder."""
    better: Direction | None
    """Which way is better; None where nobody knows."""
    change: Change | None = None
    """The challenger's minus the holder's; None where either is no finite number."""
    tested: Tested | None = None
    """Over the runs that repeat both; None where either has no replicates."""
    family: int = 1
    """How many metrics were tested, for which p is corrected."""
    named: bool = False
    """Whether a gate looks at it."""

    @property
    def telling(self) -> bool:
        """Whether both have it as a number."""
        return self.change is not None

    def verdict(self, mine: str, theirs: str) -> str:
        """What the replicates say, in a sentence of plain text; "" without replicates."""
        if self.tested is None:
            return ""
        return verdicts.sentence(self.tested, mine, theirs, self.better, self.family)


@dataclass(frozen=True)
class Changed:
    """One thing that the challenger has otherwise than the holder."""

    name: str
    mine: str | None
    """None: the challenger lacks it."""
    theirs: str | None
    """None: the holder lacks it."""

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.theirs is None:
            return "added"
        return "removed" if self.mine is None else "changed"


@dataclass(frozen=True)
class Stop:
    """One of the places that a request comes through."""

    name: str
    """``asked``, ``checked``, ``decided`` or ``done``."""
    look: str
    """``past``, ``here``, ``ahead`` or ``ended`` (it goes no further than this)."""
    at: datetime | None
    said: str
    """A few plain words."""


@dataclass(frozen=True)
class Said:
    """Something that somebody did with a request, with their words."""

    who: str
    at: datetime
    event: str
    """What they did: the record's action without ``request.``."""
    words: str


def talk(lines: Iterable[Line]) -> tuple[Said, ...]:
    """What people did with a request and said to it, oldest first.

    Args:
        lines: of the record that belong to the request.
    """
    told = sorted(lines, key=lambda line: line.number)
    return tuple(
        Said(one.entry.actor, one.at, event, one.entry.why)
        for one in told
        if (event := one.entry.action.removeprefix("request.")) in TALK
    )


def counts(results: Iterable[Result]) -> Counts:
    """How many checks pass, warn, block and tell of something."""
    found = Counter("passed" if r.passed else r.level for r in results)
    return Counts(found["passed"], found["warn"], found["block"], found["inform"])


def checks_said(results: Sequence[Result]) -> str:
    """How the checks went, such as "7 checks pass, 1 warns"; plain text."""
    if not results:
        return t("approvals.sentence.no_checks")
    found = counts(results)
    said = [t("approvals.sentence.pass", n=found.passed)]
    said += [
        t(f"approvals.sentence.{name}", n=n)
        for name, n in (("warn", found.warned), ("block", found.blocked), ("tell", found.informed))
        if n
    ]
    return ", ".join(said)


def sentence(request: Request, evidence: Evidence | None) -> str:
    """What somebody who decides wants to know first, in one plain sentence; plain text."""
    if evidence is None:
        checking = request.state is State.CHECKING
        return t(f"approvals.sentence.{'checking' if checking else 'no_evidence'}")
    said = [_measured(request, evidence)] if request.kind is not Kind.ARCHIVE else []
    return "; ".join([*said, checks_said(request.results)]) + "."


def foremost(found: Sequence[Metric]) -> tuple[Metric, ...]:
    """The few metrics to look at first: those that gates look at, else those that tell."""
    named = [m for m in found if m.named]
    chosen = named or [m for m in found if m.telling and m.better] or list(found)
    return tuple(chosen[:FOREMOST])


def metrics(
    evidence: Evidence,
    results: Sequence[Result] = (),
    known: Mapping[str, Direction] | None = None,
) -> tuple[Metric, ...]:
    """All metrics of both: those that gates look at first, then those that both have.

    p is corrected (Holm) for all metrics that were tested.

    Args:
        results: of the gates.
        known: metric → lower or higher, as the experiment says. What a gate was told goes before,
            as it is what decides; names decide else.
    """
    known = {**(known or {}), **_told_to_gates(results)}
    mine, theirs = _values(evidence.challenger), _values(evidence.holder)
    wanted = _gated(results)
    found = [
        _metric(name, mine.get(name), theirs.get(name), wanted, known)
        for name in {**dict.fromkeys(wanted), **mine, **theirs}
        if name in mine or name in theirs
    ]
    tested = {m.name: _tested(evidence, m.name) for m in found}
    corrected = statistics.holm([d.p if d else None for d in tested.values()])
    family = max(1, sum(p is not None for p in corrected))
    exact = {
        name: replace(d, corrected=p) if d else None
        for (name, d), p in zip(tested.items(), corrected, strict=True)
    }
    made = [replace(m, tested=exact[m.name], family=family) for m in found]
    return tuple(sorted(made, key=lambda m: _order(m, wanted)))


def sample(side: Side, metric: str) -> statistics.Sample:
    """A metric over the runs that repeat a version's run; empty without replicates."""
    values = side.replicates.get(metric, ())
    matching = len(values) == len(side.replicate_seeds)
    return statistics.sample(values, side.replicate_seeds if matching else ())


def moved(side: Side | None, now: Mapping[str, float]) -> tuple[Changed, ...]:
    """Metrics of a version's run whose value in MLflow is no longer the one that was frozen."""
    before = _values(side)
    present = {name: float(value) for name, value in now.items()}
    return _changed(_written(present), _written(before))


def params(evidence: Evidence) -> tuple[Changed, ...]:
    """Params that differ between the two, by name; none where there is no holder."""
    if evidence.holder is None:
        return ()
    return _changed(evidence.challenger.params, evidence.holder.params)


def datasets(evidence: Evidence) -> tuple[Changed, ...]:
    """Data sets that differ, by name and context."""
    if evidence.holder is None:
        return ()
    return _changed(_sets(evidence.challenger.datasets), _sets(evidence.holder.datasets))


def columns(evidence: Evidence, side: str) -> tuple[Changed, ...] | None:
    """Columns of the signature that differ.

    Args:
        side: ``inputs`` or ``outputs``.

    Returns:
        None where either has no signature, so that nothing can be said.
    """
    if evidence.holder is None:
        return None
    mine, theirs = (getattr(one, side) for one in (evidence.challenger, evidence.holder))
    if mine is None or theirs is None:
        return None
    return _changed(_columns(mine), _columns(theirs))


def surroundings(evidence: Evidence) -> tuple[Changed, ...]:
    """Python, packages and the code's commit, where they differ."""
    if evidence.holder is None:
        return ()
    both = (evidence.challenger, evidence.holder)
    mine, theirs = (
        {
            t("evidence_page.around.python"): one.python or "",
            t("evidence_page.around.commit"): one.git_commit,
            t("evidence_page.around.flavors"): ", ".join(one.flavors),
        }
        for one in both
    )
    found = list(_changed(_present(mine), _present(theirs)))
    for package, before, after in evidence.pins.than_holder if evidence.pins else ():
        found.append(Changed(package, after or None, before or None))
    return tuple(found)


def stops(request: Request) -> tuple[Stop, ...]:
    """How far a request came: asked → checked → decided → done."""
    state, decided = request.state, request.decisions[-1].at if request.decisions else None
    over = state not in (State.CHECKING, State.BLOCKED, State.WAITING)
    when = {
        "asked": request.asked_at,
        "checked": request.checked_at,
        "decided": decided if over else None,
        "done": request.closed_at if state is State.DONE else None,
    }
    names = tuple(when)
    at = names.index(_AT[state]) if state in _AT else 1 + bool(request.checked_at)
    made = []
    for place, name in enumerate(names):
        if place != at:
            past = place < at
            made.append(Stop(name, "past" if past else "ahead", when[name] if past else None, ""))
            continue
        look = "here" if request.open else "past" if state is State.DONE else "ended"
        moment = when[name] or request.closed_at
        said = "" if state is State.DONE else state_said(state)  # its place says it
        made.append(Stop(name, look, moment, said))
    return tuple(made)


def _measured(request: Request, evidence: Evidence) -> str:
    first = next(iter(foremost(metrics(evidence, request.results))), None)
    rung, holder = request.rung, evidence.holder
    if first is None or first.mine is None:
        key = "no_metrics" if holder is None else "no_metrics_against"
        version = holder.version if holder else 0
        return t(f"approvals.sentence.{key}", rung=rung, version=version)
    if holder is None:
        value = formats.number(first.mine)
        return t("approvals.sentence.alone", metric=first.name, value=value, rung=rung)
    if first.theirs is None:
        value = formats.number(first.mine)
        return t("approvals.sentence.not_there", metric=first.name, value=value, rung=rung)
    mine, theirs = formats.alike(first.mine, first.theirs)
    said = t("approvals.sentence.against", metric=first.name, value=mine, holder=theirs, rung=rung)
    better = first.change.better if first.change else None
    # Higher and better is what numbers say by themselves.
    if better is False or (better and first.better == "lower"):
        return t(f"approvals.sentence.{'better' if better else 'worse'}", said=said)
    return said


def _gated(results: Sequence[Result]) -> tuple[str, ...]:
    named = (r.options.get("metric") for r in results)
    return tuple(dict.fromkeys(str(name) for name in named if name))


def _told_to_gates(results: Sequence[Result]) -> dict[str, Direction]:
    """Metric → which way a gate's options say that it is better."""
    ways = get_args(Direction)
    given = [r.options for r in results if r.options.get("better") in ways]
    return {str(one["metric"]): one["better"] for one in given if one.get("metric")}


def _metric(
    name: str,
    mine: float | None,
    theirs: float | None,
    wanted: tuple[str, ...],
    known: Mapping[str, Direction] | None,
) -> Metric:
    better = direction(name, known)
    change = Difference(name, (theirs, mine), better).change(1, 0)
    return Metric(name, mine, theirs, better, change, named=name in wanted)


def _tested(evidence: Evidence, name: str) -> Tested | None:
    if evidence.holder is None:
        return None
    mine, theirs = (sample(side, name) for side in (evidence.challenger, evidence.holder))
    return statistics.difference(mine, theirs) if min(mine.n, theirs.n) >= 2 else None


def _order(metric: Metric, wanted: tuple[str, ...]) -> tuple[object, ...]:
    place = next((i for i, word in enumerate(_TOLD) if word in metric.name.lower()), len(_TOLD))
    return (
        wanted.index(metric.name) if metric.named else len(wanted),
        metric.name.startswith(SYSTEM),
        not metric.telling,
        metric.better is None,
        place,
        metric.name,
    )


def _values(side: Side | None) -> dict[str, float | None]:
    if side is None:
        return {}
    return {name: math.nan if value is None else value for name, value in side.metrics.items()}


def _written(values: Mapping[str, float | None]) -> dict[str, str]:
    return {name: formats.NONE if v is None else repr(float(v)) for name, v in values.items()}


def _sets(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Data sets by name and context; of several that share both, all of them."""
    made: dict[str, list[str]] = {}
    for one in found:
        context = one.get("context")
        name = f"{one.get('name')} ({context})" if context else str(one.get("name"))
        rows = one.get("rows")
        digest = str(one.get("digest") or formats.NONE)
        said = digest if rows is None else t("evidence_page.data.rows", digest=digest, n=rows)
        made.setdefault(name, []).append(said)
    return {name: "; ".join(sorted(said)) for name, said in made.items()}


def _columns(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    made = {}
    for place, one in enumerate(found):
        kind = str(one.get("type"))
        if one.get("shape") is not None:
            kind = f"{kind} {one['shape']}"
        name = str(one.get("name") or place)
        needed = one.get("required", True)
        made[name] = kind if needed else t("differences.optional", type=kind)
    return made


def _present(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _changed(mine: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[Changed, ...]:
    return tuple(
        Changed(name, mine.get(name), theirs.get(name))
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    )


def state_said(state: State) -> str:
    """A request's state, as a headline of a few words."""
    said = t(f"requests.state.{state}")
    return said[:1].upper() + said[1:]


def field_title(name: str) -> str:
    """What a field of the model card is called."""
    return card.title(name) if name in card.FIELDS else name


def title(request: Request) -> str:
    """What is asked for; plain text."""
    return t(
        f"approvals.card.{request.kind}",
        model=request.model, version=request.version, rung=request.rung,
    )  # fmt: skip


def names(evidence: Evidence) -> tuple[str, str]:
    """What the challenger and the holder are called, such as ``v7`` and ``v5 (Production)``."""
    mine = t("models.v", version=evidence.challenger.version)
    if evidence.holder is None:
        return mine, evidence.rung
    theirs = t("models.v", version=evidence.holder.version)
    return mine, t("evidence_page.holder", version=theirs, rung=evidence.rung)


def alone_said(evidence: Evidence) -> str:
    """Why there is nothing to compare with; plain text."""
    key = "shared" if evidence.shared else "no_holder"
    return t(f"evidence_page.{key}", rung=evidence.rung)


def told(metric: Metric, evidence: Evidence) -> str:
    """What replicates say of a metric; plain text, "" without replicates."""
    said = metric.verdict(*names(evidence))
    return t("evidence_page.metrics.verdict", metric=metric.name, said=said) if said else ""


def change_said(metric: Metric) -> str:
    """The challenger's minus the holder's, in words; plain text."""
    return "" if metric.change is None else change_text(metric.change)


def differences(evidence: Evidence) -> dict[str, tuple[Changed, ...] | None]:
    """What else differs from the holder, by part; None where it cannot be told."""
    return {
        "params": params(evidence),
        "datasets": datasets(evidence),
        "inputs": columns(evidence, "inputs"),
        "outputs": columns(evidence, "outputs"),
        "surroundings": surroundings(evidence),
    }


def check_look(result: Result) -> str:
    """How a check stands: ``pass``, ``unneeded``, or its level where it holds something against
    the version: ``block``, ``warn``, ``inform``."""
    if result.status is Status.NOT_NEEDED:
        return "unneeded"
    return "pass" if result.passed else result.level


def digest_said(evidence: Evidence) -> str:
    """The artifacts' digest and what it was made over; plain text."""
    if not evidence.digest:
        return t("evidence_page.digest.none", why=evidence.missing.get("digest", ""))
    return t(f"evidence_page.digest.{evidence.digest_of}", digest=evidence.digest)
