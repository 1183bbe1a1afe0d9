"""Verdicts: what the statistics say, and what they leave open."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from reslab.papers.claims import Claim
from reslab.study.plan import Run
from reslab.study.verdict import Sample, judge, measure
from reslab.train.recipe import Recipe

CLAIM = Claim("left is lower", "left", "right", "test_error", "A")
NOT_WORSE = Claim("left is not worse", "left", "right", "test_error", "A", margin=1.0)


@pytest.mark.parametrize(
    ("claim", "lower", "higher", "judgement"),
    [
        (CLAIM, (1.0, 1.1, 0.9), (5.0, 5.2, 4.8), "holds"),
        (CLAIM, (5.0, 5.2, 4.8), (1.0, 1.1, 0.9), "does not hold"),
        (CLAIM, (1.0, 3.0, 2.0), (2.0, 4.0, 3.0), "not decided"),
        (CLAIM, (1.0,), (5.0, 5.2, 4.8), "not decided"),
        (CLAIM, (), (), "not decided"),
        (CLAIM, (0.0, 0.0), (3.0, 3.0), "holds"),
        (CLAIM, (0.0, 0.0), (0.0, 0.0), "does not hold"),
        (CLAIM, (0.0, 0.0, 0.0), (4.9, 5.0, 5.1), "holds"),
        (NOT_WORSE, (0.0, 0.0), (0.0, 0.0), "holds"),
        (NOT_WORSE, (0.2, 0.3, 0.1), (0.0, 0.0, 0.0), "holds"),
        (NOT_WORSE, (7.0, 7.1, 7.2), (0.0, 0.0, 0.0), "does not hold"),
        (NOT_WORSE, (0.0, 0.0, 7.5), (0.0, 0.0, 0.0), "not decided"),
    ],
)
def test_judgements(claim, lower, higher, judgement):
    assert judge(claim, Sample(lower), Sample(higher)).judgement == judgement


@given(st.lists(st.floats(0, 100), min_size=2, max_size=8), st.lists(st.floats(0, 100), min_size=2, max_size=8))
def test_the_interval_is_welchs(lower, higher):
    verdict = judge(CLAIM, Sample(tuple(lower)), Sample(tuple(higher)))
    assert verdict.interval[0] <= verdict.difference + 1e-9
    assert verdict.interval[1] >= verdict.difference - 1e-9
    if min(max(lower) - min(lower), max(higher) - min(higher)) > 1e-3:
        theirs = ttest_ind(lower, higher, equal_var=False).confidence_interval(0.95)
        assert verdict.interval == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1e-6)


def _run(tmp_path, result, errors=()):
    (tmp_path / "result.json").write_text(json.dumps(result))
    lines = [json.dumps({"step": 2 * index, "train_error": error}) for index, error in enumerate(errors, 1)]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return Run("row", None, Recipe(steps=50), "digits", 0, tmp_path)


def test_measures_are_those_of_the_record(tmp_path):
    result = {"status": "finished", "train": {"top1_error": 1.5}, "test": {"top1_error": 2.5}}
    run = _run(tmp_path, result, errors=[90, 9.5, 30, 5])
    assert [measure(run, metric) for metric in ("train_error", "test_error", "steps_to_10")] == [1.5, 2.5, 4]


def test_a_diverged_run_counts_as_all_wrong_and_never_converged(tmp_path):
    run = _run(tmp_path, {"status": "diverged", "step": 9}, errors=[90, 80])
    assert [measure(run, metric) for metric in ("train_error", "test_error", "steps_to_10")] == [100, 100, 50]


def test_a_sample_tells_its_spread_only_where_it_has_one():
    assert str(Sample((1.0, 2.0, 3.0))) == "2.00 ± 1.00"
    assert str(Sample((1.0,))) == "1.00"
    assert str(Sample(())) == "not run"
