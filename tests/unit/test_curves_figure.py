"""Curves as figures: every run, every extreme, every NaN where it happened, groups as bands."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from core.charts import group_bands, metric_curves
from core.charts.curves import ALL_POINTS, MOST_POINTS, CurveLook, run_looks
from core.charts.look import COLOURS
from core.mlflow_api.histories import History, history
from core.runs.bands import band
from core.runs.histories import Line
from core.thinning import _starts, keep_extremes, smooth, spikes, stretches

START = 1_772_546_400_000  # 2026-03-03 14:00 UTC
HOSTILE = "<a href='http://evil'>x</a> & $x^2$ %{evil} \u202egnp.exe\u202c\x00\n#000001"
LARGEST = 1.7976931348623157e308
Numbers = list[float] | NDArray[np.float64]


def of(values: Numbers, steps: list[int] | None = None, start: int = START) -> History:
    n = len(values)
    at = np.arange(n) if steps is None else np.array(steps)
    return history(at, np.asarray(values, dtype=float), None, start + 1000 * np.arange(n))


def curve(
    values: Numbers,
    run: str = "a",
    key: str = "loss",
    name: str | None = None,
    start: int = START,
    steps: list[int] | None = None,
) -> Line:
    return Line(run, f"run {run}" if name is None else name, key, of(values, steps, start))


def lines(figure: Any) -> list[Any]:
    """The curves themselves: no marks, no keys of the legend, no faint lines."""
    return [x for x in figure.data if x.hovertemplate and not at_edge(x)]


def marks(figure: Any) -> list[Any]:
    return [x for x in figure.data if x.hovertemplate and at_edge(x)]


def at_edge(trace: Any) -> bool:
    """Whether a trace lies on the axis that only marks at the edge use."""
    return trace.yaxis is not None and int(trace.yaxis[1:] or 1) % 2 == 0


# ------------------------------------------------------------------------------------ thinning


def test_every_planted_spike_is_drawn() -> None:
    values = np.random.default_rng(0).normal(0, 0.01, 10_000)
    spikes = np.random.default_rng(1).choice(10_000, 20, replace=False)
    values[spikes] = np.where(np.arange(20) % 2, 5.0, -5.0) + np.arange(20) / 100
    figure, said = metric_curves([curve(values)])
    (line,) = lines(figure)
    assert set(values[spikes]) <= set(line.y)
    assert set(spikes) <= set(line.x)
    assert len(line.x) <= MOST_POINTS
    assert (said.total, said.drawn) == (10_000, len(line.x))
    assert said.sentences == (f"10,000 points → {len(line.x):,} drawn, all extremes kept.",)


@st.composite
def thick(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Values, never falling steps of any spacing, and how many points may stay."""
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    values = draw(st.lists(numbers, max_size=300))
    gaps = st.one_of(st.integers(0, 3), st.integers(0, 10**6))
    steps = draw(st.lists(gaps, min_size=len(values), max_size=len(values)))
    start = draw(st.integers(-(10**9), 10**9))
    return (
        np.array(values),
        start + np.cumsum(np.array(steps, dtype=np.int64)),
        draw(st.integers(8, 60)),
    )


@given(thick())
def test_thinning_keeps_the_ends_and_the_extremes_in_order(
    given: tuple[NDArray[np.float64], NDArray[np.int64], int],
) -> None:
    values, steps, most = given
    kept = keep_extremes(values, most, steps)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    if len(values):
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
        assert values[kept].min() == values.min()
        assert values[kept].max() == values.max()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=400),
    st.integers(8, 40),
)
def test_every_bucket_keeps_its_first_last_lowest_and_highest(
    values: list[float], most: int
) -> None:
    numbers = np.array(values)
    kept = set(keep_extremes(numbers, most).tolist())
    if len(kept) == len(numbers):
        return
    edges = [*_starts(np.arange(len(numbers)), most // 4).tolist(), len(numbers)]
    for first, end in itertools.pairwise(edges):
        here = numbers[sorted(kept & set(range(first, end)))]
        assert {first, end - 1} <= kept
        assert here.min() == numbers[first:end].min()
        assert here.max() == numbers[first:end].max()


def test_a_curve_that_grows_keeps_what_was_drawn_of_it() -> None:
    values = np.random.default_rng(2).normal(size=10_000)
    before = set(keep_extremes(values[:9_700], 1_200).tolist())
    after = set(keep_extremes(values, 1_200).tolist())
    # The last bucket was not full, and the last point of all is no longer one.
    assert {i for i in before if i < 9_600} <= after
    assert keep_extremes(values, 1_200).tolist() == keep_extremes(values, 1_200).tolist()


def test_points_of_one_step_are_one_bucket() -> None:
    values = np.random.default_rng(3).normal(size=5_000)
    kept = keep_extremes(values, 100, np.zeros(5_000))
    assert set(kept) == {0, 4_999, values.argmin(), values.argmax()}


def test_points_that_crowd_in_a_part_of_the_axis_are_not_lost_in_one_bucket() -> None:
    values = np.random.default_rng(4).normal(size=5_001)
    steps = np.append(np.arange(5_000), 10**9)
    assert len(keep_extremes(values, 400, steps)) > 150


@given(
    st.lists(
        st.sampled_from([1.0, 2.0, -3.0, 0.5, float("nan"), LARGEST, -LARGEST]),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 60),
)
def test_all_nan_and_infinite_values_are_marked_where_they_are(
    pattern: list[float], repeat: int
) -> None:
    values = np.tile(pattern, repeat)
    figure, said = metric_curves([curve(values)])
    found = {x.marker.symbol: np.asarray(x.x) for x in marks(figure)}
    for symbol, wanted in (
        ("x-thin", np.isnan(values)),
        ("triangle-up", values == LARGEST),
        ("triangle-down", values == -LARGEST),
    ):
        np.testing.assert_array_equal(
            found.get(symbol, np.empty(0)), np.flatnonzero(wanted), strict=False
        )
    finite = np.abs(np.nan_to_num(values, nan=np.inf)) < LARGEST
    for line in lines(figure):
        y = np.asarray(line.y, dtype=float)
        assert set(y[np.isfinite(y)]) == set(values[finite])
    assert said.total == len(values)


def test_spikes_that_share_a_bucket_are_all_drawn() -> None:
    values = np.random.default_rng(7).normal(0, 0.01, 10_000)
    planted = np.array([500, 510, 520, 530, 7_000, 7_002])
    values[planted] += np.array([9, 3, 5, 4, -2, -3])
    assert set(planted) <= set(spikes(values, 60))
    many = [curve(values), *(curve(values[::-1], f"r{i}") for i in range(120))]
    line = next(x for x in lines(metric_curves(many)[0]) if x.legendgroup == "a")
    assert set(planted) <= set(line.x)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=80), st.integers(0, 9))
def test_spikes_are_few_and_never_an_end(values: list[float], most: int) -> None:
    found = spikes(np.array(values), most)
    assert len(found) <= most
    assert not {0, len(values) - 1} & set(found.tolist())
    assert (np.diff(found) > 0).all()


def test_a_figure_of_many_runs_holds_no_more_points_than_it_may() -> None:
    draw = np.random.default_rng(5)
    many = [curve(draw.normal(size=2_000), f"r{i}") for i in range(120)]
    for look in (CurveLook(), CurveLook(smoothing=0.5)):
        figure, said = metric_curves(many, look)
        assert sum(len(line.x) for line in figure.data if line.x is not None) <= ALL_POINTS * 1.2
        assert said.sentences[0].startswith("240,000 points → ")


def test_stretches_join_neighbours_alone() -> None:
    assert stretches(np.array([1, 2, 3, 7, 9, 10]), 1) == [(1, 3), (7, 7), (9, 10)]
    assert stretches(np.array([], dtype=np.intp), 1) == []


# --------------------------------------------------------------------------------------- lines


def test_few_points_are_all_drawn_with_dots_in_the_order_of_steps() -> None:
    figure, said = metric_curves([curve([3, 1, 2], steps=[30, 10, 20])])
    (line,) = lines(figure)
    assert list(line.x) == [10, 20, 30]
    assert list(line.y) == [1, 2, 3]
    assert line.mode == "lines+markers"
    assert said.sentences == ("3 points drawn.",)


def test_nan_and_infinity_are_marked_at_the_edge_where_they_happened() -> None:
    values = [1, np.nan, 2, np.inf, 3, -np.inf, 4, LARGEST, 5]
    figure, said = metric_curves([curve(values)])
    found = {mark.marker.symbol: (list(mark.x), set(mark.y)) for mark in marks(figure)}
    assert found == {
        "x-thin": ([1], {0}),
        "triangle-up": ([3, 7], {1}),
        "triangle-down": ([5], {0}),
    }
    assert said.sentences == (
        "9 points drawn.",
        "1 value is NaN: marked × at the bottom.",
        "2 values are +Inf: marked ▲ at the top.",
        "1 value is -Inf: marked ▼ at the bottom.",
    )
    assert (said.drawn, said.total) == (9, 9)


def test_the_edge_stays_the_edge_however_far_one_zooms() -> None:
    figure, _ = metric_curves([curve([1, np.nan, 2])])
    (mark,) = marks(figure)
    edge = figure.layout[mark.yaxis.replace("y", "yaxis")]
    assert edge.range == (0, 1)
    assert edge.fixedrange
    assert edge.overlaying == "y"


def test_more_nan_than_there_is_room_for_become_stretches_that_say_how_long_they_are() -> None:
    values = np.arange(100_000, dtype=float)
    values[40_000:80_000] = np.nan
    (mark,) = marks(metric_curves([curve(values)])[0])
    assert list(mark.x[[0, -1]]) == [40_000, 79_999]
    assert mark.customdata[0] == "NaN, 40,000 points from step 40,000 to 79,999"


def test_a_gap_is_not_bridged_even_where_points_were_thinned() -> None:
    values = np.sin(np.arange(10_000) / 50)
    values[[4_000, 7_777]] = np.nan
    figure, _ = metric_curves([curve(values)])
    (line,) = lines(figure)
    gaps = [x for x, y in zip(line.x, line.y, strict=True) if np.isnan(y)]
    assert gaps == [4_000, 7_777]
    assert not line.connectgaps
    assert {int(x) for mark in marks(figure) for x in mark.x} == {4_000, 7_777}


def test_a_point_between_gaps_is_drawn_as_a_dot() -> None:
    values = np.arange(100, dtype=float)
    values[[49, 51]] = np.nan
    (line,) = lines(metric_curves([curve(values)])[0])
    dots = [x for x, size in zip(line.x, line.marker.size, strict=True) if size]
    assert dots == [50]


def test_a_run_of_nan_alone_is_still_in_the_figure() -> None:
    figure, said = metric_curves([curve([np.nan, np.nan])])
    (mark,) = marks(figure)
    assert list(mark.customdata) == ["NaN at step 0", "NaN at step 1"]
    assert "2 values are NaN: marked × at the bottom." in said.sentences


def test_zero_and_below_are_marked_on_a_log_axis() -> None:
    figure, said = metric_curves([curve([1, 0, 0.1, -2, 0.01])], CurveLook(log_y=True))
    assert figure.layout.yaxis.type == "log"
    (line,) = lines(figure)
    assert [x for x, y in zip(line.x, line.y, strict=True) if np.isnan(y)] == [1, 3]
    (mark,) = marks(figure)
    assert mark.marker.symbol == "diamond"
    assert list(mark.x) == [1, 3]
    assert "2 values are zero or below" in said.text


def test_steps_without_a_place_on_a_log_axis_are_counted() -> None:
    figure, said = metric_curves([curve([5, 1, 2])], CurveLook(log_x=True))
    assert figure.layout.xaxis.type == "log"
    assert list(lines(figure)[0].x) == [1, 2]
    assert "1 point has no place above zero" in said.text


def test_time_runs_on_the_viewer_s_clock() -> None:
    look = CurveLook("time", zone="Europe/Berlin")
    figure, _ = metric_curves([curve([1, 2])], look)
    (line,) = lines(figure)
    assert str(line.x[0]).startswith("2026-03-03T15:00:00")
    assert figure.layout.xaxis.title.text == "Time (Europe/Berlin)"
    assert line.customdata[:, 0].tolist() == [0, 1]


def test_an_unknown_time_zone_is_utc() -> None:
    figure, _ = metric_curves([curve([1, 2])], CurveLook("time", zone="Mars/Olympus"))
    assert figure.layout.xaxis.title.text == "Time (UTC)"


def test_relative_time_begins_with_each_run_s_first_point() -> None:
    both = [curve([1, 2, 3], "a"), curve([1, 2], "b", start=START + 5 * 3_600_000)]
    figure, _ = metric_curves(both, CurveLook("relative"))
    assert [list(line.x) for line in lines(figure)] == [[0, 1, 2], [0, 1]]
    assert figure.layout.xaxis.title.text == "Time since the run's first point (s)"


def test_another_metric_along_the_bottom_is_joined_by_step() -> None:
    epochs = {"a": of([1.0, np.nan, 2.0, 3.0], [0, 10, 20, 20])}
    figure, said = metric_curves(
        [curve([5, 6, 7, 8], steps=[0, 5, 10, 20]), curve([1, 2], "b")],
        CurveLook("metric"),
        metric=("epoch", epochs),
    )
    first, second = lines(figure)
    assert list(first.x) == [1, 3]  # the last value logged for step 20
    assert list(first.y) == [5, 8]
    assert second.x.size == 0
    assert figure.layout.xaxis.title.text == "epoch"
    assert "4 points have no value of that metric at their step and are left out." in said.sentences


def test_smoothing_lies_over_the_faint_values() -> None:
    figure, said = metric_curves([curve([0, 1, 0, 1])], CurveLook(smoothing=0.5))
    faint, line = figure.data
    assert list(faint.y) == [0, 1, 0, 1]
    assert faint.opacity < 0.5
    assert list(line.y) == pytest.approx(list(smooth(np.array([0.0, 1, 0, 1]), 0.5)))
    assert line.customdata[:, 0].tolist() == [0, 1, 0, 1]
    assert "Smoothed by 0.5" in said.text


@given(st.lists(st.floats(-1e3, 1e3) | st.just(float("nan")), max_size=80), st.floats(0, 0.95))
def test_smoothing_is_the_moving_average_one_would_compute_by_hand(
    values: list[float], weight: float
) -> None:
    mean = share = 0.0
    wanted = []
    for value in values:
        if np.isnan(value):
            wanted.append(np.nan)
            continue
        mean, share = weight * mean + (1 - weight) * value, weight * share + (1 - weight)
        wanted.append(mean / share)
    np.testing.assert_allclose(smooth(np.array(values), weight), wanted, rtol=1e-7, atol=1e-7)


def test_a_smoothing_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="smoothing"):
        metric_curves([curve([1])], CurveLook(smoothing=1.0))


def test_a_run_has_one_colour_in_all_panels_and_one_name_in_the_legend() -> None:
    every = [curve([1, 2], run, key) for key in ("loss", "accuracy") for run in ("a", "b")]
    figure, _ = metric_curves(every)
    colours: dict[str, set[str]] = {}
    for line in lines(figure):
        colours.setdefault(line.legendgroup, set()).add(line.line.color)
    assert all(len(one) == 1 for one in colours.values())
    assert colours["a"] != colours["b"]
    assert [line.name for line in lines(figure) if line.showlegend] == ["run a", "run b"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["<b>loss</b>", "<b>accuracy</b>"]
    assert figure.layout.xaxis2.matches == "x"


def test_colours_do_not_depend_on_the_order_and_the_first_six_differ() -> None:
    runs = [f"{i:032x}" for i in range(6)]
    looks = run_looks(runs)
    assert run_looks(runs[::-1]) == looks
    assert {look[0] for look in looks.values()} == set(COLOURS)
    assert {look[1] for look in looks.values()} == {"solid"}
    assert len(set(run_looks(f"{i:032x}" for i in range(24)).values())) == 24


def test_more_runs_than_looks_are_said_to_share() -> None:
    _, said = metric_curves([curve([1, 2], f"r{i}") for i in range(25)])
    assert "25 runs share 6 looks of line" in said.text


def test_runs_that_stand_out_lie_over_the_others_which_are_faint() -> None:
    figure, _ = metric_curves([curve([1, 2], run) for run in "abc"], highlight=["a"])
    drawn = lines(figure)
    assert [line.legendgroup for line in drawn][-1] == "a"
    assert drawn[-1].opacity == 1
    assert all(line.opacity < 0.3 for line in drawn[:-1])


def test_a_long_legend_scrolls_and_leaves_the_data_their_height() -> None:
    few, _ = metric_curves([curve([1, 2], f"r{i}") for i in range(2)])
    many, _ = metric_curves([curve([1, 2], f"r{i}") for i in range(40)])
    assert many.layout.height == few.layout.height
    assert many.layout.legend.maxheight < many.layout.height / 3


def test_units_stand_beside_the_metric_s_name() -> None:
    figure, _ = metric_curves([curve([1, 2], key="cpu")], units={"cpu": "MB"})
    assert figure.layout.annotations[0].text == "<b>cpu</b> (MB)"


def test_nothing_to_draw_is_said() -> None:
    for figure, said in (metric_curves([]), group_bands([], {}, "range")):
        assert not figure.data
        assert said.text.startswith("There are no ")


def test_outside_text_is_text_and_colours_are_left_to_the_theme() -> None:
    odd = [curve([1, np.nan, 2], name=HOSTILE, key=HOSTILE)]
    for figure, _ in (metric_curves(odd), group_bands(odd, {"a": HOSTILE}, "range")):
        text = figure.update_layout(template="none").to_json()
        for forbidden in ("<a", "%{evil}", "$x^2$", "\\u202e", "\\u0000", "#000001"):
            assert forbidden not in text
        assert "&lt;a href" in text
        layout = json.loads(text)["layout"]
        assert "paper_bgcolor" not in layout
        assert "color" not in layout.get("font", {})


# --------------------------------------------------------------------------------------- bands


def test_the_mean_of_a_step_counts_the_runs_that_logged_there() -> None:
    found = band([of([1, 2, 3], [0, 1, 2]), of([3, 9], [0, 2])], "range")
    assert found.steps.tolist() == [0, 1, 2]
    assert found.n.tolist() == [2, 1, 2]
    assert found.mean.tolist() == [2, 2, 6]
    assert found.low.tolist() == [1, 2, 3]
    assert found.high.tolist() == [3, 2, 9]
    assert found.uneven


def test_spreads_are_those_of_the_books() -> None:
    values = np.array([1.0, 2.0, 4.0, 4.5])
    runs = [of([v]) for v in values]
    interval, deviation = band(runs, "interval"), band(runs, "deviation")
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (interval.low[0], interval.high[0]) == pytest.approx((low, high))
    assert deviation.high[0] - deviation.mean[0] == pytest.approx(values.std(ddof=1))
    assert np.isnan(band(runs[:1], "interval").low).all()


def test_what_is_not_finite_or_logged_twice_is_counted_and_left_out() -> None:
    found = band([of([1, np.nan, 5, 7], [0, 1, 2, 2]), of([LARGEST, 3], [0, 2])], "range")
    assert found.mean.tolist() == [1, 5]
    assert (found.not_finite, found.repeated) == (2, 1)


def test_groups_are_bands_with_n_at_each_step() -> None:
    every = [curve([1.0 + i, 2.0, 3.0], f"r{i}") for i in range(4)]
    every.append(curve([1.0], "r4"))
    groups = {f"r{i}": "small" if i < 2 else "large" for i in range(5)}
    figure, said = group_bands(every, groups, "interval")
    small, large = lines(figure)
    assert small.name == "small (2 runs)"
    assert large.customdata[:, 0].tolist() == [3, 2, 2]
    areas = [x for x in figure.data if x.fill == "toself"]
    assert len(areas) == 2
    assert "2 groups drawn from 13 points." in said.sentences
    assert "from 2 to 3" in said.text


def test_the_bands_of_long_runs_keep_their_extremes() -> None:
    draw = np.random.default_rng(6)
    every = [curve(draw.normal(0, 0.1, 10_000), f"r{i}") for i in range(3)]
    every[1].history.values[4_321] = 50.0
    figure, said = group_bands(every, dict.fromkeys(("r0", "r1", "r2"), "g"), "range")
    (line,) = lines(figure)
    area = next(x for x in figure.data if x.fill == "toself")
    assert 4_321 in set(line.x)
    assert max(area.y[np.isfinite(area.y)]) == 50.0
    assert "all extremes kept" in said.text
