"""Training the missing runs of a plan in processes on this machine."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from rich.console import Console
from rich.live import Live
from rich.table import Table

from reslab.data.images import DataSet
from reslab.data.loader import load
from reslab.study.plan import Plan, Run
from reslab.train.loop import train
from reslab.train.record import read_metrics

_POLL = 0.5  # seconds between two looks at the running ones


def run_plan(plan: Plan, workers: int, console: Console) -> dict[Run, str]:
    """Train what the plan is missing, `workers` runs at a time, each with its share of the cores.

    Shows a live table on a terminal, a line for each finished run elsewhere. Returns the runs that failed with their
    reasons; a run that diverged has not failed. A stop (KeyboardInterrupt) ends the workers; finished runs stay.
    """
    missing = plan.missing
    if not missing:
        return {}
    workers = min(workers, len(missing))
    threads = max(1, cores() // workers)
    context = multiprocessing.get_context("spawn")
    with _ended_with_us(ProcessPoolExecutor(workers, context, _begin, (threads, os.getpid()))) as pool:
        futures = {pool.submit(_train, run): run for run in missing}
        return _watch(futures, plan, console)


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _ended_with_us(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    pool.shutdown()


def _begin(threads: int, parent: int) -> None:
    """A worker leaves stopping to its parent, and ends itself when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@lru_cache(maxsize=1)
def _data(name: str) -> DataSet:
    return load(name)


def _train(run: Run) -> dict[str, Any]:
    return train(run.network, run.recipe, _data(run.data), run.out, run.seed)


def _watch(futures: "dict[Future[dict[str, Any]], Run]", plan: Plan, console: Console) -> dict[Run, str]:
    failed: dict[Run, str] = {}
    pending = dict(futures)
    started = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while pending:
            time.sleep(_POLL)
            for future in [future for future in pending if future.done()]:
                run = pending.pop(future)
                error = future.exception()
                if error is not None:
                    failed[run] = f"{type(error).__name__}: {error}".splitlines()[0]
                done = len(futures) - len(pending)
                text = failed.get(run) or _told(future.result())
                left = (time.monotonic() - started) / done * len(pending)
                more = f"  about {left:.0f} s more" if pending else ""
                text = f"{done}/{len(futures)}  {run.row}  seed {run.seed}  {text}{more}"
                console.print(text, highlight=False, soft_wrap=True)
            if console.is_terminal:
                live.update(_table([run for future, run in pending.items() if future.running()]), refresh=True)
    return failed


def _told(result: dict[str, Any]) -> str:
    if result["status"] != "finished":
        return f"{result['status']} at step {result['step']}"
    return f"training error {result['train']['top1_error']:.2f} %  test error {result['test']['top1_error']:.2f} %"


def _table(running: list[Run]) -> Table:
    table = Table("run", "seed", "step", "training error", "test error", "images/s", title="running")
    for run in running:
        lines = list(read_metrics(run.out))
        if not lines:
            table.add_row(run.row, str(run.seed), "begins", "", "", "")
            continue
        last = lines[-1]
        tests = [line["test_error"] for line in lines if "test_error" in line]
        table.add_row(
            run.row,
            str(run.seed),
            f"{last['step']}/{run.recipe.steps}",
            f"{last['train_error']:.1f} %",
            f"{tests[-1]:.1f} %" if tests else "",
            f"{last['images_per_second']:,.0f}",
        )
    return table
