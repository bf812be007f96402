"""Importance finds what was put in, keeps quiet where nothing was, and says how sure it is."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from core.runs import encoding, importance
from core.runs.importance import Explained, explain, interval

Column = Sequence[object]


def table(params: Mapping[str, Column], metric: Sequence[float]) -> pd.DataFrame:
    made = {
        f"params.{name}": pd.Series([None if v is None else str(v) for v in column], dtype=object)
        for name, column in params.items()
    }
    return pd.DataFrame({**made, "metrics.m": pd.array(list(metric), dtype="Float64")})


def asked(params: Mapping[str, Column], metric: Sequence[float], **more: bool) -> Explained:
    return explain(table(params, metric), "m", list(params), **more)


@pytest.fixture(scope="module")
def known() -> Explained:
    """Two params matter, one by a step among words; two do not."""
    random = np.random.default_rng(0)
    n = 300
    rate, depth, noise = random.uniform(0, 1, n), random.integers(1, 9, n), random.normal(0, 1, n)
    kind = random.choice(["adam", "sgd", "rms"], n)
    y = 2 * rate + (kind == "adam") + random.normal(0, 0.1, n)
    return asked({"rate": rate, "kind": kind, "depth": depth, "noise": noise}, y.tolist())


class TestWhatMatters:
    def test_most_important_first(self, known: Explained) -> None:
        assert known.declined == ""
        assert [p.names[0] for p in known.params[:2]] == ["rate", "kind"]
        assert [p.matters for p in known.params[:2]] == [True, True]
        assert all(abs(p.mean) < 0.03 for p in known.params[2:])

    def test_the_fit_stands_beside(self, known: Explained) -> None:
        assert known.fit is not None
        assert 0.85 < known.fit < 1
        assert len(known.fits) == 5
        assert np.mean(known.fits) == pytest.approx(known.fit, abs=1e-6)

    def test_the_sign_is_a_rank_correlation(self, known: Explained) -> None:
        by_name = {p.names[0]: p.correlation for p in known.params}
        assert by_name["rate"] is not None
        assert by_name["rate"] > 0.6
        assert by_name["kind"] is None

    def test_the_same_every_time(self) -> None:
        random = np.random.default_rng(1)
        x = random.uniform(0, 1, 60)
        params, y = {"x": x, "z": random.uniform(0, 1, 60)}, (x**2).tolist()
        assert asked(params, y) == asked(params, y)
        assert asked(dict(reversed(params.items())), y) == asked(params, y)

    def test_importance_near_twice_the_variance_share(self) -> None:
        # For y = a + b with independent halves of the variance, dealing a out anew doubles its
        # part of the error: R² loses 2 · 0.5 for a perfect model.
        random = np.random.default_rng(2)
        a, b = random.uniform(0, 1, 1200), random.uniform(0, 1, 1200)
        found = asked({"a": a, "b": b}, (a + b).tolist())
        assert all(p.low < 1.0 < p.high + 0.12 for p in found.params)

    def test_a_param_without_effect_is_seldom_said_to_matter(self) -> None:
        wrong = 0
        for seed in range(8):
            random = np.random.default_rng(200 + seed)
            x, noise = random.uniform(0, 1, 60), random.uniform(0, 1, 60)
            found = asked({"x": x, "noise": noise}, (x + random.normal(0, 0.1, 60)).tolist())
            wrong += next(p.matters for p in found.params if p.names == ("noise",))
        assert wrong <= 2


class TestDeclined:
    def test_few_runs(self) -> None:
        found = asked({"x": range(19)}, list(range(19)))
        assert (found.declined, found.runs) == ("few_runs", 19)

    def test_a_constant_metric(self) -> None:
        assert asked({"x": range(30)}, [0.5] * 30).declined == "constant"

    def test_constant_params(self) -> None:
        found = asked({"x": [1] * 30}, list(range(30)))
        assert (found.declined, found.constant) == ("no_params", ("x",))

    def test_few_configurations(self) -> None:
        found = asked({"x": [1, 2] * 20, "seed": range(40)}, list(range(40)))
        assert (found.declined, found.configurations) == ("few_configurations", 2)

    def test_noise_is_not_explained(self) -> None:
        random = np.random.default_rng(3)
        found = asked({"x": random.uniform(0, 1, 100)}, random.normal(0, 1, 100).tolist())
        assert found.declined == "poor_fit"
        assert found.fit is not None
        assert found.fit < 0.2
        assert found.params == ()

    def test_replicates_do_not_feign_a_fit(self) -> None:
        # Each configuration has a level of its own that its params do not tell: a forest that saw
        # four of its five seeds would predict the fifth.
        random = np.random.default_rng(5)
        level = np.repeat(random.normal(0, 1, 30), 5)
        x = np.repeat(random.permutation(30), 5)
        found = asked({"x": x, "seed": [0, 1, 2, 3, 4] * 30}, level.tolist())
        assert (found.declined, found.configurations) == ("poor_fit", 30)


class TestOddData:
    def test_what_has_no_number_is_left_out_and_counted(self) -> None:
        x = np.arange(60)
        y = [float(v) for v in x]
        y[3], y[7], y[9] = math.nan, 1.7976931348623157e308, -math.inf
        frame = table({"x": x}, y)
        frame["metrics.m"] = pd.arrays.FloatingArray(np.array(y), np.arange(60) == 11)
        found = explain(frame, "m", ["x"])
        assert (found.runs, found.left_out) == (56, 4)
        assert not {3, 7, 9, 11} & set(found.rows)

    def test_missing_is_a_value_of_its_own(self) -> None:
        x: list[object] = [None if i % 2 else 0.1 for i in range(60)]
        found = asked({"x": x, "i": range(60)}, [float(i % 2) for i in range(60)])
        assert found.params[0].names == ("x",)
        assert found.effects[0].values == ("0.1", None)
        assert found.effects[0].mean == pytest.approx((0.0, 1.0), abs=0.1)

    def test_numbers_and_words_in_one_param(self) -> None:
        random = np.random.default_rng(5)
        depth = random.choice(["2", "4", "16", "none"], 120)
        better = {"2": 0.0, "4": 1.0, "16": 2.0, "none": 5.0}
        found = asked({"depth": depth, "z": random.uniform(0, 1, 120)}, [better[d] for d in depth])
        assert found.effects[0].values == ("2", "4", "16", "none")
        assert found.effects[0].mean == pytest.approx((0, 1, 2, 5), abs=0.4)

    def test_a_word_to_every_run_is_a_name(self) -> None:
        found = asked({"x": range(60), "path": [f"/out/{i}" for i in range(60)]}, list(range(60)))
        assert found.names == ("path",)
        assert [p.names for p in found.params] == [("x",)]

    @pytest.mark.parametrize("size", [1e-200, 1e200])
    def test_size_does_not_matter(self, size: float) -> None:
        x = np.linspace(-1, 1, 80)
        plain, found = asked({"x": x}, x.tolist()), asked({"x": x}, (x * size).tolist())
        assert found.fit == pytest.approx(plain.fit, rel=1e-3)
        assert found.effects[0].mean[0] == pytest.approx(plain.effects[0].mean[0] * size, rel=1e-3)

    def test_a_metric_over_decades_is_learned_as_a_logarithm(self) -> None:
        x = np.linspace(0, 6, 120)
        found = asked({"x": x}, (10**x).tolist())
        assert found.log
        assert found.effects[0].mean[-1] > 1e5
        assert not asked({"x": x}, (10**x).tolist(), log=False).log
        assert not asked({"x": x}, (x - 3).tolist(), log=True).log

    def test_more_runs_than_are_taken(self) -> None:
        x = np.random.default_rng(14).uniform(0, 1, 4_000)
        found = asked({"x": x}, x.tolist())
        assert (found.runs, len(found.rows)) == (4_000, importance.MOST_RUNS)
        assert len(set(found.rows)) == importance.MOST_RUNS
        assert max(found.rows) < 4_000

    def test_more_params_than_are_taken(self) -> None:
        random = np.random.default_rng(6)
        params: dict[str, Column] = {f"p{i}": random.uniform(0, 1, 80) for i in range(45)}
        hump = (np.asarray(params["p44"], dtype=float) - 0.5) ** 2
        found = asked(params, hump.tolist())
        assert len(found.weaker) == 5
        assert "p44" not in found.weaker
        assert found.params == () or found.params[0].names == ("p44",)


class TestTogether:
    def test_params_that_go_together_are_named_and_dealt_out_as_one(self) -> None:
        random = np.random.default_rng(7)
        x, z = random.uniform(0, 1, 200), random.uniform(0, 1, 200)
        found = asked({"x": x, "twin": 1 - x, "z": z}, (x + 0.3 * z).tolist())
        (shared,) = found.together
        assert shared.names == ("twin", "x")
        alone = {p.names[0]: p.mean for p in found.params}
        assert shared.mean > max(alone["x"], alone["twin"]) + 0.1

    def test_words_go_together_too(self) -> None:
        random = np.random.default_rng(8)
        kind = random.choice(["a", "b", "c"], 100)
        frame = table({"kind": kind, "copy": [k * 2 for k in kind], "z": range(100)}, [0] * 100)
        read = encoding.encode(frame, ["kind", "copy", "z"]).used
        assert encoding.association(read[0], read[1]) == pytest.approx(1.0)
        assert encoding.association(read[0], read[2]) < 0.4
        assert importance.clusters(read) == [[0, 1]]


class TestConditional:
    def test_a_param_that_another_switches_on_is_dealt_among_its_own(self) -> None:
        random = np.random.default_rng(12)
        kind = random.choice(["forest", "linear"], 240)
        trees = [None if k == "linear" else int(random.integers(1, 100)) for k in kind]
        idle = [None if k == "linear" else int(random.integers(1, 100)) for k in kind]
        y = [(5 + t / 100) if t else 0.0 for t in trees]
        any_run = random.uniform(0, 1, 240)
        found = asked({"kind": kind, "trees": trees, "idle": idle, "any": any_run}, y)
        alone = {p.names[0]: p.mean for p in found.params}
        # That a forest is a forest is told by all three; only what the values tell is counted.
        assert found.together == ()
        assert abs(alone["idle"]) < 0.01
        assert all(None not in e.values for e in found.effects)

    def test_a_param_that_is_missing_by_chance_is_not_conditional(self) -> None:
        random = np.random.default_rng(13)
        params = {
            "a": random.choice(["x", "y"], 50),
            "b": [None if i % 3 else 1 for i in range(50)],
        }
        read = encoding.encode(table(params, [0] * 50), ["a", "b"]).used
        assert not encoding.depends(read[1], read)
        assert not encoding.depends(read[0], read)


class TestEffects:
    def test_only_values_that_were_run(self, known: Explained) -> None:
        rate, kind = known.effects
        assert rate.name == "rate"
        assert list(rate.numbers) == sorted(rate.numbers)
        assert len(rate.numbers) <= 16
        assert rate.mean[-1] - rate.mean[0] == pytest.approx(2.0, abs=0.35)
        assert set(kind.values) == {"adam", "sgd", "rms"}
        assert max(zip(kind.mean, kind.values, strict=True))[1] == "adam"

    def test_the_band_holds_the_mean(self, known: Explained) -> None:
        for effect in known.effects:
            for low, mean, high in zip(effect.low, effect.mean, effect.high, strict=True):
                assert low <= mean <= high


class TestRegion:
    def test_the_best_tenth(self, known: Explained) -> None:
        lower, higher = known.regions
        assert (lower.direction, higher.direction) == ("lower", "higher")
        assert higher.runs == 30
        rate = next(r for r in higher.ranges if r.name == "rate")
        assert rate.low is not None
        assert rate.high is not None
        assert rate.tried_high is not None
        assert 0.7 < float(rate.low) < float(rate.high) <= float(rate.tried_high) <= 1
        kind = next(r for r in higher.ranges if r.name == "kind")
        assert kind.words[0] == ("adam", 1.0)

    def test_the_start_lies_inside_and_was_run(self, known: Explained) -> None:
        for region in known.regions:
            rate = next(r for r in region.ranges if r.name == "rate")
            assert (
                float(rate.low or 0) <= float(region.start["rate"] or -1) <= float(rate.high or 0)
            )
            assert set(region.start) == {"rate", "kind", "depth", "noise"}
        lower, higher = known.regions
        assert higher.predicted[0] > 2.5
        assert lower.predicted[0] < 0.5

    def test_words_of_the_start_fit_together(self) -> None:
        random = np.random.default_rng(9)
        kind = random.choice(["forest", "linear"], 200)
        trees = [None if k == "linear" else int(random.integers(1, 100)) for k in kind]
        slope = [None if k == "forest" else round(float(random.uniform(0, 1)), 3) for k in kind]
        y = [
            (t or 0) / 100 if k == "forest" else s or 0
            for k, t, s in zip(kind, trees, slope, strict=True)
        ]
        for region in asked({"kind": kind, "trees": trees, "slope": slope}, y).regions:
            start = region.start
            assert (start["trees"] is None) == (start["kind"] == "linear")
            assert (start["slope"] is None) == (start["kind"] == "forest")


class TestInterval:
    def test_by_hand(self) -> None:
        # 1..5: s² = 2.5, (1/5 + 1/4) · 2.5 = 1.125, t(0.975, 4) = 2.776445
        mean, low, high = interval([1, 2, 3, 4, 5])
        assert mean == 3
        assert high - mean == pytest.approx(2.776445 * math.sqrt(1.125), abs=1e-5)
        assert mean - low == pytest.approx(high - mean)

    def test_progress_goes_to_the_end(self) -> None:
        told: list[float] = []
        explain(table({"x": range(30)}, list(range(30))), "m", ["x"], progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 1.0
