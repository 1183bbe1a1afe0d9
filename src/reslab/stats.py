"""What was measured, with its spread over seeds, and what the comparison of two says."""

import math
from dataclasses import dataclass
from statistics import mean, median, stdev, variance
from typing import Literal

CONFIDENCE = 0.95

Judgement = Literal["holds", "does not hold", "not decided"]


@dataclass(frozen=True)
class Sample:
    """A metric over seeds.

    exact: it is counted or given, and no seed changes it
    step: the least difference that the metric can show, such as one image of a test set; 0 where it has none
    """

    values: tuple[float, ...]
    exact: bool = False
    step: float = 0.0

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
    def variance(self) -> float:
        """That of a single value; no less than what rounding to `step` leaves, step²/12, however alike values are."""
        return 0.0 if self.exact else max(variance(self.values), self.step**2 / 12)

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    def __str__(self) -> str:
        if self.mean is None:
            return "not run"
        if self.exact:
            return f"{self.mean:,.3g}" if self.mean < 100 else f"{self.mean:,.0f}"
        return f"{self.mean:.2f}" + (f" ± {self.std:.2f}" if self.std is not None else "")

    def __format__(self, form: str) -> str:
        """The mean in a form, such as ".3g" for any magnitude, with the standard deviation in two digits."""
        if not form or self.mean is None:
            return str(self)
        return f"{self.mean:{form}}" + (f" ± {self.std:.2g}" if self.std is not None else "")


def compare(
    lower: Sample, higher: Sample, margin: float = 0.0, confidence: float = CONFIDENCE
) -> tuple[Judgement, tuple[float, float] | None]:
    """Whether `lower` is lower than `higher`, or higher by less than a margin; and the difference's interval.

    Welch's interval at a confidence: the claim holds where the whole interval lies below the margin, does not hold
    where it lies above, and is not decided otherwise or where a side has fewer than two seeds. What is counted or given
    has no spread.
    """
    interval = _welch(lower, higher, confidence)
    if interval is None:
        return "not decided", None
    below, above = interval
    if above < margin:
        return "holds", interval
    if below > margin or (below == above == margin):
        return "does not hold", interval
    return "not decided", interval


def _welch(lower: Sample, higher: Sample, confidence: float) -> tuple[float, float] | None:
    both = (lower, higher)
    if any(side.n < (1 if side.exact else 2) for side in both):
        return None
    from scipy.stats import t

    difference = mean(lower.values) - mean(higher.values)
    spread = [(side.variance / side.n, side.n - 1) for side in both]
    total = sum(squared for squared, _ in spread)
    if total == 0:
        return difference, difference
    freedom = 1 / sum((squared / total) ** 2 / n for squared, n in spread if squared)
    reach = float(t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(total)
    return difference - reach, difference + reach
