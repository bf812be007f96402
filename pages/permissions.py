"""Permissions: who could change a registered model without Modeldeck, and how to close that."""

import streamlit as st

from core.lifecycle.permissions import may_see_all
from core.texts import t
from core.ui import parts, permissions
from core.ui.deck import deck

here = deck()
parts.title(t("nav.title.permissions"), "key", t("permissions.caption"))

if here.settings.identity != "mlflow":
    permissions.without_accounts(here)
else:
    if may_see_all(here.rules, here.actor):
        permissions.everybody()
        st.divider()
    st.subheader(t("permissions.own.title"), anchor=False)
    permissions.own_rights()
