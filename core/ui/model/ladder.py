"""The ladder of a model: who stands on each rung, since when and by whom, and the way back."""

import streamlit as st

from core import formats
from core.ledger import chain
from core.registry.catalogue import Dossier
from core.registry.ladder import Rung
from core.registry.reconcile import alerts
from core.registry.requests import Request
from core.registry.timeline import Timeline
from core.texts import t
from core.ui import ask, parts, registry
from core.ui.deck import deck, read
from core.ui.markup import md, safe
from core.ui.model import rollback
from core.ui.model.look import Look
from core.ui.model.told import told
from core.ui.navigation import link

MOST_HOLDERS = 3
MOST_SAID = 3
_WIDTH = 290


def draw(found: Look) -> None:
    """One card a rung, the highest first; what speaks against it below."""
    dossier = found.dossier
    requests = ask.open_requests(dossier.model.name)
    known = told(dossier.model.name)
    exclusive = [rung for rung in reversed(dossier.ladder.rungs) if rung.exclusive]
    with st.container(horizontal=True, gap="small"):
        for rung in exclusive:
            with st.container(border=True, width=_WIDTH, gap="xsmall"):
                _rung(found, rung, known)
                for request in requests:
                    if request.rung == rung.name:
                        ask.line(request, on_rung=True)
    _others(dossier, requests)
    _against(dossier)
    _unattributed(dossier.model.name)


def _rung(found: Look, rung: Rung, known: Timeline) -> None:
    dossier = found.dossier
    held = sorted(dossier.on(rung), reverse=True)
    top = rung == dossier.ladder.top
    with st.container(horizontal=True, vertical_alignment="center"):
        colour = registry.rung_colour(rung.name, dossier.ladder) if held else "grey"
        st.badge(safe(rung.name), color=colour)  # type: ignore[arg-type]
        if rung.alias:
            st.caption(f":material/sell: {safe(rung.alias)}", width="content")
    if not held:
        words = md("model.ladder.nobody", rung=rung.name)
        if not dossier.complete:
            st.caption(t("model.ladder.nobody_yet"))
        elif top:
            st.badge(words, icon=":material/warning:", color="orange")
        else:
            st.caption(words)
    for number in held[:MOST_HOLDERS]:
        _holder(dossier, number, rung, known)
    if len(held) > MOST_HOLDERS:
        st.caption(t("model.ladder.more", n=len(held) - MOST_HOLDERS))
    if len(held) > 1:
        st.badge(md("model.ladder.several", n=len(held)), icon=":material/warning:", color="red")
    if found.certain and held:
        rollback.draw(dossier, rung)


def _holder(dossier: Dossier, number: int, rung: Rung, known: Timeline) -> None:
    link(
        "model", t("models.v", version=number), icon=":material/deployed_code:",
        model=dossier.model.name, version=str(number),
    )  # fmt: skip
    span = known.standing(number, rung.name)
    if span is None:
        st.caption(t("model.ladder.unknown"))
    else:
        st.caption(
            md(
                "model.ladder.found" if span.known_since else "model.ladder.since",
                at=parts.moment(span.since), ago=parts.when(span.since), who=span.by,
            )
        )  # fmt: skip


def _others(dossier: Dossier, requests: list[Request]) -> None:
    """The rungs that many stand on, in one line, and requests for them."""
    many = [rung for rung in dossier.ladder.rungs if not rung.exclusive]
    said = [
        md("model.ladder.many", rung=rung.name, count=formats.count(len(dossier.on(rung))))
        for rung in many
    ]
    st.caption(" · ".join([t("model.ladder.known"), *said] if not dossier.complete else said))
    for request in requests:
        if any(request.rung == rung.name for rung in many):
            ask.line(request)


def _against(dossier: Dossier) -> None:
    """Marks that speak of two rungs."""
    found = dossier.contradictions
    if not found:
        return
    said = [f"- {safe(one.sentence)}" for one in found[-MOST_SAID:][::-1]]
    if len(found) > MOST_SAID:
        said.append("- " + t("model.ladder.more_against", n=len(found) - MOST_SAID))
    st.warning(
        "\n".join(said), title=t("model.ladder.against", n=len(found)), icon=":material/rule:"
    )


def _unattributed(model: str) -> None:
    """Changes that somebody made in MLflow, past Modeldeck, and that nobody has looked at yet."""
    here = deck()
    found = read("alerts", lambda: alerts(here.ledger, here.mlflow.address, model), model)
    numbers = found.get(model, [])
    if not numbers:
        return
    newest = read("alert", lambda: chain.line(here.ledger, numbers[0]), numbers[0])
    ago = parts.when(newest.at if newest else None)
    st.warning(
        t("model.ladder.outside_what", n=len(numbers), ago=ago),
        title=t("model.ladder.outside", n=len(numbers)), icon=":material/person_alert:",
    )  # fmt: skip
    link("ledger", t("model.ladder.outside_open"), icon=":material/receipt_long:", model=model)
