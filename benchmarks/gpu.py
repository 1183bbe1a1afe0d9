"""Speeds on a GPU beside others', in alternation in one run, at most four minutes.

RESLAB_PEERS=PYTHON python benchmarks/gpu.py FILE.json [ROW ...]

PYTHON is that of an environment with timm; rows without their peer are left out, with a message. Every row checks that
both sides compute the same. Prints the table and writes the rates to the file; ROW takes only the rows whose name has
the word in it.
"""

import reslab  # noqa: F401  before torch, whose OpenMP threads it tunes

# isort: split
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from reslab import network
from reslab.bench.compare import BenchSettings, inference, our_training, training, training_burst, training_peer
from reslab.bench.pair import Pair, alternate
from reslab.bench.rivals import Rival
from reslab.errors import ReslabError
from reslab.machine import package_version
from reslab.runs.contents import write_json
from reslab.study.mps import mps

LIMIT = 200.0  # seconds after which no further row begins; the longest takes some forty
ON_GPU: dict[str, Any] = {"device": "cuda", "rounds": 3, "seconds": 2.0}
TOGETHER = 4  # networks at once
SMALL, LARGE = partial(BenchSettings, batch=128, **ON_GPU), partial(BenchSettings, batch=256, **ON_GPU)


def train_on_order(name: str, how: BenchSettings, pipe: Connection) -> None:
    """One of several processes that train a network: a round for each word that comes through the pipe but "end"."""
    burst = training_burst(*our_training(network(name).build().to(how.device), how), how)
    burst()
    pipe.send("ready")
    while pipe.recv() != "end":
        pipe.send(burst())


def together(name: str, rival: Rival, how: BenchSettings) -> Pair:
    """Several runs at once on the card, each in its own process, beside the rival's, one after another."""
    with training_peer(network(name), rival, how) as peer, mps(wanted=True) as shared, ExitStack() as stack:
        pipes = [stack.enter_context(trainer(name, how)) for _ in range(TOGETHER)]
        for pipe in pipes:
            pipe.recv()

        def burst() -> float:
            for pipe in pipes:
                pipe.send("round")
            return float(sum(pipe.recv() for pipe in pipes))

        rates = alternate(("reslab", burst), (f"{rival}, one", partial(peer.rate, how.seconds)), how.rounds)
    words = f"{'compiled, ' if how.compiles else ''}{'under MPS' if shared else 'without MPS'}"
    return Pair(f"{TOGETHER} x {name} training at once, {words}", *rates, difference=0.0)


@contextmanager
def trainer(name: str, how: BenchSettings) -> Iterator[Connection]:
    """Context manager: a process of `train_on_order`, by its pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=train_on_order, args=(name, how, theirs))
    process.start()
    theirs.close()
    try:
        yield ours
        ours.send("end")
        process.join()
    finally:
        process.kill()


ROWS = {
    "resnet20": lambda: training(network("resnet20-cifar"), "akamaster-style", SMALL(compiles=True)),
    "resnet20-together": lambda: together("resnet20-cifar", "akamaster-style", SMALL(compiles=True)),
    "resnet110": lambda: training(network("resnet110-cifar"), "torch", SMALL()),
    "resnet110-together": lambda: together("resnet110-cifar", "torch", SMALL()),
    "resnet50-training": lambda: training(network("resnet50-v1.5"), "timm", LARGE()),
    "resnet50-inference-256": lambda: inference(network("resnet50-v1.5"), "timm", LARGE()),
    "resnet50-inference-1": lambda: inference(network("resnet50-v1.5"), "timm", BenchSettings(batch=1, **ON_GPU)),
    "resnet50-training-compiled": lambda: training(network("resnet50-v1.5"), "timm", LARGE(compiles=True)),
}


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here")
    out, words, start = Path(sys.argv[1]), sys.argv[2:], time.monotonic()
    print("| work | reslab, images/s | beside | its images/s | ratio | difference |\n|---|---:|---|---:|---:|---:|")
    rows = []
    for name, row in ROWS.items():
        if words and not any(word in name for word in words):
            continue
        if time.monotonic() - start > LIMIT:
            print(f"{name} is left out: the time is up", file=sys.stderr)
            continue
        try:
            pair = row()
        except ReslabError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        print(line(pair), flush=True)
        rows.append({"name": name, **tree(pair)})
        versions = {library: package_version(library) for library in ("reslab", "torch")}
        write_json(out, {"gpu": torch.cuda.get_device_name(), "versions": versions, "rows": rows})


def line(pair: Pair) -> str:
    """A row of the table."""
    ratios, ours, theirs = pair.ratios, f"{pair.ours.median:,.4g}", f"{pair.theirs.median:,.4g}"
    spread = f"{ratios.median:.2f} ({min(ratios.rounds):.2f} to {max(ratios.rounds):.2f})"
    return f"| {pair.work} | {ours} | {pair.theirs.title} | {theirs} | {spread} | {pair.difference:.0e} |"


def tree(pair: Pair) -> dict[str, Any]:
    """A row of the file."""
    rates = {"ours": pair.ours.rounds, "beside": pair.theirs.title, "theirs": pair.theirs.rounds}
    return {"work": pair.work, **rates, "difference": pair.difference, "share_of_the_roof": pair.roof}


if __name__ == "__main__":
    main()
