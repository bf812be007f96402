"""Approvals: what waits for me, what I asked for, what is open, what was closed lately."""

from core.texts import t
from core.ui import approvals, parts

parts.title(t("nav.title.approvals"), "approval", t("approvals.about"))
approvals.draw(approvals.view())
