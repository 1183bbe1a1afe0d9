"""Speeds on a GPU beside others', in alternation in one run, at most four minutes.

RESLAB_PEERS=PYTHON python benchmarks/gpu.py FILE.json [ROW ...]

PYTHON is that of an environment with timm; rows without their peer are left out, with a message. Every row checks that
both sides compute the same. Prints the table and writes the rates to the file; ROW takes only the rows whose name has
the word in it.
"""

import reslab  # noqa: F401  before torch, whose OpenMP threads it tunes

# isort: split
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from reslab import network
from reslab.bench.compare import BenchSettings, inference, training
from reslab.bench.pair import Pair
from reslab.errors import ReslabError
from reslab.machine import package_version
from reslab.runs.contents import write_json

LIMIT = 200.0  # seconds after which no further row begins; the longest takes some forty
ON_GPU: dict[str, Any] = {"device": "cuda", "rounds": 3, "seconds": 2.0}
SMALL, LARGE = partial(BenchSettings, batch=128, **ON_GPU), partial(BenchSettings, batch=256, **ON_GPU)

ROWS = {
    "resnet20": lambda: training(network("resnet20-cifar"), "akamaster-style", SMALL()),
    "resnet110": lambda: training(network("resnet110-cifar"), "torch", SMALL()),
    "resnet50-training": lambda: training(network("resnet50-v1.5"), "timm", LARGE()),
    "resnet50-inference-256": lambda: inference(network("resnet50-v1.5"), "timm", LARGE()),
    "resnet50-inference-1": lambda: inference(network("resnet50-v1.5"), "timm", BenchSettings(batch=1, **ON_GPU)),
    "resnet20-compiled": lambda: training(network("resnet20-cifar"), "akamaster-style", SMALL(compiles=True)),
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
