"""Several processes train as one: the same batches, the same counts, and one of them lost ends all."""

import contextlib
import os
import random
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from reslab.runs.run import Run
from reslab.weights.manifest import newest

TRAIN = ["train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--resume"]
QUICK = ["--set", "steps=12", "--set", "batch=479", "--set", "schedule.at=[9]", "--set", "checkpoint_every=5"]
RESLAB = ["-m", "reslab"]
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
PATIENCE = 120


def environment(**more):
    return {**{k: v for k, v in os.environ.items() if k != "RESLAB_DATA"}, **QUIET, **more}


def free_port():
    """A port that nobody has, drawn far and wide, as tests beside this one draw theirs."""
    while True:
        port = random.SystemRandom().randrange(20_000, 60_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def ranks(count, words, folder):
    """Run a Python command line as so many ranks, as torchrun does; (exit code, stderr, stdout) of each."""
    port = str(free_port())
    running = []
    for rank in range(count):
        variables = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)} if count > 1 else {}
        variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} if count > 1 else {}
        running.append(
            subprocess.Popen(
                [sys.executable, *words], cwd=folder, env=environment(**variables), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
    try:
        outputs = [process.communicate(timeout=PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
    return [(process.returncode, err, out) for process, (out, err) in zip(running, outputs, strict=True)]


def good(done):
    for code, err, _ in done:
        assert code == 0, err
    return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on one process and one on two ranks, neither of which stopped."""
    root = tmp_path_factory.mktemp("whole")
    good(ranks(1, [*RESLAB, *TRAIN, *QUICK, "--out", "one"], root))
    good(ranks(2, [*RESLAB, *TRAIN, *QUICK, "--out", "two"], root))
    return root


def tensors(path):
    return (newest(path) / "model.safetensors").read_bytes()


def timeless(path):
    return [replace(line, images_per_second=0.0, waiting=0.0) for line in Run(path).metrics]


def test_two_ranks_see_the_images_of_one_and_count_each_once(whole):
    one, two = Run(whole / "one"), Run(whole / "two")
    assert two.result.test.images == one.result.test.images == 360
    assert two.result.train.images == 1437
    assert two.record.machine.ranks == 2
    assert (two.answers.labels == one.answers.labels).all()  # in the order of the set, dealt to the ranks in turn
    assert 100 * two.answers.wrong.mean() == pytest.approx(two.result.test.top1_error)
    for ours, theirs in zip(timeless(whole / "two"), timeless(whole / "one"), strict=True):
        assert (ours.step, ours.rate) == (theirs.step, theirs.rate)
    # BN sees half the batch on each rank, so the losses are near and not equal
    assert timeless(whole / "two")[0].train_loss == pytest.approx(timeless(whole / "one")[0].train_loss, rel=0.1)
    assert tensors(whole / "two") != tensors(whole / "one")


def test_bn_over_all_ranks_is_that_of_one_process(whole, tmp_path):
    words = [*QUICK, "--set", "bn=all", "--set", "steps=4", "--precision", "float32"]
    good(ranks(1, [*RESLAB, *TRAIN, *words, "--out", "one"], tmp_path))
    good(ranks(2, [*RESLAB, *TRAIN, *words, "--out", "two"], tmp_path))
    one, two = (load_file(newest(tmp_path / name) / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4, msg=name)


STOPPING = """
import os, signal, sys
from reslab.train.learner import Learner
train_step = Learner.train_step
def train_step_and_stop(self, images, labels, step):
    if step == int(sys.argv[1]) and self.ranks.rank == 1:
        os.kill(os.getpid(), signal.{signal})
    return train_step(self, images, labels, step)
Learner.train_step = train_step_and_stop
from reslab.cli import main
main(sys.argv[2:])
"""


def test_ranks_agree_on_stopping_and_two_ranks_resume_bit_for_bit(whole, tmp_path):
    step = 6
    (tmp_path / "stopping.py").write_text(STOPPING.format(signal="SIGUSR1"))
    done = ranks(2, ["stopping.py", str(step - 1), *TRAIN, *QUICK, "--out", "run"], tmp_path)
    assert [code for code, _, _ in done] == [75, 75]
    assert f"stopped after step {step}, saved" in done[0][1]
    assert not done[1][1]  # the first rank speaks for all
    result = Run(tmp_path / "run").result
    assert (result.status, result.step) == ("stopped", step)
    good(ranks(2, [*RESLAB, *TRAIN, *QUICK, "--strict-resume", "--out", "run"], tmp_path))
    assert tensors(tmp_path / "run") == tensors(whole / "two")
    assert timeless(tmp_path / "run") == timeless(whole / "two")


def test_another_number_of_ranks_is_a_statistical_resume_or_refused(whole, tmp_path):
    (tmp_path / "stopping.py").write_text(STOPPING.format(signal="SIGTERM"))
    ranks(2, ["stopping.py", "4", *TRAIN, *QUICK, "--out", "run"], tmp_path)
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    ((code, err, _),) = ranks(1, [*RESLAB, *TRAIN, *QUICK, "--strict-resume", "--out", "run"], tmp_path)
    assert code == 2
    assert "no exact resume: ranks 2, now 1" in err
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    ((_, err, _),) = good(ranks(1, [*RESLAB, *TRAIN, *QUICK, "--out", "run"], tmp_path))
    assert "statistical resume, not bit for bit: ranks 2, now 1" in err
    assert Run(tmp_path / "run").status == "finished"


@pytest.fixture
def dying(tmp_path):
    """A command whose rank 1 is killed at step 8, the first time."""
    text = STOPPING.format(signal="SIGKILL").replace("if step", "if not os.path.exists('died') and step")
    (tmp_path / "dying.py").write_text(text.replace("os.kill", "open('died', 'w').close(); os.kill"))
    return ["dying.py", "7", *TRAIN, *QUICK, "--out", "run"]


def test_a_lost_rank_ends_the_others_at_once(dying, tmp_path):
    (code, err, _), (killed, _, _) = ranks(2, dying, tmp_path)
    assert (code, killed) == (1, -9)
    assert "rank 0: another rank was lost; the last checkpoint stands" in err


def test_torchrun_goes_on_when_a_rank_was_lost(dying, whole, tmp_path):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    ((_, err, _),) = good(ranks(1, [*words, *dying], tmp_path))
    assert (tmp_path / "died").exists()
    assert "resumes after step 5" in err
    assert tensors(tmp_path / "run") == tensors(whole / "two")


COUNTING = """
import sys, torch
from reslab.evaluate import evaluate
from reslab.distributed import process_group, current_rank
class First(torch.nn.Module):
    def forward(self, x):
        return x
with process_group() as ranks:
    values = torch.randn(1001, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(1001) % 4
    mine = ranks.share(values), ranks.share(labels)
    evaluation = evaluate(First(), zip(mine[0].split(100), mine[1].split(100)))
    if ranks.first:
        print(repr(evaluation))
"""


def test_1001_images_on_3_ranks_are_counted_as_on_one(tmp_path):
    (tmp_path / "counting.py").write_text(COUNTING)
    alone = good(ranks(1, ["counting.py"], tmp_path))[0][2]
    shared = good(ranks(3, ["counting.py"], tmp_path))[0][2]
    numbers = [[float(number) for number in re.findall(r"[\d.]+(?=[,)])", text)] for text in (alone, shared)]
    assert numbers[0][0] == 1001
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-6)  # the loss is all_reduce_sum in another order


def test_ranks_end_with_a_torchrun_that_is_killed(tmp_path):
    """Nobody would end them: they would train to the end, where nobody waits for them."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *RESLAB, *TRAIN]
    words += ["--set", "steps=100000", "--out", str(tmp_path / "run")]
    with subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as torchrun:
        wait_for(lambda: Run(tmp_path / "run").metrics)
        children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
        torchrun.kill()
    assert len(children) == 2
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 20)


def test_a_rank_whose_pictures_are_bad_goes_on_with_the_others(tmp_path):
    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for label in "ab":
            (tmp_path / "pictures" / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pictures" / split / label / f"{number}.png")
    bad = [*(tmp_path / "pictures" / "train" / "a").iterdir(), *(tmp_path / "pictures" / "val" / "b").iterdir()][1:]
    for file in bad:
        file.write_bytes(b"no picture")
    words = [*RESLAB, "train", "resnet8-cifar", "--data", "folder:pictures", "--recipe", "demo"]
    words += ["--set", "steps=4", "--set", "batch=8", "--out", "run"]
    code, err, _ = max(ranks(2, words, tmp_path))
    assert code == 3, err
    good(ranks(2, [*words, "--on-bad", "skip", "--resume"], tmp_path))
    result = Run(tmp_path / "run").result
    assert (result.train.images, result.test.images) == (16 + 8 - len(bad) - 4, 4)
    assert len(result.skipped) == len(bad)


def wait_for(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
