"""Plans: which runs, where, and which of them are missing."""

import shutil
from dataclasses import replace as change
from pathlib import Path

import pytest
from PIL import Image

from reslab import network, plan_study, replace
from reslab.data.loader import SETS, load
from reslab.disk import read_file
from reslab.errors import DataError, SpecError
from reslab.papers import STUDIES
from reslab.recipes.named import recipe
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Cosine, Drops, Exponential
from reslab.runs import contents
from reslab.runs import run as run_module
from reslab.runs.contents import read_json, to_tree, write_json
from reslab.runs.record import described
from reslab.study import budget
from reslab.study.plan import make_plan
from reslab.study.verdict import verdicts
from reslab.study.worker import Failed, train_run
from reslab.train.estimate import work

from .conftest import STUDY


def save_pictures(folder):
    for part in ("train/a", "train/b", "val/a"):
        file = folder / part / "1.png"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (70, 70)).save(file)


def test_a_plan_has_each_row_with_each_seed_seed_by_seed(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 3)
    assert [(run.row, run.seed) for run in plan.runs] == [
        (row, seed) for seed in range(3) for row in ("plain-8", "ResNet-8")
    ]
    assert plan.missing == plan.runs
    assert len({run.out for run in plan.runs}) == 6
    assert plan.command == "reslab study run small --scale demo --seeds 3"


def test_studies_that_need_the_same_run_share_it(tmp_path):
    rows = tuple(change(row, name=f"{row.name}x") for row in STUDY.rows)
    demo = change(STUDY.scales["demo"], rows=tuple(row.name for row in rows))
    other = change(STUDY, name="other", rows=rows, claims=(), scales={"demo": demo})
    ours, theirs = (make_plan(study, "demo", tmp_path) for study in (STUDY, other))
    assert [run.out for run in ours.runs] == [run.out for run in theirs.runs]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_plans_its_demo_without_any_download(name, tmp_path, monkeypatch):
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path / "nothing"))
    plan = make_plan(STUDIES[name], "demo", tmp_path)
    assert plan.absent == {}
    assert len(plan.runs) == len(plan.scale.rows) * plan.scale.seeds
    assert len({run.out for run in plan.runs}) == len(plan.runs) or name == "inception"
    assert all((run.network.channels, run.network.size, run.network.classes) == (1, 8, 10) for run in plan.runs)


@pytest.mark.parametrize("name", STUDIES)
def test_rows_on_imagenet_wait_for_its_folder(name, tmp_path):
    plan = make_plan(STUDIES[name], "paper", tmp_path)
    pictures = {
        row.name for row in plan.rows if row.setting in ("imagenet", "imagenet-longer", "pictures", "vgg", "googlenet")
    }
    assert set(plan.absent) == pictures
    assert {run.row for run in plan.runs} == {row.name for row in plan.rows} - pictures or not plan.scale.settings
    assert set(plan.absent.values()) <= {"needs --data imagenet:PATH"}


def test_any_folder_stands_for_imagenet_at_the_small_scale(tmp_path):
    pictures = tmp_path / "pictures"
    for index in range(8):
        file = pictures / "ab"[index % 2] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (70, 70)).save(file)
    plan = make_plan(STUDIES["shortcut-options"], "small", tmp_path, pictures=f"folder:{pictures}")
    assert plan.absent == {}
    assert {(run.network.size, run.network.classes) for run in plan.runs} == {(64, 2)}
    assert f"--data folder:{pictures}" in plan.command


def test_a_budget_takes_seeds_first_and_then_steps(tmp_path, monkeypatch):
    whole = make_plan(STUDIES["degradation"], "short", tmp_path, 3)
    total = sum(run.operations for run in whole.runs)
    hour = 3600 / total  # that all of it takes
    monkeypatch.setattr(budget, "on_cores", lambda network, recipe: 2 * work(network, recipe) * hour)
    assert make_plan(STUDIES["degradation"], "short", tmp_path, 3, budget=1.0).cut is None
    two = make_plan(STUDIES["degradation"], "short", tmp_path, 3, budget=0.7)
    assert (two.seeds, two.runs[0].recipe.steps) == (2, 16_000)
    half = make_plan(STUDIES["degradation"], "short", tmp_path, 3, budget=1 / 3)
    assert (half.seeds, half.runs[0].recipe.steps, half.runs[0].recipe.schedule.at) == (2, 8_000, (4_000, 6_000))
    assert str(half.cut) == "cut to fit 0.333333 hours: 2 seeds and 50 % of the steps"
    assert sum(run.operations for run in half.runs) == pytest.approx(total / 3)
    assert "--budget 0.333333" in half.command


def test_a_study_that_was_cut_goes_on_with_the_same_runs(tmp_path, monkeypatch):
    def planned(speed, seeds=3, hours=0.5):
        monkeypatch.setattr(budget, "on_cores", lambda network, recipe: 2 * work(network, recipe) / speed)
        return make_plan(STUDIES["degradation"], "short", tmp_path, seeds, budget=hours)

    first = planned(1e11)
    assert first.cut.share < 1
    assert planned(2e11).runs != first.runs
    planned(1e11).keep_cut()
    assert planned(2e11).runs == first.runs
    assert "--seeds 3 --budget 0.5" in first.command
    assert planned(2e11, hours=0.6).runs != first.runs
    whole = planned(1e15, hours=0.7)
    whole.keep_cut()
    assert (whole.cut, planned(1e11, hours=0.7).cut) == (None, None)
    first.cut_file.write_text("{}")
    with pytest.raises(DataError, match=r"budget\.json: does not say"):
        planned(1e11)


def test_a_budget_that_leaves_no_schedule_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "on_cores", lambda network, recipe: 1e9)
    with pytest.raises(SpecError, match=r"--budget 0\.01: too little, it leaves 0\.0 of a run's 16,000 steps"):
        make_plan(STUDIES["degradation"], "short", tmp_path, 3, budget=0.01)


def test_every_kind_of_schedule_is_cut():
    half = budget.BudgetCut(1, 2, 2, 0.5)
    for schedule, cut in (
        (Drops(at=(40, 60), warmup=4), Drops(at=(20, 30), warmup=2)),
        (Exponential(every=20, rate=0.1, factor=0.9), Exponential(every=10, rate=0.1, factor=0.9)),
        (Cosine(rate=0.1, warmup=10), Cosine(rate=0.1, warmup=5)),
    ):
        assert half.shortened(Recipe(steps=80, schedule=schedule)).schedule == cut


def test_a_cut_schedule_without_a_warmup_has_none(monkeypatch):
    how = replace(recipe("paper-c-cifar"), schedule=Drops(rate=0.1, at=(32_000, 48_000), warmup=0))
    assert budget.BudgetCut(1, 2, 2, 0.1).shortened(how).schedule == Drops(rate=0.1, at=(3_200, 4_800), warmup=0)


def test_runs_of_other_pictures_are_not_taken_for_these(trained, tmp_path):
    def picture(name):
        file = tmp_path / "pictures" / name[0] / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (len(name) * 20, 0, 0)).save(file)

    for name in ("a", "aa", "aaa", "b", "bb", "bbb"):
        picture(name)
    words = f"folder:{tmp_path / 'pictures'}"
    plan = make_plan(STUDIES["shortcut-options"], "small", tmp_path / "runs", 1, pictures=words)
    data = load(words)
    plan.must_have_seen(data)
    record = read_json(trained.runs[0].out / "run.json")
    write_json(plan.runs[0].out / "run.json", record | {"data_set": to_tree(described(data))})
    write_json(plan.runs[0].out / "result.json", {"status": "diverged"})
    plan.must_have_seen(data)
    for name in ("aaaa", "bbbb"):
        picture(name)
    with pytest.raises(SpecError, match=r"trained on other images than folder:.* has now"):
        plan.must_have_seen(load(words))


def test_the_report_on_a_folder_needs_its_records_alone(trained, tmp_path, monkeypatch):
    save_pictures(tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    words = "folder:pictures"
    plan = make_plan(STUDIES["shortcut-options"], "small", Path("runs"), 1, pictures=words)
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="pictures"):
        make_plan(STUDIES["shortcut-options"], "small", Path("runs"), 1, pictures=words)
    begun, record = plan.runs[2], read_json(trained.runs[0].out / "run.json")
    of_two_classes = {"name": "resnet34", **to_tree(begun.network)}
    write_json(begun.out / "run.json", record | {"network": of_two_classes, "data": words})
    assert make_plan(STUDIES["shortcut-options"], "small", Path("runs"), 1, pictures=words).runs == plan.runs


def test_a_scale_without_pictures_of_ones_own_refuses_them(tmp_path):
    with pytest.raises(SpecError, match="degradation reads no pictures of yours at demo scale"):
        plan_study("degradation", "demo", data=f"folder:{tmp_path}")


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_trained_on_a_folder_or_needs_none(name, tmp_path):
    save_pictures(tmp_path / "pictures")
    scale = "small" if "small" in STUDIES[name].scales else "short"
    plan = make_plan(STUDIES[name], scale, tmp_path / "runs", 1, pictures=f"folder:{tmp_path / 'pictures'}")
    assert plan.absent == {}
    assert {run.row for run in plan.runs} == (set(plan.scale.rows) if plan.scale.settings else set())


def test_only_the_whole_of_a_papers_recipe_stands_beside_what_was_published(tmp_path, monkeypatch):
    with pytest.raises(SpecError, match="paper scale is on imagenet:PATH; --scale small takes any folder"):
        make_plan(STUDIES["depth"], "paper", tmp_path, pictures="folder:mine")
    whole = make_plan(STUDIES["shortcuts"], "paper", tmp_path)
    assert whole.beside_published
    monkeypatch.setattr(budget, "on_cores", lambda network, recipe: 3600.0)
    rows = len(whole.scale.rows)
    fewer = make_plan(STUDIES["shortcuts"], "paper", tmp_path, budget=2.0 * rows)
    assert (fewer.seeds, fewer.beside_published) == (2, True)
    cut_short = make_plan(STUDIES["shortcuts"], "paper", tmp_path, budget=1.0 * rows)
    assert not cut_short.beside_published
    assert not make_plan(STUDIES["shortcuts"], "demo", tmp_path).beside_published
    assert {verdict.claim.text for verdict in verdicts(whole)} > {verdict.claim.text for verdict in verdicts(cut_short)}


def test_calls_of_small_layers_are_part_of_the_time(monkeypatch):
    monkeypatch.setattr(budget, "speed_here", lambda: 1e30)
    monkeypatch.setattr(budget, "cores", lambda: 2)
    shallow, deep = (budget.on_cores(network(name), recipe("demo")) for name in ("resnet20-cifar", "resnet56-cifar"))
    assert deep / shallow == pytest.approx(55 / 19)
    assert 0.3 < shallow < 3
    monkeypatch.setattr(budget, "speed_here", lambda: 1e9)
    assert budget.on_cores(network("resnet20-cifar"), recipe("demo")) > 100 * shallow


def test_a_run_that_is_done_is_read_once(trained, monkeypatch):
    plan = make_plan(STUDY, "demo", trained.runs[0].out.parent)
    opened = []
    for module in (contents, run_module):
        monkeypatch.setattr(module, "read_file", lambda path: opened.append(path) or read_file(path))
    verdicts(plan)
    assert not plan.missing
    verdicts(plan)
    assert {run.status for run in plan.runs} == {"finished"}
    assert plan.eval_split == "test"
    assert sorted(file.relative_to(plan.runs[0].out.parent) for file in opened) == sorted(
        Path(run.out.name, file) for run in plan.runs for file in ("result.json", "metrics.jsonl", "run.json")
    )


def test_a_run_is_seen_to_end(trained, tmp_path):
    planned = make_plan(STUDY, "demo", tmp_path).runs[0]
    assert (planned.done, planned.status) == (False, "not run")
    write_json(planned.failure, {"reason": "a full disk"})
    assert planned.status == "failed: a full disk"
    planned.failure.unlink()
    write_json(planned.out / "result.json", {"status": "stopped", "step": 5})
    assert (planned.done, planned.status) == (False, "stopped")
    shutil.copytree(trained.runs[0].out, planned.out, dirs_exist_ok=True)
    assert (planned.done, planned.status) == (True, "finished")


@pytest.mark.parametrize("name", ["digits"])
def test_shapes_are_those_of_the_data(name):
    data = load(name)
    assert SETS[name].shape == (data.channels, data.size, len(data.classes))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.jsonl", '{"step": NaN}\n'),
        ("result.json", "{}"),
        ("result.json", '{"status": "finished"}'),
        ("run.json", '{"seed": 1e999}'),
        ("metrics.jsonl", ""),
    ],
)
def test_a_damaged_run_is_named_and_left_out_and_the_others_count(trained, tmp_path, file, content):
    shutil.copytree(trained.runs[0].out.parent, tmp_path / "runs")
    plan = make_plan(STUDY, "demo", tmp_path / "runs")
    damaged = plan.runs[0]
    (damaged.out / file).write_text(content)
    assert [planned.done for planned in plan.runs] == [False, True, True, True]
    ((planned, reason),) = plan.damaged.items()
    assert planned == damaged
    assert str(damaged.out) in reason
    assert damaged.status == "damaged"
    assert [planned.seed for planned in plan.runs_of(damaged.row)] == [1]
    assert [verdict.higher.n for verdict in verdicts(plan)] == [1, 1]
    assert isinstance(train_run(damaged), Failed)


def test_a_reason_of_a_failure_that_is_damaged_is_no_error(tmp_path):
    planned = make_plan(STUDY, "demo", tmp_path).runs[0]
    planned.failure.write_text("[")
    assert planned.status == f"failed: {planned.failure} is damaged"
