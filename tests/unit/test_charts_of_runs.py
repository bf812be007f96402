"""Figures of runs: every run in them or counted as left out, marks that name just their runs."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.charts.field import contour, pareto
from core.charts.groups import bars, boxes
from core.charts.look import COLOURS, GREY
from core.charts.parallel import Brush, Lines, Top, parallel_coordinates
from core.charts.ranks import rank, slices
from core.charts.scatter import scatter
from core.charts.trend import trend

HOSTILE = "<a href='http://evil'>x</a> & $x^2$ %{evil} \u202egnp.exe\u202c\x00\n#000001"


def runs(**columns: list[Any]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({name.replace("__", "."): values for name, values in columns.items()})
    frame.insert(0, "run_id", [f"{i:032x}" for i in range(n)])
    frame.insert(1, "run_name", [f"run {i}" for i in range(n)])
    return frame


def metric(values: list[float | None]) -> Any:
    """A metric as tables hold it: NaN as such, None as missing."""
    return pd.arrays.FloatingArray(
        np.array([0.0 if v is None else v for v in values]), np.array([v is None for v in values])
    )


def heights(lines: Lines, column: str) -> list[float]:
    axis = lines.axis(column)
    assert axis is not None
    return [float(at) for at in axis.at]


def sent(lines: Lines) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]], list[str]]:
    """Header, axes with the tints last, and names, as a browser reads them."""
    data = lines.payload(stamp="s")
    size = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + size])
    n, at, columns = header["n"], 4 + size, []
    assert at % 4 == 0
    for _ in [*header["axes"], "tint"]:
        columns.append(np.frombuffer(data, "<f4", n, at))
        at += 4 * n
    return header, columns, data[at + n :].decode().split("\n")


class TestParallel:
    def test_no_line_is_dropped_and_each_lack_has_a_rail_of_its_own(self) -> None:
        frame = runs(params__x=["1", None, "3", "4", "5"])
        frame["metrics.y"] = metric([0.5, 0.6, math.nan, math.inf, -math.inf])
        lines, said = parallel_coordinates(frame, ["params.x", "metrics.y"])
        rails = lines.axes[0].rails
        assert list(rails) == ["above", "below", "nan", "missing"]
        assert heights(lines, "params.x")[1] == pytest.approx(rails["missing"])
        assert heights(lines, "metrics.y")[2:] == pytest.approx(
            [rails["nan"], rails["above"], rails["below"]]
        )
        assert rails["above"] > 1
        assert max(rails["below"], rails["nan"], rails["missing"]) < 0
        assert len({round(at, 6) for at in rails.values()}) == 4
        assert (said.drawn, said.total) == (5, 5)
        assert "Without a value, so on a rail: x (1 run)." in said.sentences
        assert "NaN, so on a rail: y (1 run)." in said.sentences

    def test_mlflow_s_largest_number_is_infinite(self) -> None:
        frame = runs(metrics__y=[1.0, 2.0, 1.7976931348623157e308])
        lines, _ = parallel_coordinates(frame, ["metrics.y"])
        assert heights(lines, "metrics.y")[:2] == [0, 1]
        assert heights(lines, "metrics.y")[2] > 1

    def test_values_over_decades_are_drawn_as_logarithms_unless_asked_otherwise(self) -> None:
        frame = runs(params__lr=["0.0001", "0.001", "0.01", "1"])
        lines, _ = parallel_coordinates(frame, ["params.lr"])
        assert heights(lines, "params.lr") == pytest.approx([0, 0.25, 0.5, 1])
        assert sent(lines)[0]["axes"][0]["log"]
        linear, _ = parallel_coordinates(frame, ["params.lr"], log={"params.lr": False})
        assert heights(linear, "params.lr")[2] == pytest.approx(0.0099 / 0.9999)

    def test_a_log_axis_that_cannot_be_is_refused_aloud(self) -> None:
        frame = runs(params__b=["0", "2"])
        lines, said = parallel_coordinates(frame, ["params.b"], log={"params.b": True})
        assert heights(lines, "params.b") == [0, 1]
        assert "Not above zero everywhere, so without a log axis: b." in said.sentences

    def test_the_runs_of_a_category_lie_in_its_band(self) -> None:
        frame = runs(params__f=["b", "a", "b", None, "c", "b"], metrics__y=[3.0, 2, 1, 0, 5, 6])
        lines, _ = parallel_coordinates(frame, ["params.f"], "metrics.y")
        at = heights(lines, "params.f")
        a, b, c = at[1], [at[0], at[2], at[5]], at[4]
        assert 0 <= a < min(b) <= max(b) < c <= 1
        # Side by side in the order in which they are drawn, so that like colours lie together.
        assert sorted(b) == [at[2], at[0], at[5]]
        assert at[3] < 0

    def test_what_is_better_is_drawn_last(self) -> None:
        frame = runs(metrics__loss=[0.3, 0.1, np.nan, 0.2])
        lines, _ = parallel_coordinates(frame, ["metrics.loss"], "metrics.loss", lower=True)
        assert lines.order.tolist() == [2, 0, 3, 1]
        other, _ = parallel_coordinates(frame, ["metrics.loss"], "metrics.loss", lower=False)
        assert other.order.tolist() == [2, 1, 3, 0]

    def test_the_bytes_hold_every_run_in_the_order_of_drawing(self) -> None:
        frame = runs(params__x=["1", "2", "4"], metrics__loss=[0.3, 0.1, 0.2])
        lines, _ = parallel_coordinates(
            frame, ["params.x", "metrics.loss"], "metrics.loss", lower=True
        )
        header, columns, names = sent(lines)
        assert names == ["run 0", "run 2", "run 1"]
        assert columns[0].tolist() == pytest.approx([0, 1, 1 / 3])
        assert columns[-1].tolist() == pytest.approx([1, 0.5, 0])
        assert [axis["name"] for axis in header["axes"]] == ["x", "loss"]
        assert header["legend"]["note"] == "lower is better"

    def test_categories_have_a_colour_each_and_the_rest_is_named(self) -> None:
        frame = runs(params__f=[*"aabbccddeeff", "g", None], params__x=[str(i) for i in range(14)])
        lines, said = parallel_coordinates(frame, ["params.x"], "params.f")
        assert lines.palette == (*COLOURS, GREY)
        assert [label for label, _ in lines.legend["groups"]] == [*"abcdef", "other values"]
        assert "f has 7 values: the 6 commonest have a colour, the others are grey." in said.text
        assert "1 run without a value for f is grey." in said.sentences

    def test_runs_without_a_colour_are_below_the_palette(self) -> None:
        frame = runs(params__x=["1", "2", "3"], metrics__y=[0.0, 1.0, np.nan])
        lines, said = parallel_coordinates(frame, ["params.x"], "metrics.y")
        assert lines.tint.tolist() == [0, 1, -1]
        assert "1 run without a value for y is grey." in said.sentences

    def test_the_best_stand_in_front_or_alone(self) -> None:
        frame = runs(metrics__acc=[i / 100 for i in range(100)] + [np.nan])
        top = Top("metrics.acc", 5, lower=False)
        lines, said = parallel_coordinates(frame, ["metrics.acc"], top=top)
        assert np.flatnonzero(lines.lead).tolist() == [95, 96, 97, 98, 99]
        assert lines.order[-5:].tolist() == [95, 96, 97, 98, 99]
        assert said.complete
        alone, less = parallel_coordinates(frame, ["metrics.acc"], top=top, only=True)
        assert len(alone.order) == sent(alone)[0]["n"] == less.drawn == 5
        assert less.total == 101

    def test_among_the_best_the_palette_tells_them_apart(self) -> None:
        frame = runs(metrics__acc=[i / 100 for i in range(100)] + [np.nan])
        top = Top("metrics.acc", 5, lower=False)
        lines, said = parallel_coordinates(frame, ["metrics.acc"], "metrics.acc", top=top)
        assert lines.tint[95:100].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
        assert "missing" in lines.legend
        assert lines.legend["missing"] == 0
        assert "1 run without a value for acc is grey." in said.sentences

    def test_more_axes_than_there_is_room_for_are_counted(self) -> None:
        frame = runs(**{f"metrics__m{i}": [0.0, 1.0] for i in range(45)})
        lines, said = parallel_coordinates(frame, [f"metrics.m{i}" for i in range(45)])
        assert len(lines.axes) == 40
        assert "first 40 of 45 axes" in said.text

    def test_outside_text_is_one_visible_line(self) -> None:
        frame = runs(params__x=[HOSTILE, "b"]).rename(columns={"params.x": f"params.{HOSTILE}"})
        frame["run_name"] = HOSTILE
        lines, said = parallel_coordinates(frame, [f"params.{HOSTILE}"], f"params.{HOSTILE}")
        header, _, names = sent(lines)
        text = "".join([json.dumps(header, ensure_ascii=False), *names, said.text])
        for forbidden in ("\u202e", "\x00", "\n"):
            assert forbidden not in text
        assert len(names) == 2

    def test_nothing_to_draw(self) -> None:
        lines, said = parallel_coordinates(runs(params__x=[]), ["params.x"])
        assert said.total == len(lines.order) == 0


class TestBrush:
    @given(
        st.lists(st.floats(-1e6, 1e6) | st.none() | st.just(math.nan), min_size=2, max_size=40),
        st.floats(-0.4, 1.4),
        st.floats(-0.4, 1.4),
    )
    def test_a_link_names_the_runs_that_were_marked(
        self, values: list[float | None], a: float, b: float
    ) -> None:
        frame = runs(params__x=[""] * len(values))
        frame["metrics.y"] = metric(values)
        lines, _ = parallel_coordinates(frame, ["metrics.y"])
        axis = lines.axes[0]
        low, high = sorted([a, b])
        # Ends between the values, as a hand on a mouse has them: then rounding cannot matter.
        near = [at for at in axis.at if min(abs(at - low), abs(at - high)) < 1e-5]
        rail = [at for at in axis.rails.values() if min(abs(at - low), abs(at - high)) < 0.03]
        if near or rail or not (0 <= low <= 1 or 0 <= high <= 1 or low < 0 < 1 < high):
            return
        mark = Brush.of(axis, low, high)
        again = Brush(mark.column, mark.low, mark.high)
        within = (axis.at >= low) & (axis.at <= high)
        assert again.holds(axis).tolist() == within.tolist()

    def test_a_stretch_of_categories_takes_them_whole(self) -> None:
        frame = runs(params__f=["a", "b", "c", "d", None])
        lines, _ = parallel_coordinates(frame, ["params.f"])
        for ends, rows in ((("b", "c"), [1, 2]), (("", "b"), [0, 1]), (("", ""), [0, 1, 2, 3])):
            inside = lines.selected([Brush("params.f", *ends)])
            assert np.flatnonzero(inside).tolist() == rows

    def test_a_rail_can_be_marked(self) -> None:
        frame = runs(params__f=["1", "2", None])
        lines, _ = parallel_coordinates(frame, ["params.f"])
        axis = lines.axes[0]
        mark = Brush.of(axis, axis.rails["missing"] - 0.01, axis.rails["missing"] + 0.01)
        assert (mark.low, mark.high) == ("@missing", "@missing")
        assert lines.selected([mark]).tolist() == [False, False, True]

    @pytest.mark.parametrize("ends", [("x", "y"), ("nan", ""), ("@nope", ""), ("5", "1")])
    def test_ends_that_say_nothing_have_no_place(self, ends: tuple[str, str]) -> None:
        lines, _ = parallel_coordinates(runs(params__x=["1", "2", "5"]), ["params.x"])
        assert Brush("params.x", *ends).heights(lines.axes[0]) is None


class TestTop:
    @given(st.lists(st.floats(allow_nan=True), max_size=60), st.sampled_from([1, 5, 25, 100]))
    def test_no_run_left_out_is_better_than_one_taken(
        self, values: list[float], share: int
    ) -> None:
        at = np.array(values)
        for lower in (True, False):
            rows = Top("m", share, lower=lower).rows(at)
            finite = np.isfinite(at)
            assert not (rows & ~finite).any()
            if finite.any():
                assert rows.sum() >= math.ceil(finite.sum() * share / 100)
                rest = at[finite & ~rows]
                edge = at[rows].max() if lower else at[rows].min()
                assert (rest > edge).all() if lower else (rest < edge).all()


class TestScatter:
    def test_a_dot_carries_the_row_of_its_run_and_says_its_name(self) -> None:
        frame = runs(params__lr=["1e-4", "1e-2"], metrics__acc=[0.5, 0.75])
        figure, said = scatter(frame, "params.lr", "metrics.acc")
        (trace,) = figure.data
        assert list(trace.x) == pytest.approx([1e-4, 1e-2])
        assert list(trace.y) == [0.5, 0.75]
        assert list(trace.customdata) == [0, 1]
        assert list(trace.text) == ["<b>run 0</b>", "<b>run 1</b>"]
        assert said.complete

    def test_runs_without_a_place_are_left_out_and_counted_by_reason(self) -> None:
        frame = runs(params__x=["1", None, "0", "4", "5"])
        frame["metrics.y"] = metric([1.0, 2.0, 3.0, math.inf, math.nan])
        figure, said = scatter(frame, "params.x", "metrics.y", log_x=True)
        assert [list(trace.x) for trace in figure.data] == [[1]]
        assert figure.layout.xaxis.type == "log"
        assert said.sentences == (
            "1 of 5 runs drawn.",
            "Left out, without a value: x (1 run).",
            "Left out, NaN: y (1 run).",
            "Left out, with an infinite value: y (1 run).",
            "Left out, not above zero and so not on a log axis: x (1 run).",
        )

    def test_categories_are_labelled_places_that_dots_lie_around(self) -> None:
        frame = runs(params__f=["forest", "<b>", "forest"], metrics__y=[1.0, 2.0, 3.0])
        figure, said = scatter(frame, "params.f", "metrics.y")
        axis = figure.layout.xaxis
        assert dict(zip(axis.ticktext, axis.tickvals, strict=True)) == {"&lt;b&gt;": 0, "forest": 1}
        assert [round(float(x)) for x in figure.data[0].x] == [1, 0, 1]
        assert "side by side" in said.text
        again, _ = scatter(frame, "params.f", "metrics.y")
        assert again.data[0].x.tolist() == figure.data[0].x.tolist()

    def test_dots_without_a_colour_are_hollow_and_grey(self) -> None:
        frame = runs(metrics__x=[1.0, 2.0], metrics__y=[1.0, 2.0], metrics__c=[0.3, np.nan])
        figure, said = scatter(frame, "metrics.x", "metrics.y", "metrics.c")
        grey, coloured = figure.data
        assert list(coloured.marker.color) == [0.3]
        assert (grey.marker.color, grey.marker.symbol, list(grey.x)) == (GREY, "circle-open", [2])
        assert "1 run without a value for c is grey." in said.sentences

    def test_categories_colour_dots_with_a_symbol_each(self) -> None:
        frame = runs(metrics__x=[1.0, 2.0, 3.0], metrics__y=[1.0, 2, 3], params__c=["b", "a", "b"])
        figure, _ = scatter(frame, "metrics.x", "metrics.y", "params.c")
        assert {trace.name: list(trace.x) for trace in figure.data} == {"a": [2], "b": [1, 3]}
        assert len({(trace.marker.color, trace.marker.symbol) for trace in figure.data}) == 2

    def test_size_is_an_area_and_runs_without_are_smallest(self) -> None:
        frame = runs(metrics__x=[1.0, 2, 3], metrics__y=[1.0, 2, 3], metrics__s=[0.0, 10, np.nan])
        figure, said = scatter(frame, "metrics.x", "metrics.y", size="metrics.s")
        small, large, none = figure.data[0].marker.size
        assert none == small < large
        assert "Drawn smallest, without a number for the size: s (1 run)." in said.sentences

    def test_a_trend_says_its_fit_and_how_many_runs_it_has(self) -> None:
        frame = runs(metrics__x=[1.0, 2, 3, 4], metrics__y=[3.0, 5, 7, 9])
        figure, said = scatter(frame, "metrics.x", "metrics.y", line="linear")
        line = figure.data[-1]
        assert line.y[0] == pytest.approx(3)
        assert line.y[-1] == pytest.approx(9)
        assert "fitted by least squares to 4 runs: R² 1.000." in said.text
        words = runs(params__f=["a", "b"], metrics__y=[1.0, 2])
        assert "No trend" in scatter(words, "params.f", "metrics.y", line="linear")[1].text

    def test_a_column_against_itself_is_counted_once(self) -> None:
        _, said = scatter(runs(metrics__x=[1.0, np.nan]), "metrics.x", "metrics.x")
        assert said.sentences[1] == "Left out, without a value: x (1 run)."

    def test_the_better_dots_lie_on_top(self) -> None:
        frame = runs(metrics__x=[1.0, 2, 3], metrics__y=[1.0, 2, 3], metrics__c=[0.2, 0.1, 0.3])
        figure, _ = scatter(frame, "metrics.x", "metrics.y", "metrics.c", lower=True)
        assert list(figure.data[-1].marker.color) == [0.3, 0.2, 0.1]

    def test_zoom_is_kept_for_the_same_axes_and_not_carried_to_others(self) -> None:
        frame = runs(metrics__x=[1.0, 2.0], metrics__y=[1.0, 2.0], metrics__z=[1.0, 2.0])
        first, _ = scatter(frame, "metrics.x", "metrics.y")
        again, _ = scatter(frame.head(1), "metrics.x", "metrics.y")
        other, _ = scatter(frame, "metrics.x", "metrics.z")
        assert first.layout.uirevision == again.layout.uirevision != other.layout.uirevision


class TestTrend:
    def test_over_decades_the_fit_is_of_logarithms(self) -> None:
        x = 10.0 ** np.arange(6)
        found = trend(x, x**-0.5, "linear", log_x=True, log_y=True)
        assert found is not None
        assert found.fit == pytest.approx(1)
        assert found.y[-1] == pytest.approx(10**-2.5)

    def test_a_smooth_line_finds_the_bend_that_a_straight_one_misses(self) -> None:
        draw = np.random.default_rng(1)
        x = draw.uniform(-1, 1, 3_000)
        y = x**2 + draw.normal(0, 0.05, 3_000)
        smooth = trend(x, y, "smooth", log_x=False, log_y=False)
        straight = trend(x, y, "linear", log_x=False, log_y=False)
        assert smooth is not None
        assert straight is not None
        assert smooth.fit > 0.95 > 0.1 > straight.fit
        assert smooth.y[80] == pytest.approx(0, abs=0.05)

    def test_too_few_values_have_no_trend(self) -> None:
        one = np.ones(5)
        assert trend(one, one, "linear", log_x=False, log_y=False) is None
        few = np.arange(8.0)
        assert trend(few, few, "smooth", log_x=False, log_y=False) is None


class TestShapes:
    def test_rank_puts_the_best_first(self) -> None:
        frame = runs(metrics__loss=[0.3, 0.1, np.nan, 0.2])
        figure, said = rank(frame, "metrics.loss", lower=True)
        (trace,) = figure.data
        assert dict(zip(trace.customdata, trace.y, strict=True)) == {0: 3, 1: 1, 3: 2}
        assert "3 of 4 runs drawn." in said.sentences
        assert "In order of loss, the lowest first." in said.sentences

    def test_box_has_the_quartiles_of_each_group_and_its_outliers_as_runs(self) -> None:
        values = [*range(1, 10), 100.0, 5.0, 6.0]
        frame = runs(params__f=["a"] * 10 + ["b"] * 2, metrics__y=values)
        figure, said = boxes(frame, "params.f", "metrics.y")
        box, outliers = figure.data
        assert list(box.median) == [5.5, 5.5]
        assert list(box.upperfence) == [9, 6]
        assert list(outliers.customdata) == [9]
        assert [text.split("<br>")[1] for text in figure.layout.xaxis.ticktext] == ["n 10", "n 2"]
        assert said.complete

    def test_a_number_of_many_values_is_binned_aloud(self) -> None:
        frame = runs(params__x=[str(i) for i in range(100)], metrics__y=list(np.arange(100.0)))
        figure, said = boxes(frame, "params.x", "metrics.y")
        assert len(figure.data[0].median) == 10
        assert "x is cut into 10 bins of equally many runs." in said.sentences
        assert said.drawn == 100

    def test_bars_are_means_with_a_standard_deviation(self) -> None:
        frame = runs(params__f=["a", "a", "b", None], metrics__y=[1.0, 3.0, 5.0, 7.0])
        figure, said = bars(frame, "params.f", "metrics.y")
        (bar,) = figure.data
        assert list(bar.y) == [2, 5]
        assert bar.error_y.array[0] == pytest.approx(math.sqrt(2))
        assert math.isnan(bar.error_y.array[1])
        assert said.sentences[0] == "3 of 4 runs drawn."

    def test_slices_have_a_panel_a_param_of_one_height_scale(self) -> None:
        frame = runs(
            params__a=["1", "2", "3"], params__f=["x", "y", "x"], metrics__y=[1.0, 2.0, 3.0]
        )
        figure, said = slices(frame, ["params.a", "params.f"], "metrics.y")
        assert figure.layout.yaxis2.matches == "y"
        assert {trace.xaxis for trace in figure.data} == {"x", "x2"}
        assert said.drawn == 3

    def test_a_surface_takes_runs_that_fill_it_and_say_something(self) -> None:
        draw = np.random.default_rng(2)
        a, b = draw.uniform(0, 1, 2_000), draw.uniform(0, 1, 2_000)
        told = runs(params__a=a.astype(str), params__b=b.astype(str), metrics__y=a + b)
        figure, said = contour(told, "params.a", "params.b", "metrics.y")
        assert figure.data[0].z[-1][-1] > figure.data[0].z[0][0]
        assert said.drawn == 2_000
        noise = told.assign(**{"metrics.y": draw.normal(size=2_000)})
        line = told.assign(**{"params.b": a.astype(str)})
        few = told.head(10)
        words = told.assign(**{"params.b": ["x"] * 2_000})
        for frame, why in (
            (noise, "would be chance"),
            (line, "of the cells hold runs"),
            (few, "10 runs have all three values"),
            (words, "these are none: b"),
        ):
            figure, said = contour(frame, "params.a", "params.b", "metrics.y")
            assert not figure.data
            assert said.drawn == 0
            assert why in said.text

    def test_the_front_is_drawn_over_the_others(self) -> None:
        frame = runs(metrics__x=[1.0, 2, 3], metrics__y=[3.0, 1, 2])
        front = np.array([True, True, False])
        figure, said = pareto(frame, "metrics.x", "metrics.y", front, lower_x=True, lower_y=True)
        behind, stairs, best = figure.data
        assert list(behind.customdata) == [2]
        assert list(best.customdata) == [0, 1]
        assert list(stairs.x) == [1, 2]
        assert "2 runs on the front" in said.text

    def test_outside_text_is_text_in_every_figure(self) -> None:
        frame = runs(params__x=[HOSTILE, "b"], metrics__y=[1.0, 2.0], metrics__z=[1.0, 2.0])
        frame["run_name"] = HOSTILE
        name = f"metrics.{HOSTILE}"
        frame = frame.rename(columns={"metrics.y": name})
        figures = [
            scatter(frame, "params.x", name, "params.x", line="linear", size=name)[0],
            rank(frame, name, "params.x", lower=True)[0],
            slices(frame, ["params.x"], name, name)[0],
            boxes(frame, "params.x", name)[0],
            bars(frame, "params.x", name)[0],
            pareto(frame, name, "metrics.z", np.array([True, False]), lower_x=True, lower_y=True)[
                0
            ],
        ]
        for figure in figures:
            text = figure.update_layout(template="none").to_json()
            for forbidden in ("<a", "%{evil}", "$x^2$", "\\u202e", "\\u0000", "#000001"):
                assert forbidden not in text
            assert "&lt;a href" in text
