"""Runs side by side: parallel coordinates, scatter, metric curves, differences."""

from core.texts import t
from core.ui import compare, parts

parts.title(t("nav.title.compare"), "stacked_line_chart", t("compare.about"))
ids = compare.asked()
if ids:
    table = compare.head(ids)
    if table.frame.empty:
        parts.empty(t("compare.none_left"), "link_off")
    else:
        compare.draw(table)
else:
    parts.empty(t("compare.none"), "compare_arrows")
    compare.choose(ids)
