"""What differs between runs: values, nested values, inputs, signatures, requirements."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mlflow_api.nouns import Column, DatasetInput, ModelInfo, Run, Signature
from core.runs import differences as d
from core.runs.nested import LEAVES, opened


def run(name: str, params: dict[str, str], metrics: dict[str, float], **tags: str) -> Run:
    """A run for a table."""
    every = {k.replace("__", "."): v for k, v in tags.items()}
    return Run(name, "1", name, "FINISHED", "active", "ada", None, None, "", params, metrics, every)


def by_name(rows: list[d.Difference]) -> dict[str, d.Difference]:
    """Each difference by its name."""
    return {row.name: row for row in rows}


class TestValues:
    def test_same_different_missing(self) -> None:
        found = by_name(d.of_params([run("a", {"x": "1", "y": "2"}, {}), run("b", {"x": "1"}, {})]))
        assert not found["x"].differs
        assert found["y"].differs
        assert found["y"].values == ("2", None)

    def test_numbers_written_differently(self) -> None:
        runs = [run("a", {"x": "1", "y": "1"}, {}), run("b", {"x": "1.0", "y": "2"}, {})]
        found = by_name(d.of_params(runs))
        assert found["x"].same_number
        assert not found["y"].same_number

    def test_nan_is_not_missing(self) -> None:
        values = [{"m": 1.0}, {"m": math.nan}, {}, {"m": 3.5}, {"m": math.nan}]
        (row,) = d.of_metrics([run("r", {}, v) for v in values])
        assert row.spread == 2.5
        assert row.texts == ("1", "NaN", None, "3.50000", "NaN")
        assert row.distinct == 4

    def test_metrics_that_differ_look_different(self) -> None:
        (row,) = d.of_metrics([run("a", {}, {"m": 0.1}), run("b", {}, {"m": 0.1000000001})])
        assert row.differs
        assert len(set(row.texts)) == 2

    def test_names_with_numbers_are_in_their_order(self) -> None:
        rows = d.of_params([run("a", {"l10": "", "l9": "", "L1": ""}, {})])
        assert [r.name for r in rows] == ["L1", "l9", "l10"]

    def test_a_raised_number_is_no_number_to_sort_by(self) -> None:
        rows = d.of_params([run("a", {"²": "1", "2²": "1", "٣": "1"}, {})])
        assert sorted(r.name for r in rows) == ["2²", "²", "٣"]

    def test_tags_about_code_stand_apart(self) -> None:
        runs = [
            run("a", {}, {}, team="x", mlflow__source__git__commit="c0ffee", mlflow__user="ada"),
            run("b", {}, {}),
        ]
        assert [r.name for r in d.of_tags(runs)] == ["team", "mlflow.user"]
        assert [r.name for r in d.of_code(runs)] == ["mlflow.source.git.commit"]

    def test_attributes_say_only_what_is_there(self) -> None:
        rows = d.of_attributes([run("a", {}, {})], {"1": "Trees"})
        assert [r.texts[0] for r in rows] == ["FINISHED", "ada", "Trees"]


class TestChange:
    def change(self, value: float, base: float, direction: str | None) -> d.Change | None:
        (row,) = d.of_metrics(
            [run("a", {}, {"m": base}), run("b", {}, {"m": value})], lambda _: direction
        )
        return row.change(1, 0)

    @pytest.mark.parametrize(
        ("value", "base", "direction", "better"),
        [
            (0.9, 0.8, "higher", True),
            (0.9, 0.8, "lower", False),
            (0.7, 0.8, "lower", True),
            (0.8, 0.8, "lower", None),
            (0.9, 0.8, None, None),
        ],
    )
    def test_direction(
        self, value: float, base: float, direction: str | None, better: bool | None
    ) -> None:
        found = self.change(value, base, direction)
        assert found is not None
        assert found.better is better

    def test_relative_to_the_size_of_the_baseline(self) -> None:
        assert self.change(-1.0, -2.0, None) == d.Change(1.0, 0.5, None)
        assert self.change(1.0, 0.0, None) == d.Change(1.0, None, None)

    @pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
    def test_none_where_there_is_no_number(self, odd: float) -> None:
        assert self.change(odd, 1.0, None) is None
        assert self.change(1.0, odd, None) is None

    def test_it_stands_beside_the_number_in_words(self) -> None:
        rows = d.of_metrics(
            [run("a", {}, {"loss": 0.5}), run("b", {}, {"loss": 0.4})], lambda _: "lower"
        )
        made = d.side_by_side(rows, ["a", "b"], baseline=0)
        assert made["a"][0] == "0.500000"
        assert made["b"][0] == "0.400000  -0.1 (-20.00%) better"


class TestNested:
    def test_json_and_yaml_alike(self) -> None:
        runs = [
            run("a", {"c": '{"lr": 0.1, "layers": [{"units": 8}, {"units": 16}]}'}, {}),
            run("b", {"c": "lr: 0.1\nlayers:\n  - units: 8\n  - units: 32\n"}, {}),
            run("c", {"c": "{'lr': 0.2, 'on': True}"}, {}),
        ]
        found = by_name(d.of_params(runs))
        assert found["c.lr"].values == ("0.1", "0.1", "0.2")
        assert found["c.layers[0].units"].values == ("8", "8", None)
        assert found["c.layers[1].units"].values == ("16", "32", None)
        assert found["c.on"].values == (None, None, "true")

    def test_one_that_is_no_nest(self) -> None:
        found = by_name(d.of_params([run("a", {"c": '{"lr": 1}'}, {}), run("b", {"c": "no"}, {})]))
        assert found["c"].values == ("{…}", "no")
        assert found["c.lr"].values == ("1", None)

    def test_text_and_number_are_told_apart(self) -> None:
        assert opened('{"a": "1", "b": 1, "c": "x", "d": {}, "e": null}') == (
            (".a", '"1"'), (".b", "1"), (".c", "x"), (".d", "{}"), (".e", "null"),
        )  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x",
            "3",
            "a: 1",
            "[]",
            "{",
            "{]",
            "[" * 9000,
            "- " * 3000,
            "x" * 30_000,
            "!!python/x",
        ],
    )
    def test_what_stays_closed(self, text: str) -> None:
        assert opened(text) is None

    @pytest.mark.parametrize(
        "text", [f"[0x{'f' * 4000}]", f"[1:{'59:' * 2600}1]", '["\\ud800"]', '{"\\udfff": 1}']
    )
    def test_what_could_not_be_written_or_drawn_stays_closed(self, text: str) -> None:
        assert opened(text) is None
        [row] = d.of_params([run("a", {"p": text}, {}), run("b", {"p": "1"}, {})])
        assert row.texts == (text, "1")

    def test_bombs_stay_closed(self) -> None:
        bomb = "a: &a [x, x]\n" + "".join(
            f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n"
            for p, n in zip("abcdefghij", "bcdefghijk", strict=True)
        )
        assert opened(bomb) is None
        assert opened(json.dumps(list(range(LEAVES + 1)))) is None
        assert opened(json.dumps({"a": "!!python/object:x"})) is not None
        assert opened("a: !!python/object/apply:os.system ['true']\nb: 1") is None

    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=25,
    )
    nests = st.lists(values, min_size=1, max_size=4) | st.dictionaries(
        st.text(), values, min_size=1, max_size=4
    )

    @given(nests)
    def test_no_two_leaves_share_a_path(self, value: object) -> None:
        leaves = opened(json.dumps(value))
        assert leaves is not None
        assert len({path for path, _ in leaves}) == len(leaves)

    @given(nests, nests)
    def test_equal_leaves_mean_equal_values(self, one: object, other: object) -> None:
        first, second = json.dumps(one, sort_keys=True), json.dumps(other, sort_keys=True)
        assert (opened(first) == opened(second)) == (first == second)


def data(name: str, digest: str, columns: dict[str, str], rows: int) -> DatasetInput:
    """A data set as MLflow logs one."""
    schema = {"mlflow_colspec": [{"name": n, "type": t} for n, t in columns.items()]}
    profile = json.dumps({"num_rows": rows, "means": {"x": 1.5}})
    return DatasetInput(name, digest, "local", "{}", json.dumps(schema), profile, "training")


class TestDeclared:
    @pytest.mark.parametrize(
        "schema",
        [
            '{"mlflow_tensorspec": {"a": 5}}',
            '{"mlflow_colspec": [{"name": "\\ud800"}]}',
            "[" * 9000,
        ],
    )
    def test_a_schema_that_is_none_says_nothing(self, schema: str) -> None:
        odd = replace(data("d", "1", {}, 3), schema=schema)
        rows = d.of_inputs([replace(run("a", {}, {}), inputs=(odd,))])
        assert len(rows) == 5  # name, digest, source, and two lines of its profile

    def test_inputs(self) -> None:
        runs = [
            Run(n, "1", n, "FINISHED", "active", "", None, None, "", {}, {}, {}, (one,))
            for n, one in (
                ("a", data("wine", "d1", {"x": "double", "y": "long"}, 100)),
                ("b", data("wine", "d2", {"x": "string", "z": "long"}, 100)),
            )
        ]
        differing = {r.name: r.values for r in d.of_inputs(runs) if r.differs}
        assert differing == {
            "training · digest": ("d1", "d2"),
            "training · column · x": ("double", "string"),
            "training · column · y": ("long", None),
            "training · column · z": (None, "long"),
        }
        names = [r.name for r in d.of_inputs(runs)]
        assert "training · profile · num_rows" in names
        assert "training · profile · means.x" in names

    def test_signatures(self) -> None:
        one = Signature((Column("x", "double"),), (Column(None, "long"),))
        other = Signature((Column("x", "double", required=False),), (Column(None, "long"),))
        rows = d.of_signatures([ModelInfo(one), ModelInfo(other), ModelInfo(), None])
        assert {r.name: r.values for r in rows} == {
            "Input · x": ("double", "double, optional", None, None),
            "Output · 0": ("long", "long", None, None),
        }

    def test_requirements(self) -> None:
        rows = d.of_requirements(
            [
                ModelInfo(
                    requirements=("scikit_learn==1.9.0", "numpy", "# x", "pkg @ https://h/p")
                ),
                ModelInfo(
                    requirements=("scikit-learn==1.8.0  # why", "ray[data]>=2", "-r base.txt")
                ),
                None,
            ]
        )
        assert {r.name: r.values for r in rows} == {
            "scikit-learn": ("==1.9.0", "==1.8.0", None),
            "numpy": ("any version", None, None),
            "pkg": ("@ https://h/p", None, None),
            "ray[data]": (None, ">=2", None),
            "-r base.txt": (None, "listed", None),
        }
