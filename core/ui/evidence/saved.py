"""The page as one HTML file, made when it is asked for."""

import re
from collections.abc import Mapping

import streamlit as st

from core.ledger import chain, now
from core.lifecycle import paper
from core.lifecycle.paper.pictures import Curves
from core.registry.requests import tally
from core.texts import t
from core.ui.deck import deck, later
from core.ui.evidence.look import Look


def save(found: Look, curves: Mapping[str, Curves], gone: tuple[str, ...]) -> None:
    """Save everything on the page, with the record's proof.

    Args:
        curves: metric → both runs' curves.
        gone: of which version there are none, in words.
    """
    here = deck()
    ledger, who, zone = here.ledger, here.actor.name, st.context.timezone
    approvals = tally(here.desk, found.request)
    address = here.settings.public_url.rstrip("/")

    def made() -> bytes:
        # Runs on a thread of its own, without the person's session: all it needs was asked before.
        head = chain.head(ledger)
        return paper.document(
            paper.Paper(
                request=found.request,
                evidence=found.evidence,
                metrics=found.metrics,
                lines=found.lines,
                lines_in_all=found.lines_in_all,
                contradicted=found.contradicted,
                head=(head.count, head.hash) if head else None,
                address=f"{address}/evidence?request={found.request.id}" if address else "",
                made_by=who,
                made_at=now(),
                zone=zone,
                curves=curves,
                approvals=approvals,
                gone=gone,
            )
        ).encode()

    st.download_button(
        t("evidence_page.file.save"), later(made), file_name=_name(found), mime="text/html",
        icon=":material/save:", on_click="ignore", help=t("evidence_page.file.save_help"),
    )  # fmt: skip


def _name(found: Look) -> str:
    request = found.request
    model = re.sub(r"[^\w.-]+", "-", request.model).strip("-.")[:60] or "model"
    return f"{model}-v{request.version}-{request.rung}-{request.id[:8]}.html"
