"""Changes without Modeldeck that nobody has taken note of yet."""

import streamlit as st

from core.ledger import chain
from core.ledger.chain import Line
from core.registry.reconcile import acknowledge, alerts, may_acknowledge
from core.registry.telling import changes, sentence
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, forget, read
from core.ui.ledger.lines import readable, sees_all
from core.ui.markup import md, safe

SHOWN = 10


def draw(model: str | None = None) -> None:
    """A banner with each model's changes, and taking note of them; nothing where there are none.

    Args:
        model: of this model only.
    """
    here = deck()
    store = here.mlflow.address
    found = read("alerts", lambda: alerts(here.ledger, store, model), model)
    mine = {name: found[name] for name in found if sees_all() or name in readable()}
    for name, numbers in list(mine.items())[:SHOWN]:
        label = md("record.alert.about", model=name, n=len(numbers))
        with st.expander(f":orange[{label}]", icon=":material/warning:", key=f"alert_{name}"):
            for line in _lines(*numbers[:SHOWN]):
                at = parts.moment(line.at)
                st.markdown(md("record.alert.line", number=line.number, at=at,
                               what=sentence(line.entry)))  # fmt: skip
                if change := changes(line.entry):
                    st.caption(safe(change))
            if len(numbers) > SHOWN:
                st.caption(t("record.alert.more", shown=SHOWN, n=len(numbers)))
            if may_acknowledge(here.desk, name):
                _form(name, numbers)
    if len(mine) > SHOWN:
        st.caption(t("record.alert.models", shown=SHOWN, n=len(mine)))


def _lines(*numbers: int) -> list[Line]:
    ledger = deck().ledger
    return read("alerted", lambda: chain.lines(ledger, numbers=numbers), *numbers)


def _form(model: str, numbers: list[int]) -> None:
    with st.form(f"acknowledge_{model}", border=False):
        words = st.text_input(t("record.alert.comment"), key=f"acknowledge_words_{model}")
        if st.form_submit_button(t("record.alert.acknowledge"), icon=":material/check:"):
            acknowledge(deck().desk, numbers, words)
            forget()
            parts.done(t("record.alert.done", model=safe(model)))
            st.rerun()
