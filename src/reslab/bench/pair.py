"""Two ways to do the same work, taking turns, so that a slow minute of the machine hits both."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Burst = Callable[[], float]  # works for a moment -> images per second


class Rates(NamedTuple):
    """Images per second of each round of one side."""

    title: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        return f"{self.median:,.4g} images/s ({min(self.rounds):,.4g} to {max(self.rounds):,.4g})"


class Pair(NamedTuple):
    """Ours and theirs of the same rounds, and the largest relative difference of what they computed."""

    work: str
    ours: Rates
    theirs: Rates
    difference: float
    roof: float | None = None

    @property
    def ratios(self) -> Rates:
        """Ours by theirs, round by round."""
        both = zip(self.ours.rounds, self.theirs.rounds, strict=True)
        return Rates("ratio", tuple(ours / theirs for ours, theirs in both))


def rate(work: Callable[[], int], seconds: float) -> float:
    """Images per second of a piece of work, which tells how many images it did, done again until the time is up."""
    images, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds or not images:
        images += work()
    return images / took


def alternate(ours: tuple[str, Burst], theirs: tuple[str, Burst], rounds: int) -> tuple[Rates, Rates]:
    """Let both sides take turns, each once before anything counts."""
    sides = ours, theirs
    for _, burst in sides:
        burst()
    found = [(first(), second()) for (_, first), (_, second) in [sides] * rounds]
    return Rates(ours[0], tuple(a for a, _ in found)), Rates(theirs[0], tuple(b for _, b in found))
