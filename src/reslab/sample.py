"""What was measured, with its spread over seeds, and what the comparison of two says."""

import math
from dataclasses import dataclass
from statistics import mean, median, stdev, variance
from typing import Literal

CONFIDENCE = 0.95

Judgement = Literal["holds", "does not hold", "not decided"]


@dataclass(frozen=True)
class Sample:
    """A metric over seeds; `exact` where it is counted or given, and no seed changes it."""

    values: tuple[float, ...]
    exact: bool = False

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float | None:
        return mean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """The sample's standard deviation (n - 1); None below two values."""
        return stdev(self.values) if self.n > 1 else None

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    def __str__(self) -> str:
        if self.mean is None:
            return "not run"
        if self.exact:
            return f"{self.mean:,.3g}" if self.mean < 100 else f"{self.mean:,.0f}"
        return f"{self.mean:.2f}" + (f" ± {self.std:.2f}" if self.std is not None else "")


def compare(lower: Sample, higher: Sample, margin: float = 0.0) -> tuple[Judgement, tuple[float, float] | None]:
    """Whether `lower` is lower than `higher`, or higher by less than a margin; and the difference's interval.

    Welch's interval at 95 % confidence: the claim holds where the whole interval lies below the margin, does not hold
    where it lies above, and is not decided otherwise or where a side has fewer than two seeds. What is counted or given
    has no spread.
    """
    interval = _welch(lower, higher)
    if interval is None:
        return "not decided", None
    below, above = interval
    if above < margin:
        return "holds", interval
    if below > margin or (below == above == margin):
        return "does not hold", interval
    return "not decided", interval


def _welch(lower: Sample, higher: Sample) -> tuple[float, float] | None:
    both = (lower, higher)
    if any(side.n < (1 if side.exact else 2) for side in both):
        return None
    from scipy.stats import t

    difference = mean(lower.values) - mean(higher.values)
    spread = [(0.0 if side.exact else variance(side.values) / side.n, side.n - 1) for side in both]
    total = sum(squared for squared, _ in spread)
    if total == 0:
        return difference, difference
    freedom = 1 / sum((squared / total) ** 2 / n for squared, n in spread if squared)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(total)
    return difference - reach, difference + reach
