"""The record as a file: CSV to read, JSON Lines to verify."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from core.exports import csv_bytes
from core.ledger import chain
from core.registry.telling import changes, sentence
from core.texts import t
from core.ui.deck import deck, later

if TYPE_CHECKING:
    from core.ui.ledger.lines import Wish

MOST = 100_000
COLUMNS = (
    "number", "at", "actor", "actor_kind", "action", "what", "store", "model", "version", "rung",
    "change", "why", "path", "request_id", "transition_id", "previous", "hash",
)  # fmt: skip


def button(wish: "Wish", total: int) -> None:
    """A menu with both files; each is made when it is asked for."""
    with st.popover(t("ledger.save"), icon=":material/download:", key="ledger_save"):
        st.caption(t("ledger.save_about", n=min(total, MOST)))
        if total > MOST:
            st.caption(t("ledger.save_most", most=MOST, n=total))
        st.download_button(
            t("ledger.save_csv"), later(lambda: as_csv(wish)), "record.csv", "text/csv",
            key="ledger_csv", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            t("ledger.save_lines"), later(lambda: as_lines(wish)), "record.jsonl",
            "application/x-ndjson", key="ledger_lines", on_click="ignore",
        )  # fmt: skip


def as_csv(wish: "Wish") -> bytes:
    """The lines with what they mean in words; cells that a spreadsheet will not carry out."""
    rows = []
    for line in _now(wish).lines(MOST):
        entry = line.entry
        rows.append(
            {
                "number": line.number, "at": line.at.isoformat(), "actor": entry.actor,
                "actor_kind": entry.actor_kind, "action": entry.action, "what": sentence(entry),
                "store": entry.store, "model": entry.model, "version": entry.version,
                "rung": entry.rung, "change": changes(entry), "why": entry.why,
                "path": entry.path, "request_id": entry.request_id,
                "transition_id": entry.transition_id, "previous": line.previous,
                "hash": line.hash,
            }
        )  # fmt: skip
    return csv_bytes(COLUMNS, rows)


def as_lines(wish: "Wish") -> bytes:
    """The lines as they are hashed, oldest first, and last the record's head."""
    out = [
        json.dumps(
            {
                "number": line.number, "previous": line.previous, "hash": line.hash,
                "body": line.body,
            },
            ensure_ascii=False,
        )
        for line in reversed(_now(wish).lines(MOST))
    ]  # fmt: skip
    head = chain.head(deck().ledger)
    out.append(json.dumps({"head": str(head) if head else ""}))
    return ("\n".join(out) + "\n").encode()


def _now(wish: "Wish") -> "Wish":
    """What may be read of a wish by now: it was made when the page was drawn."""
    if deck().actor.administrator:
        return wish
    names = [model.name for model in deck().mlflow.registry.models()]
    wanted = names if wish.models is None else [name for name in wish.models if name in names]
    return replace(wish, models=tuple(wanted))
