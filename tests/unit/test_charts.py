"""What the figures hold: every run and every extreme, and outside text that stays text."""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.charts import metric_over_versions, scatter
from core.charts.labels import clean, distinct, markup, run_labels
from core.charts.look import GREY
from core.charts.scales import read, scale, tick_text
from core.texts import keys, t

HOSTILE = "<a href='http://evil'>x</a> & $x^2$ %{evil} \u202egnp.exe\u202c\x00\n#000001"


def runs(**columns: list[Any]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({name.replace("__", "."): values for name, values in columns.items()})
    frame.insert(0, "run_id", [f"{i:032x}" for i in range(n)])
    frame.insert(1, "run_name", [f"run {i}" for i in range(n)])
    return frame


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


def test_no_name_is_taken_for_one_of_the_theme_s_colours() -> None:
    # Streamlit's theme writes its colours over these wherever they stand in a figure.
    assert "#000001" not in markup("run #000001")


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
    versions = pd.DataFrame(columns=["version", "value", "stage"])
    figure, said = metric_over_versions(versions, "accuracy")
    assert not figure.data
    assert said.total == 0
    assert said.text.startswith("There are no ")


def test_background_and_font_colours_are_left_to_the_theme() -> None:
    frame = runs(params__x=["1", None], metrics__y=[1.0, 2.0])
    versions = pd.DataFrame({"version": [1], "value": [0.5], "stage": ["None"]})
    for figure, _ in (
        scatter(frame, "params.x", "metrics.y", "metrics.y"),
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
