"""Wrong usages and their answers: one or two lines that name the thing and the cure, and nothing is written."""

import json
import re
import sys

import pytest
import typer

from reslab import api

TRAIN = ["train", "resnet20-cifar", "--data", "digits"]


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        # a word too many, or an option that is none
        (["train", "resnet20-cifar", "digits"], 2, "unexpected extra argument(s) (digits)\nsee reslab train -h"),
        ([*TRAIN, "--steps", "4"], 2, "No such option: --steps (Possible options: --epochs, --scale-steps, --set)"),
        ([*TRAIN, "--seed", "one"], 2, "Invalid value for '--seed'"),
        # missing words, all at once, with an example
        (["train"], 2, "NETWORK and --data are missing\nfor example: reslab train resnet20-cifar --data digits"),
        (["train", "resnet20-cifar"], 2, "train: --data is missing"),
        (["evaluate"], 2, "RUN|FILE... and --data are missing\nfor example: reslab evaluate"),
        (["predict"], 2, "RUN|FILE and IMAGE|FOLDER are missing"),
        (["export", "run"], 2, "export: --format is missing"),
        (["weights", "a.pth"], 2, "--as and --out are missing"),
        (["study", "run"], 2, "study run: NAME is missing\nfor example: reslab study run degradation"),
        (["analyse", "lesion"], 2, "NETWORK|RUN|FILE... and --data are missing"),
        (["data", "get"], 2, "data get: NAME is missing"),
        # words that do not exist, with the nearest that do
        (["shwo", "resnet50"], 2, "Did you mean 'show'"),
        (["show", "resnet51"], 2, "did you mean resnet5"),
        (["show", "resnet20"], 2, "did you mean resnet20-cifar or resnet200 or"),
        (["show", "resnet8"], 2, "did you mean resnet8-cifar or"),
        (["study", "show", "degradatio"], 2, "did you mean degradation or"),
        ([*TRAIN, "--set", "lrr=0.1"], 2, "--set lrr: no such key, did you mean lr?"),
        ([*TRAIN, "--set", "learning_rat=0.1"], 2, "did you mean learning_rate or"),
        ([*TRAIN, "--lr", "-1"], 2, "schedule.rate: input should be greater than 0, not -1"),
        ([*TRAIN, "--epochs", "0"], 2, "--set epochs=0: no step of 128 of the 1,437 training images"),
        ([*TRAIN, "--stop-after", "soon"], 2, "write a time such as 90s, 13m or 1.5h"),
        (["show", "resnet22-cifar-1layer"], 2, "resnet"),
        (["networks", "vit*"], 2, "no network matches 'vit*'"),
        ([*TRAIN, "--recipe", "modern"], 2, "did you mean modern-"),
        ([*TRAIN, "--set", "optimizer=adam"], 2, "did you mean adamw"),
        ([*TRAIN, "--set", "mixp=0.2"], 2, "did you mean mixup"),
        ([*TRAIN, "--set", "decay=none"], 2, "decay"),
        ([*TRAIN, "--set", "mixup=-1"], 2, "greater than or equal to 0, not -1"),
        ([*TRAIN, "--set", "optimizer=adamw", "--set", "optimizer.beta1=1"], 2, "less than 1, not 1"),
        (
            [*TRAIN, "--set", "optimizer=adamw", "--set", "optimizer.momentum=0.8"],
            2,
            "optimizer is adamw and has beta1",
        ),
        ([*TRAIN, "--log", "wandbb"], 2, "'wandbb' is not one of 'tensorboard', 'wandb', 'mlflow'"),
        (
            ["study", "show", "degradation", "--scale", "papers"],
            2,
            "'papers' is not one of 'demo', 'brief', 'short', 'small', 'paper'",
        ),
        (["data", "get", "cifar"], 2, "did you mean cifar10"),
        (["data", "get", "digits"], 2, "digits: nothing to download"),
        # things of another kind
        (["resume", "nowhere"], 3, "nowhere: no run; `reslab runs` lists them"),
        (["train", "--config", "nowhere"], 3, "nowhere: neither a run's directory nor its run.json"),
        (["train", "mine.toml", "--data", "digits"], 2, "mine.toml: a network's file is JSON"),
        (["compare", "nowhere"], 3, "nowhere: not a run, nor a folder of runs"),
        (["judge", "nowhere.csv"], 3, "nowhere.csv: no such file"),
        (["train", "resnet20-cifar", "--data", "."], 2, "there is a folder: its pictures are the data set folder:."),
        (["train", "resnet20-cifar", "--data", "imagenet:here"], 2, "several fit imagenet:here: choose from"),
        (["train", "resnet20-cifar", "--data", "cifar10"], 3, "cifar10"),
        ([*TRAIN, "--recipe", "finetune"], 2, "give weights (--weights RUN|FILE)"),
        ([*TRAIN, "--set", "freeze=body"], 2, "fresh weights would stay as they are"),
        ([*TRAIN, "--set", "size=32"], 2, "--set size: follows from the data"),
        (["evaluate", "resnet20-cifar", "--data", "digits"], 3, "the name of a network, which has no weights"),
        (["export", "resnet50", "--format", "onnx"], 3, "reslab weights FILE --as resnet50"),
        (["evaluate", "nowhere", "--data", "digits"], 3, "nowhere: no such file"),
        (["evaluate", ".", "--data", "digits"], 3, "a folder, and no run"),
        (["predict", "a.safetensors", "b.jpg"], 3, "a.safetensors: no such file"),
        (["export", "run", "--format", "pt2", "--int8"], 2, "--int8: needs --data"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_usage_is_answered_with_its_cure(reslab, words, code, expected, capsys, tmp_path):
    assert reslab(*words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert "this should not happen" not in err
    *_, error = err.partition("reslab: ")  # messages about the run may come before
    assert 1 <= len(error.splitlines()) <= 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["-h"], ["train", "-h"], ["study", "-h"], ["study", "run", "-h"], ["analyse", "-h"]])
def test_h_is_help_everywhere(reslab, words, capsys):
    assert reslab(*words) == 0
    assert capsys.readouterr().out.startswith("Usage: reslab")


def test_every_command_with_a_required_word_has_an_example(reslab, capsys):
    from reslab.cli import app
    from reslab.cli.usage import EXAMPLES

    def paths(group, prefix=""):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from paths(command, f"{prefix}{name} ")
            elif any(parameter.required for parameter in command.params):
                yield prefix + name

    missing = set(paths(typer.main.get_command(app))) - set(EXAMPLES)
    assert not missing


def test_a_study_s_file_is_near_to_its_name(reslab, capsys):
    assert reslab("study", "new", "mine.toml") == 0
    assert reslab("study", "show", "mine") == 2
    assert "did you mean mine.toml?" in capsys.readouterr().err


def test_the_version_is_a_command_and_an_option(reslab, capsys):
    assert reslab("version") == reslab("--version") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("reslab ")


def test_the_shell_completes_commands(monkeypatch, capsys, reslab):
    monkeypatch.setenv("_RESLAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "reslab stu")
    monkeypatch.setenv("COMP_CWORD", "1")
    reslab()
    assert "study" in capsys.readouterr().out.split()


def test_the_doctor_names_what_is_here(reslab, capsys, monkeypatch):
    assert reslab("doctor") == 0
    text = capsys.readouterr().out
    assert "precision auto:" in text
    assert "RESLAB_DATA" in text
    assert reslab("doctor", "--json") == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["data"]["digits"] == "embedded"
    assert tree["data"]["cifar10"] == "missing"
    assert tree["packages"]["torch"][0]


def on_a_terminal(monkeypatch, columns=80):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "words",
    [
        ["networks"],
        ["show", "inception-resnet-v2"],
        ["study", "list"],
        ["study", "show", "shortcuts"],
        ["data", "list"],
        ["recipes"],
        ["judge", "runs.csv", "--claim", "a group with a long name < another group with a long name"],
    ],
    ids=" ".join,
)
def test_tables_fit_the_terminal(reslab, words, columns, capsys, monkeypatch, tmp_path):
    names = ["a group with a long name", "another group with a long name"]
    lines = [f"{name},{seed},{seed / 7 + len(name)}" for name in names for seed in range(3)]
    (tmp_path / "runs.csv").write_text("\n".join(["group,seed,a metric with a long name", *lines]))
    on_a_terminal(monkeypatch, columns)
    monkeypatch.setenv("NO_COLOR", "1")
    assert reslab(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert not [line for line in lines if len(line) > columns and " " in line.strip()]
    assert not [line for line in lines if re.search(r"(±|=|modern-)$", line)]


def test_verdicts_are_in_colour_unless_it_is_not_wanted(monkeypatch, capsys):
    from reslab.cli.options import print_verdict

    on_a_terminal(monkeypatch)
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_verdict("holds", ["deeper is better", "1 % against 2 %"])
    assert capsys.readouterr().out.startswith("\x1b[32mholds")
    monkeypatch.setenv("NO_COLOR", "1")
    print_verdict("holds", ["deeper is better", "1 % against 2 %"])
    assert capsys.readouterr().out == f"holds           deeper is better\n{' ' * 16}1 % against 2 %\n"


def test_the_recipe_of_the_data_is_taken_and_named(reslab, capsys):
    assert reslab(*TRAIN, "--set", "steps=1", "--set", "batch=4", "--set", "evaluate_every=9", "--out", "run") == 0
    err = capsys.readouterr().err
    assert "recipe demo, the one for this data; --recipe names another" in err
    assert "1 step of 4 images" in err


def test_an_export_goes_beside_its_run_and_writes_over_nothing(reslab, capsys, tmp_path):
    assert reslab(*TRAIN, "--set", "steps=1", "--set", "batch=4", "--out", "run") == 0
    capsys.readouterr()
    assert reslab("export", "run", "--format", "safetensors") == 0
    assert capsys.readouterr().out == "run.safetensors\n"
    before = (tmp_path / "run.safetensors").read_bytes()
    assert reslab("export", "run", "--format", "safetensors") == 2
    assert "run.safetensors: is there already; --out names another place" in capsys.readouterr().err
    assert (tmp_path / "run.safetensors").read_bytes() == before
    assert api.export_path("run.safetensors", "safetensors").name == "run-safetensors.safetensors"
    assert api.export_path("run", "onnx", int8=True).name == "run-int8.onnx"
    assert api.export_path("run", "huggingface").name == "run-huggingface"


def test_a_network_for_large_images_says_what_small_ones_do_to_it():
    from reslab.api.train import _small_maps
    from reslab.nets import network
    from reslab.spec import replace

    assert "its maps are 1×1 from stage2 on" in _small_maps(replace(network("resnet50"), size=8))
    assert _small_maps(replace(network("resnet20-cifar"), size=8)) == ""
    assert _small_maps(network("resnet50")) == ""
