"""The runner: trains what is missing, once, in processes; a failure is reported and the others go on."""

import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace as change
from pathlib import Path

import pytest
import torch
from rich.console import Console

from reslab import network
from reslab.errors import SpecError
from reslab.runs.contents import read_json
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.stop import Deadline
from reslab.study import runner as module
from reslab.study.plan import Plan, make_plan
from reslab.study.runner import Reporter, default_workers, gpus, run_plan, running_table
from reslab.weights.manifest import newest

from .conftest import STUDY, lock_holder


def test_every_run_has_its_result(trained):
    assert trained.missing == ()
    assert all(read_json(run.out / "result.json")["status"] == "finished" for run in trained.runs)
    assert all(read_json(run.out / "run.json")["seed"] == run.seed for run in trained.runs)


def test_what_is_done_is_not_trained_again(trained):
    before = {run.out: (run.out / "run.json").stat().st_mtime_ns for run in trained.runs}
    output = io.StringIO()
    assert run_plan(trained, 2, Console(file=output)) == {}
    assert output.getvalue() == ""
    assert before == {run.out: (run.out / "run.json").stat().st_mtime_ns for run in trained.runs}


def test_a_run_that_fails_is_reported_and_the_others_go_on(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    plan.runs[0].out.mkdir()
    (plan.runs[0].out / "precious.txt").write_text("not a run")
    output = io.StringIO()
    failed = run_plan(plan, 1, Console(file=output, width=200))
    assert list(failed) == [plan.runs[0]]
    assert "exists and is no run" in failed[plan.runs[0]]
    assert plan.missing == (plan.runs[0],)
    assert plan.runs[0].status == f"failed: {failed[plan.runs[0]]}"
    assert "1/2  plain-8  seed 0  SpecError" in output.getvalue()
    assert "2/2  ResNet-8  seed 0  training error" in output.getvalue()


def test_a_lost_worker_is_replaced_and_its_run_begun_again(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 2)
    output = io.StringIO()

    def kill_the_first_that_trains():
        while not any(Run(run.out).is_locked for run in plan.runs):
            time.sleep(0.01)
        multiprocessing.active_children()[0].kill()

    killer = threading.Thread(target=kill_the_first_that_trains)
    killer.start()
    assert run_plan(plan, 1, Console(file=output, width=200)) == {}
    killer.join()
    assert "a worker process was lost" in output.getvalue()
    assert plan.missing == ()


def _children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in listed.stdout.split()]


def test_a_stop_ends_the_workers_and_keeps_what_is_finished(tmp_path):
    words = [sys.executable, "-m", "reslab", "demo", "--workers", "2"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline(), process.stderr.readline()]  # the first run is done
        workers = _children(process.pid)
        assert workers
        process.send_signal(signal.SIGTERM)
        lines += process.stderr.readlines()
    assert process.returncode == 75
    assert lines[0] == "degradation, demo scale: 24 runs, 0 of them done\n"
    assert "the same command goes on from there" in lines[-1]
    done = [path for path in (tmp_path / "runs").iterdir() if Run(path).is_done]
    assert f"stopped: {len(done)} of 24 runs are done" in lines[-1]
    stopped = [path for path in (tmp_path / "runs").iterdir() if path not in done]
    assert stopped
    for path in stopped:  # every run under way was saved, whichever worker ended first
        assert read_json(path / "result.json")["status"] == "stopped"
        assert newest(path)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_worker_that_hangs_does_not_keep_the_runner_from_a_stop(tmp_path):
    words = [sys.executable, "-m", "reslab", "demo", "--workers", "2"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while not any(Run(run).is_locked for run in tmp_path.glob("runs/*")):
            time.sleep(0.05)
        hanging = _children(process.pid)[-1]
        os.kill(hanging, signal.SIGSTOP)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        took = time.monotonic() - start
        assert took < 10, took
    assert process.returncode == 75
    assert not Path(f"/proc/{hanging}").exists()


def test_a_time_limit_ends_all_runs_saved(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    long = [change(run, recipe=replace(run.recipe, steps=100_000)) for run in plan.runs]
    plan, output = change(plan, runs=tuple(long)), io.StringIO()
    deadline = Deadline(1)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, 1, Console(file=output, width=200), deadline=deadline)
    (stopped,) = (run for run in plan.runs if run.run.exists)
    assert stopped.run.result.status == "stopped"
    assert newest(stopped.out).name == f"step-{stopped.run.result.step:08d}"
    assert "stopped at step" in output.getvalue()
    assert "the time is up: 2 runs are left" in output.getvalue()


def test_a_worker_that_hangs_does_not_outlast_the_time_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("reslab.study.runner.OVERTIME", 1.0)
    monkeypatch.setattr("reslab.study.runner.PATIENCE", 1.0)
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    plan, hanging = change(plan, runs=(change(plan.runs[0], recipe=replace(plan.runs[0].recipe, steps=100_000)),)), []

    def hang():
        while not (pid := lock_holder(plan.runs[0].out)):
            time.sleep(0.01)
        os.kill(pid, signal.SIGSTOP)
        hanging.append(pid)
        deadline._moment = time.monotonic()

    deadline, suspender = Deadline(3600), threading.Thread(target=hang)
    suspender.start()
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, 1, Console(quiet=True), deadline=deadline)
    suspender.join()
    while Path(f"/proc/{hanging[0]}").exists() and multiprocessing.active_children():
        time.sleep(0.05)
    assert not plan.runs[0].run.is_locked


def test_two_runners_share_the_work_and_train_nothing_twice(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 3)
    output = [io.StringIO(), io.StringIO()]
    runners = [threading.Thread(target=run_plan, args=(plan, 1, Console(file=file, width=200))) for file in output]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert plan.missing == ()
    ends = "".join(file.getvalue() for file in output)
    assert ends.count("training error") >= len(plan.runs)
    for run in plan.runs:
        assert [line.step for line in run.run.metrics] == [5, 10, 15, 20]
        assert "resumed" not in read_json(run.out / "run.json")


TWO = """
import sys
from pathlib import Path
from rich.console import Console
from reslab.study.plan import make_plan
from reslab.study.runner import run_plan
from tests.study.conftest import STUDY
if __name__ == "__main__":
    assert run_plan(make_plan(STUDY, "demo", Path(sys.argv[1]), 2), 1, Console()) == {}
"""


def test_two_commands_at_once_train_nothing_twice_though_one_is_suspended_for_a_while(tmp_path):
    plan, words = make_plan(STUDY, "demo", tmp_path, 2), [sys.executable, "-c", TWO, tmp_path]
    with subprocess.Popen(words) as one, subprocess.Popen(words) as other:
        while not any(Run(run.out).is_locked for run in plan.runs):
            time.sleep(0.01)
        suspended = [one.pid, *_children(one.pid)]
        for process in suspended:
            os.kill(process, signal.SIGSTOP)
        time.sleep(1)
        for process in suspended:
            os.kill(process, signal.SIGCONT)
    assert (one.returncode, other.returncode) == (0, 0)
    assert plan.missing == ()
    for run in plan.runs:
        assert [line.step for line in run.run.metrics] == [5, 10, 15, 20]
        assert "resumed" not in read_json(run.out / "run.json")


def test_a_run_has_the_threads_that_it_would_have_had_beside_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("reslab.study.runner.cores", lambda: 4)
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    for index in (0, 1):
        only = [planned for planned in plan.runs if planned.row == plan.runs[index].row]
        monkeypatch.setattr(Plan, "missing", property(lambda plan, only=only: tuple(r for r in only if not r.done)))
        assert run_plan(plan, 2, Console(quiet=True)) == {}
        assert read_json(only[0].out / "run.json")["machine"]["threads"] == 2


def test_one_that_is_always_lost_takes_no_other_with_it(tmp_path, monkeypatch):
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    output, stopping = io.StringIO(), threading.Event()

    def kill_whoever_trains_the_first():
        while not stopping.wait(0.01):
            if pid := lock_holder(plan.runs[0].out):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_whoever_trains_the_first)
    killer.start()
    failed = run_plan(plan, 2, Console(file=output, width=200))
    stopping.set()
    killer.join()
    assert failed == {plan.runs[0]: "its worker process was lost twice"}
    assert plan.missing == (plan.runs[0],)


def test_the_time_left_counts_operations_and_the_runs_under_way(tmp_path, monkeypatch):
    plan = make_plan(STUDY, "demo", tmp_path, 2)
    resumed, under_way, first = plan.runs[:3]
    reach(resumed, 10)
    now = iter((100.0, 130.0, 160.0))
    monkeypatch.setattr("reslab.study.runner.time.monotonic", lambda: next(now))
    reporter = Reporter(plan, Console(file=(lines := io.StringIO()), width=120))
    reach(under_way, 10)
    reporter.line(first, "done")  # a whole run and half of one in 30 s; half, half and a whole are left
    reach(resumed, 20)
    reporter.line(under_way, "failed")  # two and a half in 60 s
    assert "1/4  plain-8  seed 1  done  about 40 s more" in lines.getvalue()
    assert "2/4  ResNet-8  seed 0  failed  about 24 s more" in lines.getvalue()


def reach(run, step, speed=1):
    run.out.mkdir(exist_ok=True)
    line = {"step": step, "rate": 0.1, "train_loss": 1, "train_error": 50, "images_per_second": speed, "waiting": 0}
    (run.out / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_rows_that_want_the_same_training_have_it_once(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    twice = change(plan, runs=(*plan.runs, change(plan.runs[0], row="again")))
    output = io.StringIO()
    assert run_plan(twice, 1, Console(file=output, width=200)) == {}
    assert output.getvalue().count("training error") == 2
    assert twice.missing == ()


def test_gpus_are_shared_out_among_the_workers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpus(number, 1) for number in range(5)] == ["0", "1", "2", "3", "0"]
    assert [gpus(number, 2) for number in range(3)] == ["0,1", "2,3", "0,1"]
    monkeypatch.setattr(module, "cores", lambda: 32)
    small = make_plan(STUDY, "demo", Path("runs"), 1).runs
    assert [default_workers(small, ranks) for ranks in (1, 2, 8)] == [16, 2, 1]  # small images: four on each GPU
    large = [change(run, network=network("resnet18")) for run in small]
    assert [default_workers(large, ranks) for ranks in (1, 2, 8)] == [4, 2, 1]
    monkeypatch.setattr(module, "cores", lambda: 6)
    assert default_workers(small, 1) == 6
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5,3,1")
    assert gpus(1, 2) == "3,1"


def test_more_ranks_than_gpus_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SpecError, match="--ranks 2: there are 1 GPUs here"):
        run_plan(make_plan(STUDY, "demo", tmp_path), 1, Console(quiet=True), ranks=2)


@pytest.mark.soak
def test_ten_random_ends_of_the_runner_give_the_same_results(tmp_path):
    words = [sys.executable, "-m", "reslab", "study", "run", "inception", "--seeds", "1", "--workers", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    subprocess.run(words, cwd=tmp_path / "whole", env=environment, check=True, capture_output=True)
    draw, killed = random.Random(0), tmp_path / "killed"
    for end in [signal.SIGKILL, signal.SIGTERM] * 5:
        with subprocess.Popen(
            words, cwd=killed, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and not any(Run(run).is_locked for run in killed.glob("runs/*")):
                time.sleep(0.05)
            time.sleep(draw.uniform(0, 4))
            assert process.poll() is None
            process.send_signal(end)
        while any(Run(run).is_locked for run in killed.glob("runs/*")):
            time.sleep(0.2)
    subprocess.run(words, cwd=killed, env=environment, check=True, capture_output=True)
    whole, again = (
        json.loads((tmp_path / name / "reports/inception-demo/results.json").read_text())
        for name in ("whole", "killed")
    )
    for results in (whole, again):
        del results["cost"]
        for run in results["runs"]:
            del run["seconds"], run["images_per_second"]
    assert again == whole


def test_the_table_of_running_ones_adds_up_their_speeds(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    for run, speed in zip(plan.runs, (1000, 234), strict=True):
        reach(run, 10, speed)
    output = io.StringIO()
    with plan.runs[0].run.lock(), plan.runs[1].run.lock():
        Console(file=output, width=120).print(running_table(plan.runs))
    assert "1,234 images/s together" in output.getvalue()


def test_rows_of_a_plan_are_trained_alone(tmp_path):
    plan = make_plan(STUDY, "demo", tmp_path, 2)
    alone = plan.only(["ResNet-8"])
    assert [(run.row, run.seed) for run in alone.runs] == [("ResNet-8", 0), ("ResNet-8", 1)]
    with pytest.raises(SpecError, match="trains no such row at demo scale; did you mean ResNet-8"):
        plan.only(["resnet-8"])
