"""The command line: frozen words, exit codes, errors of one or two lines that leave nothing behind."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reslab.cli import main


def reslab(*words, cwd=None):
    """Run the command line in this process; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code or 0


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path / "data"))


SURFACE = {
    (): [
        "analyse",
        "bench",
        "data",
        "demo",
        "evaluate",
        "export",
        "networks",
        "predict",
        "show",
        "study",
        "train",
        "weights",
    ],
    ("data",): ["check", "get", "list"],
    ("data", "list"): [],
    ("data", "get"): [],
    ("data", "check"): ["--json"],
    ("analyse",): ["cost", "gradients", "landscape", "lesion", "responses"],
    ("analyse", "gradients"): ["--data", "--device", "--images", "--json", "--mode", "--on-bad", "--out", "--seed"],
    ("analyse", "lesion"): ["--data", "--device", "--images", "--json", "--on-bad", "--out", "--seed"],
    ("analyse", "responses"): ["--data", "--device", "--images", "--json", "--mode", "--on-bad", "--out", "--seed"],
    ("analyse", "cost"): ["--batch", "--device", "--json", "--out", "--seed"],
    ("analyse", "landscape"): [
        "--data",
        "--device",
        "--images",
        "--json",
        "--on-bad",
        "--out",
        "--points",
        "--precision",
        "--reach",
        "--seed",
        "--workers",
    ],
    ("study",): ["list", "report", "run", "show", "watch"],
    ("demo",): ["--workers"],
    ("networks",): ["--json"],
    ("show",): ["--json", "--set"],
    ("train",): [
        "--compile",
        "--data",
        "--deterministic",
        "--device",
        "--on-bad",
        "--out",
        "--precision",
        "--recipe",
        "--recompute",
        "--resume",
        "--seed",
        "--set",
        "--strict-resume",
        "--weights",
    ],
    ("evaluate",): [
        "--calibration",
        "--compile",
        "--confusion",
        "--crops",
        "--data",
        "--device",
        "--engine",
        "--json",
        "--on-bad",
        "--per-class",
        "--precision",
    ],
    ("predict",): ["--batch", "--cam", "--device", "--engine", "--json", "--top"],
    ("weights",): ["--as", "--out"],
    ("export",): ["--data", "--device", "--format", "--images", "--int8", "--out"],
    ("bench",): ["--batch", "--compile", "--engine", "--json", "--precision", "--rounds", "--vs", "--what"],
    ("study", "list"): [],
    ("study", "show"): ["--budget", "--data", "--scale", "--seeds"],
    ("study", "run"): ["--budget", "--data", "--ranks", "--ray", "--scale", "--seeds", "--workers"],
    ("study", "report"): ["--budget", "--data", "--scale", "--seeds"],
    ("study", "watch"): ["--budget", "--data", "--port", "--scale", "--seeds"],
}


@pytest.mark.parametrize("words", SURFACE, ids=lambda words: " ".join(words) or "reslab")
def test_the_surface_is_frozen(words, capsys):
    assert reslab(*words, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    section = "Commands:" if words in ((), ("analyse",), ("data",), ("study",)) else "Options:"
    found = [line.split()[0] for line in lines[lines.index(section) + 1 :] if line.startswith("  ") and line[2] != " "]
    assert sorted(set(found) - {"--help"}) == SURFACE[words]


def test_no_words_show_the_help(capsys):
    reslab()
    assert "Commands:" in capsys.readouterr().err


def test_networks_as_json_is_for_programs(capsys):
    assert reslab("networks", "*20-cifar", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in listed] == ["plain20-cifar", "resnet20-cifar"]
    assert listed[1] == {
        "name": "resnet20-cifar",
        "parameters": 269722,
        "multiply_adds": 40551040,
        "input": [3, 32, 32],
        "source": "A sec. 4.2, Table 6",
    }


def test_show_has_the_table_and_the_drawing(capsys):
    assert reslab("show", "resnet20-cifar", "--set", "arrangement=full-preactivation") == 0
    out = capsys.readouterr().out
    assert "[3×3, 16; 3×3, 16] × 2" in out
    assert "h(x) + F(x)" in out
    assert reslab("show", "resnet20-cifar", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cost"]["parameters"] == sum(layer["parameters"] for layer in told["layers"]) == 269722


def test_train_makes_a_run(capsys, tmp_path):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo"]
    words += ["--set", "steps=6", "--set", "schedule.at=[4]", "--set", "merge=dropped", "--set", "merge.p=0.25"]
    assert reslab(*words, "--seed", "7") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("test error ")
    run = tmp_path / out[1]
    told = json.loads((run / "run.json").read_text())
    assert (told["seed"], told["network"]["merge"]["p"], told["recipe"]["steps"]) == (7, 0.25, 6)
    assert json.loads((run / "result.json").read_text())["status"] == "finished"
    assert reslab(*words, "--seed", "7") == 2
    assert "this run is finished" in capsys.readouterr().err


def test_divergence_is_exit_4_and_a_result(capsys, tmp_path):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--out", "here"]
    assert reslab(*words, "--set", "schedule.warmup=0", "--set", "schedule.rate=1e30") == 4
    assert "not finite at step" in capsys.readouterr().err
    assert json.loads((tmp_path / "here" / "result.json").read_text())["status"] == "diverged"


TRAIN = ["train", "resnet20-cifar", "--data", "digits", "--recipe", "demo"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["trian"], 2, "Did you mean 'train'"),
        (["train", "resnet21-cifar", "--data", "digits", "--recipe", "demo"], 2, "for example 20 or 26"),
        ([*TRAIN, "--set", "merge.p=2"], 2, "merge is add and has no fields; --set merge=KIND"),
        ([*TRAIN, "--set", "merge=gatd"], 2, "merge: no kind 'gatd', did you mean gated"),
        ([*TRAIN, "--set", "optimizer=adam"], 2, "optimizer: no kind 'adam', choose from sgd, rmsprop"),
        ([*TRAIN, "--set", "merge=dropped", "--set", "merge.p=2"], 2, "input should be less than 1, not 2"),
        ([*TRAIN, "--set", "stepz=2"], 2, "did you mean steps"),
        ([*TRAIN, "--set", "schedule.rat=2"], 2, "schedule is drops and has rate, at, factor, warmup, warmup_rate"),
        ([*TRAIN, "--set", "steps"], 2, "write key=value"),
        ([*TRAIN, "--set", "steps=0"], 2, "greater than 0, not 0"),
        ([*TRAIN, "--set", "classes=7"], 2, "follows from the data"),
        ([*TRAIN, "--device", "tpu"], 2, "choose from auto, cpu, cuda"),
        ([*TRAIN, "--seed", "-1"], 2, "--seed"),
        ([*TRAIN, "--dat", "x"], 2, "--data"),
        (["train", "resnet20-cifar", "--data", "digit", "--recipe", "demo"], 2, "did you mean digits"),
        (["train", "resnet20-cifar", "--data", "digits", "--recipe", "dem"], 2, "did you mean demo"),
        (["train", "resnet20-cifar", "--data", "cifar10", "--recipe", "demo"], 3, "cifar-10-batches-bin"),
        (["networks", "resnext*"], 2, "no network matches 'resnext*'"),
        (["study", "run", "degradaton"], 2, "did you mean degradation"),
        (["study", "run", "degradation", "--scale", "tiny"], 2, "choose from demo, short, paper"),
        (["study", "run", "degradation", "--scale", "short"], 3, "cifar-10-batches-bin"),
        (["study", "run", "degradation", "--seeds", "0"], 2, "--seeds"),
        (["analyse", "responses", "resnet21-cifar", "--data", "digits"], 2, "for example 20 or 26"),
        (["analyse", "responses", "resnet8-cifar", "resnet8-cifar", "--data", "digits"], 2, "named twice"),
        (
            ["analyse", "responses", "resnet8-cifar", "--data", "digits", "--mode", "trian"],
            2,
            "choose from eval, train",
        ),
        (["analyse", "responses", "googlenet-cifr", "--data", "digits"], 2, "no network"),
        (["analyse", "gradients", "nowhere.safetensors", "--data", "digits"], 3, "no such file"),
        (["analyse", "lesion", "resnet8-cifar", "--data", "digits"], 2, "fresh weights have nothing to lose"),
    ],
)
def test_wrong_words_end_in_two_lines_and_leave_nothing(words, code, told, capsys, tmp_path):
    assert reslab(*words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.startswith("reslab: ")
    assert len(err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def foreign(tmp_path):
    """A file of weights in torchvision's layout, for one network of ten classes."""
    import torch

    from reslab import network, replace
    from reslab.weights.convert import export
    from reslab.weights.file import Weights

    torch.manual_seed(0)
    value = replace(network("resnet18"), classes=10, channels=1)
    path = tmp_path / "theirs.pth"
    torch.save(export(Weights(value, value.build().state_dict())), path)
    return path


def test_weights_go_in_are_evaluated_and_come_out(foreign, capsys, tmp_path, monkeypatch):
    from reslab.nets import NAMED
    from reslab.spec import replace

    monkeypatch.setitem(vars(NAMED["resnet18"]), "network", replace(NAMED["resnet18"].network, channels=1))
    assert reslab("weights", "theirs.pth", "--as", "resnet18", "--out", "ours.safetensors") == 0
    told = capsys.readouterr()
    assert told.out == "ours.safetensors\n"
    assert "the file has 10 classes" in told.err
    assert reslab("export", "ours.safetensors", "--format", "torchvision", "--out", "back.safetensors") == 0
    assert reslab("weights", "back.safetensors", "--as", "resnet18", "--out", "again.safetensors") == 0
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "ours.safetensors").read_bytes()


def test_evaluate_as_json_is_for_programs(capsys, tmp_path):
    import torch

    from reslab import cifar_resnet
    from reslab.data.digits import load_digits
    from reslab.train.loop import fitted
    from reslab.weights.file import Weights, save_weights

    torch.manual_seed(0)
    value = fitted(cifar_resnet(8), load_digits())
    save_weights(Weights(value, value.build().state_dict()), tmp_path / "w.safetensors")
    assert reslab("evaluate", "w.safetensors", "--data", "digits", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"images", "top1_error", "top5_error", "loss"}
    assert found["images"] == 360
    assert 100 >= found["top1_error"] >= found["top5_error"] >= 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["weights", "theirs.pth", "--as", "resnet19", "--out", "o.safetensors"], 2, "did you mean resnet18"),
        (["weights", "theirs.pth", "--as", "resnet18", "--out", "o.pth"], 2, "give it the ending .safetensors"),
        (["weights", "theirs.pth", "--as", "resnet34", "--out", "o.safetensors"], 2, "use --as resnet18"),
        (["weights", "theirs.pth", "--as", "vgg16", "--out", "o.safetensors"], 2, "use --as resnet18"),
        (["weights", "none.pth", "--as", "resnet18", "--out", "o.safetensors"], 3, "none.pth: no such file"),
        (["evaluate", "theirs.pth", "--data", "digits"], 3, "theirs.pth"),
        (["export", "theirs.pth", "--format", "onnx", "--out", "o.safetensors"], 2, "give it the ending .onnx"),
    ],
)
def test_wrong_weights_end_in_two_lines_and_leave_nothing(foreign, words, code, told, capsys, tmp_path):
    assert reslab(*words) == code
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == [foreign]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--debug", "show", "resnet21-cifar"], 2),
        (["show", "--debug", "resnet21-cifar"], 2),
        (["show", "resnet21-cifar", "--debug"], 2),
        (["data", "check", "folder:/nowhere", "--debug"], 3),
    ],
)
def test_a_traceback_comes_only_with_debug_wherever_it_stands(words, code, capsys):
    assert reslab(*words) == code
    with_debug = capsys.readouterr().err
    assert with_debug.startswith("Traceback")
    assert reslab(*(word for word in words if word != "--debug")) == code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert with_debug.endswith(told)


def test_behind_two_dashes_debug_is_a_name(capsys):
    assert reslab("show", "--", "--debug") == 2
    assert capsys.readouterr().err.startswith("reslab: no network '--debug'")


def test_a_stopped_training_is_saved_and_says_how_it_goes_on(tmp_path, capsys):
    words = [sys.executable, "-m", "reslab", *TRAIN, "--set", "steps=5000"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ.copy()) as process:
        assert process.stderr is not None
        for _ in range(2):
            process.stderr.readline()
        time.sleep(0.2)
        process.terminate()
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "saved; --resume goes on with it" in rest
    run = next((tmp_path / "runs").iterdir())
    stopped = json.loads((run / "result.json").read_text())
    assert stopped["status"] == "stopped"
    assert reslab(*TRAIN, "--set", "steps=5000") == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert reslab("evaluate", str(run), "--data", "digits", "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 360


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes that differ in colour."""
    random = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            array = random.integers(0, 60, (40, 50, 3), dtype=np.uint8)
            array[..., channel] += 150
            Image.fromarray(array).save(tmp_path / "pictures" / name / f"{number}.jpg")
    return tmp_path / "pictures"


TINY = ["--set", "steps=6", "--set", "batch=8", "--set", "size=32", "--set", "units=[1,1,1,1]", "--set", "average=null"]


def test_a_folder_is_trained_on_and_evaluated_with_crops(capsys, pictures, tmp_path):
    words = ["train", "resnet18", "--data", f"folder:{pictures}", "--recipe", "paper-a-imagenet", "--out", "run"]
    assert reslab(*words, *TINY, "--set", "schedule.rate=0.02") == 0
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["data_set"]["classes"] == ["blue", "red"]
    assert (told["network"]["classes"], told["network"]["size"]) == (2, 32)
    capsys.readouterr()
    for crops in ("1", "10", "144"):
        assert reslab("evaluate", "run", "--data", f"folder:{pictures}", "--crops", crops, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["images"] == 8
        if crops == "10":  # the recipe's own
            assert found == json.loads((tmp_path / "run" / "result.json").read_text())["test"]
    assert reslab("evaluate", "run", "--data", f"folder:{pictures}", "--crops", "12") == 2
    assert "--crops 12: choose from 1, 10, 144" in capsys.readouterr().err


def test_a_network_is_fine_tuned_on_ones_own_folder(capsys, pictures, tmp_path):
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
    told = json.loads((tmp_path / run / "run.json").read_text())
    assert (told["network"]["size"], told["data_set"]["classes"]) == (32, ["red", "sea"])
    found = json.loads((tmp_path / run / "result.json").read_text())
    for weights, part in ((run, found), (f"{run}/best.safetensors", found["best"])):
        assert reslab("evaluate", weights, "--data", data, "--json") == 0
        assert json.loads(capsys.readouterr().out) == part["test"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["resnet34", "--weights", "body"], 2, "body: weights of resnet18, not of resnet34: `reslab train resnet18"),
        (["resnet18"], 2, "--recipe finetune: begins with weights that others trained; name them by --weights"),
        (["resnet18", "--weights", "."], 3, "a folder, and no run"),
        (["resnet18", "--weights", "none.safetensors"], 3, "none.safetensors: no such file"),
        (["resnet18", "--weights", "body", "--set", "validation=0.99"], 2, "validation 0.99: cannot hold out"),
        (["resnet18", "--weights", "body", "--set", "validation=0"], 2, "best: chosen by validation images"),
        (["resnet18", "--weights", "body", "--set", "freeze=head"], 2, "--set freeze=head: freeze: input should be"),
        (["resnet18", "--weights", "body", "--set", "validation=1.5"], 2, "--set validation=1.5"),
    ],
)
def test_what_is_wrong_with_a_fine_tuning_is_told(capsys, pictures, tmp_path, words, code, told):
    import torch

    from reslab.nets import network
    from reslab.spec import replace
    from reslab.weights.file import Weights, save_weights

    torch.manual_seed(0)
    value = replace(network("resnet18"), size=32, classes=5)
    save_weights(Weights(value, value.build().state_dict()), tmp_path / "body")
    assert reslab("train", *words, "--data", f"folder:{pictures}", "--recipe", "finetune", "--out", "run") == code
    err = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("resnet18 on ")]
    assert told in err[0]
    assert err[0].startswith("reslab: ")
    assert len(err) <= 2
    assert not (tmp_path / "run").exists()


def test_a_folder_that_has_changed_is_another_run(capsys, pictures, tmp_path):
    words = ["train", "resnet18", "--data", f"folder:{pictures}", "--recipe", "paper-a-imagenet", "--out", "run", *TINY]
    assert reslab(*words) == 0
    (pictures / "red" / "0.jpg").unlink()
    (tmp_path / "run" / "result.json").unlink()
    assert reslab(*words, "--resume") == 2
    assert "data_set.train.images 32, not 31" in capsys.readouterr().err


def test_bad_pictures_are_listed_and_end_a_run_or_are_skipped(capsys, pictures, tmp_path):
    assert reslab("data", "check", f"folder:{pictures}") == 0
    (pictures / "red" / "3.jpg").write_bytes((pictures / "red" / "3.jpg").read_bytes()[:300])
    os.mkfifo(pictures / "blue" / "pipe.jpg")
    assert reslab("data", "check", f"folder:{pictures}", "--json") == 3
    found = json.loads(capsys.readouterr().out.partition("0 odd\n")[2])["findings"]
    assert {(Path(finding["file"]).name, finding["bad"]) for finding in found} == {("3.jpg", True), ("pipe.jpg", True)}
    words = ["train", "resnet18", "--data", f"folder:{pictures}", "--recipe", "paper-a-imagenet", *TINY]
    assert reslab(*words, "--out", "ends") == 3
    assert re.search(r"reslab: .*\.jpg: (damaged|not a regular file)", capsys.readouterr().err)
    assert reslab(*words, "--out", "goes-on", "--on-bad", "skip") == 0
    skipped = json.loads((tmp_path / "goes-on" / "result.json").read_text())["skipped"]
    assert {Path(file).name for file in skipped} == {"3.jpg", "pipe.jpg"}
    assert "skipped: " in capsys.readouterr().err
    assert reslab(*words, "--out", "x", "--on-bad", "ignore") == 2


def test_validation_pictures_are_checked_too(capsys, tmp_path):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for name in ("red", "blue"):
            (tmp_path / "parts" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (40, 50), name).save(tmp_path / "parts" / part / name / f"{number}.png")
    assert reslab("data", "check", "folder:parts") == 0
    out = capsys.readouterr().out
    assert out == "6 training, 4 validation and 2 test images of 2 classes: 0 cannot be read, 0 odd\n"
    (tmp_path / "parts" / "val" / "red" / "1.png").write_bytes(b"damaged")
    assert reslab("data", "check", "folder:parts", "--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == {"train": 6, "validation": 4, "test": 2}
    assert [finding["file"] for finding in found["findings"]] == ["parts/val/red/1.png"]


def test_the_sets_are_listed_with_their_state(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RESLAB_DATA", str(tmp_path / "nowhere"))
    assert reslab("data", "list") == 0
    out = capsys.readouterr().out
    assert re.search(r"digits +1,437 +360 +10 +1×8×8 +embedded", out)
    assert "not here; reslab data get cifar10" in out
    assert reslab("data", "check", "digits") == 0
    assert "1,437 training and 360 test images of 10 classes: 0 cannot be read" in capsys.readouterr().out
    assert reslab("data", "get", "digits") == 2


def test_a_place_that_cannot_be_written_is_named(capsys):
    words = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--out"]
    assert reslab(*words, "/proc/nothing/run") == 3
    assert "/proc/nothing" in capsys.readouterr().err.splitlines()[-1]
    assert reslab(*words, "/dev/null/run") == 3
