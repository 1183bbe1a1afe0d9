"""Training the missing runs of a plan, by default in processes on this machine."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

import torch
from rich.console import Console
from rich.live import Live
from rich.table import Table

from reslab.distributed import end_with_parent
from reslab.errors import SpecError
from reslab.evaluate import Evaluation
from reslab.machine import cores
from reslab.runs.contents import Result
from reslab.stop import NEVER, Deadline
from reslab.study.mps import mps
from reslab.study.plan import Plan, PlannedRun
from reslab.study.worker import Failed, Outcome, train_run, write_failure
from reslab.train.loop import duration

POLL = 0.5  # seconds between two polls of the running ones
_SMALL = 64  # pixels of images whose runs share a GPU
_RUNS_PER_GPU = 4  # on an H100 four ResNet-20s train 1.8 times as many images/s as one, eight no more
PATIENCE = 6.0  # seconds for all running ones to end their step and save when the runner is stopped
OVERTIME = 60.0  # seconds after the deadline for all running ones to end by themselves, with an evaluation under way


class Backend(Protocol):
    """Trains up to `slots` runs at a time: in processes of this machine, or as tasks of a Ray cluster.

    ended: the runs that have ended with their outcomes, see train_run; waits for POLL seconds at most
    start: trains a run, and stops it, saved, after `stop_after` seconds
    stop: ends everything within PATIENCE, runs after their current step, saved, or by force
    """

    slots: int

    @property
    def running(self) -> Collection[PlannedRun]: ...
    def start(self, planned: PlannedRun, stop_after: float | None) -> None: ...
    def ended(self) -> Iterator[tuple[PlannedRun, Outcome]]: ...
    def stop(self) -> None: ...


def default_workers(runs: Collection[PlannedRun], ranks: int) -> int:
    """Runs at a time on this machine: one for each core, or GPU, of a rank.

    Of runs on small images several share a GPU: the steps of one are too short to fill it.
    """
    gpu_count = torch.cuda.device_count()
    if not gpu_count or ranks > 1 or any(planned.network.size > _SMALL for planned in runs):
        return max(1, (gpu_count or cores()) // ranks)
    return max(1, min(gpu_count * _RUNS_PER_GPU, cores()))


def run_plan(
    plan: Plan, workers: int, console: Console, ranks: int = 1, deadline: Deadline = NEVER
) -> dict[PlannedRun, str]:
    """Train the missing runs of a plan in processes here, `workers` at a time; see run_missing.

    Each run has its share of the cores, or GPUs of its own, and with several `ranks` as many processes, started by
    torchrun. A run whose worker process is lost is started once more, from its last checkpoint. The threads of a run do
    not depend on the number of missing runs, so that a study that was stopped ends with the same weights. Raises
    SpecError for more ranks than GPUs, where there are some.
    """
    gpus_here = torch.cuda.device_count()
    if gpus_here and ranks > gpus_here:
        raise SpecError(f"--ranks {ranks}: there are {gpus_here} GPUs here, and each rank has one")
    threads = max(1, cores() // min(workers, max(1, len(unique_runs(plan.runs)))))
    with mps(workers > gpus_here > 0):
        return run_missing(plan, _Processes(workers, threads, ranks, console), console, deadline)


def run_missing(plan: Plan, backend: Backend, console: Console, deadline: Deadline = NEVER) -> dict[PlannedRun, str]:
    """Train the missing runs of a plan, and stop the backend. Returns the runs that failed, with their reasons.

    Shows a table of the running ones on a terminal, and a line for each run that ends. A run that another process is
    training is waited for. A run that diverged has not failed. KeyboardInterrupt stops the running ones, saved; it is
    raised after the deadline, when they have ended, or hang.
    """
    reporter = Reporter(plan, console)
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while True:
                missing = [run for run in reporter.missing if run not in reporter.failed and not run.done]
                if not missing and not backend.running:
                    return reporter.failed
                if deadline.is_over and (not backend.running or deadline.late > OVERTIME):
                    reporter.stopped(missing)
                    raise KeyboardInterrupt
                startable = (run for run in missing if run not in backend.running and not run.run.is_locked)
                free = 0 if deadline.is_over else backend.slots - len(backend.running)
                for planned in islice(startable, free):
                    backend.start(planned, deadline.left)
                for planned, outcome in backend.ended():
                    reporter.end(planned, outcome)
                if console.is_terminal:
                    live.update(running_table(backend.running), refresh=True)
    finally:
        backend.stop()


def unique_runs(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """Each training once, though several rows may share it."""
    return list({planned.out: planned for planned in runs}.values())


def _work(pipe: Connection, number: int, threads: int, ranks: int) -> None:
    """Train the runs that come through a pipe, one after another, and send their outcomes: a worker process.

    It ends when the pipe is closed, or with its parent, which alone handles Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    torch.set_num_threads(threads)
    if torch.cuda.device_count() > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus(number, ranks)
    with suppress(EOFError, BrokenPipeError):
        while True:
            planned, stop_after = pipe.recv()
            pipe.send(train_run(planned, ranks, stop_after))


def gpus(number: int, ranks: int) -> str:
    """The GPUs of a worker, one for each rank, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    names = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = names or [str(index) for index in range(count)]
    return ",".join(names[(number * ranks + rank) % count] for rank in range(ranks))


class _Processes:
    """Worker processes on this machine, each with its pipe, by number; started when they are needed."""

    def __init__(self, workers: int, threads: int, ranks: int, console: Console):
        self.slots, self.threads, self.ranks, self.console = workers, threads, ranks, console
        self.workers: dict[int, tuple[BaseProcess, Connection]] = {}
        self.jobs: dict[int, PlannedRun] = {}
        self.lost: Counter[PlannedRun] = Counter()

    @property
    def running(self) -> Collection[PlannedRun]:
        return self.jobs.values()

    def start(self, planned: PlannedRun, stop_after: float | None) -> None:
        number = next(number for number in range(self.slots) if number not in self.jobs)
        if number not in self.workers:
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, number, self.threads, self.ranks))
            process.start()
            theirs.close()
            self.workers[number] = process, ours
        self.jobs[number] = planned
        with suppress(OSError):  # it was lost while idle, which `ended` notices
            self.workers[number][1].send((planned, stop_after))

    def ended(self) -> Iterator[tuple[PlannedRun, Outcome]]:
        ready = wait([self.workers[number][1] for number in self.jobs], POLL)
        for number in [number for number in self.jobs if self.workers[number][1] in ready]:
            planned = self.jobs.pop(number)
            try:
                yield planned, self.workers[number][1].recv()
            except (EOFError, OSError):
                self.workers.pop(number)[0].join()
                self.lost[planned] += 1
                self.console.print("a worker process was lost; what it trained goes on", highlight=False)
                yield planned, Failed("its worker process was lost twice") if self.lost[planned] > 1 else None

    def stop(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for process, pipe in self.workers.values():
            pipe.close()
            process.terminate()
        for process, _ in self.workers.values():
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()


class Reporter:
    """Progress messages of a plan's missing runs: a line for each that ends, with the time left."""

    def __init__(self, plan: Plan, console: Console):
        self.missing = unique_runs(plan.missing)
        self.console = console
        self.ended: set[PlannedRun] = set()
        self.failed: dict[PlannedRun, str] = {}
        self.started = time.monotonic()
        self.before = {planned: share(planned) for planned in self.missing}

    def end(self, planned: PlannedRun, outcome: Outcome) -> None:
        """Report the end of a run, and write the reason of a failure; None is a run that another process trains."""
        match outcome:
            case Failed(reason):
                self.failed[planned] = reason
                write_failure(planned, reason)
                self.line(planned, reason)
            case Result("finished", train=Evaluation() as train, test=Evaluation() as test):
                self.line(planned, f"training error {train.top1_error:.2f} %  test error {test.top1_error:.2f} %")
            case Result("stopped", step):
                name = f"{planned.row}  seed {planned.seed}"
                self.console.print(f"{name}  stopped at step {step}, saved", highlight=False, soft_wrap=True)
            case Result():
                self.line(planned, f"{outcome.status} at step {outcome.step}")

    def line(self, planned: PlannedRun, message: str) -> None:
        """Print a message on a run that has ended."""
        self.ended.add(planned)
        ended, total = len(self.ended), len(self.missing)
        more = f"  about {duration(self.left())} more" if ended < total else ""
        line = f"{ended}/{total}  {planned.row}  seed {planned.seed}  {message}{more}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def stopped(self, missing: Collection[PlannedRun]) -> None:
        """What is left after the deadline."""
        more = f", about {duration(self.left())} more" if self.left() else ""
        self.console.print(f"the time is up: {len(missing)} runs are left{more}", highlight=False, soft_wrap=True)

    def left(self) -> float:
        """Seconds for the rest at the rate of operations since the start, those of running runs included."""
        shares = {planned: 1.0 if planned in self.ended else share(planned) for planned in self.missing}
        done = sum(planned.operations * (shares[planned] - self.before[planned]) for planned in self.missing)
        rest = sum(planned.operations * (1 - shares[planned]) for planned in self.missing)
        return (time.monotonic() - self.started) * rest / done if done else 0.0


def share(planned: PlannedRun) -> float:
    """The share of a run's steps that it has logged; 0 of a damaged one."""
    if planned.damage:
        return 0.0
    return min(1.0, max((line.step for line in planned.run.metrics), default=0) / planned.recipe.steps)


def running_table(runs: Iterable[PlannedRun]) -> Table:
    """The running runs: step, errors, speed and time left of each, and the speed of all together."""
    table = Table("run", "seed", "step", "training error", "test error", "images/s", "left", title="running")
    shown = [planned for planned in runs if planned.run.is_locked and not planned.damage]
    for planned in shown:
        table.add_row(planned.row, str(planned.seed), *progress(planned))
    if len(shown) > 1:
        total = sum(metrics[-1].images_per_second for planned in shown if (metrics := planned.run.metrics))
        table.caption = f"{total:,.0f} images/s together"
    return table


def progress(planned: PlannedRun) -> tuple[str, str, str, str, str]:
    """The progress of a running run: step, training error, error on the eval split, images per second, time left."""
    run, steps = planned.run, planned.recipe.steps
    if not run.metrics:
        return "begins", "", "", "", ""
    last = run.metrics[-1]
    errors = [error for line in run.metrics if (error := line.error(run.eval_split)) is not None]
    left = (steps - last.step) * planned.recipe.batch
    rate = last.images_per_second  # 0 if the interval was all compilation
    return (
        f"{last.step}/{steps}",
        f"{last.train_error:.1f} %",
        f"{errors[-1]:.1f} %" if errors else "",
        f"{rate:,.0f}",
        duration(left / rate) if rate else "",
    )
