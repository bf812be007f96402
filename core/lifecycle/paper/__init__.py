"""A request as one HTML file: everything that the evidence page shows, with the record's proof.

The file asks for nothing from anywhere, runs no script, and prints on A4. All text from outside is
escaped by ``elements.el``, the only way in which elements are made here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import formats
from core.ledger.chain import Line
from core.lifecycle import brief
from core.lifecycle.paper import pictures
from core.lifecycle.paper.elements import Html, el, page
from core.registry.gates import Evidence, Result
from core.registry.gates.finding import title as gate_title
from core.registry.requests.nouns import Choice, Request
from core.texts import t

RECIPE = """\
import hashlib, html, json, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
lines = html.unescape(re.search(r'<pre id="record">(.*?)</pre>', text, re.S)[1])
for one in map(json.loads, lines.strip().splitlines()):
    sealed = f"{one['number']}\\n{one['previous']}\\n{one['body']}".encode()
    right = hashlib.sha256(sealed).hexdigest() == one["hash"]
    print(one["number"], "right" if right else "CHANGED")
"""
"""Checks the lines in a saved file; Python's standard library is enough."""


@dataclass(frozen=True)
class Paper:
    """What goes into the file."""

    request: Request
    evidence: Evidence | None
    metrics: tuple[brief.Metric, ...]
    lines: tuple[Line, ...]
    """Of the record that belong to the request, oldest first."""
    head: tuple[int, str] | None
    """How many lines the record has and the last one's hash, when the file was made."""
    address: str
    """Of the request's page; "" where no public address is set."""
    made_by: str
    made_at: datetime
    zone: str | None
    """The viewer's time zone."""
    curves: Mapping[str, pictures.Curves]
    """Metric → its curves, for those that have some."""
    approvals: tuple[int, int]
    """How many approve it and how many are needed, as the page says it."""
    gone: tuple[str, ...] = ()
    """Of which version there are no curves because its run is gone, in words."""
    contradicted: int | None = None
    """The line about the request's check that says that what it holds was changed since."""
    lines_in_all: int = 0
    """How many lines belong to the request; 0 where all of them are here."""


def document(paper: Paper) -> str:
    """The file, as text."""
    request = paper.request
    title = brief.title(request)
    said = brief.sentence(request, paper.evidence)
    body = [
        el("p", t("evidence_page.file.kicker"), class_="kicker"),
        el("h1", title),
        el("p", said, class_="said"),
        *_contradiction(paper),
        _facts(paper),
        *_section("metrics", _metrics(paper)),
        *_section("differences", _differences(paper)),
        *_section("checks", [_check(result) for result in request.results]),
        *_section("card", _card(paper)),
        *_section("steps", _steps(request)),
        *_section("talk", _talk(paper)),
        *_section("decisions", _decisions(paper)),
        *_section("proof", _proof(paper)),
    ]
    return page(title, body)


def _section(name: str, inner: Sequence[Html]) -> list[Html]:
    if not inner:
        return []
    return [el("section", el("h2", t(f"evidence_page.section.{name}")), *inner)]


def _contradiction(paper: Paper) -> list[Html]:
    if paper.contradicted is None:
        return []
    words = t("record.frozen.differs", number=paper.contradicted)
    return [el("p", el("strong", f"{t('record.frozen.title')}. {words}"))]


def _facts(paper: Paper) -> Html:
    request, evidence = paper.request, paper.evidence
    holder = evidence.holder if evidence else None
    rows = {
        "state": brief.state_said(request.state),
        "message": request.message,
        "model": request.model,
        "version": t("models.v", version=request.version),
        "rung": request.rung,
        "holder": t("models.v", version=holder.version) if holder else "",
        "asked": f"{request.requester}, {_at(paper, request.asked_at)}",
        "registered": request.registrant or t("evidence_page.unknown_registrant"),
        "checked": _at(paper, request.checked_at) if request.checked_at else "",
        "gathered": _at(paper, evidence.at) if evidence else "",
        "missing": "\n".join(evidence.missing.values()) if evidence else "",
        "notes": "\n".join(evidence.notes.values()) if evidence else "",
        "approvals": t(
            "evidence_page.approvals_have", have=paper.approvals[0], n=paper.approvals[1]
        ),
        "expires": _at(paper, request.expires_at) if request.open else "",
        "closed": _at(paper, request.closed_at) if request.closed_at else "",
        "source": evidence.challenger.source if evidence else "",
        "digest": brief.digest_said(evidence) if evidence else "",
        "request": request.id,
        "address": paper.address,
    }
    return _pairs({t(f"evidence_page.fact.{name}"): value for name, value in rows.items() if value})


def _metrics(paper: Paper) -> list[Html]:
    evidence = paper.evidence
    if evidence is None or not paper.metrics:
        return [el("p", t("evidence_page.metrics.none"))]
    mine, theirs = brief.names(evidence)
    made = [pictures.strips(brief.foremost(paper.metrics), evidence)]
    made += [el("p", said) for m in paper.metrics if (said := brief.told(m, evidence))]
    head = ["metric", "mine", "theirs", "change"]
    named = {"mine": mine, "theirs": theirs}
    rows = [
        [m.name, _number(m.mine), _number(m.theirs), brief.change_said(m)] for m in paper.metrics
    ]
    titles = [t(f"evidence_page.column.{name}", name=named.get(name, "")) for name in head]
    made.append(_table(titles, rows))
    for metric, curves in paper.curves.items():
        made.append(pictures.lines(metric, curves, names=(mine, theirs)))
    made += [el("p", said) for said in paper.gone]
    return made


def _differences(paper: Paper) -> list[Html]:
    evidence = paper.evidence
    if evidence is None:
        return []
    if evidence.holder is None:
        return [el("p", brief.alone_said(evidence))]
    mine, theirs = brief.names(evidence)
    made: list[Html] = []
    for name, rows in brief.differences(evidence).items():
        made.append(el("h3", t(f"evidence_page.differ.{name}")))
        if rows is None:
            made.append(el("p", t("evidence_page.differ.unknown")))
        elif not rows:
            made.append(el("p", t("evidence_page.differ.same")))
        else:
            titles = ["", t("evidence_page.column.mine", name=mine),
                      t("evidence_page.column.theirs", name=theirs)]  # fmt: skip
            cells = [[r.name, r.mine or formats.NONE, r.theirs or formats.NONE] for r in rows]
            made.append(_table(titles, cells))
    return made


def _check(result: Result) -> Html:
    look = brief.check_look(result)
    inner = [
        el("h3", f"{t(f'evidence_page.check.{look}')}: {gate_title(result.gate)}"),
        el("p", result.reason),
    ]
    looked_at = {**result.options, **result.inputs}
    if looked_at:
        inner.append(el("pre", _json(looked_at)))
    return el("div", *inner, class_=f"check {look}")


def _card(paper: Paper) -> list[Html]:
    card = paper.evidence.card if paper.evidence else {}
    filled = {brief.field_title(name): value for name, value in card.items() if value}
    return [_pairs(filled)] if filled else [el("p", t("evidence_page.card.none"))]


def _steps(request: Request) -> list[Html]:
    if not request.steps:
        return []
    return [el("ol", *(el("li", step.sentence) for step in request.steps))]


def _talk(paper: Paper) -> list[Html]:
    return [
        el(
            "div",
            el("p", el("b", one.who), " ", t(f"evidence_page.event.{one.event}"), ", ",
               _at(paper, one.at)),
            *([el("p", one.words, class_="words")] if one.words else []),
        )
        for one in brief.talk(paper.lines)
    ]  # fmt: skip


def _decisions(paper: Paper) -> list[Html]:
    made = []
    for one in paper.request.decisions:
        said = t(f"evidence_page.decided.{one.choice}", who=one.actor, when=_at(paper, one.at))
        own = t("evidence_page.own") if one.own else ""
        strong = "strong" if one.choice is Choice.BREAK_GLASS else "p"
        made.append(el("div", el(strong, said), *([el("p", own)] if own else [])))
    return made


def _proof(paper: Paper) -> list[Html]:
    if not paper.lines:
        return [el("p", t("evidence_page.proof.none"))]
    made = [el("p", t("evidence_page.proof.about"))]
    if paper.lines_in_all > len(paper.lines):
        said = t("record.newest", n=len(paper.lines), total=paper.lines_in_all)
        made.append(el("p", said))
    if paper.head is not None:
        number, hash_ = paper.head
        said = t("evidence_page.proof.head", n=number, when=_at(paper, paper.made_at))
        made += [el("p", said), el("pre", hash_, id="head")]
    made += [el("pre", "\n".join(exported(line) for line in paper.lines), id="record")]
    made += [el("p", t("evidence_page.proof.how")), el("pre", RECIPE, id="recipe")]
    made += [el("p", t("evidence_page.proof.ledger"))]
    said = t("evidence_page.proof.made", who=paper.made_by, when=_at(paper, paper.made_at))
    return [*made, el("p", said, class_="made")]


def exported(line: Line) -> str:
    """A line of the record as JSON on one line, in ASCII: nothing in it can be drawn as another."""
    return json.dumps(
        {
            "number": line.number,
            "previous": line.previous,
            "hash": line.hash,
            "body": line.body,
        }
    )


def _pairs(rows: Mapping[str, str]) -> Html:
    return el("dl", *(part for k, v in rows.items() for part in (el("dt", k), el("dd", v))))


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    head = el("thead", el("tr", *(el("th", title) for title in titles)))
    body = el("tbody", *(el("tr", *(el("td", cell) for cell in row)) for row in rows))
    return el("table", head, body)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, default=str)


def _number(value: float | None) -> str:
    return formats.number(value, 6)


def _at(paper: Paper, at: datetime | None) -> str:
    return f"{formats.moment(at, paper.zone)} {paper.zone or 'UTC'}"
