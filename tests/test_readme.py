"""What the README says works: its commands and its Python run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(), flags=re.DOTALL)
COMMANDS = [
    line for language, block in BLOCKS if language == "sh" for line in block.splitlines() if line.startswith("reslab ")
]
LONG = {
    "reslab data get cifar10": "downloads",
    "reslab train resnet20-cifar --data cifar10 --recipe paper-a-cifar": "takes hours",
    "reslab train resnet18 --data folder:PATH --recipe paper-a-imagenet --set size=64": "needs pictures",
    "reslab weights theirs.th --as resnet20-cifar --out ours.safetensors": "needs others' weights",
    "reslab evaluate ours.safetensors --data cifar10": "needs weights and CIFAR-10",
    "reslab evaluate ours.safetensors --data cifar10 --engine openvino --precision bf16": "needs weights and CIFAR-10",
    "reslab bench resnet20-cifar --vs akamaster-style": "takes a minute",
    "reslab export ours.safetensors --format onnx --out network.onnx": "needs weights",
    "reslab train resnet20-cifar --data folder:PATH --weights ours.safetensors --recipe finetune": "needs pictures",
    "reslab predict ours.safetensors pictures/ --cam looked-at": "needs pictures",
    "reslab analyse lesion ours.safetensors --data cifar10": "needs weights and CIFAR-10",
    "reslab study run degradation --scale demo": "takes minutes",
    "reslab study run shortcuts --budget 0.05": "takes minutes",
    "reslab study watch shortcuts": "ends with Ctrl-C",
    "reslab runs": "needs runs",
    "reslab study run mine.toml": "needs the file",
    "reslab compare runs --by lr": "needs runs",
    "reslab judge theirs.csv --claim wide < slim": "needs others' runs",
}


def in_a_fresh_directory(words, path):
    environment = {key: value for key, value in os.environ.items() if key != "RESLAB_DATA"}
    return subprocess.run(words, cwd=path, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_runs(line, tmp_path):
    words = shlex.split(line, comments=True)
    if " ".join(words) in LONG:
        return  # its words are checked below
    done = in_a_fresh_directory([sys.executable, "-m", *words], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_long_commands_are_there_and_have_right_words(tmp_path):
    written = [" ".join(shlex.split(line, comments=True)) for line in COMMANDS]
    for line in LONG:
        assert line in written
        done = in_a_fresh_directory([sys.executable, "-m", *line.split(), "--help"], tmp_path)
        assert done.returncode == 0


@pytest.mark.parametrize("block", [block for language, block in BLOCKS if language == "python"])
def test_the_python_runs(block, tmp_path):
    done = in_a_fresh_directory([sys.executable, "-W", "error", "-c", block], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_weights_are_of_the_network_that_goes_on_with_them():
    [made] = [line for line in COMMANDS if line.startswith("reslab weights ")]
    [tuned] = [line for line in COMMANDS if "--weights" in line]
    words = made.split()
    assert words[words.index("--as") + 1] == tuned.split()[2]


def test_the_commands_that_do_everything_are_make_targets():
    makefile = (README.parent / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"```sh\nmake {target}\n```" in README.read_text()
        assert f"\n{target}: " in makefile
    assert "\nmake test\n" in (README.parent / ".ci" / "run").read_text()
