"""Training the missing runs of a plan on a Ray cluster, each as a task, with or without a shared file system."""

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from reslab.errors import SpecError
from reslab.runs.contents import Result
from reslab.runs.transfer import Packed, pack, unpack
from reslab.stop import NEVER, Deadline
from reslab.study.plan import Plan, PlannedRun
from reslab.study.runner import PATIENCE, POLL, run_missing
from reslab.study.worker import Failed, Outcome, reason_of, train_run

_CONNECT = 10  # seconds to wait for a cluster's answer
_RETRIES = 3  # of a task, from its last checkpoint, when its worker or node is lost
_VISIBLE = 30  # seconds until a shared file system shows what another node wrote


def run_on_ray(
    plan: Plan, address: str, console: Console, threads: int, ranks: int = 1, deadline: Deadline = NEVER
) -> dict[PlannedRun, str]:
    """Train the missing runs of a plan on the Ray cluster of an address; see run_missing.

    Each run has `threads` cores, and a GPU for each rank if the cluster has GPUs, all on one node. On nodes that do not
    see the runs' directory by the same path a run is trained in a directory of the node and sent back through Ray's
    object store. Ray starts a task again whose worker is lost. Raises SpecError if Ray is not installed, no cluster
    answers, or no node has room for a run.
    """
    ray = _connect(address)
    try:
        return run_missing(plan, _Tasks(ray, plan, threads, ranks), console, deadline)
    finally:
        ray.shutdown()


class _Tasks:
    """The tasks of a plan's runs on a cluster, queued by Ray until there is room."""

    def __init__(self, ray: Any, plan: Plan, threads: int, ranks: int):
        gpus = ranks if ray.cluster_resources().get("GPU") else 0
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= threads and node.get("GPU", 0) >= gpus for node in nodes):
            wanted = f"{threads} cores" + f" and {gpus} GPUs" * bool(gpus)
            raise SpecError(f"--ray: no node has {wanted} for a run; more --workers or fewer --ranks ask for less")
        self.slots = len(plan.runs)
        self.task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_train_on_node)
        self.ray, self.shape = ray, (threads, ranks)
        self.shared = not plan.missing or _is_shared(ray, plan.missing[0].out.absolute().parent)
        self.tasks: dict[Any, PlannedRun] = {}
        self.locks: dict[PlannedRun, IO[str]] = {}

    @property
    def running(self) -> Collection[PlannedRun]:
        return self.tasks.values()

    def start(self, planned: PlannedRun, stop_after: float | None) -> None:
        placed, files = replace(planned, out=planned.out.absolute()), None
        if not self.shared:
            lock = planned.run.lock()
            if lock is None:
                return
            self.locks[planned], files = lock, pack(planned.out)
        self.tasks[self.task.remote(placed, *self.shape, files, stop_after)] = planned

    def ended(self) -> Iterator[tuple[PlannedRun, Outcome]]:
        if not self.tasks:  # others train the missing runs
            time.sleep(POLL)
            return
        for task in self.ray.wait(list(self.tasks), timeout=POLL)[0]:
            yield self.tasks[task], self._outcome(task)

    def _outcome(self, task: Any) -> Outcome:
        planned = self.tasks.pop(task)
        try:
            outcome, files = self.ray.get(task)
            unpack(planned.out, files)
            deadline = time.monotonic() + _VISIBLE
            while isinstance(outcome, Result) and outcome.status != "stopped" and not planned.done:
                if time.monotonic() > deadline:
                    return Failed(f"trained on a node whose {planned.out.absolute()} is another than the one here")
                time.sleep(POLL)
            return outcome  # type: ignore[no-any-return]
        except (self.ray.exceptions.RayError, OSError) as error:
            return Failed(reason_of(getattr(error, "cause", None) or error))
        finally:
            if lock := self.locks.pop(planned, None):
                lock.close()

    def stop(self) -> None:
        tasks = list(self.tasks)
        for task in tasks:
            self.ray.cancel(task)
        for task in self.ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)[0] if tasks else ():
            with suppress(self.ray.exceptions.RayError):
                unpack(self.tasks[task].out, self.ray.get(task)[1])
        for lock in self.locks.values():
            lock.close()


def _train_on_node(
    planned: PlannedRun, threads: int, ranks: int, files: Packed | None, stop_after: float | None
) -> tuple[Outcome, Packed]:
    """Train a run on a node, in the shared directory, or from the run's `files` in a directory of the node.

    Returns the outcome and, of a directory of the node, its files.
    """
    import torch

    torch.set_num_threads(threads)
    if files is None:
        return train_run(planned, ranks, stop_after), {}
    own = replace(planned, out=Path(tempfile.gettempdir()) / f"reslab-{os.getuid()}" / planned.out.name)
    if not own.run.exists:  # else a lost task has left it
        unpack(own.out, files)
    outcome, files = train_run(own, ranks, stop_after), pack(own.out)
    if own.done:
        shutil.rmtree(own.out)
    return outcome, files


def _is_shared(ray: Any, folder: Path) -> bool:
    """Whether every node sees a folder of this machine by the same path."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".shared-") as file:
        exists = ray.remote(num_cpus=0)(os.path.exists)
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        on_nodes = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        return all(ray.get([exists.options(scheduling_strategy=node).remote(file.name) for node in on_nodes]))


def _connect(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise SpecError("ray is not installed: pip install 'reslab[ray]'") from None
    host, _, port = address.removeprefix("ray://").partition(":")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if port:  # Ray itself waits for minutes if there is none
            socket.create_connection((host, int(port)), timeout=_CONNECT).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(f"--ray {address}: {str(error).splitlines()[0]}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray's own would end this process without a message
    return ray
