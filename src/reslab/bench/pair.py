"""Two implementations of the same work, measured in alternation, so that a slow minute of the machine hits both."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Burst = Callable[[], float]  # works for some seconds -> images per second


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
    """Our rates and theirs of the same rounds, and the largest relative difference of their results."""

    work: str
    ours: Rates
    theirs: Rates
    difference: float
    roof: float | None = None  # our share of the machine's peak operations per second

    @property
    def ratios(self) -> Rates:
        """Ours by theirs, round by round."""
        both = zip(self.ours.rounds, self.theirs.rounds, strict=True)
        return Rates("ratio", tuple(ours / theirs for ours, theirs in both))


def rate(work: Callable[[], int], seconds: float, finish: Callable[[], None] = lambda: None) -> float:
    """Images per second of a function that returns its number of images, called until the time is up.

    finish: waits for what a GPU has still to do; it counts
    """
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or not images:
        images += work()
    finish()
    return images / (time.perf_counter() - start)


def alternate(ours: tuple[str, Burst], theirs: tuple[str, Burst], rounds: int) -> tuple[Rates, Rates]:
    """The rates of both sides in alternating rounds, after one round of each that does not count."""
    sides = ours, theirs
    for _, burst in sides:
        burst()
    rates = [[burst() for _, burst in sides] for _ in range(rounds)]
    first, second = zip(*rates, strict=True)
    return Rates(ours[0], first), Rates(theirs[0], second)
