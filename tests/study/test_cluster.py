"""Runs on a Ray cluster: the same results as here, whatever happens to a worker."""

import io
import os
import signal
import sys
import threading
import time
from dataclasses import replace as change
from pathlib import Path

import pytest
from rich.console import Console

from reslab.errors import SpecError
from reslab.pages.study import results
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.stop import Deadline
from reslab.study import cluster
from reslab.study.cluster import run_on_ray
from reslab.study.plan import make_plan
from reslab.study.runner import PATIENCE, run_plan
from reslab.weights.manifest import newest

from .conftest import STUDY, lock_holder

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture
def two_nodes():
    """A cluster of two nodes on this machine, each of one core."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def timeless(plan):
    content = results(plan)
    del content["cost"]
    for run in content["runs"]:
        del run["seconds"], run["images_per_second"]
    return content


def _holder(plan):
    """The process that holds a run's lock."""
    while True:
        for run in plan.runs:
            if pid := lock_holder(run.out):
                return pid
        time.sleep(0.02)


def test_nodes_that_share_no_directory_send_theirs_back(two_nodes, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_is_shared", lambda ray, folder: False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    there = make_plan(STUDY, "demo", tmp_path / "there")
    assert run_on_ray(there, two_nodes.address, Console(quiet=True), threads=1) == {}
    assert there.missing == ()
    assert not any(Run(run.out).is_locked for run in there.runs)
    for run, same in zip(there.runs, trained.runs, strict=True):
        assert newest(run.out).name == "step-00000020"
        assert (newest(run.out) / "model.safetensors").read_bytes() == (
            newest(same.out) / "model.safetensors"
        ).read_bytes()


def test_a_directory_that_a_node_does_not_see_is_not_shared(two_nodes, tmp_path, monkeypatch):
    import ray

    ray.init(address=two_nodes.address, log_to_driver=False)
    try:
        assert cluster._is_shared(ray, tmp_path)
        monkeypatch.chdir(tmp_path)
        assert not cluster._is_shared(ray, Path("/proc/self/cwd/runs"))
    finally:
        ray.shutdown()


def test_a_cluster_of_two_nodes_gives_the_same_though_a_worker_is_killed(two_nodes, tmp_path):
    here = make_plan(STUDY, "demo", tmp_path / "here")
    assert run_plan(here, 2, Console(quiet=True)) == {}
    there = make_plan(STUDY, "demo", tmp_path / "there")
    killed = []

    def kill_the_first_that_trains():
        killed.append(_holder(there))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_the_first_that_trains, daemon=True)
    killer.start()
    output = io.StringIO()
    assert run_on_ray(there, two_nodes.address, Console(file=output, width=200), threads=1) == {}
    assert killed
    assert there.missing == ()
    assert output.getvalue().count("training error") == len(there.runs)
    assert timeless(there) == timeless(here)


def test_a_run_for_which_no_node_has_room_is_refused(two_nodes, tmp_path):
    with pytest.raises(SpecError, match="--ray: no node has 4096 cores for a run"):
        run_on_ray(make_plan(STUDY, "demo", tmp_path), two_nodes.address, Console(quiet=True), threads=4096)


def test_a_cluster_that_is_not_there_is_an_error(tmp_path):
    pytest.importorskip("ray")
    with pytest.raises(SpecError, match=r"--ray 127\.0\.0\.1:1: "):
        run_on_ray(make_plan(STUDY, "demo", tmp_path), "127.0.0.1:1", Console(quiet=True), threads=1)


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpecError, match=r"pip install 'reslab\[ray\]'"):
        run_on_ray(make_plan(STUDY, "demo", tmp_path), "auto", Console(quiet=True), threads=1)


def test_a_worker_that_hangs_does_not_outlast_the_time_limit(two_nodes, tmp_path, monkeypatch):
    monkeypatch.setattr("reslab.study.runner.OVERTIME", 1.0)
    plan = make_plan(STUDY, "demo", tmp_path, 1)
    plan = change(plan, runs=tuple(change(run, recipe=replace(run.recipe, steps=10**6)) for run in plan.runs))
    hanging = []

    def hang_the_first_that_trains():
        hanging.append(_holder(plan))
        os.kill(hanging[0], signal.SIGSTOP)
        deadline._moment = time.monotonic()  # now: Ray's workers begin when they can

    deadline = Deadline(300)
    threading.Thread(target=hang_the_first_that_trains, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_on_ray(plan, two_nodes.address, Console(quiet=True), threads=1, deadline=deadline)
    assert hanging
    assert deadline.late < 1 + PATIENCE + 10
    ended = time.monotonic() + 30
    while Path(f"/proc/{hanging[0]}").exists() and time.monotonic() < ended:
        time.sleep(0.1)
    assert not Path(f"/proc/{hanging[0]}").exists()
