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
    "reslab study run shortcuts --budget 0.05": "takes minutes",
    "reslab weights theirs.pth --as resnet50-v1.5 --out ours.safetensors": "needs others' weights",
    "reslab train resnet50-v1.5 --data folder:pictures --weights ours.safetensors --recipe finetune --out run": "files",
    "reslab predict run/best.safetensors new/ --cam looked-at": "needs pictures",
    "reslab export run/best.safetensors --format onnx --out network.onnx": "needs weights",
    "reslab data get cifar10": "downloads",
    "reslab train resnet56-cifar --data cifar10 --recipe paper-a-cifar --stop-after 90m --resume": "takes hours",
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


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = README.read_text()
    assert len(text.splitlines()) <= 120
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        made = target.startswith("results/reports/")  # `make results` makes them
        assert target.startswith("https://") or made or (README.parent / target).exists(), target


WORDS = (
    "gradient (activation) checkpointing", "EMA", "mixed precision (AMP", "bf16", "DDP", "data loader", "augmentation",
    "center crop", "random resized crop", "pretrained weights", "transfer learning", "fine-tune", "confusion matrix",
    "ablation", "batch normalization", "learning-rate schedule", "seeds", "confidence interval",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_the_readme_has_the_words_that_people_search_for(word):
    assert word in README.read_text().replace("\n", " ")


def test_the_commands_that_do_everything_are_make_targets():
    makefile = (README.parent / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"```sh\nmake {target}\n```" in README.read_text()
        assert f"\n{target}: " in makefile
    assert "\nmake test\n" in (README.parent / ".ci" / "run").read_text()
