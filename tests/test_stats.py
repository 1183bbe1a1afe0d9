"""Samples, the comparison of two of them, and how often each rule errs."""

import json

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, ttest_ind

from reslab.stats import (
    Sample,
    compare,
    comparison,
    conjunction,
    holm,
    interval_over_images,
    least_effect,
    pool,
    power,
    seeds_needed,
    share_interval,
)

IMAGE = 100 / 360  # the step of an error over the digits' test images
RUNS = 400  # draws of each simulation


def test_a_spread_next_to_nothing_is_still_a_spread():
    judgement, interval = compare(Sample((0.0, 5e-163)), Sample((3.0, 3.0)))
    assert judgement == "holds"
    assert interval == pytest.approx((-3, -3))


def test_failures_are_counted_apart_with_an_exact_interval():
    failures = Sample((8.6, 8.8), failed=3)
    assert (failures.n, failures.mean, failures.complete) == (5, pytest.approx(8.7), False)
    assert str(failures) == "8.70 ± 0.14 (3 of 5 did not train, 15 to 95 %)"
    assert str(Sample((), failed=5)) == "5 of 5 did not train, 48 to 100 %"
    assert share_interval(2, 5) == pytest.approx((0.0527, 0.8534), abs=1e-4)


def test_what_never_got_there_is_beyond_the_limit():
    assert str(Sample((), beyond=4, limit=168)) == ">168 (0 of 4)"
    assert str(Sample((100.0, 120.0), beyond=1, limit=168)) == "110.00 ± 14.14 (>168 in 1 of 3)"
    assert f"{Sample((), beyond=4, limit=168):.3g}" == ">168 (0 of 4)"


def test_runs_that_failed_come_last_by_ranks():
    result = comparison(Sample((6.0, 6.1, 6.2, 6.3)), Sample((5.9,), failed=3))
    assert (result.method, result.judgement, result.interval) == ("ranks", "not decided", None)
    result = comparison(Sample((6.0, 6.1, 6.2, 6.3)), Sample((), failed=4))
    assert (result.method, result.judgement) == ("ranks", "holds")
    assert result.p == pytest.approx(2 / 70)
    assert comparison(Sample((), beyond=4, limit=9), Sample((), beyond=4, limit=9)).judgement == "not decided"
    assert json.dumps(result.difference) == "null", "a difference from a run without a value is no number"


def test_a_row_fails_where_most_of_its_runs_do():
    bound = Sample((20.0,), exact=True)
    judged = {row: comparison(bound, row) for row in (Sample((25.0,), failed=4), Sample((8.0, 8.1), failed=3))}
    assert [result.judgement for result in judged.values()] == ["holds", "not decided"]
    assert {result.method for result in judged.values()} == {"binomial"}


def test_medians_of_five_runs_are_judged_by_mann_and_whitneys_ranks():
    lower, higher = (6.1, 6.4, 6.2, 6.9, 6.3), (6.6, 7.4, 6.5, 7.1, 30.0)
    result = comparison(Sample(lower), Sample(higher), medians=True)
    assert result.method == "ranks"
    assert 2 * mannwhitneyu(lower, higher, alternative="less", method="exact").pvalue == pytest.approx(
        0.03175, abs=1e-4
    )
    assert result.p == pytest.approx(0.03175, abs=1e-4)
    assert comparison(Sample(lower), Sample(higher)).judgement == "not decided", "the outlier hides it from Welch"
    assert comparison(Sample(lower[:4]), Sample(higher[:4]), medians=True).method == "Welch"


def test_about_the_same_needs_two_one_sided_tests():
    close, apart = Sample((24.5, 24.6, 24.4, 24.5)), Sample((25.0, 25.1, 24.9, 25.0))
    assert comparison(close, apart, "about", 1.0).judgement == "holds"
    assert comparison(close, apart, "about", 0.2).judgement == "does not hold"
    assert comparison(close, Sample((23.0, 26.0, 24.0, 25.0)), "about", 1.0).judgement == "not decided"
    result = comparison(close, apart, "about", 1.0)
    theirs = ttest_ind(close.values, apart.values, equal_var=False).confidence_interval(0.9)
    assert (result.coverage, result.interval) == (pytest.approx(0.9), pytest.approx((theirs.low, theirs.high)))


def test_a_difference_that_is_sure_but_not_worth_a_claim_does_not_hold():
    lower, higher = Sample((0.99, 0.991, 0.992, 0.993)), Sample((1.02, 1.021, 1.022, 1.023))
    assert comparison(lower, higher).judgement == "holds"
    assert comparison(lower, higher, least=0.1).judgement == "does not hold"
    assert comparison(lower, Sample((1.5, 1.51, 1.49, 1.5)), least=0.1).judgement == "holds"
    assert comparison(Sample((1.0, 1.2, 1.1, 1.0)), Sample((1.1, 1.3, 1.2, 1.1)), least=0.2).judgement == "not decided"


def _rows(draws, shares):
    """A sample of n runs on 360 images for each share of wrong images, with a spread of 0.3 on the logit."""
    logit = np.log(shares / (1 - shares)) + 0.3 * draws.standard_normal((4, len(shares)))
    return [Sample(tuple(np.round(360 / (1 + np.exp(-row))) * IMAGE), step=IMAGE) for row in logit.T]


def test_one_spread_is_pooled_over_rows_that_are_alike():
    rows = _rows(np.random.default_rng(3), np.array([0.02, 0.03, 0.05, 0.08, 0.1]))
    shared = pool(rows)
    assert shared.freedom == 15
    assert shared.spread == pytest.approx(0.3, abs=0.12)
    result = comparison(rows[0], rows[2], pooled=shared)
    assert result.method == "pooled"
    low, high = result.interval
    assert low < result.difference < high < 0
    two_kinds = Sample((2.0, 2.2, 2.1, 60.0), step=IMAGE)
    assert two_kinds not in pool([*rows, two_kinds]).rows
    assert comparison(rows[0], two_kinds, pooled=pool([*rows, two_kinds])).method == "Welch"
    assert pool(rows[:2]) is None
    assert pool([Sample((0.0, 0.0), step=IMAGE)] * 5) is None


def test_margins_of_errors_stay_in_points_on_the_logit():
    rows = _rows(np.random.default_rng(4), np.array([0.05] * 6))
    wide, narrow = (comparison(*rows[:2], "about", margin, pooled=pool(rows)) for margin in (8.0, 0.1))
    assert (wide.method, wide.judgement, narrow.judgement) == ("pooled", "holds", "not decided")


@pytest.mark.parametrize("n", [2, 3, 4])
def test_welchs_verdict_errs_in_at_most_five_of_a_hundred(n):
    draws = np.random.default_rng(n).standard_normal((RUNS, 2, n))
    judged = [comparison(Sample(tuple(a)), Sample(tuple(b))).judgement for a, b in draws]
    assert np.mean([verdict != "not decided" for verdict in judged]) < 0.05 + 0.02


def test_ranks_err_in_at_most_five_of_a_hundred_with_failures():
    draws = np.random.default_rng(5)
    judged = []
    for _ in range(100):
        failed = draws.binomial(2, 0.5, size=2)
        sides = [Sample(tuple(draws.standard_normal(5 - k)), failed=int(k)) for k in failed]
        judged.append(comparison(*sides).judgement)
    assert np.mean([verdict != "not decided" for verdict in judged]) < 0.05 + 0.04


def test_a_pooled_spread_errs_in_at_most_five_of_a_hundred_and_decides_more_than_welch():
    draws, wrong, right, alone = np.random.default_rng(7), [], [], []
    for _ in range(RUNS):
        rows = _rows(draws, np.array([0.03, 0.03, 0.05, 0.05, 0.05, 0.05]))
        shared = pool(rows)
        wrong.append(comparison(rows[0], rows[1], pooled=shared).judgement != "not decided")
        right.append(comparison(rows[0], rows[2], pooled=shared).judgement == "holds")
        alone.append(comparison(rows[0], rows[2]).judgement == "holds")
    assert np.mean(wrong) < 0.05 + 0.02
    assert np.mean(right) > 1.2 * np.mean(alone)


@pytest.mark.parametrize("difference", [1.0, -1.0])
def test_equivalence_errs_in_at_most_five_of_a_hundred(difference):
    draws = np.random.default_rng(11).normal(0, 0.4, (RUNS, 2, 4))
    judged = [comparison(Sample(tuple(a + difference)), Sample(tuple(b)), "about", 1.0).judgement for a, b in draws]
    assert judged.count("holds") / RUNS < 0.05 + 0.02
    assert judged.count("does not hold") / RUNS < 0.025 + 0.02


def test_a_difference_of_the_least_size_is_denied_in_at_most_five_of_a_hundred():
    draws = np.random.default_rng(13).normal(0, 0.4, (RUNS, 2, 4))
    judged = [comparison(Sample(tuple(a - 1.0)), Sample(tuple(b)), least=1.0).judgement for a, b in draws]
    assert judged.count("does not hold") / RUNS < 0.05 + 0.02


def test_a_row_that_fails_as_often_as_not_is_called_neither_in_more_than_five_of_a_hundred():
    draws = np.random.default_rng(17).binomial(5, 0.5, RUNS)
    bound = Sample((20.0,), exact=True)
    judged = [comparison(bound, Sample((8.0,) * (5 - k), failed=int(k))).judgement for k in draws if k]
    assert judged.count("holds") / RUNS < 0.05 + 0.02


def test_holm_errs_in_at_most_five_of_a_hundred_for_all_claims_together():
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.04, 0.09, 1.0, 0.09])
    draws = np.random.default_rng(19).uniform(size=(RUNS, 10))
    assert np.mean([min(holm(list(ps))) <= 0.05 for ps in draws]) < 0.05 + 0.02


def test_a_statement_of_several_claims_holds_where_each_does():
    holds, fails, unsure = ("holds", "holds"), ("does not hold",) * 2, ("not decided",) * 2
    assert str(conjunction([holds, holds])) == "holds"
    assert str(conjunction([holds, fails, unsure])) == "does not hold"
    assert str(conjunction([holds] * 7 + [unsure] * 3)) == "not decided (7 of 10)"
    assert str(conjunction([holds, ("does not hold", "not decided")])) == "not decided (1 of 2)"
    assert str(conjunction([("not run", "not run")] * 2)) == "not run"
    assert conjunction([]).judgement == "not run"


def test_a_conjunction_errs_in_at_most_five_of_a_hundred():
    draws, wrong = np.random.default_rng(23).standard_normal((RUNS, 4)), 0
    for a, *others in draws.reshape(RUNS // 4, 4, 4):
        sides = [comparison(Sample(tuple(a)), Sample(tuple(b + 9))) for b in others[:2]]
        sides.append(comparison(Sample(tuple(a)), Sample(tuple(others[2]))))  # this one is not so
        wrong += conjunction([(side.judgement, side.judgement) for side in sides]).judgement == "holds"
    assert wrong / (RUNS // 4) < 0.025 + 0.04


def test_two_standard_deviations_need_more_than_five_seeds():
    assert [round(power(2.0, n), 1) for n in (1, 2, 3, 5)] == [0.0, 0.1, 0.4, 0.8]
    assert least_effect(1) is None
    assert power(least_effect(5) - 0.1, 5) < 0.8 <= power(least_effect(5), 5)
    assert seeds_needed(2.0) == 6
    assert seeds_needed(6.0) < 4
    assert seeds_needed(0.0) is None
    assert seeds_needed(0.05) is None


def _wrong(draws, runs, images):
    """Wrong answers of two networks that are equally good on all the images there are, not on these."""
    difficulty = 1.5 * draws.standard_normal(images) - 2
    networks = []
    for _ in range(2):
        hard_for_it = 1.2 * draws.standard_normal(images)
        seeds = 0.05 * draws.standard_normal((runs, 1))
        networks.append(difficulty + hard_for_it + seeds + 0.5 * draws.standard_normal((runs, images)) > 0)
    return networks


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_the_interval_over_images_misses_at_most_five_of_a_hundred(runs):
    draws = np.random.default_rng(runs)
    intervals, over_seeds = [], []
    for _ in range(RUNS):
        pair = _wrong(draws, runs, 800)
        intervals.append(interval_over_images(*pair))
        over_seeds.append(compare(*(Sample(tuple(100 * side.mean(1))) for side in pair))[1])
    misses, by_seeds = (np.mean([low > 0 or high < 0 for low, high in some]) for some in (intervals, over_seeds))
    assert misses < 0.05 + 0.02
    if runs == 5:
        assert misses > 0.02, "no wider than it need be"
        assert by_seeds > 0.2, "an interval over the seeds is of these images alone"


def test_one_run_has_no_interval_over_images_and_equal_answers_have_no_width():
    wrong = np.array([[True, False, False]] * 2)
    assert interval_over_images(wrong[:1], wrong) is None
    assert interval_over_images(wrong, wrong) == (0.0, 0.0)


def test_values_in_whole_steps_have_no_decimals():
    assert str(Sample((500.0, 520.0, 540.0), step=10)) == "520 ± 20"
    assert str(Sample((5.0, 5.5), step=0.01)) == "5.25 ± 0.35"


def test_in_a_form_the_mean_has_the_decimals_of_its_spread():
    assert f"{Sample((4.0, 5.0, 6.001)):.4g}" == "5.0 ± 1.0"
    assert f"{Sample((0.9312, 0.9354)):.4g}" == "0.9333 ± 0.0030"
    assert f"{Sample((3600.0, 3700.0)):.4g}" == "3650 ± 71"
    assert f"{Sample((2.0, 2.0)):.4g}" == "2 ± 0"
    assert f"{Sample((2e-9, 3e-9)):.4g}" == "2.5e-09 ± 7.1e-10"
    assert f"{Sample((1.23456,)):.4g}" == "1.235"
