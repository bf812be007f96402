"""Pictures in the saved file, as SVG that draws itself."""

import math
from collections.abc import Iterable, Mapping, Sequence

from core import formats, statistics
from core.lifecycle import brief
from core.lifecycle.paper.elements import Html, el
from core.registry.gates import Evidence
from core.texts import t

Curve = Sequence[tuple[float, float]]
"""(step, value), in the order of steps."""
Curves = tuple[Curve, Curve]
"""The challenger's and the holder's."""

MINE, THEIRS = "#0072B2", "#E08A00"
_GREY, _INK = "#8C8C8C", "#1B2333"
_WIDTH, _ROW, _LEFT, _RIGHT = 760, 46, 190, 90
_HEIGHT, _MARGIN = 190, 46
_MOST = 240
"""Points of a curve that are drawn; more could not be told apart on paper."""


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
    """One metric of both runs by step."""
    points = [p for curve in curves for p in curve if math.isfinite(p[1])]
    if not points:
        return Html("")
    x, y = _scale([p[0] for p in points]), _scale([p[1] for p in points])
    wide, high = _WIDTH - _MARGIN - _RIGHT, _HEIGHT - 2 * 22
    drawn = [
        el("text", metric, x=0, y=12, font_size=11, font_weight=600, fill=_INK),
        *_ticks(y, high),
        el("text", formats.number(x[0]), x=_MARGIN, y=_HEIGHT - 6, font_size=9, fill=_GREY),
        el("text", formats.number(x[1]), x=_MARGIN + wide, y=_HEIGHT - 6, font_size=9,
           fill=_GREY, text_anchor="end"),
    ]  # fmt: skip
    for place, (curve, colour, name) in enumerate(zip(curves, (MINE, THEIRS), names, strict=True)):
        kept = [p for p in thinned(curve) if math.isfinite(p[1])]
        path = " ".join(
            f"{_MARGIN + wide * _part(a, x):.1f},{22 + high * (1 - _part(b, y)):.1f}"
            for a, b in kept
        )
        if path:
            drawn.append(el("polyline", points=path, fill="none", stroke=colour, stroke_width=1.6))
            drawn.append(
                el("text", formats.shorten(name, 16), x=_WIDTH - _RIGHT + 6, y=34 + 16 * place,
                   font_size=10, fill=colour)
            )  # fmt: skip
    return el("svg", *drawn, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=metric)


def thinned(curve: Curve) -> list[tuple[float, float]]:
    """At most ``_MOST`` points of a curve, its ends among them."""
    if len(curve) <= _MOST:
        return list(curve)
    last = len(curve) - 1
    return [curve[round(i * last / (_MOST - 1))] for i in range(_MOST)]


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
        value, y = scale[0] + part * (scale[1] - scale[0]), 22 + high * (1 - part)
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


def _part(value: float, scale: tuple[float, float]) -> float:
    return (value - scale[0]) / (scale[1] - scale[0])


Pictured = Mapping[str, Curves]
"""Metric → its curves."""
