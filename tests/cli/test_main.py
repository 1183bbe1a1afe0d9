"""The command line: frozen words, exit codes, errors of one or two lines that leave nothing after them."""

import re
import subprocess
import sys
from itertools import takewhile

import pytest

SURFACE = {
    (): [
        "analyse",
        "bench",
        "compare",
        "data",
        "demo",
        "doctor",
        "draw",
        "evaluate",
        "export",
        "judge",
        "networks",
        "predict",
        "recipe",
        "recipes",
        "report",
        "resume",
        "review",
        "runs",
        "show",
        "study",
        "train",
        "version",
        "weights",
    ],
    ("doctor",): ["--json"],
    ("version",): [],
    ("data",): ["check", "get", "list"],
    ("data", "list"): [],
    ("data", "get"): [],
    ("data", "check"): ["--json"],
    ("analyse",): ["cost", "gradients", "landscape", "lesion", "responses", "signals"],
    ("analyse", "gradients"): [
        "--data",
        "--device",
        "--images",
        "--json",
        "--mode",
        "--on-bad",
        "--out",
        "--seed",
        "--seeds",
    ],
    ("analyse", "signals"): ["--data", "--device", "--images", "--json", "--on-bad", "--out", "--seed", "--seeds"],
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
    ("study",): ["list", "new", "report", "run", "show", "watch"],
    ("study", "new"): [],
    ("recipes",): ["--json"],
    ("recipe",): ["show"],
    ("recipe", "show"): ["--json"],
    ("runs",): ["--json"],
    ("resume",): ["--data", "--device", "--on-bad", "--strict-resume"],
    ("compare",): ["--by", "--claim", "--margin", "--metric", "--out"],
    ("judge",): ["--by", "--claim", "--margin", "--metric", "--out"],
    ("demo",): ["--workers"],
    ("review",): ["--data"],
    ("networks",): ["--json"],
    ("show",): ["--json", "--set"],
    ("draw",): ["--out", "--set", "--unit"],
    ("train",): [
        "--batch-size",
        "--compile",
        "--config",
        "--data",
        "--deterministic",
        "--device",
        "--epochs",
        "--log",
        "--lr",
        "--on-bad",
        "--out",
        "--precision",
        "--recipe",
        "--recompute",
        "--resume",
        "--scale-steps",
        "--seed",
        "--set",
        "--stop-after",
        "--strict-resume",
        "--threads",
        "--weights",
    ],
    ("evaluate",): [
        "--bn-statistics",
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
    ("predict",): ["--batch", "--cam", "--cam-class", "--device", "--engine", "--json", "--top"],
    ("weights",): ["--as", "--classes", "--key", "--mean", "--out", "--std"],
    ("export",): [
        *("--any-size", "--data", "--device", "--format", "--images", "--int8"),
        *("--ir-version", "--opset", "--out"),
    ],
    ("bench",): [
        *("--batch", "--compile", "--device", "--engine", "--json", "--precision", "--rounds", "--vs", "--what")
    ],
    ("report",): ["--device", "--on-bad"],
    ("study", "list"): [],
    ("study", "show"): ["--budget", "--data", "--scale", "--seeds"],
    ("study", "run"): [
        "--budget",
        "--data",
        "--ranks",
        "--ray",
        "--row",
        "--scale",
        "--seeds",
        "--stop-after",
        "--workers",
    ],
    ("study", "report"): ["--budget", "--data", "--scale", "--seeds"],
    ("study", "watch"): ["--budget", "--data", "--port", "--scale", "--seeds"],
}


@pytest.mark.parametrize("words", SURFACE, ids=lambda words: " ".join(words) or "reslab")
def test_the_surface_is_frozen(reslab, words, capsys):
    assert reslab(*words, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    section = "Commands:" if words in ((), ("analyse",), ("data",), ("recipe",), ("study",)) else "Options:"
    section_lines = takewhile(bool, lines[lines.index(section) + 1 :])
    names = {line.split()[0] for line in section_lines if line[2] != " "}
    assert sorted(names - {"-h,"}) == SURFACE[words]


DEVICES, PRECISIONS = ["auto", "cpu", "cuda"], ["auto", "float32", "bf16"]
ENGINES = ["torch", "openvino", "onnxruntime"]
SCALES = {"--scale": ["demo", "brief", "short", "small", "paper"]}
CHOICES = {
    ("train",): {
        "--device": DEVICES,
        "--precision": PRECISIONS,
        "--compile": ["auto", "on", "off"],
        "--log": ["tensorboard", "wandb", "mlflow"],
        "--on-bad": ["error", "skip"],
    },
    ("resume",): {"--device": DEVICES, "--on-bad": ["error", "skip"]},
    ("evaluate",): {
        "--bn-statistics": ["running", "anew"],
        "--crops": ["1", "10", "144"],
        "--device": DEVICES,
        "--on-bad": ["error", "skip"],
        "--engine": ENGINES,
        "--precision": PRECISIONS,
        "--compile": ["on", "off"],
    },
    ("predict",): {"--device": DEVICES, "--engine": ENGINES},
    ("report",): {"--device": DEVICES, "--on-bad": ["error", "skip"]},
    ("export",): {
        "--format": ["onnx", "pt2", "safetensors", "torchvision", "huggingface", "tensorboard"],
        "--device": ["cpu", "cuda"],
    },
    ("bench",): {
        "--vs": ["torch", "torchvision", "timm", "akamaster-style"],
        "--device": DEVICES,
        "--what": ["training", "inference", "both"],
        "--engine": ENGINES,
        "--precision": PRECISIONS,
        "--compile": ["on", "off"],
    },
} | dict.fromkeys((("study", word) for word in ("show", "run", "report", "watch")), SCALES)


@pytest.mark.parametrize("words", CHOICES, ids=" ".join)
def test_the_choices_of_options_are_frozen(reslab, words, capsys):
    assert reslab(*words, "--help") == 0
    rows = re.findall(r"^  (--[\w-]+) <(.+\|.+)>", capsys.readouterr().out, re.MULTILINE)
    assert {option: choices.split("|") for option, choices in rows} == CHOICES[words]


def test_no_words_show_the_help(reslab, capsys):
    reslab()
    assert "Commands:" in capsys.readouterr().err


TRAIN = ["train", "resnet20-cifar", "--data", "digits", "--recipe", "demo"]


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["trian"], 2, "Did you mean 'train'"),
        (["train", "resnet21-cifar", "--data", "digits", "--recipe", "demo"], 2, "for example 20 or 26"),
        ([*TRAIN, "--set", "merge.p=2"], 2, "merge is add and has no fields; --set merge=KIND"),
        ([*TRAIN, "--set", "merge=gatd"], 2, "merge: no kind 'gatd', did you mean gated"),
        ([*TRAIN, "--set", "optimizer=adam"], 2, "optimizer: no kind 'adam', did you mean adamw?"),
        ([*TRAIN, "--set", "merge=dropped", "--set", "merge.p=2"], 2, "input should be less than 1, not 2"),
        ([*TRAIN, "--set", "stepz=2"], 2, "did you mean steps"),
        ([*TRAIN, "--set", "schedule.rat=2"], 2, "schedule is drops and has rate, at, factor, warmup, warmup_rate"),
        ([*TRAIN, "--set", "steps"], 2, "write key=value"),
        ([*TRAIN, "--set", "epochs=none"], 2, "--set epochs=none: not a number"),
        ([*TRAIN, "--epochs", "3", "--set", "steps=9"], 2, "the recipe counts in steps"),
        ([*TRAIN, "--lr", "0.1", "--set", "lr=0.2"], 2, "--set lr and --lr: the same field"),
        ([*TRAIN, "--lr", "0.1", "--set", "schedule.rate=0.2"], 2, "the same field as"),
        ([*TRAIN, "--lr", "fast"], 2, "schedule.rate: input should be a valid number"),
        (["train"], 2, "train: NETWORK and --data are missing\nfor example: reslab train"),
        (["train", "resnet20", "--data", "digits", "--recipe", "demo"], 2, "did you mean resnet20-cifar or"),
        (["train", "mine.json", "--data", "digits", "--recipe", "demo"], 3, "mine.json: no such file"),
        (["train", "resnet20-cifar", "--data", "digits", "--recipe", "mine.toml"], 3, "mine.toml: no such file"),
        (["train", "--config", "nowhere"], 3, "nowhere"),
        (["recipe", "show", "demos"], 2, "did you mean demo?"),
        (["runs"], 3, "runs: no such folder"),
        (["resume", "nowhere"], 3, "nowhere: no run"),
        (["compare", "nowhere"], 3, "nowhere: not a run, nor a folder of runs"),
        (["judge", "nowhere.csv"], 3, "nowhere.csv: no such file"),
        (["study", "run", "mine.toml"], 3, "mine.toml: no such file"),
        (["study", "new", "mine.txt"], 2, "give it the ending .toml"),
        ([*TRAIN, "--set", "steps=0"], 2, "greater than 0, not 0"),
        ([*TRAIN, "--set", "classes=7"], 2, "follows from the data"),
        ([*TRAIN, "--device", "tpu"], 2, "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        ([*TRAIN, "--seed", "-1"], 2, "--seed"),
        ([*TRAIN, "--dat", "x"], 2, "--data"),
        (["train", "resnet20-cifar", "--data", "digit", "--recipe", "demo"], 2, "did you mean digits"),
        (["train", "resnet20-cifar", "--data", "digits", "--recipe", "dem"], 2, "did you mean demo"),
        (["train", "resnet20-cifar", "--data", "cifar10", "--recipe", "demo"], 3, "cifar-10-batches-bin"),
        (["networks", "squeezenet*"], 2, "no network matches 'squeezenet*'"),
        (["study", "run", "degradaton"], 2, "did you mean degradation"),
        (["study", "run", "degradation", "--scale", "tiny"], 2, "'tiny' is not one of 'demo', 'brief', 'short'"),
        (["study", "run", "degradation", "--scale", "short"], 3, "cifar-10-batches-bin"),
        (["study", "run", "degradation", "--seeds", "0"], 2, "--seeds"),
        (["study", "run", "degradation", "--row", "resnet-20"], 2, "did you mean ResNet-20"),
        (["analyse", "responses", "resnet21-cifar", "--data", "digits"], 2, "for example 20 or 26"),
        (["analyse", "responses", "resnet8-cifar", "resnet8-cifar", "--data", "digits"], 2, "named twice"),
        (
            ["analyse", "responses", "resnet8-cifar", "--data", "digits", "--mode", "trian"],
            2,
            "is not one of 'eval', 'train'",
        ),
        (["analyse", "responses", "googlenet-cifr", "--data", "digits"], 2, "no network"),
        (["analyse", "gradients", "nowhere.safetensors", "--data", "digits"], 3, "no such file"),
        (["analyse", "lesion", "resnet8-cifar", "--data", "digits"], 2, "fresh weights have nothing to lose"),
    ],
)
def test_wrong_words_end_in_two_lines_and_leave_nothing(reslab, words, code, expected, capsys, tmp_path):
    assert reslab(*words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert err.startswith("reslab: ")
    assert len(err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--debug", "show", "resnet21-cifar"], 2),
        (["show", "--debug", "resnet21-cifar"], 2),
        (["show", "resnet21-cifar", "--debug"], 2),
        (["data", "check", "folder:/nowhere", "--debug"], 3),
    ],
)
def test_a_traceback_comes_only_with_debug_wherever_it_stands(reslab, words, code, capsys):
    assert reslab(*words) == code
    with_debug = capsys.readouterr().err
    assert with_debug.startswith("Traceback")
    assert reslab(*(word for word in words if word != "--debug")) == code
    without = capsys.readouterr().err
    assert "Traceback" not in without
    assert with_debug.endswith(without)


def test_after_two_dashes_debug_is_a_name(reslab, capsys):
    assert reslab("show", "--", "--debug") == 2
    assert capsys.readouterr().err.startswith("reslab: no network '--debug'")


def shell(command, cwd):
    """The exit code and stderr of a shell's command line, whose `reslab` is this one."""
    command = f'reslab() {{ "{sys.executable}" -m reslab "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", command], cwd=cwd, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("reslab networks >/dev/full", 3, "reslab: [Errno 28] No space left on device\n"),
        ("reslab networks >&-", 0, ""),
        ("reslab show nothing 2>/dev/full", 2, ""),
        ("reslab show nothing 2>&-", 2, ""),
        ("{ sleep 1; reslab networks; echo $? >code; } | true; exit $(cat code)", 1, ""),
    ],
)
def test_a_stream_that_is_full_or_closed_ends_in_silence(command, code, err, tmp_path):
    assert shell(command, tmp_path) == (code, err)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory_says_what_to_lower(reslab, error, monkeypatch, capsys):
    def fail(pattern):
        raise error

    monkeypatch.setattr("reslab.api.list_networks", fail)
    assert reslab("networks") == 1
    assert capsys.readouterr().err == (
        "reslab: out of memory; lower --batch, in training --set batch=N, or train with --recompute N\n"
    )


def test_an_error_that_nobody_foresaw_says_how_to_see_more(reslab, monkeypatch, capsys):
    monkeypatch.setattr("reslab.api.list_networks", lambda pattern: 1 / 0)
    assert reslab("networks") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "reslab: ZeroDivisionError: division by zero"
    assert "--debug" in second


def test_a_signal_while_the_command_is_built_ends_as_stopped(reslab, monkeypatch, capsys):
    """Typer handles those that come while it runs."""

    def interrupted(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("reslab.cli.app", interrupted)
    assert reslab("version") == 75
    assert capsys.readouterr() == ("", "")
