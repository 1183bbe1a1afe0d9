"""Speeds on a GPU beside others', in alternation in one run, at most four minutes.

RESLAB_PEERS=PYTHON python benchmarks/gpu.py FILE.json [ROW ...]
python benchmarks/gpu.py --write FILE.json

PYTHON is that of an environment with timm; rows without their peer are left out, with a message. Every row but those of
several networks at once checks that both sides compute the same. Prints the table and writes the rates to the file, in
which rows of the same GPU and versions that are not measured now stay; ROW takes only the rows whose name has the word
in it. --write puts the file's table into docs/speed.md and measures nothing.
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
from reslab.bench.pair import Pair, Rates, alternate
from reslab.bench.rivals import Rival
from reslab.errors import ReslabError
from reslab.machine import package_version
from reslab.runs.contents import read_json, write_json
from reslab.study.mps import mps
from speed import HEAD, line, write_table

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
    "resnet50-inference-256": lambda: inference(network("resnet50-v1.5"), "timm", LARGE()),
    "resnet50-inference-1": lambda: inference(network("resnet50-v1.5"), "timm", BenchSettings(batch=1, **ON_GPU)),
    "resnet50-inference-256-compiled": lambda: inference(network("resnet50-v1.5"), "timm", LARGE(compiles=True)),
    "resnet50-training": lambda: training(network("resnet50-v1.5"), "timm", LARGE()),
    "resnet110": lambda: training(network("resnet110-cifar"), "torch", SMALL()),
    "resnet110-together": lambda: together("resnet110-cifar", "torch", SMALL()),
    "resnet110-compiled": lambda: training(network("resnet110-cifar"), "torch", SMALL(compiles=True)),
    "resnet50-training-compiled": lambda: training(network("resnet50-v1.5"), "timm", LARGE(compiles=True)),
}


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--write":
        write_page(read_json(Path(sys.argv[2])))
        return
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here")
    out, words, start = Path(sys.argv[1]), sys.argv[2:], time.monotonic()
    versions = {library: package_version(library) for library in ("reslab", "torch", "timm")}
    content = {"gpu": torch.cuda.get_device_name(), "versions": versions, "rows": {}}
    if out.is_file() and (before := read_json(out)) | {"rows": {}} == content:
        content = before
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
        content["rows"][name] = tree(pair)
        write_json(out, content)


def write_page(content: dict[str, Any]) -> None:
    """Put the table of a file into the docs."""
    pairs = [from_tree(row) for name in ROWS if (row := content["rows"].get(name))]
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items() if version)
    lines = [*HEAD, *map(line, pairs), "", f"{content['gpu']}; {versions}. Medians; ratios also with the extremes of"]
    lines += ["three rounds. The difference is that of the losses or outputs, ours in bf16."]
    write_table("speed on a GPU", lines)


def tree(pair: Pair) -> dict[str, Any]:
    """A row of the file."""
    rates = {"ours": pair.ours.rounds, "beside": pair.theirs.title, "theirs": pair.theirs.rounds}
    return {"work": pair.work, **rates, "difference": pair.difference, "share_of_the_roof": pair.roof}


def from_tree(row: dict[str, Any]) -> Pair:
    """The pair that `tree` has written."""
    ours, theirs = Rates("reslab", tuple(row["ours"])), Rates(row["beside"], tuple(row["theirs"]))
    return Pair(row["work"].replace(", on a GPU", ""), ours, theirs, row["difference"], row["share_of_the_roof"])


if __name__ == "__main__":
    main()
