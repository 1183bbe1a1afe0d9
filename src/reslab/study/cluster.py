"""Training the missing runs of a plan on a Ray cluster, each as a task, in directories that all nodes share or not."""

import dataclasses
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live

from reslab.errors import SpecError
from reslab.runs.record import hold, is_locked
from reslab.runs.transfer import Packed, pack, unpack
from reslab.study.plan import Plan, Run
from reslab.study.runner import Reporter, distinct, note, running_table, train_run

_POLL = 0.5  # seconds between two looks
_ANSWERS = 10  # seconds that a cluster has to take up a connection
_RETRIES = 3  # times that a run is begun again, from its checkpoint, when its worker or node is lost
_SEEN = 30  # seconds that a shared file system has to show what another node wrote


def run_on_ray(plan: Plan, address: str, console: Console, threads: int, ranks: int = 1) -> dict[Run, str]:
    """Train what the plan is missing on the Ray cluster of an address, each run with so many cores, and GPUs if it has.

    As study.run.run_plan otherwise: the same runs with the same results. Where not every node sees the directory of the
    runs by the same path, each run is trained in one of its node's own and comes back through Ray's object store. A run
    of several ranks has a GPU for each, all on one node. A task whose worker is lost is begun again by Ray. Raises
    SpecError where Ray is not installed, no cluster answers, or none of its nodes has room for a run.
    """
    ray = _ray(address)
    try:
        return _Runner(ray, plan, console, threads, ranks).all()
    finally:
        ray.shutdown()


class _Runner:
    """The tasks of a plan's runs on a cluster."""

    def __init__(self, ray: Any, plan: Plan, console: Console, threads: int, ranks: int):
        gpus = ranks if ray.cluster_resources().get("GPU") else 0
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= threads and node.get("GPU", 0) >= gpus for node in nodes):
            wanted = f"{threads} cores" + f" and {gpus} GPUs" * bool(gpus)
            raise SpecError(f"--ray: no node has {wanted} for a run; more --workers or fewer --ranks ask for less")
        self.task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_train_there)
        self.ray, self.plan, self.console = ray, plan, console
        self.shape = (threads, ranks)
        self.shared = not plan.missing or _is_shared(ray, plan.missing[0].out.absolute().parent)
        self.teller = Reporter(plan, console)
        self.failed: dict[Run, str] = {}
        self.tasks: dict[Any, Run] = {}
        self.locks: dict[Any, TextIO] = {}

    def all(self) -> dict[Run, str]:
        """Train every run that is missing; -> those that failed, with their reasons."""
        try:
            with Live(console=self.console, auto_refresh=False, transient=True) as live:
                while remaining := distinct(run for run in self.plan.missing if run not in self.failed):
                    self._submit(remaining)
                    if not self.tasks:  # others train what is left
                        time.sleep(_POLL)
                        continue
                    for done in self.ray.wait(list(self.tasks), timeout=_POLL)[0]:
                        self._settle(done)
                    if self.console.is_terminal:
                        live.update(running_table(self.tasks.values()), refresh=True)
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            for lock in self.locks.values():
                lock.close()
        return self.failed

    def _submit(self, remaining: list[Run]) -> None:
        waiting = {run.out for run in self.tasks.values()}
        for run in remaining:
            if run.out in waiting or is_locked(run.out):
                continue
            placed = dataclasses.replace(run, out=run.out.absolute())
            if self.shared:
                self.tasks[self.task.remote(placed, *self.shape, None)] = run
            elif lock := hold(run.out):
                task = self.task.remote(placed, *self.shape, pack(run.out))
                self.tasks[task], self.locks[task] = run, lock

    def _settle(self, task: Any) -> None:
        run = self.tasks.pop(task)
        lock = self.locks.pop(task, None)
        try:
            result, files = self.ray.get(task)
            unpack(run.out, files)
            if result["status"] in ("finished", "diverged"):
                _must_be_seen(run)
            self.teller.end(run, result)
        except (self.ray.exceptions.RayError, SpecError, OSError) as error:
            cause = getattr(error, "cause", None) or error
            self.failed[run] = note(run, f"{type(cause).__name__}: {cause}".splitlines()[0])
            self.teller.tell(run, self.failed[run])
        finally:
            if lock:
                lock.close()

    def _stop(self) -> None:
        """End the tasks behind their step, saved, and bring back what is not shared."""
        for task in self.tasks:
            self.ray.cancel(task)
        for task in self.ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=60)[0] if self.tasks else ():
            with suppress(self.ray.exceptions.RayError):
                unpack(self.tasks[task].out, self.ray.get(task)[1])


def _must_be_seen(run: Run) -> None:
    deadline = time.monotonic() + _SEEN
    while not run.done:
        if time.monotonic() > deadline:
            raise SpecError(f"trained on a node whose {run.out.absolute()} is another than the one here")
        time.sleep(_POLL)


def _train_there(run: Run, threads: int, ranks: int, held: Packed | None) -> tuple[dict[str, Any], Packed]:
    """Train a run on a node, in the shared directory, or with what is `held` of it in one of the node's own.

    -> the result, and of the node's own directory what is in it.
    """
    import torch

    torch.set_num_threads(threads)
    if held is None:
        return train_run(run, ranks), {}
    own = dataclasses.replace(run, out=Path(tempfile.gettempdir()) / f"reslab-{os.getuid()}" / run.out.name)
    if not (own.out / "run.json").is_file():  # as a task left it that was lost here
        unpack(own.out, held)
    result, files = train_run(own, ranks), pack(own.out)
    if own.done:
        shutil.rmtree(own.out)
    return result, files


def _is_shared(ray: Any, folder: Path) -> bool:
    """Whether every node sees a folder of this machine by the same path."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".seen-") as mark:
        sees = ray.remote(num_cpus=0)(_sees)
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        return all(ray.get([sees.options(scheduling_strategy=place).remote(mark.name) for place in places]))


def _sees(name: str) -> bool:
    return Path(name).exists()


def _ray(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise SpecError("ray is not installed: pip install 'reslab[ray]'") from None
    host, _, port = address.removeprefix("ray://").partition(":")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if port:  # Ray itself waits for minutes for one that is not there
            socket.create_connection((host, int(port)), timeout=_ANSWERS).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(f"--ray {address}: {str(error).splitlines()[0]}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray's own would end this process with nothing told
    return ray
