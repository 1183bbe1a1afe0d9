"""Verdicts: what the statistics say, and what they leave open."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind

from reslab.errors import DataError
from reslab.papers import STUDIES
from reslab.papers.claims import Claim
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.stats import Sample
from reslab.study.plan import PlannedRun, make_plan
from reslab.study.verdict import judge, measure, sample, together, verdicts

CLAIM = Claim("left is lower", "left", "right", "test_error", "A")
METRIC = ("test_error", "steps_to_10")
NOT_WORSE = Claim("left is not worse", "left", "right", "test_error", "A", margin=1.0)


@pytest.mark.parametrize(
    ("claim", "lower", "higher", "judgement"),
    [
        (CLAIM, (1.0, 1.1, 0.9), (5.0, 5.2, 4.8), "holds"),
        (CLAIM, (5.0, 5.2, 4.8), (1.0, 1.1, 0.9), "does not hold"),
        (CLAIM, (1.0, 3.0, 2.0), (2.0, 4.0, 3.0), "not decided"),
        (CLAIM, (1.0,), (5.0, 5.2, 4.8), "not decided"),
        (CLAIM, (), (), "not run"),
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


def test_values_that_are_alike_differ_by_less_than_their_rounding_at_most():
    near, far = (Sample((value, value), step=0.28) for value in (2.78, 40.0))
    assert judge(CLAIM, Sample((2.5, 2.5), step=0.28), near).judgement == "not decided"
    assert judge(CLAIM, Sample((2.5, 2.5), step=0.28), far).judgement == "holds"
    assert judge(CLAIM, near, near).judgement == "not decided"
    assert judge(NOT_WORSE, Sample((0.0,) * 4, step=0.28), Sample((0.0,) * 4, step=0.28)).judgement == "holds"


def test_many_claims_together_need_more_than_one_alone():
    lower, higher = Sample((1.0, 1.2, 1.1)), Sample((1.5, 1.7, 1.4))
    alone, unsure = judge(CLAIM, lower, higher), judge(CLAIM, lower, lower)
    assert (alone.judgement, alone.jointly) == ("holds", "holds")
    many = together([alone, *[unsure] * 9])
    assert [(verdict.judgement, verdict.jointly) for verdict in many[:2]] == [
        ("holds", "not decided"),
        ("not decided", "not decided"),
    ]
    assert ttest_ind(lower.values, higher.values, equal_var=False).pvalue == pytest.approx(0.0176, abs=0.01)
    assert together([judge(CLAIM, lower, Sample((9.0, 9.1, 9.2))), *[unsure] * 9])[0].jointly == "holds"


def test_the_step_of_a_metric_is_an_image_or_a_logging_interval(trained):
    steps = {metric: sample(trained, "plain-8", metric).step for metric in ("test_error", "train_error", "steps_to_10")}
    assert steps == {"test_error": 100 / 360, "train_error": 100 / 1437, "steps_to_10": 5}


def _evaluation(error):
    return {"images": 200, "top1_error": error, "top5_error": error / 10, "loss": 1.0}


def _planned(tmp_path, result, lines=()):
    (tmp_path / "result.json").write_text(json.dumps(result))
    rest = {"rate": 0.1, "train_loss": 1.0, "images_per_second": 1.0, "waiting": 0.0}
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({**rest, **line}) + "\n" for line in lines))
    return PlannedRun("row", None, Recipe(steps=50), "digits", 0, tmp_path)


def _training_errors(*errors):
    return [{"step": 2 * index, "train_error": error} for index, error in enumerate(errors, 1)]


def test_measures_are_those_of_the_record(tmp_path):
    result = {"status": "finished", "train": _evaluation(1.5), "test": _evaluation(2.5)}
    planned = _planned(tmp_path, result, _training_errors(90, 9.5, 30, 5))
    assert [measure(planned, metric) for metric in ("train_error", "test_error", "steps_to_10")] == [1.5, 2.5, 4]
    assert measure(planned, "top5_error") == 0.25


def test_a_diverged_run_has_no_value(tmp_path):
    planned = _planned(tmp_path, {"status": "diverged", "step": 9}, _training_errors(90, 80))
    metrics = ("train_error", "test_error", "top5_error", "train_loss", "curve", "train_curve", "steps_to_10")
    assert [measure(planned, metric) for metric in metrics] == [None] * 7


def test_what_diverged_is_counted_apart_and_what_never_got_there_is_beyond_all_steps(trained, tmp_path):
    shutil.copytree(trained.runs[0].out.parent, tmp_path / "runs")
    plan = make_plan(trained.study, "demo", tmp_path / "runs")
    record = plan.runs_of("plain-8")[0].out / "result.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "diverged"}))
    errors, steps = (
        sample(make_plan(trained.study, "demo", tmp_path / "runs"), "plain-8", metric) for metric in METRIC
    )
    assert (len(errors.values), errors.failed) == (1, 1)
    assert str(errors).endswith("(1 of 2 did not train, 1 to 99 %)")
    assert (steps.values, steps.failed, steps.beyond, steps.limit) == ((), 1, 1, 20)
    whole = sample(trained, "plain-8", "steps_to_10")
    assert str(whole) == ">20 (0 of 2)"


def test_a_row_is_judged_by_the_training_error_that_the_other_has_before_the_first_drop(tmp_path):
    lines = _training_errors(90, 60, 40, 30, 20, 10)
    planned = _planned(tmp_path, {"status": "finished"}, lines)
    planned = replace(planned, recipe=Recipe(steps=12, schedule=Drops(at=(10,)), evaluate_every=4, log_every=2))
    assert measure(planned, "steps_to_other", 35.0) == 8, "mean of the last two lines, 40 and 30"
    assert measure(planned, "steps_to_other", 20.0) is None, "only after the drop"
    assert measure(planned, "steps_to_other") is None
    assert measure(planned, "train_curve") == pytest.approx(250 / 6)


def test_claims_on_final_errors_are_not_judged_where_a_scale_is_too_short():
    judged = [verdict.claim.metric for verdict in verdicts(make_plan(STUDIES["degradation"], "brief", Path("none")))]
    assert judged == ["steps_to_other"]
    judged = verdicts(make_plan(STUDIES["degradation"], "short", Path("none")))
    assert {verdict.judgement for verdict in judged} == {"not run"}
    assert len(judged) == 6


def test_rows_and_claims_name_the_network_that_is_trained():
    plan = make_plan(STUDIES["activations"], "short", Path("none"))
    assert plan.label("original, 110") == "original, 56 layers for 110"
    assert make_plan(STUDIES["activations"], "paper", Path("none")).label("original, 110") == "original, 110"
    first = verdicts(plan)[0]
    assert first.names == ("full pre-activation, 56 layers for 110", "original, 56 layers for 110")
    assert first.text == "At 110 layers, full pre-activation is better than original (here 56 layers for 110)"
    assert make_plan(STUDIES["depth"], "demo", Path("none")).label("ResNet-152") == "ResNet-152, 101 layers for 152"
    variations = make_plan(STUDIES["variations"], "demo", Path("none"))
    assert variations.label("ResNet-110, Fixup") == "ResNet-110, Fixup, 20 layers for 110"
    assert variations.label("WRN-28-10") == "WRN-28-10, 0.69 for 36.5 million parameters"
    inception = make_plan(STUDIES["inception"], "demo", Path("none"))
    assert inception.label("Inception-v3") == "Inception-v3, 0.28 for 23.8 million parameters"


def test_a_claim_says_how_many_seeds_it_needs():
    study = STUDIES["activations"]
    plan = make_plan(study, "paper", Path("none"))
    needs = {verdict.text: verdict.prospect for verdict in verdicts(plan)}
    small = needs["At 110 layers, full pre-activation is better than original"]
    assert (small.difference, small.spread) == (pytest.approx(0.24), 0.16)
    assert small.seeds == 9
    assert 0.4 < small.chance < 0.6
    assert needs["At 110 layers, full pre-activation is better than BN after addition"].seeds <= 3
    assert needs["At 164 layers, full pre-activation ends with the higher training loss"] is None


def test_a_finished_run_without_errors_is_named(tmp_path):
    with pytest.raises(DataError, match="has no final evaluation"):
        measure(_planned(tmp_path, {"status": "finished"}), "test_error")


def test_a_sample_has_its_spread_only_where_it_has_one():
    assert str(Sample((1.0, 2.0, 3.0))) == "2.00 ± 1.00"
    assert str(Sample((1.0,))) == "1.00"
    assert str(Sample(())) == "not run"
    assert str(Sample((0.012, 0.014))) == "0.013 ± 0.001"


def test_what_is_counted_has_no_spread_and_needs_no_second_seed():
    exact, above, below = Sample((20.0,), exact=True), Sample((60.0, 62.0, 61.0)), Sample((5.0, 6.0, 7.0))
    fails = Claim("it fails", 20.0, "row", "test_error", "C Table 1")
    assert judge(fails, exact, above).judgement == "holds"
    assert judge(fails, exact, below).judgement == "does not hold"
    assert judge(fails, exact, Sample((60.0,))).judgement == "not decided"
    assert judge(CLAIM, exact, Sample((21.0,), exact=True)).judgement == "holds"
    theirs = ttest_1samp(above.values, 20.0).confidence_interval(0.95)
    assert judge(fails, exact, above).interval == pytest.approx((20 - theirs.high, 20 - theirs.low))
    assert str(exact) == "20"


def test_the_curve_is_the_mean_of_the_evaluations(tmp_path):
    evaluations = [
        {"step": 2, "train_error": 45, "test_error": 40.0},
        {"step": 4, "train_error": 40, "test_error": 20.0},
    ]
    planned = _planned(tmp_path, {"status": "finished"}, [{"step": 1, "train_error": 50}, *evaluations])
    assert measure(planned, "curve") == 30.0
