"""Memory and time of a deep network's training step, with and without activation checkpointing.

python benchmarks/depth.py [NETWORK] [BATCH] [STEPS]

Each setting runs in its own process, whose peak memory the operating system reports; subtracting its memory after one
step with one image leaves that of the activations. Time is the median of the steps.
"""

import reslab  # noqa: F401  before torch, whose OpenMP threads it tunes

# isort: split
import json
import resource
import signal
import statistics
import subprocess
import sys
import time

import torch

from reslab import network
from reslab.machine import tune_malloc
from reslab.recipes.recipe import Recipe
from reslab.train.estimate import activation_bytes, needs_low_memory
from reslab.train.learner import Learner

UNITS = (0, 1, 4, 16)


def measure(name: str, batch: int, steps: int, units: int) -> dict[str, float]:
    """Peak bytes of activations, and seconds of a step."""
    value = network(name)
    tune_malloc(needs_low_memory(value, batch, units))  # as `reslab train` does
    learner = Learner(value.build(), Recipe(steps=steps + 1, batch=batch), units)
    seconds = []
    for step in range(steps + 1):
        count = batch if step else 1
        images, labels = torch.randn(count, *value.input), torch.arange(count) % value.classes
        start = time.perf_counter()
        learner.train_step(images, labels, step)
        seconds.append(time.perf_counter() - start)
        if not step:
            before = _peak()
    return {"bytes": _peak() - before, "seconds": statistics.median(seconds[1:])}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    words = sys.argv[1:]
    if words[:1] == ["--one"]:
        print(json.dumps(measure(words[1], *map(int, words[2:]))))
        return
    name = words[0] if words else "resnet1202-cifar"
    batch, steps = int(words[1]) if len(words) > 1 else 128, int(words[2]) if len(words) > 2 else 3
    print(f"{name}, batch {batch}, float32, {torch.get_num_threads()} threads, torch {torch.__version__}, n = {steps}")
    print("recompute  activations  of all  forecast  seconds a step  of all")
    first: dict[str, float] | None = None
    for units in UNITS:
        forecast = f"{activation_bytes(network(name), batch, units) / 1e9:5.2f} GB"
        command = [sys.executable, __file__, "--one", name, str(batch), str(steps), str(units)]
        process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if process.returncode == -signal.SIGKILL:
            print(f"{units:9}  more than this machine has: {forecast} by the forecast, and fragmentation", flush=True)
            continue
        process.check_returncode()
        measured = json.loads(process.stdout)
        if not units:
            first = measured
        size, took = measured["bytes"], measured["seconds"]
        share, more = (
            (f"{size / first['bytes']:6.3f}", f"{took / first['seconds']:6.2f}") if first else ("     ?", "     ?")
        )
        print(f"{units:9}  {size / 1e9:8.2f} GB  {share}  {forecast}  {took:14.2f}  {more}", flush=True)


if __name__ == "__main__":
    main()
