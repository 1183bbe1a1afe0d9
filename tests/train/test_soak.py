"""A run that is killed again and again, at any moment, ends as one that never was. `make soak`; some minutes."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from reslab.weights.manifest import newest

WORDS = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--resume"]
WORDS += ["--set", "steps=600", "--set", "checkpoint_every=5", "--set", "schedule.at=[400]", "--set", "average=0.99"]


@pytest.mark.soak
def test_fifteen_random_kills(tmp_path):
    words = [sys.executable, "-m", "reslab", *WORDS, "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*words, "whole"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    draw, kills = random.Random(0), 0
    while kills < 15:
        with subprocess.Popen([*words, "killed"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
            before = newest(tmp_path / "killed")
            while process.poll() is None and newest(tmp_path / "killed") == before:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.3))
            assert process.poll() is None, f"the run ended after {kills} kills; give it more steps"
            process.send_signal(signal.SIGKILL)
            kills += 1
    subprocess.run([*words, "killed"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    ends = [(newest(tmp_path / name) / "model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert ends[0] == ends[1]
