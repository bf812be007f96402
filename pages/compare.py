"""Runs side by side, in as many ways as there are questions about them."""

from core.texts import t
from core.ui import compare, parts
from core.ui.runs import held, missing

parts.title(t("nav.title.compare"), "stacked_line_chart", t("compare.about"))
since = held()
runs = compare.compared()
if runs and runs.count:
    compare.draw(runs)
elif runs:
    missing(t("compare.none_left"), since, "link_off")
else:
    parts.empty(t("compare.none"), "compare_arrows")
    compare.choose(None, None)
