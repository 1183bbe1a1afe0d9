"""Plans: which runs, where, and which of them are missing."""

from dataclasses import replace as change

from reslab.study.plan import make_plan

from .conftest import STUDY


def test_a_plan_has_each_row_with_each_seed_seed_by_seed(digits, tmp_path):
    plan = make_plan(STUDY, "demo", 3, digits, tmp_path)
    assert [(run.row, run.seed) for run in plan.runs] == [
        (row, seed) for seed in range(3) for row in ("plain-8", "ResNet-8")
    ]
    assert plan.missing == plan.runs
    assert len({run.out for run in plan.runs}) == 6
    assert plan.command == "reslab study run small --scale demo --seeds 3"


def test_studies_that_need_the_same_run_share_it(digits, tmp_path):
    rows = tuple(change(row, name=f"{row.name}x") for row in STUDY.rows)
    demo = change(STUDY.scales["demo"], rows=tuple(row.name for row in rows))
    other = change(STUDY, name="other", rows=rows, claims=(), scales={"demo": demo})
    ours, theirs = (make_plan(study, "demo", None, digits, tmp_path) for study in (STUDY, other))
    assert [run.out for run in ours.runs] == [run.out for run in theirs.runs]
