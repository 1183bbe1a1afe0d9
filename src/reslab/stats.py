"""Samples of a metric over seeds, and the tests that compare two of them.

Which test decides is fixed before any number is known, by `comparison`:
1. both sides counted: the numbers themselves
2. runs that failed or never reached a threshold, beside a bound: the share of runs beyond it, exact binomial, one-sided
3. the same beside other runs: ranks, where such runs come last
4. a study that reports medians, with at least RANKED_FROM runs a side: ranks
5. errors of rows with alike spreads (`pool`): Student's t on the logit of the error, one spread for all rows
6. anything else: Welch's t
Runs of one seed are not paired: the seed decides the order of the images, and neither this nor the first weights make
two different networks' errors alike.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from statistics import mean, median, stdev, variance
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RANKED_FROM = 5  # runs a side, the papers' number; below 4 ranks can decide nothing at 95 %
MOST_SEEDS = 50  # that are asked for
MOST_EFFECT = 30  # standard deviations that are asked for
_DECIMALS = 6  # of a mean, at most
_GAP = 2.0  # on the logit: a row whose sorted errors have a wider one has runs of two kinds

Judgement = Literal["holds", "does not hold", "not decided", "not run"]
Relation = Literal["lower", "about"]
Method = Literal["counted", "binomial", "ranks", "pooled", "Welch"]


@dataclass(frozen=True)
class Sample:
    """A metric over seeds.

    values: of the runs that have one
    exact: the value is counted or given and the same for every seed
    step: the smallest difference that the metric can show, such as one image of a test set; 0 for none
    failed: runs that did not train, which have no value
    beyond: runs that never reached a threshold, of which only is known that their value is above `limit`
    """

    values: tuple[float, ...]
    exact: bool = False
    step: float = 0.0
    failed: int = 0
    beyond: int = 0
    limit: float = 0.0

    @property
    def n(self) -> int:
        """All runs, with those that have no value."""
        return len(self.values) + self.failed + self.beyond

    @property
    def complete(self) -> bool:
        """Whether every run has a value."""
        return not self.failed and not self.beyond

    @property
    def mean(self) -> float | None:
        return mean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """The sample's standard deviation (n - 1); None below two values."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def variance(self) -> float:
        """The variance of a single value, at least the rounding error of `step`, step²/12; 0 if exact."""
        return 0.0 if self.exact else max(variance(self.values), self.step**2 / 12)

    @property
    def median(self) -> float | None:
        return median(self.values) if self.values else None

    @property
    def ranked(self) -> tuple[float, ...]:
        """All runs for a comparison by ranks: those without a value come last."""
        return (*self.values, *[math.inf] * (self.failed + self.beyond))

    def __str__(self) -> str:
        if self.mean is None:
            return self._without_value if self.n else "not run"
        if self.exact:
            return f"{self.mean:,.3g}" if self.mean < 100 else f"{self.mean:,.0f}"
        if abs(self.mean) >= 1000 or self.step >= 1:
            return self._text(f"{self.mean:,.0f}", ",.0f")
        small = not self.step and 0 < abs(self.mean) < 0.1
        return self._text(f"{self.mean:.2g}", ".1g") if small else self._text(f"{self.mean:.2f}", ".2f")

    def __format__(self, form: str) -> str:
        """The mean in a form and the standard deviation in two digits; ".4g" gives the mean the decimals of these."""
        if not form or self.mean is None:
            return str(self)
        decimals = 1 - math.floor(math.log10(self.std)) if self.std else None
        if decimals is None or decimals > _DECIMALS or not form.endswith("g"):
            return self._text(f"{self.mean:{form}}", ".2g")
        fixed = f".{max(0, decimals)}f"
        return self._text(f"{self.mean:{form.partition('.')[0]}{fixed}}", fixed)

    def _text(self, middle: str, form: str) -> str:
        spread = f" ± {self.std:{form}}" if self.std is not None else ""
        return middle + spread + ("" if self.complete else f" ({self._without_value})")

    @property
    def _without_value(self) -> str:
        """How many runs have no value, with the exact interval of the share that failed."""
        limit = f">{self.limit:g}"
        share = f"{limit} in {self.beyond} of {self.n}" if self.values else f"{limit} (0 of {self.n})"
        texts = [share] if self.beyond else []
        if self.failed:
            low, high = share_interval(self.failed, self.n)
            texts.append(f"{self.failed} of {self.n} did not train, {100 * low:.0f} to {100 * high:.0f} %")
        return "; ".join(texts)


def share_interval(count: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a share, `count` of `n`. Clopper and Pearson 1934."""
    from scipy.stats import binomtest

    interval = binomtest(count, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


class Comparison(NamedTuple):
    """What a test says of lower - higher: the judgement, its p, the difference and its interval, and the method.

    p: of the decision, None without one; interval: at `coverage`, None where the method gives none
    """

    judgement: Judgement
    p: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    coverage: float = CONFIDENCE
    method: Method | None = None


class _Test(Protocol):
    """A difference that was measured, and the p of both one-sided tests against a bound."""

    @property
    def difference(self) -> float: ...

    def p_below(self, bound: float) -> float: ...

    def p_above(self, bound: float) -> float: ...

    def interval(self, confidence: float) -> tuple[float, float] | None: ...


@dataclass(frozen=True)
class _Means:
    """Two means: their difference, its standard error and degrees of freedom; without an error it is exact.

    middle: with it the difference is of logits about this one, and bounds and interval are in percent
    """

    raw: float
    error: float
    freedom: float
    middle: float | None = None

    @property
    def difference(self) -> float:
        return self._percent(self.raw)

    def p_below(self, bound: float) -> float:
        return self._p(bound, 1)

    def p_above(self, bound: float) -> float:
        return self._p(bound, -1)

    def _p(self, bound: float, sign: int) -> float:
        from scipy.stats import t

        distance = sign * (self._logit(bound) - self.raw)
        if self.error == 0:
            return float(distance < 0 or (distance == 0 and sign == 1))
        return float(t.sf(distance / self.error, self.freedom))

    def interval(self, confidence: float) -> tuple[float, float]:
        from scipy.stats import t

        reach = float(t.ppf((1 + confidence) / 2, self.freedom)) * self.error if self.error else 0.0
        return self._percent(self.raw - reach), self._percent(self.raw + reach)

    def _percent(self, raw: float) -> float:
        """A difference of logits as one of errors, about the middle."""
        if self.middle is None:
            return raw
        return 100 * (_expit(self.middle + raw / 2) - _expit(self.middle - raw / 2))

    def _logit(self, bound: float) -> float:
        """The difference of logits that is one of errors: the inverse of `_percent`."""
        if self.middle is None or bound == 0:
            return bound
        from scipy.optimize import brentq

        reach = 2 * (abs(self.middle) + 30)
        if abs(bound) >= self._percent(reach):
            return math.copysign(math.inf, bound)
        return float(brentq(lambda raw: self._percent(raw) - bound, -reach, reach))


@dataclass(frozen=True)
class _Ranks:
    """Mann and Whitney's test, exact with ties: over all arrangements of the runs, or 20,000 of them."""

    lower: Sample
    higher: Sample

    @property
    def difference(self) -> float:
        sides = (median(self.lower.ranked), median(self.higher.ranked))
        return 0.0 if sides[0] == sides[1] else sides[0] - sides[1]

    def p_below(self, bound: float) -> float:
        return self._p(bound, "less")

    def p_above(self, bound: float) -> float:
        return self._p(bound, "greater")

    def _p(self, bound: float, alternative: str) -> float:
        from scipy.stats import PermutationMethod, mannwhitneyu

        shifted = [value - bound for value in self.lower.ranked]
        largest = 2 * max((abs(value) for value in (*shifted, *self.higher.ranked) if math.isfinite(value)), default=1)
        sides = [[min(value, largest + 1) for value in side] for side in (shifted, self.higher.ranked)]
        method = PermutationMethod(n_resamples=20_000, rng=0)
        return float(mannwhitneyu(*sides, alternative=alternative, method=method).pvalue)

    def interval(self, confidence: float) -> None:
        return None


@dataclass(frozen=True)
class _Share:
    """Whether most runs are above a bound, `beyond` of `n`: the sign test, one-sided, as a claim that a row fails is.

    side: -1 where the bound is the lower side
    """

    above: int
    n: int
    side: int

    @property
    def difference(self) -> float:
        return math.nan

    def p_below(self, bound: float) -> float:
        return self._p(self.above if self.side < 0 else self.n - self.above)

    def p_above(self, bound: float) -> float:
        return self._p(self.n - self.above if self.side < 0 else self.above)

    def _p(self, count: int) -> float:
        from scipy.stats import binomtest

        return float(binomtest(count, self.n, 0.5, alternative="greater").pvalue) / 2  # halved: tested at one side

    def interval(self, confidence: float) -> None:
        return None


@dataclass(frozen=True)
class Pool:
    """The spread that a study's rows share on the logit of the error, and its degrees of freedom."""

    rows: frozenset[Sample]
    spread: float
    freedom: int


def logits(errors: Sample) -> list[float]:
    """The logit of each error, with half an image added to the wrong and the right ones."""
    images = 100 / errors.step
    shares = [(value / errors.step + 0.5) / (images + 1) for value in errors.values]
    return [math.log(share / (1 - share)) for share in shares]


def pool(samples: Iterable[Sample]) -> Pool | None:
    """The spread of a study's rows together; None where fewer than three have alike ones.

    Left out are rows with runs that failed, with runs of two kinds, and those that end with no error.
    """
    from scipy.stats import levene

    rows = [one for one in set(samples) if one.complete and one.step and one.n > 1 and (one.mean or 0) > one.step]
    groups = {row: logits(row) for row in sorted(rows, key=lambda row: row.values) if not _is_bimodal(logits(row))}
    freedom = sum(len(group) - 1 for group in groups.values())
    squared = sum(variance(group) * (len(group) - 1) for group in groups.values())
    if len(groups) < 3 or squared == 0 or levene(*groups.values()).pvalue < 1 - CONFIDENCE:
        return None
    return Pool(frozenset(groups), math.sqrt(squared / freedom), freedom)


def _is_bimodal(values: Sequence[float]) -> bool:
    return max(b - a for a, b in pairwise(sorted(values))) > _GAP


def comparison(
    lower: Sample,
    higher: Sample,
    relation: Relation = "lower",
    margin: float = 0.0,
    least: float = 0.0,
    *,
    confidence: float = CONFIDENCE,
    pooled: Pool | None = None,
    medians: bool = False,
) -> Comparison:
    """Test that `lower` is lower than `higher`, or about the same.

    "lower": it is lower, or higher by less than `margin`; a difference below `least` is not worth a claim
    "about": they differ by less than `margin`, by two one-sided tests
    Either verdict is wrong in at most 5 of 100 cases. Without two runs of a side nothing is decided.
    """
    if any(side.n < (1 if side.exact else 2) for side in (lower, higher)):
        return Comparison("not decided")
    test, method = _test(lower, higher, pooled, medians)
    judgement, p = _judged(test, relation, margin, least, confidence)
    coverage = confidence if relation == "lower" else 2 * confidence - 1
    difference = test.difference if math.isfinite(test.difference) else None
    return Comparison(judgement, p, difference, test.interval(coverage), coverage, method)


def _judged(
    test: _Test, relation: Relation, margin: float, least: float, confidence: float
) -> tuple[Judgement, float | None]:
    """The judgement with its two-sided p, or that of two one-sided tests at the confidence each."""
    alpha = 1 - confidence
    below, above = 2 * test.p_below(margin), 2 * test.p_above(margin)
    if relation == "about":
        same = max(test.p_below(margin), test.p_above(-margin))
        apart = 2 * min(test.p_above(margin), test.p_below(-margin))
        return ("holds", same) if same <= alpha else ("does not hold", apart) if apart <= alpha else _OPEN
    large = not least or not math.isfinite(test.difference) or -test.difference >= least
    if below <= alpha and large:
        return "holds", below
    if above <= alpha:
        return "does not hold", above
    if least and (small := 2 * test.p_above(-least)) <= alpha:
        return "does not hold", small
    return _OPEN


_OPEN: tuple[Judgement, None] = ("not decided", None)


def _test(lower: Sample, higher: Sample, pooled: Pool | None, medians: bool) -> tuple[_Test, Method]:
    if not (lower.complete and higher.complete):
        if lower.exact:
            return _Share(_above(higher, lower), higher.n, -1), "binomial"
        if higher.exact:
            return _Share(_above(lower, higher), lower.n, 1), "binomial"
        return _Ranks(lower, higher), "ranks"
    if lower.exact and higher.exact:
        return _welch(lower, higher), "counted"
    exact = lower.exact or higher.exact
    if medians and not exact and min(lower.n, higher.n) >= RANKED_FROM:
        return _Ranks(lower, higher), "ranks"
    if pooled and {lower, higher} <= pooled.rows:
        sides = [mean(logits(side)) for side in (lower, higher)]
        error = pooled.spread * math.sqrt(1 / lower.n + 1 / higher.n)
        return _Means(sides[0] - sides[1], error, pooled.freedom, mean(sides)), "pooled"
    return _welch(lower, higher), "Welch"


def _above(runs: Sample, bound: Sample) -> int:
    return sum(value > bound.values[0] for value in runs.ranked)


def _welch(lower: Sample, higher: Sample) -> _Means:
    difference = mean(lower.values) - mean(higher.values)
    return _satterthwaite(difference, [(side.variance / side.n, side.n - 1) for side in (lower, higher)])


def _satterthwaite(difference: float, variances: Sequence[tuple[float, int]]) -> _Means:
    """A difference whose variance is a sum, of parts with degrees of freedom of their own. Satterthwaite 1946."""
    total = sum(part for part, _ in variances)
    freedom = 1 / sum((part / total) ** 2 / n for part, n in variances if part) if total else math.inf
    return _Means(difference, math.sqrt(total), freedom)


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def compare(lower: Sample, higher: Sample) -> tuple[Judgement, tuple[float, float] | None]:
    """Whether the mean of `lower` is lower than that of `higher`, and Welch's 95 % interval of the difference."""
    result = comparison(lower, higher)
    return result.judgement, result.interval


def interval_over_images(
    lower: NDArray[np.bool_], higher: NDArray[np.bool_], confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """The interval of the difference of two mean errors, in percent, where the test images are a sample too.

    lower, higher: which images each run answers wrongly, (runs, images), of the same images; None for a single run
    The seeds' variance is Welch's; the images' is that of their mean difference, less what the runs add to it by chance
    (crossed random effects). An interval over seeds alone is of these images, this one of others like them.
    """
    if min(len(lower), len(higher)) < 2:
        return None
    images = lower.shape[1]
    seeds = [(float(side.mean(1).var(ddof=1)) / len(side), len(side) - 1) for side in (lower, higher)]
    by_chance = sum(float(side.var(0, ddof=1).mean()) / len(side) for side in (lower, higher))
    spread = float((lower.mean(0) - higher.mean(0)).var(ddof=1))
    parts = [*seeds, (max(0.0, spread - by_chance) / images, images - 1)]
    low, high = _satterthwaite(float(lower.mean() - higher.mean()), parts).interval(confidence)
    return 100 * low, 100 * high


def holm(ps: Sequence[float | None]) -> list[float]:
    """The p-values of several tests for all of them together; what has none counts with 1. Holm 1979."""
    plain = [1.0 if p is None else p for p in ps]
    adjusted, highest = [1.0] * len(plain), 0.0
    for place, index in enumerate(sorted(range(len(plain)), key=plain.__getitem__)):
        highest = max(highest, min(1.0, (len(plain) - place) * plain[index]))
        adjusted[index] = highest
    return adjusted


class Conjunction(NamedTuple):
    """The judgement on a statement of several claims: how many are decided, of how many.

    It holds where each holds, each at 95 % (intersection-union, Berger 1982), and does not where one does not.
    """

    judgement: Judgement
    decided: int
    claims: int

    def __str__(self) -> str:
        open_ones = self.judgement == "not decided" and self.claims > 1
        return f"{self.judgement} ({self.decided} of {self.claims})" if open_ones else self.judgement


def conjunction(claims: Sequence[tuple[Judgement, Judgement]]) -> Conjunction:
    """A statement of several claims by their judgements, each alone and for all claims together (Holm).

    One claim of many fails by chance more often than a single one; so it must fail for all together.
    """
    alone, together = [one for one, _ in claims], [both for _, both in claims]
    holding = alone.count("holds")
    decided = holding + together.count("does not hold")
    if "does not hold" in together:
        return Conjunction("does not hold", decided, len(claims))
    if set(alone) <= {"not run"}:
        return Conjunction("not run", 0, len(claims))
    return Conjunction("holds" if holding == len(claims) else "not decided", decided, len(claims))


@cache
def power(effect: float, n: int) -> float:
    """The chance that a claim holds at 95 % by Welch's test with n runs a side, in 4,000 draws with a fixed seed.

    effect: the difference in standard deviations of single runs
    """
    if n < 2:
        return 0.0
    from scipy.stats import ttest_ind

    draws = np.random.default_rng(0).standard_normal((2, 4000, n))
    tested = ttest_ind(draws[0] - effect, draws[1], axis=1, equal_var=False)
    return float(np.mean((tested.pvalue < 1 - CONFIDENCE) & (tested.statistic < 0)))


def least_effect(n: int, chance: float = 0.8) -> float | None:
    """The least difference, in standard deviations of single runs, that n runs a side show at a chance; to a tenth.

    None below two runs, which show nothing.
    """
    if n < 2:
        return None
    return bisect_left(range(MOST_EFFECT * 10), chance, key=lambda tenths: power(tenths / 10, n)) / 10


def seeds_needed(effect: float, chance: float = 0.8) -> int | None:
    """The least runs a side with which a claim holds at a chance; None if MOST_SEEDS are too few.

    effect: the difference in standard deviations of single runs
    """
    if effect <= 0 or power(effect, MOST_SEEDS) < chance:
        return None
    return 2 + bisect_left(range(2, MOST_SEEDS), chance, key=lambda n: power(effect, n))
