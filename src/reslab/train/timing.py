"""The precision and threads that train fastest on this processor now, by timing, and a message when that changes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch

from reslab.distributed import current_rank
from reslab.errors import SpecError
from reslab.machine import cores, find_precision
from reslab.nets.build import build_network
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Chosen, Execution
from reslab.train.learner import Learner

_LONG = 2_000  # steps of a training that pays for the timing
_SECONDS, _LEAST = 1.0, 2  # of timed steps for each candidate
_BETTER = 1.15  # times as fast as the usual choice, or that one stays: timings vary
_SLOW = 0.5  # of the best speed of the run


class Candidate(NamedTuple):
    """A precision and a number of threads."""

    precision: str
    threads: int

    def __str__(self) -> str:
        return f"{self.precision} on {self.threads} thread{'s' * (self.threads > 1)}"


@contextmanager
def fastest_threads(
    network: NetworkSpec, recipe: Recipe, execution: Execution, chosen: Chosen, is_new: bool
) -> Iterator[Chosen]:
    """Context manager: torch's threads are those of a run, by `execution.threads`, or else timed for a new long run on
    the processor, with its precision. Gives the choices."""
    before = torch.get_num_threads()
    is_long = recipe.steps > _LONG and chosen.device == "cpu" and current_rank().total == 1
    if execution.threads is not None:
        chosen = replace(chosen, threads=execution.threads)
    elif is_new and is_long:
        chosen = _choose_by_timing(network, recipe, execution, chosen)
    with _threads(chosen.threads or before):
        yield chosen


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Context manager: a number of torch's threads."""
    before = torch.get_num_threads()
    if count == before:  # to set them again is not nothing: it fixes MKL's too
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _choose_by_timing(network: NetworkSpec, recipe: Recipe, execution: Execution, chosen: Chosen) -> Chosen:
    """Replace what is "auto" by what trains fastest here: bf16 or float32, on all threads or one.

    Threads wait for each other: where other programs take the cores, one alone can be many times as fast.
    """
    usual = Candidate(chosen.precision, torch.get_num_threads())
    precisions = {chosen.precision, *(("float32",) if execution.precision == "auto" else ())}
    if execution.precision == "auto" and _has_bf16():
        precisions.add("bf16")
    candidates = [Candidate(p, t) for p in sorted(precisions) for t in sorted({usual.threads, 1})]
    if len(candidates) == 1:
        return chosen
    rates = {candidate: _rate(network, recipe, execution, candidate) for candidate in candidates}
    best = max(candidates, key=rates.__getitem__)
    if rates[best] < _BETTER * rates[usual]:
        best = usual
    timed = ", ".join(f"{candidate} {rate:,.0f}" for candidate, rate in rates.items())
    why = f"{best} by timing, in images/s: {timed}; {chosen.why}"
    return replace(chosen, precision=best.precision, threads=best.threads, why=why)


def _has_bf16() -> bool:
    try:
        return find_precision("bf16", "cpu")[0] == "bf16"
    except SpecError:
        return False


def _rate(network: NetworkSpec, recipe: Recipe, execution: Execution, candidate: Candidate) -> float:
    """Images per second of some steps on random images, after one that is not counted."""
    with _threads(candidate.threads):
        learner = Learner(build_network(network), recipe, execution.recompute, candidate.precision == "bf16")
        images = torch.randn(recipe.batch, *network.input)
        labels = torch.arange(recipe.batch) % network.classes
        learner.train_step(images, labels, 0)
        since, steps = time.perf_counter(), 0
        while steps < _LEAST or time.perf_counter() - since < _SECONDS:
            learner.train_step(images, labels, 0)
            steps += 1
        return steps * recipe.batch / (time.perf_counter() - since)


class Slowdown:
    """Notices that other programs slow a training down."""

    def __init__(self) -> None:
        self._best = 0.0
        self._slow = False

    def message(self, images_per_second: float) -> str | None:
        """A message when the speed has fallen to half while more threads want the cores than there are; once, until it
        has recovered."""
        self._best = max(self._best, images_per_second)
        load = os.getloadavg()[0]
        slow = images_per_second < _SLOW * self._best and load > cores()
        is_new, self._slow = slow and not self._slow, slow
        if not is_new:
            return None
        return (
            f"{self._best / max(images_per_second, 1e-9):.1f} times slower than before: {load:.0f} threads want "
            f"{cores()} cores; end other programs, or stop and resume with --threads 1"
        )
