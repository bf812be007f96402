"""Pictures in the saved file, as SVG that draws itself."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core import formats, statistics
from core.lifecycle import brief
from core.lifecycle.paper.elements import Html, el
from core.registry.gates import Evidence
from core.statistics import LARGEST, Floats
from core.texts import t
from core.thinning import keep_extremes, with_gaps

Curve = Sequence[tuple[float, float]]
"""(step, value), in the order of steps."""
Curves = tuple[Curve, Curve]
"""The challenger's and the holder's."""
Place = TypeVar("Place", float, Floats)

MINE, THEIRS = "#0072B2", "#E08A00"
_GREY, _INK = "#8C8C8C", "#1B2333"
_WIDTH, _ROW, _LEFT, _RIGHT = 760, 46, 190, 90
_HEIGHT, _MARGIN = 190, 46
_TOP = 22
_MOST = 480
"""Points of a curve that are drawn; more could not be told apart on paper."""
_MARKS = {"nan": ("×", 0.0), "above": ("▲", 1.0), "below": ("▼", 0.0)}
"""Kind of value without a place on the scale → its mark, and where: 0 is the bottom, 1 the top."""
_APART = 6.0
"""Marks of one kind that are nearer to each other are one."""


def strips(metrics: Sequence[brief.Metric], evidence: Evidence) -> Html:
    """The foremost metrics, each on a scale of its own: the two values, with their 95 % intervals
    where replicates exist."""
    rows: list[Html] = []
    for place, metric in enumerate(metrics):
        rows += _strip(metric, evidence, place * _ROW)
    mine, theirs = brief.names(evidence)
    return el(
        "svg", *rows, viewBox=f"0 0 {_WIDTH} {max(1, len(metrics)) * _ROW}", role="img",
        aria_label=t("evidence_page.file.strips", mine=mine, theirs=theirs),
    )  # fmt: skip


def lines(metric: str, curves: Curves, names: tuple[str, str]) -> Html:
    """One metric of both runs by step, and what was left out of the picture."""
    drawn = [(np.array([p[0] for p in c], float), np.array([p[1] for p in c], float))
             for c in curves]  # fmt: skip
    steps = np.concatenate([at for at, _ in drawn])
    values = np.concatenate([values[~_off(values)] for _, values in drawn])
    if not steps.size:
        return Html("")
    x, y = _scale(steps.tolist()), _scale(values.tolist() or [0.0])
    wide, high = _WIDTH - _MARGIN - _RIGHT, _HEIGHT - 2 * _TOP
    made = [
        el("text", metric, x=0, y=12, font_size=11, font_weight=600, fill=_INK),
        *(_ticks(y, high) if values.size else ()),
        el("text", formats.number(x[0]), x=_MARGIN, y=_HEIGHT - 6, font_size=9, fill=_GREY),
        el("text", formats.number(x[1]), x=_MARGIN + wide, y=_HEIGHT - 6, font_size=9,
           fill=_GREY, text_anchor="end"),
    ]  # fmt: skip
    said: list[str] = []
    for place, ((at, of), colour, name) in enumerate(
        zip(drawn, (MINE, THEIRS), names, strict=True)
    ):
        if not at.size:
            continue
        across, shown = _MARGIN + wide * _part(at, x), thinned(at, of)
        down = _TOP + high * (1 - _part(np.where(_off(of), math.nan, of), y))
        made += _curve(across, down, shown, colour)
        made += _marks(across, of, high, colour)
        made.append(
            el("text", formats.shorten(name, 16), x=_WIDTH - _RIGHT + 6, y=34 + 16 * place,
               font_size=10, fill=colour)
        )  # fmt: skip
        said += _left_out(of, sum(part.size for part in shown), name)
    picture = el("svg", *made, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=metric)
    return el("div", picture, *(el("p", words, class_="kicker") for words in said))


def thinned(steps: Floats, values: Floats) -> list[NDArray[np.intp]]:
    """Which points of a curve are drawn, as stretches without a gap: the ends, the lowest and the
    highest of every part, at most ``_MOST`` in all."""
    off = _off(values)
    finite = np.flatnonzero(~off)
    kept = with_gaps(finite[keep_extremes(values[finite], _MOST, steps[finite])], off)
    return [part[~off[part]] for part in np.split(kept, np.flatnonzero(off[kept]))]


def _off(values: Floats) -> NDArray[np.bool_]:
    """Where a value has no place on a scale: NaN, and infinite also as MLflow stores that."""
    return ~(np.abs(values) < LARGEST)


def _curve(x: Floats, y: Floats, parts: Iterable[NDArray[np.intp]], colour: str) -> Iterable[Html]:
    for part in parts:
        if part.size == 1:
            a, b = f"{x[part[0]]:.1f}", f"{y[part[0]]:.1f}"
            yield el("circle", cx=a, cy=b, r=1.6, fill=colour)
        elif part.size:
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[part], y[part], strict=True))
            yield el("polyline", points=path, fill="none", stroke=colour, stroke_width=1.6)


def _marks(x: Floats, values: Floats, high: int, colour: str) -> Iterable[Html]:
    """Where a curve has values without a place on the scale."""
    off = _off(values)
    kinds = {"nan": np.isnan(values), "above": off & (values > 0), "below": off & (values < 0)}
    for kind, where in kinds.items():
        sign, edge = _MARKS[kind]
        last = -math.inf
        for at in x[where].tolist():
            if at - last >= _APART:
                last = at
                yield el("text", sign, x=f"{at:.1f}", y=_TOP + high * (1 - edge) + 3, font_size=9,
                         fill=colour, text_anchor="middle")  # fmt: skip


def _left_out(values: Floats, shown: int, name: str) -> Iterable[str]:
    """What the picture does not show of a curve, in words."""
    n = int(_off(values).sum())
    finite = len(values) - n
    if shown < finite:
        yield t("evidence_page.file.thinned", name=name, shown=formats.count(shown),
                of=formats.count(finite))  # fmt: skip
    if n:
        yield t("evidence_page.file.off", name=name, n=n)


def _strip(metric: brief.Metric, evidence: Evidence, top: int) -> list[Html]:
    sides = [(evidence.challenger, metric.mine, MINE)]
    if evidence.holder is not None:
        sides.append((evidence.holder, metric.theirs, THEIRS))
    found = []
    for side, value, colour in sides:
        if value is not None and math.isfinite(value):
            one = statistics.estimate(brief.sample(side, metric.name))
            ends = (one.low, one.high) if one.low is not None and one.high is not None else None
            found.append((side.version, value, ends, colour))
    label = formats.shorten(metric.name, 30)
    made = [el("text", label, x=0, y=top + 26, font_size=11, fill=_INK)]
    if not found:
        return made
    scale = _scale([v for _, value, ends, _ in found for v in (value, *(ends or ()))])
    wide = _WIDTH - _LEFT - _RIGHT
    made.append(_line(_LEFT, _LEFT + wide, top + 22, _GREY, 0.6))
    written = formats.alike(*(value for _, value, _, _ in found)) if len(found) > 1 else (
        formats.number(found[0][1]),
    )  # fmt: skip
    for place, ((version, value, ends, colour), said) in enumerate(
        zip(found, written, strict=True)
    ):
        y = top + 16 + 12 * place
        if ends is not None:
            a, b = (_LEFT + wide * _part(end, scale) for end in ends)
            made.append(_line(a, b, y, colour, 2))
        at = _LEFT + wide * _part(value, scale)
        made.append(el("circle", cx=f"{at:.1f}", cy=y, r=4.5, fill=colour))
        text = f"{t('models.v', version=version)} {said}"
        made.append(el("text", text, x=_WIDTH - _RIGHT + 6, y=y + 4, font_size=10, fill=colour))
    return made


def _ticks(scale: tuple[float, float], high: int) -> Iterable[Html]:
    for part in (0.0, 0.5, 1.0):
        value, y = scale[0] + part * (scale[1] - scale[0]), _TOP + high * (1 - part)
        yield _line(_MARGIN, _WIDTH - _RIGHT, y, "#D8DEEB", 0.6)
        yield el("text", formats.number(value, 3), x=_MARGIN - 5, y=y + 3, font_size=9,
                 fill=_GREY, text_anchor="end")  # fmt: skip


def _line(left: float, right: float, y: float, colour: str, width: float) -> Html:
    return el("line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=y, y2=y, stroke=colour,
              stroke_width=width)  # fmt: skip


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a scale with some air; never of no width."""
    low, high = min(values), max(values)
    air = (high - low) * 0.08 or abs(low) * 0.05 or 1.0
    return low - air, high + air


def _part(value: Place, scale: tuple[float, float]) -> Place:
    return (value - scale[0]) / (scale[1] - scale[0])


Pictured = Mapping[str, Curves]
"""Metric → its curves."""
