"""Intervals and tests hold what they say: against hand-computed numbers, SciPy and simulation."""

import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as some

from core import statistics
from core.statistics import ALPHA, Sample, difference, estimate, hedges, holm, sample

A = [0.91, 0.92, 0.90, 0.93, 0.94]
B = [0.88, 0.90, 0.87, 0.89, 0.91]
SEEDS = ["0", "1", "2", "3", "4"]


class TestSample:
    def test_what_cannot_be_computed_with_is_counted(self) -> None:
        made = sample([1.0, None, math.nan, 1.7976931348623157e308, -math.inf, 2.0])
        assert made.values.tolist() == [1.0, 2.0]
        assert (made.missing, made.nan, made.infinite) == (1, 1, 2)

    def test_a_key_counts_once_by_its_mean(self) -> None:
        made = sample([1.0, 3.0, 5.0, math.nan], ["a", "a", "b", "c"])
        assert made.values.tolist() == [2.0, 5.0]
        assert made.keys == ("a", "b")
        assert made.nan == 1

    def test_keys_have_to_be_as_many(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            sample([1.0, 2.0], ["a"])


class TestEstimate:
    def test_by_hand(self) -> None:
        # 1..5: mean 3, sd √2.5, half width t(0.975, 4) · √(2.5/5) = 2.776445 · 0.707107
        found = estimate(sample([1, 2, 3, 4, 5]))
        assert (found.n, found.mean) == (5, 3.0)
        assert found.sd == pytest.approx(1.5811388)
        assert found.low == pytest.approx(1.0367568, abs=1e-6)
        assert found.high == pytest.approx(4.9632432, abs=1e-6)

    def test_one_has_a_mean_and_no_interval(self) -> None:
        found = estimate(sample([2.5]))
        assert (found.mean, found.sd, found.low, found.high) == (2.5, None, None, None)

    def test_none_has_nothing(self) -> None:
        assert estimate(sample([None, math.nan])).mean is None

    def test_identical_values_have_an_interval_of_no_width(self) -> None:
        found = estimate(sample([0.1 + 0.2, 0.3, 0.3]))
        assert found.sd == 0.0
        assert found.low == found.high == pytest.approx(0.3)

    @pytest.mark.parametrize("size", [1e-300, 1e-9, 1e9, 1e200, 1e307])
    def test_size_does_not_matter(self, size: float) -> None:
        plain, found = estimate(sample(A)), estimate(sample([a * size for a in A]))
        assert found.low == pytest.approx((plain.low or 0) * size, rel=1e-9)
        assert found.sd == pytest.approx((plain.sd or 0) * size, rel=1e-9)

    def test_the_interval_covers_95_percent(self) -> None:
        random = np.random.default_rng(1)
        draws = random.normal(3.0, 2.0, (3_000, 5))
        found = [estimate(Sample(row)) for row in draws]
        covered = np.mean([(e.low or 0) <= 3.0 <= (e.high or 0) for e in found])
        assert 0.94 <= covered <= 0.96


class TestDifference:
    def test_welch_by_hand(self) -> None:
        # Means 0.92 and 0.89, both variances 0.00025: se = √(0.0005/5) = 0.01, t = 3, df = 8.
        found = difference(sample(A), sample(B))
        assert (found.test, found.why, found.n) == ("welch", "no_seeds", (5, 5))
        assert found.value == pytest.approx(0.03)
        assert found.p == pytest.approx(0.0170717, abs=1e-6)
        assert found.low == pytest.approx(0.03 - 0.01 * 2.306004, abs=1e-6)
        assert found.high == pytest.approx(0.03 + 0.01 * 2.306004, abs=1e-6)
        # d = 0.03 / √0.00025 = 1.897367; J = Γ(4) / (2 · Γ(3.5)) = 0.9027033
        assert found.effect == pytest.approx(1.8973666 * 0.9027033, abs=1e-6)

    def test_welch_with_unequal_spreads_as_scipy_has_it(self) -> None:
        a, b = [1.0, 2.0, 9.0, 4.0], [0.1, 0.2, 0.15, 0.12, 0.11, 0.3]
        found, scipys = (
            difference(sample(a), sample(b)),
            scipy.stats.ttest_ind(a, b, equal_var=False),
        )
        assert found.p == pytest.approx(scipys.pvalue)
        assert (found.low, found.high) == pytest.approx(tuple(scipys.confidence_interval(0.95)))

    def test_matching_seeds_are_paired(self) -> None:
        # Differences by seed 0.03, 0.02, 0.03, 0.04, 0.03: mean 0.03, sd √0.00005
        found = difference(sample(A, SEEDS), sample(list(reversed(B)), list(reversed(SEEDS))))
        assert (found.test, found.why, found.n) == ("paired", "seeds_match", (5, 5))
        half = 2.776445 * math.sqrt(0.00005 / 5)
        assert found.low == pytest.approx(0.03 - half, abs=1e-6)
        assert found.p == pytest.approx(scipy.stats.ttest_rel(A, B).pvalue)

    def test_two_matching_seeds_are_not(self) -> None:
        found = difference(sample(A[:3], ["0", "1", "2"]), sample(B[:3], ["1", "2", "3"]))
        assert (found.test, found.why) == ("welch", "seeds_differ")

    def test_a_minority_that_matches_does_not_throw_the_rest_away(self) -> None:
        first = sample(np.linspace(0, 1, 20).tolist(), [str(i) for i in range(20)])
        turned = np.linspace(1, 0, 20).tolist()
        second = sample(turned, [str(i) for i in range(17, 37)])
        assert difference(first, second).test == "welch"
        assert difference(first, second, "paired").n == (3, 3)

    def test_a_test_can_be_asked_for(self) -> None:
        found = difference(sample(A, SEEDS), sample(B, SEEDS), "welch")
        assert (found.test, found.why) == ("welch", "asked")

    def test_one_is_too_few(self) -> None:
        found = difference(sample([1.0]), sample(B))
        assert (found.test, found.why, found.p, found.clear) == ("none", "too_few", None, False)

    def test_identical_values_are_equal_and_no_claim(self) -> None:
        found = difference(sample([0.5] * 3), sample([0.5] * 4))
        assert (found.why, found.value, found.clear) == ("equal", 0.0, False)
        paired = difference(sample(A, SEEDS), sample(A, SEEDS))
        assert (paired.why, paired.value, paired.clear) == ("equal", 0.0, False)

    def test_two_constants_are_not_tested(self) -> None:
        found = difference(sample([0.5] * 3), sample([0.6] * 3))
        assert (found.test, found.why, found.p) == ("none", "constant", None)
        assert found.value == pytest.approx(-0.1)

    def test_pairs_that_all_differ_by_the_same_go_to_welch(self) -> None:
        found = difference(sample([1.0, 2.0, 3.0], "abc"), sample([0.5, 1.5, 2.5], "abc"))
        assert (found.test, found.why) == ("welch", "pairs_alike")
        assert found.p is not None
        assert found.p > 0.5

    def test_one_constant_side_is_tested(self) -> None:
        found = difference(sample([0.9, 0.9, 0.9]), sample([0.5, 0.52, 0.51]))
        assert found.test == "welch"
        assert found.clear

    def test_beyond_an_amount(self) -> None:
        found = difference(sample(A), sample(B))  # 0.03 [0.007, 0.053]
        assert found.beyond(0.0)
        assert found.beyond(0.005)
        assert not found.beyond(0.01)
        assert not found.beyond(-0.005)
        assert difference(sample(B), sample(A)).beyond(-0.005)
        assert not difference(sample([1.0]), sample(B)).beyond(0.0)

    @given(
        some.lists(some.floats(-1e3, 1e3), min_size=2, max_size=8),
        some.lists(some.floats(-1e3, 1e3), min_size=2, max_size=8),
    )
    @settings(max_examples=60, deadline=None)
    def test_turned_round_it_says_the_same(self, a: list[float], b: list[float]) -> None:
        there, back = difference(sample(a), sample(b)), difference(sample(b), sample(a))
        assert there.why == back.why
        if there.p is not None and there.low is not None:
            assert there.p == pytest.approx(back.p)
            assert there.low == pytest.approx(-(back.high or 0.0), abs=1e-9)
            # The interval and the verdict are one statement.
            assert there.clear == (there.low > 0 or (there.high or 0.0) < 0)


class TestSimulation:
    """Fixed seeds: these numbers never change, the bounds are three standard errors wide."""

    ROUNDS = 1_500

    @pytest.mark.parametrize(("n", "m", "spread"), [(5, 5, 1.0), (3, 8, 3.0)])
    def test_false_claims_of_welch(self, n: int, m: int, spread: float) -> None:
        random = np.random.default_rng(7)
        a, b = random.normal(0, 1, (self.ROUNDS, n)), random.normal(0, spread, (self.ROUNDS, m))
        found = [difference(Sample(x), Sample(y)) for x, y in zip(a, b, strict=True)]
        rate = np.mean([d.clear for d in found])
        assert abs(rate - ALPHA) < 0.017

    def test_false_claims_and_coverage_when_paired(self) -> None:
        random = np.random.default_rng(8)
        shared = random.normal(0, 5, (self.ROUNDS, 5))
        a, b = (shared + random.normal(0, 1, shared.shape) for _ in range(2))
        keys = tuple(SEEDS)
        found = [difference(Sample(x, keys), Sample(y, keys)) for x, y in zip(a, b, strict=True)]
        assert {d.test for d in found} == {"paired"}
        assert abs(np.mean([d.clear for d in found]) - ALPHA) < 0.017
        # What the seeds share is taken out: the intervals are far narrower than Welch's.
        welch = difference(Sample(a[0]), Sample(b[0]))
        assert (found[0].high or 0) - (found[0].low or 0) < ((welch.high or 0) - (welch.low or 0))

    def test_coverage_of_a_true_difference(self) -> None:
        random = np.random.default_rng(9)
        a = random.normal(1, 1, (self.ROUNDS, 5))
        b = random.normal(0, 2, (self.ROUNDS, 5))
        found = [difference(Sample(x), Sample(y)) for x, y in zip(a, b, strict=True)]
        covered = np.mean([(d.low or 0) <= 1.0 <= (d.high or 0) for d in found])
        assert abs(covered - 0.95) < 0.017

    def test_holm_keeps_false_claims_of_a_family_below_alpha(self) -> None:
        random = np.random.default_rng(10)
        wrong = 0
        for _ in range(300):
            groups = [Sample(row) for row in random.normal(0, 1, (5, 5))]
            pairs = [
                difference(a, b).p for i, a in enumerate(groups) for b in groups[i + 1 :]
            ]  # ten comparisons: uncorrected, one in four families has a false claim
            wrong += any(p is not None and p < ALPHA for p in holm(pairs))
        assert wrong / 300 < ALPHA + 0.03


class TestHolm:
    def test_by_hand(self) -> None:
        # Holm's procedure on four: 0.01·4, 0.02·3, then 0.03·2 and 0.04·1 do not fall below.
        assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])

    def test_never_above_one_and_none_stays(self) -> None:
        assert holm([0.9, None, 0.8]) == [1.0, None, 1.0]

    def test_a_family_larger_than_what_was_tested(self) -> None:
        assert holm([0.01, 0.02], family=10) == pytest.approx([0.1, 0.18])


class TestEffect:
    def test_against_the_approximation(self) -> None:
        a, b = np.array(A), np.array(B)
        d = 0.03 / math.sqrt(0.00025)
        assert hedges(a, b) == pytest.approx(d * (1 - 3 / (4 * 8 - 1)), rel=2e-3)

    def test_none_without_variation(self) -> None:
        assert hedges(np.array([1.0, 1.0]), np.array([2.0, 2.0])) is None
        assert hedges(np.array([1.0]), np.array(B)) is None


class TestBootstrap:
    def test_near_the_t_interval_for_many(self) -> None:
        random = np.random.default_rng(3)
        a, b = Sample(random.normal(1, 1, 80)), Sample(random.normal(0, 1, 80))
        found, exact = statistics.resampled(a, b, "welch"), difference(a, b)
        assert found is not None
        assert found.method == "BCa"
        assert found.low == pytest.approx(exact.low, abs=0.05)
        assert found.high == pytest.approx(exact.high, abs=0.05)

    def test_the_same_every_time(self) -> None:
        a, b = sample(A, SEEDS), sample(B, SEEDS)
        assert statistics.resampled(a, b, "paired") == statistics.resampled(a, b, "paired")

    def test_none_where_it_would_be_empty_talk(self) -> None:
        assert statistics.resampled(sample(A[:2]), sample(B), "welch") is None
        assert statistics.resampled(sample([1.0] * 4), sample([2.0] * 4), "welch") is None

    def test_where_bca_has_no_answer(self) -> None:
        found = statistics.resampled(sample([1.0] * 4), sample([2.0, 2.0, 2.5]), "welch")
        assert found is not None
        assert found.low <= -1.0 <= found.high or found.high < 0
