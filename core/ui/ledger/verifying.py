"""Whether the record holds: read whole, hashed anew, compared with the heads outside of it."""

import streamlit as st

from core import formats
from core.ledger.verifying import Verification, verify
from core.registry.heads import gather
from core.texts import t
from core.ui import parts
from core.ui.deck import deck
from core.ui.ledger.lines import sees_all
from core.ui.markup import safe

KEY = "ledger_verified"


def draw() -> None:
    """A button, its progress, and what was found."""
    st.markdown(t("ledger.verify_about"))
    if st.button(t("ledger.verify"), icon=":material/verified:", type="primary", key="verify"):
        st.session_state[KEY] = _verify()
    found: Verification | None = st.session_state.get(KEY)
    if found is not None:
        _tell(found)


def _verify() -> Verification:
    here = deck()
    bar = st.progress(0.0, t("ledger.verifying_heads"))
    heads = gather(here.desk)

    def progress(done: int, total: int) -> None:
        bar.progress(
            min(1.0, done / max(total, 1)),
            t("ledger.verifying", done=formats.count(done), total=formats.count(total)),
        )

    found = verify(here.ledger, heads, progress)
    bar.empty()
    return found


def _tell(found: Verification) -> None:
    at = parts.moment(found.at)
    if found.ok:
        key = "ledger.verified" if found.lines else "ledger.verified_empty"
        st.success(t(key, n=found.lines, heads=found.heads, at=at), icon=":material/verified_user:")
    else:
        st.error(t("ledger.broken", n=found.faulty, at=at), icon=":material/gpp_bad:")
        if sees_all():
            for fault in found.faults:
                st.markdown(f"- {safe(fault.what)}")
        else:  # the words may hold parts of lines about models that the person may not read
            numbers = sorted({fault.number for fault in found.faults if fault.number})
            if numbers:
                said = ", ".join(map(str, numbers))
                st.markdown(t("ledger.fault_lines", n=len(numbers), numbers=said))
        if found.faulty > len(found.faults):
            st.caption(t("ledger.more_faults", shown=len(found.faults), n=found.faulty))
    if found.head is not None:
        st.caption(t("ledger.head", n=found.head.count))
        st.code(found.head.hash, language=None)
