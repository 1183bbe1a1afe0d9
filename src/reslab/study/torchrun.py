"""A run of a study as several ranks that share each batch: torchrun begins this module once for each of them."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

import torch
import torch.distributed as dist

from reslab.data.loader import load
from reslab.errors import RankLostError, ReslabError
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Execution
from reslab.runs.record import read_json
from reslab.spec import from_json, to_json
from reslab.stop import Stop
from reslab.study.plan import Run
from reslab.train.loop import train

_POLL = 0.2  # seconds between two looks at torchrun
_RESTARTS = 3  # times that torchrun begins the ranks again, from the last checkpoint, when one of them is lost
_REASON = "reslab: "  # begins the line in which a rank says why it failed


def train_on_ranks(run: Run, ranks: int) -> dict[str, Any]:
    """Train a run as so many processes on this machine, or go on with it. -> what its result.json holds.

    They have torch's threads of this process among them. A stop (see train.stop) ends them behind their step, saved;
    the end of this process, whatever its cause, ends them too. Raises ReslabError with the reason of one that failed.
    """
    threads = max(1, torch.get_num_threads() // ranks)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    words = [to_json(run.network), to_json(run.recipe), run.data, str(run.seed), str(run.out)]
    with tempfile.TemporaryFile("a+") as heard, Stop() as stop:
        with subprocess.Popen(
            [*torchrun, "--max-restarts", str(_RESTARTS), "-m", "reslab.study.torchrun", *words],
            stdin=subprocess.PIPE,  # its end tells the ranks that this process is gone
            stdout=subprocess.DEVNULL,
            stderr=heard,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # a terminal's Ctrl-C comes to them through this process alone
        ) as process:
            while process.poll() is None and not stop.asked and not _reason(heard):
                time.sleep(_POLL)
            process.terminate()
            process.wait()
        if run.done or (stop.asked and (run.out / "result.json").is_file()):
            return dict(read_json(run.out / "result.json"))
        if stop.asked:
            return {"status": "stopped", "step": 0}
        raise ReslabError(_reason(heard) or f"torchrun ended with exit code {process.returncode}")


def _reason(heard: IO[str]) -> str:
    """Why a rank failed, "" where none did: to begin again would not help."""
    heard.seek(0)
    return next((line.removeprefix(_REASON).strip() for line in heard if line.startswith(_REASON)), "")


def main() -> None:
    """One rank."""
    threading.Thread(target=_follow, daemon=True).start()
    network, recipe, data, seed, out = sys.argv[1:]
    try:
        train(
            from_json(AnyNetwork, network),
            from_json(Recipe, recipe),
            load(data),
            Path(out),
            int(seed),
            Execution(resume="any"),
        )
    except (RankLostError, dist.DistError):
        sys.exit(1)  # torchrun begins all again
    except Exception as error:
        sys.exit(f"{_REASON}{type(error).__name__}: {error}")


def _follow() -> None:
    """End with the process that began torchrun."""
    os.read(sys.stdin.fileno(), 1)  # not through sys.stdin, whose lock the interpreter's end would meet
    os._exit(1)


if __name__ == "__main__":
    main()
