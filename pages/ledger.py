"""The record: every request, decision and change; what stood where; and whether it holds."""

import streamlit as st

from core.texts import t
from core.ui import parts
from core.ui.ledger import alerting, lines, stood, verifying
from core.ui.navigation import asked

parts.title(t("nav.title.ledger"), "history_edu", t("ledger.about"))
alerting.draw(asked("model") or None)
record, then, verify = st.tabs(
    [t("ledger.tab.record"), t("record.stood.tab"), t("ledger.tab.verify")],
    key="tab",
    bind="query-params",
)
if record.open:
    with record:
        lines.draw(lines.controls())
if then.open:
    with then:
        stood.draw()
if verify.open:
    with verify:
        verifying.draw()
