"""The training of one planned run, in this process or by ranks that torchrun starts; each rank runs this module."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist

from reslab.data.loader import load
from reslab.distributed import end_with_parent
from reslab.errors import RankLostError
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.runs.contents import Result, write_json
from reslab.runs.execution import Execution
from reslab.spec import from_json, to_json
from reslab.stop import Deadline, Stop
from reslab.study.plan import PlannedRun, read_failure
from reslab.train.loop import train

_POLL = 0.2  # seconds between two polls of torchrun
_RESTARTS = 3  # of all ranks by torchrun, from the last checkpoint, when one of them is lost


class Failed(NamedTuple):
    """A run that ended without a result, and why."""

    reason: str


Outcome = Result | Failed | None  # None: another process trains the run


def train_run(planned: PlannedRun, ranks: int = 1, stop_after: float | None = None) -> Outcome:
    """Train a run, from its last checkpoint if it has one, in this process or as `ranks` processes on this machine.

    A stop (see reslab.stop), or `stop_after` seconds, end it after the current step, saved. Returns its result
    also if another process has just trained it.
    """
    if planned.done:
        return planned.run.result
    if planned.run.is_locked:
        return None
    planned.failure.unlink(missing_ok=True)
    try:
        if ranks > 1:
            return _train_on_ranks(planned, ranks, stop_after)
        _train(planned, stop_after)
        return planned.run.result
    except Exception as error:
        if planned.done:  # another process was quicker
            return planned.run.result
        return None if planned.run.is_locked else Failed(reason_of(error))


def reason_of(error: BaseException) -> str:
    """The reason of a failure in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def write_failure(planned: PlannedRun, reason: str) -> None:
    """Write the reason of a failure beside the run directory, where it stays until the run is started again."""
    with suppress(OSError):  # such as a full disk
        write_json(planned.failure, {"reason": reason, "when": datetime.now(UTC).isoformat(timespec="seconds")})


_load = lru_cache(maxsize=1)(load)


def _train(planned: PlannedRun, stop_after: float | None = None) -> None:
    deadline = Deadline(stop_after)
    data = _load(planned.data)
    # its share of the threads, and the precision of every other run
    execution = Execution(resume="any", threads=torch.get_num_threads(), stop_after=deadline.left)
    train(planned.network, planned.recipe, data, planned.out, planned.seed, execution)


def _train_on_ranks(planned: PlannedRun, ranks: int, stop_after: float | None) -> Outcome:
    """Train a run as ranks under torchrun, which share torch's threads of this process."""
    threads = max(1, torch.get_num_threads() // ranks)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    torchrun += ["--max-restarts", str(_RESTARTS), "-m", "reslab.study.worker"]
    specs = [to_json(planned.network), to_json(planned.recipe)]
    with (
        Stop(stop_after) as stop,
        subprocess.Popen(
            [*torchrun, planned.row, *specs, planned.data, str(planned.seed), str(planned.out)],
            stdin=subprocess.PIPE,  # closed when this process ends, which ends the ranks
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # a terminal's Ctrl-C reaches the ranks through this process alone
        ) as process,
    ):
        while process.poll() is None and not stop.asked and not planned.failure.is_file():
            time.sleep(_POLL)
        process.terminate()
        process.wait()
    if planned.failure.is_file():
        return None if planned.run.is_locked else Failed(read_failure(planned.failure))
    if planned.done or stop.asked:
        return planned.run.result or Result("stopped")
    return Failed(f"torchrun ended with exit code {process.returncode}")


def main() -> None:
    """One rank."""
    end_with_parent(sys.stdin.fileno())
    row, network, recipe, data, seed, out = sys.argv[1:]
    planned = PlannedRun(row, from_json(AnyNetwork, network), from_json(Recipe, recipe), data, int(seed), Path(out))
    try:
        _train(planned)
    except (RankLostError, dist.DistError):
        sys.exit(1)  # torchrun restarts all ranks
    except Exception as error:
        write_failure(planned, reason_of(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
