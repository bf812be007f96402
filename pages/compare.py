"""Runs side by side, in as many ways as there are questions about them."""

from core.texts import t
from core.ui import compare, parts

parts.title(t("nav.title.compare"), "stacked_line_chart", t("compare.about"))
runs = compare.compared()
if runs and runs.count:
    compare.draw(runs)
elif runs:
    parts.empty(t("compare.none_left"), "link_off")
else:
    parts.empty(t("compare.none"), "compare_arrows")
    compare.choose(None, None)
