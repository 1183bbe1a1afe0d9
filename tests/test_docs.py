"""The worked examples run as they stand, each in a fresh directory, and print what they say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "examples.md"
EXAMPLES = dict(section.split("\n", 1) for section in PAGE.read_text().split("\n## ")[1:])
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", flags=re.DOTALL)
PRINTS = re.compile(r"^\s*print\(.*\)  # (.+)$", flags=re.MULTILINE)


def run(words, path):
    environment = {key: value for key, value in os.environ.items() if key != "RESLAB_DATA"}
    done = subprocess.run(words, cwd=path, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    if "onnx" in EXAMPLES[name]:
        pytest.importorskip("onnxruntime")
    if "tensorboard" in EXAMPLES[name]:
        pytest.importorskip("tensorboard")
    for language, block in BLOCK.findall(EXAMPLES[name]):
        if language == "sh":
            for line in block.splitlines():
                run([sys.executable, "-m", *shlex.split(line)], tmp_path)
            continue
        printed = run([sys.executable, "-W", "error", "-c", block], tmp_path)
        for expected in PRINTS.findall(block):
            assert expected in printed


def test_there_are_examples():
    assert len(EXAMPLES) >= 8
    assert all(BLOCK.search(text) for text in EXAMPLES.values())
