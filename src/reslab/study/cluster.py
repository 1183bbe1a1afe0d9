"""Training the missing runs of a plan on a Ray cluster, each as a task, in a run directory that all nodes share."""

import dataclasses
import logging
import signal
import socket
import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live

from reslab.errors import SpecError
from reslab.study.plan import Plan, Run
from reslab.study.run import Teller, distinct, note, running_table, train_run
from reslab.train.record import is_locked

_POLL = 0.5  # seconds between two looks
_ANSWERS = 10  # seconds that a cluster has to take up a connection
_RETRIES = 3  # times that a run is begun again, from its checkpoint, when its worker or node is lost


def run_on_ray(plan: Plan, address: str, console: Console, threads: int, ranks: int = 1) -> dict[Run, str]:
    """Train what the plan is missing on the Ray cluster of an address, each run with so many cores, and GPUs if it has.

    As study.run.run_plan otherwise: the same runs with the same results, whose directories all nodes must reach by the
    same path. A run of several ranks has a GPU for each, all on one node. A task whose worker is lost is begun again by
    Ray. Raises SpecError where Ray is not installed or no cluster answers.
    """
    ray = _ray(address)
    gpus = ranks if ray.cluster_resources().get("GPU") else 0
    train_there = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=_RETRIES)(_train_there)
    failed: dict[Run, str] = {}
    teller = Teller(plan, console)
    tasks: dict[Any, Run] = {}
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while remaining := distinct(run for run in plan.missing if run not in failed):
                waiting = {run.out for run in tasks.values()}
                for run in remaining:
                    if run.out not in waiting and not is_locked(run.out):
                        placed = dataclasses.replace(run, out=run.out.absolute())
                        tasks[train_there.remote(placed, threads, ranks)] = run
                if not tasks:  # others train what is left
                    time.sleep(_POLL)
                    continue
                for done in ray.wait(list(tasks), timeout=_POLL)[0]:
                    _settle(ray, tasks.pop(done), done, teller, failed)
                if console.is_terminal:
                    live.update(running_table(tasks.values()), refresh=True)
    except KeyboardInterrupt:
        for task in tasks:
            ray.cancel(task)  # it ends behind its step, saved
        ray.wait(list(tasks), num_returns=len(tasks), timeout=60)
        raise
    finally:
        ray.shutdown()
    for run, reason in failed.items():
        note(run, reason)
    return failed


def _settle(ray: Any, run: Run, task: Any, teller: Teller, failed: dict[Run, str]) -> None:
    try:
        teller.end(run, ray.get(task))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        failed[run] = f"{type(cause).__name__}: {cause}".splitlines()[0]
        teller.tell(run, failed[run])


def _train_there(run: Run, threads: int, ranks: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(threads)
    return train_run(run, ranks)


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
