"""Training from the command line: runs, their ends, fine-tuning, folders."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRAIN = ["train", "resnet20-cifar", "--data", "digits", "--recipe", "demo"]


def test_train_makes_a_run(reslab, capsys, tmp_path):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo"]
    words += ["--set", "steps=6", "--set", "schedule.at=[4]", "--set", "merge=dropped", "--set", "merge.p=0.25"]
    assert reslab(*words, "--seed", "7") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("test error ")
    run = tmp_path / out[1]
    tree = json.loads((run / "run.json").read_text())
    assert (tree["seed"], tree["network"]["merge"]["p"], tree["recipe"]["steps"]) == (7, 0.25, 6)
    assert json.loads((run / "result.json").read_text())["status"] == "finished"
    assert reslab(*words, "--seed", "7") == 2
    assert "this run is finished" in capsys.readouterr().err
    assert reslab(*words, "--seed", "7", "--set", "steps=9", "--resume", "--out", out[1]) == 2
    *_, first, second = capsys.readouterr().err.splitlines()
    assert first == f"reslab: {out[1]}: holds another run (recipe.steps 6, not 9); choose another --out"
    assert second == f"it is finished: --weights {out[1]} with another --out trains on from its weights"
    the_page_is_made_anew(reslab, capsys, run)


def the_page_is_made_anew(reslab, capsys, run):
    page = run / "report.html"
    before = page.read_text()
    page.unlink()  # as after a kill between the result and the page
    assert reslab("report", run) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text().count("<img") == before.count("<img") > 0
    record = json.loads((run / "run.json").read_text())
    record["data_set"]["test"]["digest"] = "of-others"
    (run / "run.json").write_text(json.dumps(record))
    assert reslab("report", run) == 2
    assert "digits has other test images now than those of its training" in capsys.readouterr().err
    (run / "result.json").write_text('{"status": "stopped", "step": 3}')
    assert reslab("report", run) == 3
    assert "this run is stopped; a page shows a finished one" in capsys.readouterr().err
    assert reslab("report", run / "checkpoints") == 3
    assert capsys.readouterr().err == f"reslab: {run}/checkpoints: no run; `reslab runs` lists them\n"


def test_divergence_is_exit_4_and_a_result(reslab, capsys, tmp_path):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--out", "here"]
    assert reslab(*words, "--set", "schedule.warmup=0", "--set", "schedule.rate=1e30") == 4
    assert "not finite at step" in capsys.readouterr().err
    assert json.loads((tmp_path / "here" / "result.json").read_text())["status"] == "diverged"


def test_a_stopped_training_is_saved_and_says_how_it_goes_on(reslab, tmp_path, capsys):
    words = [sys.executable, "-m", "reslab", *TRAIN, "--set", "steps=5000"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ.copy()) as process:
        assert process.stderr is not None
        for _ in range(2):
            process.stderr.readline()
        time.sleep(0.2)
        process.terminate()
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "saved; --resume continues it" in rest
    run = next((tmp_path / "runs").iterdir())
    stopped = json.loads((run / "result.json").read_text())
    assert stopped["status"] == "stopped"
    assert reslab(*TRAIN, "--set", "steps=5000") == 2
    assert "--resume continues it" in capsys.readouterr().err
    assert reslab("evaluate", str(run), "--data", "digits", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 360


TINY = ["--set", "steps=6", "--set", "batch=8", "--set", "size=32", "--set", "units=[1,1,1,1]", "--set", "average=null"]


def test_a_folder_is_trained_on_and_evaluated_with_crops(reslab, capsys, pictures, tmp_path):
    words = ["train", "resnet18", "--data", f"folder:{pictures}", "--recipe", "paper-a-imagenet", "--out", "run"]
    assert reslab(*words, *TINY, "--set", "schedule.rate=0.02") == 0
    tree = json.loads((tmp_path / "run" / "run.json").read_text())
    assert tree["data_set"]["classes"] == ["blue", "red"]
    assert (tree["network"]["classes"], tree["network"]["size"]) == (2, 32)
    capsys.readouterr()
    for crops in ("1", "10", "144"):
        assert reslab("evaluate", "run", "--data", f"folder:{pictures}", "--crops", crops, "--json") == 0
        result = json.loads(capsys.readouterr().out)
        assert result["images"] == 8
        if crops == "10":  # the recipe's own
            assert result == json.loads((tmp_path / "run" / "result.json").read_text())["test"]
    assert reslab("evaluate", "run", "--data", f"folder:{pictures}", "--crops", "12") == 2
    assert "Invalid value for '--crops': '12' is not one of '1', '10', '144'." in capsys.readouterr().err


def test_a_network_is_fine_tuned_on_ones_own_folder(reslab, capsys, pictures, tmp_path):
    data = f"folder:{pictures}"
    assert reslab("train", "resnet18", "--data", data, "--recipe", "paper-a-imagenet", *TINY, "--out", "body") == 0
    (pictures / "blue").rename(pictures / "sea")
    words = ["train", "resnet18", "--data", data, "--recipe", "finetune", "--weights", "body"]
    capsys.readouterr()
    assert reslab(*words, *(f"--set={text}" for text in ("steps=6", "evaluate_every=3", "units=[1,1,1,1]"))) == 0
    out, err = capsys.readouterr()
    assert "initial weights of body (SHA-256 " in err
    assert "the head new for 2 classes" in err
    errors, best, run = out.splitlines()
    assert re.fullmatch(r"validation error [\d.]+ %  test error [\d.]+ %  training error [\d.]+ %", errors)
    assert re.fullmatch(r"best\.safetensors, of step [36]:  validation error [\d.]+ %  test error [\d.]+ %", best)
    assert f"report: {run}/report.html" in err
    tree = json.loads((tmp_path / run / "run.json").read_text())
    assert (tree["network"]["size"], tree["data_set"]["classes"]) == (32, ["red", "sea"])
    result = json.loads((tmp_path / run / "result.json").read_text())
    for weights, evaluated in ((run, result), (f"{run}/best.safetensors", result["best"])):
        assert reslab("evaluate", weights, "--data", data, "--json") == 0
        assert json.loads(capsys.readouterr().out) == evaluated["test"]


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["resnet34", "--weights", "body"], 2, "body: weights of resnet18, not of resnet34: `reslab train resnet18"),
        (
            ["resnet18"],
            2,
            "recipe finetune: begins with weights that others trained; give weights (--weights",
        ),
        (["resnet18", "--weights", "."], 3, "a folder, and no run"),
        (["resnet18", "--weights", "none.safetensors"], 3, "none.safetensors: no such file"),
        (["resnet18", "--weights", "body", "--set", "validation=0.99"], 2, "validation 0.99: cannot hold out"),
        (["resnet18", "--weights", "body", "--set", "validation=0"], 2, "best: chosen by validation images"),
        (["resnet18", "--weights", "body", "--set", "freeze=head"], 2, "--set freeze=head: freeze: input should be"),
        (["resnet18", "--weights", "body", "--set", "validation=1.5"], 2, "--set validation=1.5"),
    ],
)
def test_what_is_wrong_with_a_fine_tuning_is_named(reslab, capsys, pictures, tmp_path, words, code, expected):
    import torch

    from reslab.nets import network
    from reslab.spec import replace
    from reslab.weights.file import Weights, save_weights

    torch.manual_seed(0)
    value = replace(network("resnet18"), size=32, classes=5)
    save_weights(Weights(value, value.build().state_dict()), tmp_path / "body")
    assert reslab("train", *words, "--data", f"folder:{pictures}", "--recipe", "finetune", "--out", "run") == code
    err = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("resnet18 on ")]
    assert expected in err[0]
    assert err[0].startswith("reslab: ")
    assert len(err) <= 2
    assert not (tmp_path / "run").exists()


def test_a_folder_that_has_changed_is_another_run(reslab, capsys, pictures, tmp_path):
    words = ["train", "resnet18", "--data", f"folder:{pictures}", "--recipe", "paper-a-imagenet", "--out", "run", *TINY]
    assert reslab(*words) == 0
    (pictures / "red" / "0.jpg").unlink()
    (tmp_path / "run" / "result.json").unlink()
    assert reslab(*words, "--resume") == 2
    assert "data_set.train.images 32, not 31" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(reslab, capsys):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--out"]
    assert reslab(*words, "/proc/nothing/run") == 3
    assert "/proc/nothing" in capsys.readouterr().err.splitlines()[-1]
    assert reslab(*words, "/dev/null/run") == 3


def test_brackets_in_a_path_are_no_markup(reslab, capsys, tmp_path):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--set", "steps=6", "--out"]
    assert reslab(*words, "runs/[bold]mine[/]") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "runs/[bold]mine[/]"
    assert "; run runs/[bold]mine[/]\n" in err
    assert "report: runs/[bold]mine[/]/report.html\n" in err


def test_the_run_directory_of_a_long_path_is_a_legal_name(reslab, capsys, pictures, tmp_path):
    deep = tmp_path.joinpath(*(["ordinary-folder"] * 18))
    deep.mkdir(parents=True)
    pictures.rename(deep / "pictures")
    words = ["train", "resnet18", "--data", f"folder:{deep / 'pictures'}", "--recipe", "paper-a-imagenet", *TINY]
    assert reslab(*words) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert run.is_dir()
    assert len(run.name) == 240
    assert re.search(r"-s0-[0-9a-f]{8}$", run.name)
