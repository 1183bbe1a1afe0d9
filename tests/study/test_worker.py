"""Runs of several ranks: the record of any other run, whatever is stopped, killed or wrong."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace as change
from pathlib import Path

import pytest
from rich.console import Console

from reslab.runs.contents import read_json
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.study.plan import make_plan
from reslab.study.runner import run_plan
from reslab.weights.manifest import newest

from .conftest import STUDY


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # torchrun's own


def one(folder):
    """A plan of one run, long enough to be met under way, with a checkpoint every five steps."""
    plan = make_plan(STUDY, "demo", folder, 1)
    run = plan.runs[0]
    return change(plan, runs=(change(run, recipe=replace(run.recipe, steps=80, checkpoint_every=5)),))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """That run on two ranks, which nothing disturbed, and its output."""
    plan, output = one(tmp_path_factory.mktemp("whole")), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONWARNINGS", "ignore")
        assert run_plan(plan, 1, Console(file=output, width=200), ranks=2) == {}
    return plan.runs[0].out, output.getvalue()


def weights(out):
    return (newest(out) / "model.safetensors").read_bytes()


def timeless(out):
    return [change(line, images_per_second=0, waiting=0) for line in Run(out).metrics]


def ranks_of(out):
    """The processes that train a run."""
    return [pid for pid, words in processes_of(out).items() if "torch.distributed.run" not in words]


def processes_of(out):
    """The command lines of a run's ranks and their torchrun, by process."""
    lines = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            words = file.read_text().split("\0")
            if str(out) in words:
                lines[int(file.parent.name)] = words
    return lines


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_of_two_ranks_has_the_record_of_any_other(whole):
    out, output = whole
    assert "1/1  plain-8  seed 0  training error" in output
    assert read_json(out / "run.json")["machine"]["ranks"] == 2
    assert [line.step for line in timeless(out)] == list(range(5, 85, 5))
    assert read_json(out / "result.json")["train"]["images"] == 1437


def test_a_lost_rank_is_begun_again_from_the_checkpoint(whole, tmp_path):
    plan = one(tmp_path)
    out = plan.runs[0].out

    def kill_one():
        wait_for(lambda: newest(out))
        os.kill(ranks_of(out)[1], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    assert run_plan(plan, 1, Console(quiet=True), ranks=2) == {}
    killer.join()
    assert read_json(out / "run.json")["resumed"]
    assert weights(out) == weights(whole[0])
    assert timeless(out) == timeless(whole[0])


RUNNER = """
import sys
from pathlib import Path
from rich.console import Console
from reslab.study.runner import run_plan
from tests.study.test_worker import one
if __name__ == "__main__":
    run_plan(one(Path(sys.argv[1])), 1, Console(), ranks=2)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_ranks_end_with_their_runner_and_the_run_goes_on(whole, tmp_path, end):
    plan = one(tmp_path)
    out = plan.runs[0].out
    with subprocess.Popen([sys.executable, "-c", RUNNER, tmp_path], stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: newest(out))
        process.send_signal(end)
    wait_for(lambda: not Run(out).is_locked and not ranks_of(out))
    assert not plan.runs[0].done
    if end == signal.SIGINT:
        assert read_json(out / "result.json")["status"] == "stopped"
    assert run_plan(plan, 1, Console(quiet=True), ranks=2) == {}
    assert weights(out) == weights(whole[0])


def test_the_ranks_end_with_a_torchrun_that_is_killed(tmp_path):
    plan = one(tmp_path)
    out = plan.runs[0].out
    failures = {}
    runner = threading.Thread(target=lambda: failures.update(run_plan(plan, 1, Console(quiet=True), ranks=2)))
    runner.start()
    wait_for(lambda: newest(out))
    ranks = ranks_of(out)
    (torchrun,) = processes_of(out).keys() - ranks
    os.kill(torchrun, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{rank}").exists() for rank in ranks), seconds=20)
    runner.join()
    assert failures == {plan.runs[0]: "torchrun ended with exit code -9"}


def test_the_reason_why_ranks_fail_is_reported(tmp_path):
    plan = one(tmp_path)
    out = plan.runs[0].out
    out.mkdir()
    (out / "precious.txt").write_text("not a run")
    failed = run_plan(plan, 1, Console(quiet=True), ranks=2)
    assert "exists and is no run" in failed[plan.runs[0]]
