"""Replicates are found, measured and compared, and the verdict says what the numbers carry."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from core import formats, statistics
from core.runs import replicates
from core.runs.replicates import compare, find, measure, seed_like
from core.runs.verdicts import cautions, outcome, sentence
from core.statistics import ALPHA, Sample, difference, holm, sample

A = [0.91, 0.92, 0.90, 0.93, 0.94]
B = [0.88, 0.90, 0.87, 0.89, 0.91]


def runs(
    rows: Sequence[Mapping[str, str]],
    values: Sequence[float | None] = (),
    experiments: Sequence[str] = (),
) -> pd.DataFrame:
    """A run table's frame: params by row, a metric ``m``."""
    names = dict.fromkeys(name for row in rows for name in row)
    made: dict[str, object] = {
        "run_id": [f"{i:032x}" for i in range(len(rows))],
        "experiment_id": list(experiments) or ["1"] * len(rows),
    }
    for name in names:
        made[f"params.{name}"] = pd.Series([row.get(name) for row in rows], dtype=object)
    made["metrics.m"] = _numbers(list(values) or [0.0] * len(rows))
    return pd.DataFrame(made)


def _numbers(cells: Sequence[float | None]) -> object:
    """A metric's column as run tables have it: a value that is NaN is not one that is missing."""
    return pd.arrays.FloatingArray(
        np.array([0.0 if c is None else c for c in cells], dtype=float),
        np.array([c is None for c in cells], dtype=bool),
    )


def two(a: Sequence[float | None] = A, b: Sequence[float | None] = B) -> pd.DataFrame:
    rows = [{"rate": "0.1", "seed": str(i)} for i in range(len(a))]
    rows += [{"rate": "0.3", "seed": str(i)} for i in range(len(b))]
    return runs(rows, [*a, *b])


class TestSeedNames:
    def test_seeds_come_first_then_folds(self) -> None:
        params = ["depth", "fold", "model.randomState", "Random Seed", "torch_seed", "seed"]
        assert seed_like(params) == [
            "model.randomState",
            "Random Seed",
            "torch_seed",
            "seed",
            "fold",
        ]

    def test_the_number_of_folds_is_no_seed(self) -> None:
        assert seed_like(["folds", "n_folds", "seeds", "seedling", "linseed"]) == []


class TestFind:
    def test_groups_agree_in_all_but_the_seed(self) -> None:
        found = find(two(), ["seed"])
        assert [g.label for g in found.groups] == ["rate=0.1", "rate=0.3"]
        assert [g.rows.tolist() for g in found.groups] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
        assert found.groups[0].keys == tuple(f"seed={i}.0" for i in range(5))
        assert (found.differing, found.alone) == (("rate",), 0)

    def test_numbers_agree_however_they_are_written(self) -> None:
        found = find(runs([{"rate": "0.1"}, {"rate": "1e-1"}, {"rate": "0.10"}]), [])
        assert [len(g.rows) for g in found.groups] == [3]
        assert found.groups[0].label == "All these runs"

    def test_a_missing_param_tells_apart(self) -> None:
        rows = [{"a": "1"}, {"a": "1"}, {"a": "1", "b": "2"}, {"a": "1", "b": "2"}, {"b": "3"}]
        found = find(runs(rows), [])
        assert [g.label for g in found.groups] == ["b=–", "b=2"]
        assert found.alone == 1

    def test_a_run_without_the_seed_is_no_replicate_of_those_with_it(self) -> None:
        # A parent run has all params of its folds but "fold", and was trained on all rows.
        rows = [{"a": "1"}, {"a": "1", "fold": "1"}, {"a": "1", "fold": "2"}]
        found = find(runs(rows), ["fold"])
        assert [g.rows.tolist() for g in found.groups] == [[1, 2]]
        assert found.alone == 1

    def test_experiments_are_not_mixed(self) -> None:
        found = find(runs([{"a": "1"}] * 4, experiments=["1", "2", "1", "2"]), [], {"1": "Trees"})
        assert [(g.experiment_id, g.rows.tolist()) for g in found.groups] == [
            ("1", [0, 2]),
            ("2", [1, 3]),
        ]
        assert [g.label for g in found.groups] == ["experiment=Trees", "experiment=2"]

    def test_labels_take_as_few_params_as_tell_apart(self) -> None:
        rows = [
            {"kind": kind, "depth": str(depth), "copy": f"{kind}{depth}"}
            for kind in "ab"
            for depth in (1, 2)
            for _ in range(2)
        ]
        found = find(runs(rows), ["seed"])
        assert [g.label for g in found.groups] == ["copy=a1", "copy=a2", "copy=b1", "copy=b2"]

    def test_long_labels_keep_only_what_no_other_group_shares(self) -> None:
        long = "x" * 25
        rows = [
            {"kind": f"{kind}{long}", "way": f"{way}{long}"}
            for kind, way in (("a", "1"), ("b", "1"), ("b", "2"))
            for _ in range(2)
        ]
        found = find(runs(rows), [])
        labels = [g.label for g in found.groups]
        assert labels[0] == f"kind=a{long}"
        assert len(set(labels)) == 3

    def test_nothing_to_find(self) -> None:
        assert find(runs([{"a": "1"}, {"a": "2"}]), ["seed"]).groups == ()
        assert find(runs([]), []).groups == ()

    def test_as_many_groups_as_pandas_finds(self) -> None:
        random = np.random.default_rng(0)
        rows = [
            {name: str(random.integers(3)) for name in ("a", "b", "c")} | {"seed": str(i)}
            for i in range(300)
        ]
        frame = runs(rows)
        counted = frame.groupby(["params.a", "params.b", "params.c"]).size()
        found = find(frame, ["seed"])
        assert len(found.groups) == int((counted >= 2).sum())
        assert sum(len(g.rows) for g in found.groups) + found.alone == 300
        assert len({g.label for g in found.groups}) == len(found.groups)


class TestInTheWay:
    def test_a_param_of_its_own_in_every_run(self) -> None:
        rows = [
            {"rate": str(rate), "seed": str(seed), "out": f"/{rate}/{seed}"}
            for rate in (1, 2)
            for seed in range(3)
        ]
        frame = runs([*rows, {"rate": "9"}])
        assert find(frame, ["seed"]).groups == ()
        assert replicates.in_the_way(frame, ["seed"]) == [("out", 6)]
        assert [len(g.rows) for g in find(frame, ["seed", "out"]).groups] == [3, 3]

    def test_nothing_single_is(self) -> None:
        frame = runs([{"a": "1", "b": "1"}, {"a": "2", "b": "2"}])
        assert replicates.in_the_way(frame, ["seed"]) == []


class TestMeasure:
    def test_a_seed_counts_once(self) -> None:
        rows = [{"seed": "1"}, {"seed": "1"}, {"seed": "2"}]
        frame = runs(rows, [1.0, 3.0, 5.0])
        (one,) = measure(frame, find(frame, ["seed"]).groups, "m")
        assert one.sample.values.tolist() == [2.0, 5.0]
        assert one.repeated == 1

    def test_runs_without_seeds_count_each(self) -> None:
        frame = runs([{"a": "1"}] * 3, [1.0, 1.0, 2.0])
        (one,) = measure(frame, find(frame, ["seed"]).groups, "m")
        assert (one.sample.n, one.repeated) == (3, 0)

    def test_what_is_no_number_is_left_out_and_counted(self) -> None:
        frame = two([0.9, math.nan, None, 1.7976931348623157e308, 0.8], B)
        one = measure(frame, find(frame, ["seed"]).groups, "m")[0]
        assert one.sample.n == 2
        assert (one.sample.nan, one.sample.missing, one.sample.infinite) == (1, 1, 1)
        said = cautions([one], difference(one.sample, one.sample))
        assert any("1 run whose value is NaN, 1 run whose value is infinite" in s for s in said)


class TestCompare:
    @staticmethod
    def made(frame: pd.DataFrame, direction: str | None, **more: str) -> replicates.Comparison:
        found = compare(measure(frame, find(frame, ["seed"]).groups, "m"), direction, **more)
        assert found is not None
        return found

    def test_best_first_by_the_direction(self) -> None:
        higher, lower = self.made(two(), "higher"), self.made(two(), "lower")
        assert [m.group.label for m in higher.measured] == ["rate=0.1", "rate=0.3"]
        assert [m.group.label for m in lower.measured] == ["rate=0.3", "rate=0.1"]
        assert higher.differences[0] is None
        assert higher.differences[1] is not None
        assert higher.differences[1].test == "paired"

    def test_the_best_is_held_against_all_pairs_and_a_named_one_is_not(self) -> None:
        rows = [{"k": str(k), "seed": str(s)} for k in range(4) for s in range(3)]
        random = np.random.default_rng(0)
        frame = runs(rows, random.normal(0, 1, 12).tolist())
        best = self.made(frame, "higher")
        assert (best.family, best.named, best.reference) == (6, False, 0)
        named = self.made(frame, "higher", reference="k=2")
        assert (named.family, named.named) == (3, True)
        assert named.measured[named.reference].group.label == "k=2"
        # All six pairs are tested, and each p is corrected for its rank among them.
        samples = [m.sample for m in best.measured]
        pairs = list(itertools.combinations(range(4), 2))
        every = holm([difference(samples[i], samples[j]).p for i, j in pairs])
        corrected = {pair: p for pair, p in zip(pairs, every, strict=True) if pair[0] == 0}
        assert [d.corrected for d in best.differences if d] == pytest.approx([*corrected.values()])

    def test_a_group_of_one_value_comes_last_and_is_refused(self) -> None:
        found = self.made(two(A, [0.99, None, None, None, None]), "higher")
        assert [m.sample.n for m in found.measured] == [5, 1]
        assert found.differences[1] is not None
        assert outcome(found.differences[1], "higher") == "refused"

    def test_nothing_to_compare(self) -> None:
        frame = two([1.0, None], [None, None])
        assert compare(measure(frame, find(frame, ["seed"]).groups, "m"), "higher") is None

    def test_false_claims_among_many_groups_stay_rare(self) -> None:
        random = np.random.default_rng(11)
        wrong = 0
        for _ in range(200):
            draws = random.normal(0, 1, (6, 5))
            groups = [
                replicates.Measured(
                    replicates.Group(str(i), {}, "1", np.arange(5), ()),
                    Sample(row),
                    statistics.estimate(Sample(row)),
                    0,
                )
                for i, row in enumerate(draws)
            ]
            found = compare(groups, "higher")
            assert found is not None
            wrong += any(d.clear for d in found.differences if d)
        # Though the best of six is held against the others, having been chosen by looking.
        assert wrong / 200 <= ALPHA + 0.03


class TestSentence:
    def test_the_better_one_beats_the_other(self) -> None:
        found = difference(sample(A), sample(B))
        said = "B beats A by 0.030 [0.007, 0.053], 5 against 5."
        assert sentence(found, "B", "A", "higher") == said
        assert sentence(difference(sample(B), sample(A)), "A", "B", "higher") == said

    def test_lower_is_better(self) -> None:
        found = difference(sample(A), sample(B))
        assert (
            sentence(found, "A", "B", "lower") == "B beats A by 0.030 [0.007, 0.053], 5 against 5."
        )

    def test_no_direction_says_higher(self) -> None:
        found = difference(sample(B), sample(A))
        assert sentence(found, "A", "B", None).startswith("B is higher than A by 0.030 [0.007")

    def test_sizes_follow_the_names(self) -> None:
        found = difference(sample(B), sample([*A, 0.92]))
        assert sentence(found, "A", "B", "higher").endswith("6 against 5.")

    def test_not_distinguishable(self) -> None:
        found = difference(sample(A), sample([x + 0.001 for x in A]))
        said = sentence(found, "A", "B", "higher")
        assert said.startswith("A and B are not distinguishable: they differ by -0.001 [-0.024,")

    def test_clear_alone_but_not_among_many(self) -> None:
        from dataclasses import replace

        found = replace(difference(sample(A), sample(B)), corrected=0.2)
        said = sentence(found, "A", "B", "higher", 15)
        assert "not distinguishable among 15 comparisons" in said
        assert "Alone, this would have been clear" in said

    def test_paired_says_so(self) -> None:
        found = difference(sample(A, "abcde"), sample(B, "abcde"))
        assert sentence(found, "A", "B", "higher").endswith("5 against 5, paired.")

    def test_refused_equal_and_constant(self) -> None:
        one, flat, other = sample([1.0]), sample([0.5] * 3), sample([0.6] * 3)
        assert "1 against 3, and each needs at least 2" in sentence(
            difference(one, flat), "A", "B", "higher"
        )
        assert sentence(difference(flat, flat), "A", "B", None).startswith("A and B are equal")
        assert "differ by 0.1000 every time" in sentence(difference(flat, other), "A", "B", None)

    @pytest.mark.parametrize("direction", ["higher", "lower", None])
    def test_turned_round_it_says_the_same(self, direction: str | None) -> None:
        there, back = difference(sample(A), sample(B)), difference(sample(B), sample(A))
        assert sentence(there, "A", "B", direction) == sentence(back, "B", "A", direction)


class TestCautions:
    def test_small_numbers_and_constants(self) -> None:
        frame = two([0.5] * 3, [0.6, 0.7, 0.8])
        measured = measure(frame, find(frame, ["seed"]).groups, "m")
        said = cautions(measured, difference(measured[0].sample, measured[1].sample))
        assert any("With 3 measurements" in s for s in said)
        assert any("rate=0.1: all 3 values are the same" in s for s in said)

    def test_none_where_all_is_well(self) -> None:
        frame = two()
        measured = measure(frame, find(frame, ["seed"]).groups, "m")
        assert cautions(measured, difference(measured[0].sample, measured[1].sample)) == []


class TestAlike:
    def test_as_many_decimals_as_the_width_needs(self) -> None:
        assert formats.alike(0.0123, 0.0041, 0.0204) == ("0.012", "0.004", "0.020")
        assert formats.alike(1234.5, 1200.0, 1269.0) == ("1,234", "1,200", "1,269")
        assert formats.alike(0.5, 0.5) == ("0.5000", "0.5000")
        assert formats.alike(-0.0001, -0.02, 0.02)[0] == "0.000"
