"""The verdict on two groups of replicates in words, and all groups in a table."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import formats, statistics
from core.runs import replicates, verdicts
from core.runs.replicates import Comparison, Groups
from core.statistics import Difference
from core.texts import t
from core.ui import runs
from core.ui.compare.shared import MOST_IN_LINK, Compared
from core.ui.markup import plain, plain_frame, safe
from core.ui.navigation import link

_PARAMS_SHOWN = 4
_SIZES = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"))
"""Upper ends of effect sizes in words (Cohen 1988)."""

_ICONS = {"first": "trophy", "second": "trophy", "unclear": "balance", "corrected": "balance"}


def draw(
    made: Comparison, picked: int | None, direction: str | None, run_ids: Sequence[str]
) -> None:
    """The verdict on the group held against and another: the one picked, else the next best.

    Args:
        picked: the position of a group.
        run_ids: of the rows that the groups were found in.
    """
    held = made.measured[made.reference]
    if picked is None or picked == made.reference:
        picked = int(made.reference == 0)
    if picked >= len(made.measured):
        one = held.estimate
        mean, low, high = formats.alike(one.mean or 0.0, one.low or 0.0, one.high or 0.0)
        said = t("statistics.replicates.one_group", mean=mean, low=low, high=high)
        st.markdown(f":material/functions: {safe(said)}")
        return
    other, difference = made.measured[picked], made.differences[picked]
    if difference is None:  # beyond those that are compared at once
        difference = statistics.difference(held.sample, other.sample)
    names = (held.group.label, other.group.label)
    said = verdicts.sentence(difference, *names, direction, made.family)
    icon = _ICONS.get(verdicts.outcome(difference, direction), "info")
    st.markdown(f"#### :material/{icon}: {safe(said)}")
    if difference.p is not None:
        st.caption(safe(" ".join(_how(made, difference, held, other))))
    for caution in verdicts.cautions([held, other], difference):
        st.caption(f":material/warning: {safe(caution)}")
    tied = sum(
        d is not None and verdicts.outcome(d, direction) in ("unclear", "corrected")
        for d in made.differences
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(made.measured) > 2 and tied:
            compared = sum(d is not None for d in made.differences)
            said = t("statistics.replicates.tied", n=tied, of=compared, name=names[0])
            st.caption(safe(said), width="content")
        ids = [run_ids[i] for i in (*held.group.rows, *other.group.rows)]
        if len(ids) <= MOST_IN_LINK:
            label = t("statistics.replicates.open", n=len(ids))
            link("compare", label, icon=":material/stacked_line_chart:", runs=",".join(ids))


def _how(
    made: Comparison,
    difference: Difference,
    held: replicates.Measured,
    other: replicates.Measured,
) -> list[str]:
    """Which test and why, p and what it was corrected for, the effect, the bootstrap."""
    said = [t(f"statistics.test.{difference.test}.{difference.why}", n=difference.n[0])]
    p = formats.number(difference.p if difference.corrected is None else difference.corrected, 2)
    if difference.corrected is None or made.family <= 1:
        said.append(t("statistics.replicates.alone_p", p=p))
    else:
        key = "named_p" if made.named else "best_p"
        said.append(t(f"statistics.replicates.{key}", p=p, n=made.family))
    if difference.effect is not None:
        g = abs(difference.effect)
        size = next((word for end, word in _SIZES if g < end), "large")
        shown = formats.number(g, 2)
        said.append(t("statistics.replicates.effect", g=shown, size=t(f"statistics.size.{size}")))
    found = statistics.resampled(held.sample, other.sample, difference.test)
    if found is not None:
        low, high = formats.alike(found.low, found.high)
        ends = {"low": low, "high": high, "method": found.method}
        said.append(t("statistics.replicates.resampled", **ends))
        alone = difference.p is not None and difference.p < statistics.ALPHA
        if (found.low > 0 or found.high < 0) != alone:
            said.append(t("statistics.replicates.disagrees"))
    return said


def table(compared: Compared, made: Comparison, found: Groups, direction: str | None) -> int | None:
    """The first groups as a table, with the one held against; the position of the one ticked."""
    several = len({one.group.experiment_id for one in made.measured}) > 1
    rows = []
    places = [i for i in range(len(made.measured)) if i < replicates.MOST or i == made.reference]
    for one, difference in ((made.measured[i], made.differences[i]) for i in places):
        place = compared.experiments.get(one.group.experiment_id, one.group.experiment_id)
        rows.append(
            {
                "group": one.group.label,
                "verdict": _short(one is made.measured[made.reference], difference, direction),
                "n": one.sample.n,
                "mean": one.estimate.mean,
                "half": _half(one.estimate.low, one.estimate.high),
                # The table says how each group lies to the one held against, so it is turned.
                "difference": _turned(difference.value) if difference else None,
                "difference_half": _half(difference.low, difference.high) if difference else None,
                "p": difference.corrected if difference else None,
                "effect": _turned(difference.effect) if difference else None,
                "sd": one.estimate.sd,
                **({"experiment": place} if several else {}),
                **{f"params.{p}": one.group.differs[p] for p in found.differing[:_PARAMS_SHOWN]},
            }
        )
    shown = pd.DataFrame(rows)
    column = st.column_config
    helps = {"p": "statistics.column.p_help", "difference": "statistics.column.difference_help"}
    number = ("mean", "half", "difference", "difference_half", "p", "effect", "sd")
    labels = runs.fingerprint(shown["group"].tolist())
    event = st.dataframe(
        plain_frame(shown),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"groups_{labels}_{made.reference}",
        alt=t("statistics.replicates.table"),
        placeholder=formats.NONE,
        height=min(520, 38 + 35 * len(shown)),
        column_config={
            "group": column.TextColumn(t("statistics.column.group"), pinned=True),
            "verdict": column.TextColumn(t("statistics.column.verdict")),
            "n": column.NumberColumn(t("statistics.column.n"), width="small"),
            "experiment": column.TextColumn(t("statistics.column.experiment")),
            **{
                name: column.NumberColumn(
                    t(f"statistics.column.{name}"),
                    format="%.3g" if name in ("p", "effect") else "%.4g",
                    help=t(helps[name]) if name in helps else None,
                )
                for name in number
            },
            **{f"params.{p}": column.TextColumn(plain(p)) for p in found.differing[:_PARAMS_SHOWN]},
        },
    )
    said = [t("statistics.replicates.tick")] if len(shown) > 2 else []
    if len(made.measured) > replicates.MOST:
        name = made.measured[made.reference].group.label
        said.append(
            t(
                "statistics.replicates.few_compared",
                most=replicates.MOST,
                n=len(made.measured),
                name=name,
            )
        )
    if said:
        st.caption(safe(" ".join(said)))
    picked = event["selection"]["rows"]
    return places[picked[0]] if picked and picked[0] < len(places) else None


def _turned(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _half(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else (high - low) / 2


def _short(held: bool, difference: Difference | None, direction: str | None) -> str:
    """What a group is beside the one held against, in a word or two."""
    if held:
        return t("statistics.short.reference")
    if difference is None:
        return t("statistics.short.beyond")
    said = verdicts.outcome(difference, direction)
    if said not in ("first", "second"):
        return t(f"statistics.short.{said}")
    if direction is None:
        return t("statistics.short.lower" if said == "first" else "statistics.short.higher")
    return t("statistics.short.worse" if said == "first" else "statistics.short.better")
