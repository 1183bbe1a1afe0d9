"""Runs that are there already: listed, resumed, trained again, compared."""

import json
import shutil

import pytest

from reslab import api
from reslab.runs.run import Run

QUICK = {"steps": "6", "schedule.at": "[4]", "schedule.warmup": "0", "log_every": "2", "evaluate_every": "3"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of two networks with two seeds each."""
    folder = tmp_path_factory.mktemp("trained") / "runs"
    for name in ("plain8-cifar", "resnet8-cifar"):
        for seed in (0, 1):
            api.train_network(name, "digits", "demo", folder / f"{name}-{seed}", seed, assignments=QUICK)
    return folder


@pytest.fixture
def runs(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def test_runs_are_listed_in_80_columns(reslab, runs, capsys):
    (runs / "damaged").mkdir()
    (runs / "damaged" / "run.json").write_text("{")
    (runs / "plain8-cifar-0").rename(runs / f"{'long-' * 20}s0-12345678")
    assert reslab("runs") == 0
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["damaged"] + ["finished"] * 4
    assert "run.json: not JSON" in err
    assert reslab("runs", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert (rows[1]["step"], rows[1]["steps"], rows[1]["network"]) == (6, 6, "plain8-cifar")


def test_a_stopped_run_is_resumed_by_its_own_words(reslab, runs, tmp_path, capsys):
    run = runs / "resnet8-cifar-1"
    whole = (run / "checkpoints/step-00000006/model.safetensors").read_bytes()
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints")
    assert reslab("resume", run) == 0
    assert (run / "checkpoints/step-00000006/model.safetensors").read_bytes() == whole
    assert capsys.readouterr().out.splitlines()[-1] == str(run)
    assert reslab("resume", run) == 2
    assert "this run is finished, there is nothing to resume" in capsys.readouterr().err


def test_a_run_from_weights_is_resumed_without_their_file(runs):
    fields = {**QUICK, "checkpoint_every": "3"}
    run = api.train_network(
        "resnet8-cifar", "digits", "demo", runs / "tuned", weights=runs / "resnet8-cifar-0", assignments=fields
    ).run
    whole = (run / "checkpoints/step-00000006/model.safetensors").read_bytes()
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints/step-00000006")
    shutil.rmtree(runs / "resnet8-cifar-0")
    assert api.resume_run(run).result.status == "finished"
    assert (run / "checkpoints/step-00000006/model.safetensors").read_bytes() == whole


def test_a_runs_own_file_trains_it_again(reslab, runs, tmp_path):
    run = runs / "plain8-cifar-1"
    assert reslab("train", "--config", run, "--out", "again") == 0
    weights = "checkpoints/step-00000006/model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (run / weights).read_bytes()
    assert reslab("train", "--config", run / "run.json", "--seed", 7, "--out", "other") == 0
    assert Run(tmp_path / "other").record.seed == 7


def test_a_network_that_was_shown_is_trained(reslab, tmp_path, capsys):
    assert reslab("show", "resnet8-cifar", "--set", "merge=scaled", "--json") == 0
    (tmp_path / "mine.json").write_text(capsys.readouterr().out)
    assert reslab("recipe", "show", "demo") == 0
    (tmp_path / "mine.toml").write_text(capsys.readouterr().out)
    words = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
    assert reslab("train", "mine.json", "--data", "digits", "--recipe", "mine.toml", *words, "--out", "run") == 0
    assert Run(tmp_path / "run").record.network.merge.kind == "scaled"
    assert reslab("show", "mine.json") == 0


def test_epochs_and_common_names_are_understood(reslab, tmp_path, capsys):
    words = ["--data", "digits", "--recipe", "demo", "--epochs", 0.5, "--lr", 0.2, "--batch-size", 64]
    assert reslab("train", "resnet8-cifar", *words, "--out", "run") == 0
    recipe = Run(tmp_path / "run").record.recipe
    assert (recipe.steps, recipe.batch, recipe.schedule.rate) == (11, 64, 0.2)
    assert "schedule.warmup 20 is more than half of 11 steps\n--scale-steps" in capsys.readouterr().err
    assert reslab("train", "resnet8-cifar", *words, "--scale-steps", "--out", "scaled") == 0
    assert Run(tmp_path / "scaled").record.recipe.schedule.warmup == 1


def test_runs_are_compared_in_groups_of_their_settings(reslab, runs, capsys, tmp_path):
    assert reslab("compare", "runs", "--claim", "resnet8-cifar < plain8-cifar", "--metric", "train_error") == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out[1:3]] == [["plain8-cifar", "2"], ["resnet8-cifar", "2"]]
    page = tmp_path / out[-1].removeprefix("report: ")
    assert "resnet8-cifar is lower than plain8-cifar" in page.read_text()
    results = json.loads((page.parent / "results.json").read_text())
    assert [run["train_error"] for run in results["groups"][0]["runs"]] == [
        Run(runs / f"plain8-cifar-{seed}").result.train.top1_error for seed in (0, 1)
    ]
    assert (page.parent / "figures" / "curves.png").is_file()
    assert "compare" in (tmp_path / "reports" / "index.html").read_text()


def test_runs_are_grouped_by_a_field(reslab, runs, capsys):
    assert reslab("compare", "runs", "--by", "lr") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[:2] == ["0.1", "4"]
    assert "differ too: network" in err
    assert reslab("compare", "runs", "--by", "shortcut") == 0
    assert len(capsys.readouterr().out.splitlines()) > 4
    assert reslab("compare", "runs", "--by", "shortcat") == 2
    assert "did you mean shortcut or pooled_shortcut?" in capsys.readouterr().err
    shutil.copytree(runs / "plain8-cifar-0", runs / "twice")
    assert reslab("compare", "runs") == 2
    assert "twice: the same training as plain8-cifar-0" in capsys.readouterr().err


def test_a_csv_of_anyones_runs_becomes_a_page(reslab, tmp_path, capsys):
    rows = [
        f"{group},{seed},{base + seed / 100:.2f}" for group, base in (("<b>a", 0.5), ("b", 0.8)) for seed in range(5)
    ]
    (tmp_path / "runs.csv").write_text("\n".join(["group,seed,acc", *rows]))
    assert reslab("judge", "runs.csv", "--claim", "<b>a < b", "--out", "page") == 0
    out = capsys.readouterr().out
    assert "holds           acc: <b>a is lower than b" in out
    assert "the pair differs at 95 % confidence." in out
    page = (tmp_path / "page" / "report.html").read_text()
    assert "<b>a" not in page
    assert "reslab judge runs.csv --out page --claim" in page
    assert not (tmp_path / "reports").exists()
    assert reslab("judge", "runs.csv", "--metric", "accu") == 2
    assert "no metric 'accu': did you mean acc?" in capsys.readouterr().err
