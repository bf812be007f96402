"""What the figures hold: every run and every extreme, and outside text that stays text."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.charts import metric_curves, metric_over_versions, scatter
from core.charts.labels import clean, distinct, literal, markup, run_labels
from core.charts.look import COLOURS, GREY
from core.charts.scales import read, scale, tick_text
from core.charts.thin import keep_extremes, smooth, stretches
from core.texts import keys, t

START = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
HOSTILE = "<a href='http://evil'>x</a> & $x^2$ %{evil} \u202egnp.exe\u202c\x00\n#000001"


def runs(**columns: list[Any]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({name.replace("__", "."): values for name, values in columns.items()})
    frame.insert(0, "run_id", [f"{i:032x}" for i in range(n)])
    frame.insert(1, "run_name", [f"run {i}" for i in range(n)])
    return frame


def points(
    values: list[float] | np.ndarray[Any, Any],
    run: str = "a",
    key: str = "loss",
    name: str | None = None,
    start: datetime = START,
    steps: list[int] | None = None,
) -> pd.DataFrame:
    n = len(values)
    return pd.DataFrame(
        {
            "run_id": run,
            "run_name": name if name is not None else f"run {run}",
            "key": key,
            "step": steps or list(range(n)),
            "value": np.asarray(values, dtype=float),
            "at": [start + timedelta(seconds=i) for i in range(n)],
        }
    )


def lines(figure: Any) -> list[Any]:
    """The curves themselves: no marks, no keys of the legend, no faint lines."""
    return [trace for trace in figure.data if trace.customdata is not None and not at_edge(trace)]


def marks(figure: Any) -> list[Any]:
    return [trace for trace in figure.data if trace.customdata is not None and at_edge(trace)]


def at_edge(trace: Any) -> bool:
    """Whether a trace lies on the axis that only marks at the edge use."""
    return trace.yaxis is not None and int(trace.yaxis[1:] or 1) % 2 == 0


# ------------------------------------------------------------------------------- outside text


def test_markup_of_a_name_is_spelled_out_where_plotly_would_read_it() -> None:
    assert markup("<b>a</b> & b") == "&lt;b&gt;a&lt;/b&gt; &amp; b"
    assert "$" not in markup("$\\alpha$")
    assert "%{" not in markup("%{customdata[0]}")


def test_control_direction_and_invisible_characters_are_gone() -> None:
    assert clean("a\x00b\x1b[31m\nc\u202ed\u2066\u200b\ufeffe") == "a b [31m cde"


def test_a_lone_surrogate_does_not_break_the_figure() -> None:
    versions = pd.DataFrame({"version": [1], "value": [0.5], "stage": ["None"]})
    figure, _ = metric_over_versions(versions, "a\ud800b")
    assert figure.layout.yaxis.title.text == "a\ufffdb"
    assert "\\ud800" not in figure.to_json()


@pytest.mark.parametrize("written", [markup, literal])
def test_no_name_is_taken_for_one_of_the_theme_s_colours(written: Any) -> None:
    assert "#000001" not in written("run #000001")


def test_equal_texts_are_told_apart_without_taking_another_s_name() -> None:
    assert distinct(["a", "a", "a (2)", "b"]) == ["a", "a (3)", "a (2)", "b"]


def test_runs_of_one_name_show_a_piece_of_their_id() -> None:
    labels = run_labels([("11112222aaaa", "base"), ("33334444bbbb", "base"), ("c", "other")])
    assert labels["11112222aaaa"] == "base · 11112222"
    assert labels["33334444bbbb"] == "base · 33334444"
    assert labels["c"] == "other"


def test_a_run_without_a_name_is_called_blank() -> None:
    frame = runs(metrics__x=[1.0], metrics__y=[2.0]).assign(run_name=None)
    assert list(scatter(frame, "metrics.x", "metrics.y")[0].data[0].text) == ["<b>(blank)</b>"]
    assert metric_curves(points([1]).assign(run_name=None))[0].data[0].name == "(blank)"


def test_names_cut_to_the_same_text_keep_what_tells_them_apart() -> None:
    names = [f"gradient-boosting-lr0.0{i}-depth3-of-the-nightly-sweep-on-wine" for i in range(3)]
    labels = run_labels([(str(i), name) for i, name in enumerate(names)])
    assert [label for label in labels.values() if "lr0.0" in label] == list(labels.values())
    assert len(set(labels.values())) == 3


def test_outside_text_is_text_in_every_figure() -> None:
    frame = runs(params__x=[HOSTILE, "b"], metrics__y=[1.0, 2.0])
    frame["run_name"] = HOSTILE
    frame = frame.rename(columns={"metrics.y": f"metrics.{HOSTILE}"})
    metric = f"metrics.{HOSTILE}"
    versions = pd.DataFrame(
        {"version": [1], "value": [0.5], "stage": [HOSTILE], "aliases": [(HOSTILE,)]}
    )
    figures = [
        scatter(frame, "params.x", metric, "params.x")[0],
        scatter(frame, metric, metric, metric)[0],
        metric_curves(points([1, np.nan, 2], name=HOSTILE, key=HOSTILE))[0],
        metric_over_versions(versions, HOSTILE)[0],
    ]
    for figure in figures:
        # Streamlit, once it drew a figure in this process, adds a look with colours of its own.
        text = figure.update_layout(template="none").to_json()
        for forbidden in ("<a", "%{evil}", "$x^2$", "\\u202e", "\\u0000", "#000001"):
            assert forbidden not in text
        assert "&lt;a href" in text


# ------------------------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1", "2.5", "-3e-4", " 7 "], [1, 2.5, -3e-4, 7]),
        (["1", None, "nan"], [1, np.nan, np.nan]),
        (["1", "inf"], [1, np.inf]),
        ([1.0, 1.7976931348623157e308, -1.7976931348623157e308], [1, np.inf, -np.inf]),
    ],
)
def test_numbers_are_found_in_text(values: list[Any], numbers: list[float]) -> None:
    found = read(pd.Series(values)).numbers
    assert found is not None
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("values", [["1", "None"], ["1_000", "2"], ["nan"], ["True"], ["", "1"]])
def test_a_column_with_any_other_text_is_categories(values: list[str]) -> None:
    assert read(pd.Series(values)).numbers is None


def test_categories_are_in_the_order_a_person_expects() -> None:
    reading = read(pd.Series(["10", "None", "9", "b", "a"]))
    assert reading.categories() == ["9", "10", "None", "a", "b"]


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(0.85, 0.05, "0.85"), (0.1, 0, "0.1"), (1e-5, 0, "1e-5"), (2000, 500, "2,000"), (0, 1, "0")],
)
def test_a_tick_has_no_digit_too_many(value: float, step: float, text: str) -> None:
    assert tick_text(value, step) == text


@given(
    st.lists(
        st.floats(min_value=-1e12, max_value=1e12, allow_subnormal=False).filter(
            lambda value: value == 0 or abs(value) > 1e-9
        ),
        min_size=1,
        max_size=40,
    )
)
def test_every_number_lies_on_its_axis_and_no_two_ticks_read_alike(values: list[float]) -> None:
    along = scale(read(pd.Series(values)))
    assert along.low < along.high
    assert (along.at >= along.low).all()
    assert (along.at <= along.high).all()
    texts = [text for _, text in along.ticks]
    assert len(set(texts)) == len(texts)


# ------------------------------------------------------------------------ parallel coordinates


# -------------------------------------------------------------------------------------- curves


def test_every_planted_spike_is_drawn() -> None:
    values = np.random.default_rng(0).normal(0, 0.01, 10_000)
    spikes = np.random.default_rng(1).choice(10_000, 20, replace=False)
    values[spikes] = np.where(np.arange(20) % 2, 5.0, -5.0) + np.arange(20) / 100
    figure, said = metric_curves(points(values))
    (line,) = lines(figure)
    assert set(values[spikes]) <= set(line.y)
    assert set(spikes) <= set(line.x)
    assert len(line.x) <= 1_200
    assert said.total == 10_000
    assert said.drawn == len(line.x)
    assert said.sentences == (f"10,000 points → {len(line.x):,} drawn, all extremes kept.",)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=300),
    st.integers(4, 60),
)
def test_thinning_keeps_the_ends_and_the_extremes_in_order(values: list[float], most: int) -> None:
    numbers = np.array(values, dtype=float)
    kept = keep_extremes(numbers, most)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    if values:
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
        assert numbers[kept].min() == numbers.min()
        assert numbers[kept].max() == numbers.max()


def test_few_points_are_all_drawn_with_dots_in_the_order_of_steps() -> None:
    figure, said = metric_curves(points([3, 1, 2], steps=[30, 10, 20]))
    (line,) = lines(figure)
    assert list(line.x) == [10, 20, 30]
    assert list(line.y) == [1, 2, 3]
    assert line.mode == "lines+markers"
    assert said.sentences == ("3 points drawn.",)


def test_nan_and_infinity_are_marked_at_the_edge_where_they_happened() -> None:
    values = [1, np.nan, 2, np.inf, 3, -np.inf, 4, 1.7976931348623157e308, 5]
    figure, said = metric_curves(points(values))
    found = {
        trace.marker.symbol: sorted({x for x, y in zip(trace.x, trace.y, strict=True) if y == y})
        for trace in marks(figure)
    }
    assert found == {"x-thin": [1], "triangle-up": [3, 7], "triangle-down": [5]}
    edges = {trace.marker.symbol: set(np.array(trace.y)[::3]) for trace in marks(figure)}
    assert edges == {"x-thin": {0}, "triangle-up": {1}, "triangle-down": {0}}
    assert said.sentences == (
        "9 points drawn.",
        "1 value is NaN: marked × at the bottom.",
        "2 values are +Inf: marked ▲ at the top.",
        "1 value is -Inf: marked ▼ at the bottom.",
    )
    assert (said.drawn, said.total) == (9, 9)


def test_the_edge_stays_the_edge_however_far_one_zooms() -> None:
    figure, _ = metric_curves(points([1, np.nan, 2]))
    (mark,) = marks(figure)
    edge = figure.layout[mark.yaxis.replace("y", "yaxis")]
    assert edge.range == (0, 1)
    assert edge.fixedrange
    assert edge.overlaying == "y"


def test_a_stretch_of_nan_says_how_long_it_is() -> None:
    values = np.arange(100, dtype=float)
    values[40:60] = np.nan
    (mark,) = marks(metric_curves(points(values))[0])
    assert list(mark.x[:2]) == [40, 59]
    assert mark.customdata[0] == "NaN, 20 points from step 40 to 59"


def test_a_gap_is_not_bridged_even_where_points_were_thinned() -> None:
    values = np.sin(np.arange(10_000) / 50)
    values[[4_000, 7_777]] = np.nan
    figure, _ = metric_curves(points(values))
    (line,) = lines(figure)
    gaps = [x for x, y in zip(line.x, line.y, strict=True) if np.isnan(y)]
    assert gaps == [4_000, 7_777]
    assert not line.connectgaps
    assert {int(x) for mark in marks(figure) for x in mark.x} == {4_000, 7_777}


def test_a_point_between_gaps_is_drawn_as_a_dot() -> None:
    values = np.arange(100, dtype=float)
    values[[49, 51]] = np.nan
    (line,) = lines(metric_curves(points(values))[0])
    dots = [x for x, size in zip(line.x, line.marker.size, strict=True) if size]
    assert dots == [50]


def test_a_run_of_nan_alone_is_still_in_the_figure() -> None:
    figure, said = metric_curves(points([np.nan, np.nan]))
    (mark,) = marks(figure)
    assert mark.customdata[0] == "NaN, 2 points from step 0 to 1"
    assert "2 values are NaN: marked × at the bottom." in said.sentences


def test_zero_and_below_are_marked_on_a_log_axis() -> None:
    figure, said = metric_curves(points([1, 0, 0.1, -2, 0.01]), log_y=True)
    assert figure.layout.yaxis.type == "log"
    (line,) = lines(figure)
    assert [x for x, y in zip(line.x, line.y, strict=True) if np.isnan(y)] == [1, 3]
    (mark,) = marks(figure)
    assert mark.marker.symbol == "diamond"
    assert [x for x, y in zip(mark.x, mark.y, strict=True) if y == 0] == [1, 1, 3, 3]
    assert "2 values are zero or below" in said.text


def test_time_runs_on_the_viewer_s_clock() -> None:
    figure, _ = metric_curves(points([1, 2]), "time", zone="Europe/Berlin")
    (line,) = lines(figure)
    assert str(line.x[0]).startswith("2026-03-03T15:00:00")
    assert figure.layout.xaxis.title.text == "Time (Europe/Berlin)"
    assert line.customdata[0][1] == "2026-03-03 15:00:00"


def test_an_unknown_time_zone_is_utc() -> None:
    figure, _ = metric_curves(points([1, 2]), "time", zone="Mars/Olympus")
    assert figure.layout.xaxis.title.text == "Time (UTC)"


def test_relative_time_begins_with_each_run_s_first_point() -> None:
    both = pd.concat(
        [points([1, 2, 3], "a"), points([1, 2], "b", start=START + timedelta(hours=5))]
    )
    figure, _ = metric_curves(both, "relative")
    assert [list(line.x) for line in lines(figure)] == [[0, 1, 2], [0, 1]]
    assert figure.layout.xaxis.title.text == "Time since the run's first point (s)"


def test_smoothing_lies_over_the_faint_values() -> None:
    figure, said = metric_curves(points([0, 1, 0, 1]), smoothing=0.5)
    faint, line = figure.data
    assert list(faint.y) == [0, 1, 0, 1]
    assert faint.opacity < 0.5
    assert list(line.y) == pytest.approx(list(smooth(np.array([0.0, 1, 0, 1]), 0.5)))
    assert [row[2] for row in line.customdata] == ["0", "1", "0", "1"]
    assert "Smoothed by 0.9" not in said.text
    assert "Smoothed by 0.5" in said.text


def test_smoothing_is_unbiased_and_passes_over_nan() -> None:
    smoothed = smooth(np.array([4.0, np.nan, 4.0, 4.0]), 0.9)
    np.testing.assert_allclose(smoothed, [4, np.nan, 4, 4])
    with pytest.raises(ValueError, match="smoothing"):
        metric_curves(points([1]), smoothing=1.0)


def test_a_run_has_one_colour_in_all_panels_and_one_name_in_the_legend() -> None:
    frame = pd.concat(
        [points([1, 2], run, key) for key in ("loss", "accuracy") for run in ("a", "b")]
    )
    figure, _ = metric_curves(frame)
    colours: dict[str, set[str]] = {}
    for line in lines(figure):
        colours.setdefault(line.legendgroup, set()).add(line.line.color)
    assert colours == {"a": {COLOURS[0]}, "b": {COLOURS[1]}}
    assert [line.name for line in lines(figure) if line.showlegend] == ["run a", "run b"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["<b>loss</b>", "<b>accuracy</b>"]
    assert figure.layout.xaxis2.matches == "x"


def test_twenty_four_runs_look_different_and_more_are_said_to_share() -> None:
    frame = pd.concat([points([1, 2], f"r{i}") for i in range(25)])
    figure, said = metric_curves(frame)
    looks = [(line.line.color, line.line.dash) for line in lines(figure)]
    assert len(set(looks[:24])) == 24
    assert looks[24] == looks[0]
    assert "25 runs share 24 looks of line" in said.text


def test_more_runs_than_a_legend_holds_are_named_on_hovering() -> None:
    frame = pd.concat([points([1, 2], f"r{i}") for i in range(61)])
    figure, said = metric_curves(frame)
    assert not figure.layout.showlegend
    assert "too many for a legend" in said.text
    assert "<b>run r60</b>" in lines(figure)[60].hovertemplate


def test_a_long_legend_scrolls_and_leaves_the_data_their_height() -> None:
    few, _ = metric_curves(pd.concat([points([1, 2], f"r{i}") for i in range(2)]))
    many, _ = metric_curves(pd.concat([points([1, 2], f"r{i}") for i in range(40)]))
    assert many.layout.height == few.layout.height
    assert many.layout.legend.maxheight < many.layout.height / 3


def test_stretches_join_neighbours_alone() -> None:
    assert stretches(np.array([1, 2, 3, 7, 9, 10]), 1) == [(1, 3), (7, 7), (9, 10)]
    assert stretches(np.array([], dtype=np.intp), 1) == []


# ------------------------------------------------------------------------------------ versions


def test_versions_have_the_colour_of_their_stage_and_a_gap_where_no_value_is() -> None:
    frame = pd.DataFrame(
        {
            "version": [3, 1, 2],
            "value": [0.9, 0.7, None],
            "stage": ["Production", "Archived", "Pilot"],
            "aliases": [("champion", "best"), (), ()],
        }
    )
    figure, said = metric_over_versions(frame, "accuracy")
    line = figure.data[0]
    assert list(line.x) == [1, 2, 3]
    assert np.isnan(line.y[1])
    stages = {trace.name: trace for trace in figure.data[1:]}
    assert set(stages) == {"Production", "Archived", "no value"}
    assert stages["Production"].marker.color != stages["Archived"].marker.color == GREY
    assert list(stages["no value"].x) == [2]
    assert "Aliases: champion, best" in stages["Production"].customdata[0]
    assert said.sentences == (
        "2 of 3 versions drawn.",
        "1 version has no finite value for accuracy: marked × at the bottom.",
    )


def test_versions_without_any_value_are_still_there() -> None:
    frame = pd.DataFrame({"version": [1, 2], "value": [None, None], "stage": ["None", "None"]})
    figure, said = metric_over_versions(frame, "accuracy")
    assert list(figure.data[-1].x) == [1, 2]
    assert (said.drawn, said.total) == (0, 2)


# ------------------------------------------------------------------------------------- looks


def test_nothing_to_draw_is_said() -> None:
    none = pd.DataFrame(columns=["run_id", "run_name", "key", "step", "value", "at"])
    versions = pd.DataFrame(columns=["version", "value", "stage"])
    for figure, said in (
        metric_curves(none),
        metric_over_versions(versions, "accuracy"),
    ):
        assert not figure.data
        assert said.total == 0
        assert said.text.startswith("There are no ")


def test_background_and_font_colours_are_left_to_the_theme() -> None:
    frame = runs(params__x=["1", None], metrics__y=[1.0, 2.0])
    versions = pd.DataFrame({"version": [1], "value": [0.5], "stage": ["None"]})
    for figure, _ in (
        scatter(frame, "params.x", "metrics.y", "metrics.y"),
        metric_curves(points([1, np.nan])),
        metric_over_versions(versions, "accuracy"),
    ):
        layout = json.loads(figure.to_json())["layout"]
        layout.pop("template", None)
        assert "paper_bgcolor" not in layout
        assert "plot_bgcolor" not in layout
        assert "color" not in layout.get("font", {})


def test_the_catalogue_has_no_text_of_ours_that_plotly_would_read_as_markup() -> None:
    ours = [key for key in keys() if key.startswith("charts.") and "notes" not in key]
    assert ours
    fields: defaultdict[str, int] = defaultdict(int)
    assert not [key for key in ours if set(t(key).format_map(fields)) & set("<>&$")]
