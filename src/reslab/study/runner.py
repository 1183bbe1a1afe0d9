"""Training the missing runs of a plan in processes on this machine."""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import torch
from rich.console import Console
from rich.live import Live
from rich.table import Table

from reslab.data.images import DataSet
from reslab.data.loader import load
from reslab.errors import ReslabError, SpecError
from reslab.machine import cores
from reslab.runs.execution import Execution
from reslab.runs.record import is_locked, read_json, read_metrics, watched, write_json
from reslab.study.plan import Plan, Run
from reslab.study.torchrun import train_on_ranks
from reslab.train.loop import duration, train

_POLL = 0.5  # seconds between two looks at the running ones
_PARTS = {"train": "training", "test": "test"}
_PATIENCE = 60  # seconds that a worker has to end its step and save

_stopping = threading.Event()  # in a worker: its parent has asked it to stop


def places(ranks: int) -> int:
    """Runs of so many ranks that this machine has room for at a time: one for each GPU, or core, of a rank."""
    return max(1, (torch.cuda.device_count() or cores()) // ranks)


def run_plan(plan: Plan, workers: int, console: Console, ranks: int = 1) -> dict[Run, str]:
    """Train what the plan is missing, `workers` runs at a time, each with its share of the cores, or GPUs of its own.

    With several `ranks` each run is so many processes, begun by torchrun, that share its batches.

    Shows a live table on a terminal, a line for each finished run elsewhere. A run whose worker process is lost is
    begun again, once and alone, from its last checkpoint. How many threads a run has does not depend on how many are
    left, so that it ends the same wherever the runner was stopped. A run that another process is training is waited
    for. Returns the runs that failed with their reasons, which also lie beside their directories; a run that diverged
    has not failed. A stop (KeyboardInterrupt) ends the workers behind the step that they are at, their runs saved.
    Raises SpecError for more ranks than there are GPUs, where there are some.
    """
    gpus_here = torch.cuda.device_count()
    if gpus_here and ranks > gpus_here:
        raise SpecError(f"--ranks {ranks}: there are {gpus_here} GPUs here, and each rank has one")
    failed: dict[Run, str] = {}
    lost: Counter[Run] = Counter()
    teller = Reporter(plan, console)
    threads = max(1, cores() // min(workers, max(1, len(distinct(plan.runs)))))
    while remaining := distinct(run for run in plan.missing if run not in failed):
        free = [run for run in remaining if not is_locked(run.out)]
        if not free:
            time.sleep(_POLL)
            continue
        free = [run for run in free if lost[run]][:1] or free  # lost with another, or by its own fault: alone it shows
        processes = min(workers, len(free))
        context = multiprocessing.get_context("spawn")
        settings = (threads, ranks, os.getpid(), context.Value("i", 0))
        with _ended_with_us(ProcessPoolExecutor(processes, context, _begin, settings)) as pool:
            broken = _watch({pool.submit(_train, run, ranks): run for run in free}, teller, failed)
        if broken:
            lost.update([run for run in free if not run.done][:processes])  # they are begun in their order
            for run in [run for run, times in lost.items() if times > 1 and run not in failed]:
                failed[run] = note(run, "its worker process was lost twice")
            console.print("a worker process was lost; what it trained goes on", highlight=False)
    return failed


def distinct(runs: Iterable[Run]) -> list[Run]:
    """Each training once, though two rows may want it."""
    return list({run.out: run for run in runs}.values())


def note(run: Run, reason: str) -> str:
    """Keep the reason why a run failed, until it is begun again; -> the reason."""
    with suppress(OSError):  # it may be a full disk
        write_json(run.failure, {"reason": reason, "when": datetime.now(UTC).isoformat(timespec="seconds")})
    return reason


@contextmanager
def _ended_with_us(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        children = multiprocessing.active_children()
        for child in children:
            child.terminate()  # it ends behind its step, saved
        for child in children:
            child.join(_PATIENCE)
            child.kill()
        raise
    pool.shutdown()


def _begin(threads: int, ranks: int, parent: int, count: "Synchronized[int]") -> None:
    """A worker leaves stopping to its parent, and ends itself when the parent is gone. `count` numbers the workers.

    Asked to stop, it does not die, or the pool would at once end the others too: it begins no further run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: _stopping.set())
    torch.set_num_threads(threads)
    with count:
        number, count.value = count.value, count.value + 1
    if torch.cuda.device_count():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus(number, ranks)

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def gpus(number: int, ranks: int) -> str:
    """The GPUs of a worker, one for each rank, by the names that CUDA_VISIBLE_DEVICES has for them."""
    count = torch.cuda.device_count()
    names = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = names or [str(index) for index in range(count)]
    return ",".join(names[(number * ranks + rank) % count] for rank in range(ranks))


@lru_cache(maxsize=1)
def _data(name: str) -> DataSet:
    return load(name)


def _train(run: Run, ranks: int) -> dict[str, Any]:
    if _stopping.is_set():
        return {"status": "stopped", "step": 0}
    result = train_run(run, ranks)
    if result["status"] == "stopped":
        _stopping.set()
    return result


def train_run(run: Run, ranks: int = 1) -> dict[str, Any]:
    """Train a run here, from its last checkpoint where it has one. -> what its result.json holds.

    With several ranks it is so many processes (see ranked); alone it is this one.

    Where another process has just trained it, that one's result; where one is at it, the status "elsewhere".
    """
    if run.done:
        return dict(read_json(run.out / "result.json"))
    if is_locked(run.out):
        return {"status": "elsewhere", "step": 0}
    run.failure.unlink(missing_ok=True)
    try:
        if ranks > 1:
            return train_on_ranks(run, ranks)
        return train(run.network, run.recipe, _data(run.data), run.out, run.seed, Execution(resume="any"))
    except ReslabError:
        if run.done or is_locked(run.out):  # another process was quicker
            return {"status": "elsewhere", "step": 0}
        raise


class Reporter:
    """What a person sees of the runs: a line when one ends and, on a terminal, a table of those under way."""

    def __init__(self, plan: Plan, console: Console):
        self.missing = distinct(plan.missing)
        self.console = console
        self.ended: set[Run] = set()
        self.started = time.monotonic()
        self.before = {run: share(run) for run in self.missing}

    def end(self, run: Run, result: dict[str, Any]) -> None:
        """Tell of a run that ended with a result; of one that another process trains, nothing."""
        if result["status"] == "elsewhere":
            return
        if result["status"] != "finished":
            self.tell(run, f"{result['status']} at step {result['step']}")
            return
        errors = (
            f"training error {result['train']['top1_error']:.2f} %  test error {result['test']['top1_error']:.2f} %"
        )
        self.tell(run, errors)

    def tell(self, run: Run, text: str) -> None:
        self.ended.add(run)
        ended, total = len(self.ended), len(self.missing)
        more = f"  about {duration(self.left())} more" if ended < total else ""
        line = f"{ended}/{total}  {run.row}  seed {run.seed}  {text}{more}"
        self.console.print(line, highlight=False, soft_wrap=True)

    def left(self) -> float:
        """Seconds that the rest takes if its operations go on as those since the start, of the runs under way too."""
        shares = {run: 1.0 if run in self.ended else share(run) for run in self.missing}
        done = sum(run.operations * (shares[run] - self.before[run]) for run in self.missing)
        rest = sum(run.operations * (1 - shares[run]) for run in self.missing)
        return (time.monotonic() - self.started) * rest / done if done else 0.0


def share(run: Run) -> float:
    """Of a run's steps, those that its record tells of."""
    steps = [line["step"] for line in read_metrics(run.out)]
    return float(steps[-1] / run.recipe.steps) if steps else 0.0


def _watch(futures: "dict[Future[dict[str, Any]], Run]", teller: Reporter, failed: dict[Run, str]) -> bool:
    """Tell of the runs until all have ended; add those that fail to `failed`. True where a worker was lost."""
    pending, broken = dict(futures), False
    with Live(console=teller.console, auto_refresh=False, transient=True) as live:
        while pending:
            time.sleep(_POLL)
            for future in [future for future in pending if future.done()]:
                run = pending.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    broken = True
                elif error is not None:
                    failed[run] = note(run, f"{type(error).__name__}: {error}".splitlines()[0])
                    teller.tell(run, failed[run])
                else:
                    teller.end(run, future.result())
            if teller.console.is_terminal:
                live.update(running_table(pending.values()), refresh=True)
    return broken


def running_table(runs: Iterable[Run]) -> Table:
    """The runs under way: how far each is, its errors, its speed and the time that it still takes."""
    table = Table("run", "seed", "step", "training error", "test error", "images/s", "left", title="running")
    for run in runs:
        if is_locked(run.out):
            table.add_row(run.row, str(run.seed), *progress(run))
    return table


def progress(run: Run) -> tuple[str, str, str, str, str]:
    """How far a run under way is: step, training error, test error, images per second, time left."""
    lines = list(read_metrics(run.out))
    if not lines:
        return "begins", "", "", "", ""
    last = lines[-1]
    error = f"{watched(lines)}_error"
    errors = [line[error] for line in lines if error in line]
    left = (run.recipe.steps - last["step"]) * run.recipe.batch
    rate = last["images_per_second"]  # 0 where compilation was all that there was
    return (
        f"{last['step']}/{run.recipe.steps}",
        f"{last['train_error']:.1f} %",
        f"{errors[-1]:.1f} %" if errors else "",
        f"{rate:,.0f}",
        duration(left / rate) if rate else "",
    )
