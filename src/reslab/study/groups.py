"""Groups of runs that differ in their seed alone, of reslab or of any other framework, and how they compare."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from reslab.errors import SpecError, nearest
from reslab.stats import CONFIDENCE, Judgement, Sample, comparison, holm
from reslab.study.claim import parse_claim

MANY = 24
"""Groups of which every two are compared; of more, the one with the lowest mean with each other one."""
Curve = tuple[tuple[float, float], ...]
"""A metric over the steps: (step, value)."""


@dataclass(frozen=True)
class GroupRun:
    """One run: its name, its seed, the last value of each metric, and its curves."""

    name: str
    seed: int | str
    values: Mapping[str, float]
    curves: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Runs with the same settings. fields: the settings in which it differs from other groups."""

    name: str
    fields: Mapping[str, str]
    runs: tuple[GroupRun, ...]


class GroupClaim(NamedTuple):
    """A claim that a metric of `lower` is lower than that of `higher`, or higher by less than a margin."""

    lower: str | float
    higher: str | float
    metric: str
    margin: float = 0.0

    def __str__(self) -> str:
        margin = f", or higher by less than {self.margin:g}" if self.margin else ""
        return f"{self.metric}: {self.lower} is lower than {self.higher}{margin}"


class Contrast(NamedTuple):
    """Two sides of a claim, or of a pair of groups: the difference of their means, lower - higher, with its interval.

    jointly: the judgement with Holm's correction for all that are judged together
    """

    claim: GroupClaim
    lower: Sample
    higher: Sample
    interval: tuple[float, float] | None
    judgement: Judgement
    jointly: Judgement

    @property
    def difference(self) -> float | None:
        if self.lower.mean is None or self.higher.mean is None:
            return None
        return self.lower.mean - self.higher.mean


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, compared by a metric.

    source: where the runs are from; command: what compares them again
    metric: the one of the figure and of the pairs; metrics: all that a run may have
    steps: the smallest difference that a metric can show, such as one image of a test set
    notes: what was left out, or is the same for all
    """

    source: str
    command: str
    groups: tuple[Group, ...]
    metric: str
    metrics: tuple[str, ...]
    claims: tuple[GroupClaim, ...] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def sample(self, side: str | float, metric: str) -> Sample:
        """A metric over the runs of a group that have a value; a number is itself."""
        if not isinstance(side, str):
            return Sample((side,), exact=True)
        runs = next(group.runs for group in self.groups if group.name == side)
        values = tuple(run.values[metric] for run in runs if metric in run.values)
        return Sample(values, step=self.steps.get(metric, 0.0))

    def contrasts(self) -> list[Contrast]:
        """The claims, judged."""
        return self._judged(self.claims, len(self.claims))

    def pairs(self) -> list[Contrast]:
        """Every two groups, the one with the lower mean first, by the comparison's metric.

        Of more than MANY groups only those with the lowest of all, with Holm's correction for every two all the same:
        the lowest is not known beforehand.
        """
        samples = {group.name: self.sample(group.name, self.metric) for group in self.groups}
        means = {name: sample.mean for name, sample in samples.items() if sample.mean is not None}
        names = list(means) if len(means) <= MANY else sorted(means, key=means.__getitem__)
        chosen = list(combinations(names, 2)) if len(names) <= MANY else [(names[0], name) for name in names[1:]]
        ordered = [pair if means[pair[0]] <= means[pair[1]] else pair[::-1] for pair in chosen]
        return self._judged([GroupClaim(*pair, self.metric) for pair in ordered], math.comb(len(names), 2))

    def _judged(self, claims: Sequence[GroupClaim], together: int) -> list[Contrast]:
        """The judgements on claims, which are some of so many that are judged `together`."""
        sides = [(self.sample(claim.lower, claim.metric), self.sample(claim.higher, claim.metric)) for claim in claims]
        tests = [comparison(*pair, margin=claim.margin) for pair, claim in zip(sides, claims, strict=True)]
        ps = holm([*(test.p for test in tests), *[None] * (together - len(tests))])
        contrasts = []
        for claim, pair, test, p in zip(claims, sides, tests, ps, strict=False):
            sure = test.p is None or p <= 1 - CONFIDENCE
            jointly = test.judgement if sure else "not decided"
            contrasts.append(Contrast(claim, *pair, test.interval, test.judgement, jointly))
        return contrasts


def read_claims(texts: Iterable[str], groups: Sequence[Group], metric: str, margin: float) -> Iterator[GroupClaim]:
    """The claims of "a < b" on a metric. Raises SpecError naming the nearest groups, or a margin without end."""
    if not math.isfinite(margin):
        raise SpecError(f"--margin {margin:g}: every claim holds with it; give a finite number")
    for text in texts:
        lower, higher = parse_claim(text, [group.name for group in groups])
        yield GroupClaim(lower, higher, metric, margin)


def choose_metric(asked: str | None, metrics: Sequence[str]) -> str:
    """The metric of a name, or of its last part ("acc" of "metrics.acc"); without one the likeliest of all.

    Raises SpecError naming the nearest metrics.
    """
    if asked is None:
        ranks = ("test", "val", "error", "acc", "loss")
        return min(
            metrics, key=lambda name: next((n for n, word in enumerate(ranks) if word in name.lower()), len(ranks))
        )
    matches = [name for name in metrics if name == asked] or [
        name for name in metrics if name.replace("/", ".").rpartition(".")[2] == asked
    ]
    if len(matches) != 1:
        raise SpecError(f"no metric {asked!r}: {nearest(asked, metrics)}")
    return matches[0]


def varying(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys whose values are not the same in all of some settings, in the order of their first place."""
    keys = dict.fromkeys(key for each in settings for key in each)
    return [key for key in keys if len({each.get(key) for each in settings}) > 1]


def group_names(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Names of groups by the settings in which they differ, as few as tell them apart: "resnet8-cifar, steps=60"."""
    keys: list[str] = []
    for key in dict.fromkeys(key for each in settings for key in each):
        if len(set(_names(settings, [*keys, key]))) > len(set(_names(settings, keys))):
            keys.append(key)
    return _names(settings, keys or list(settings[0])[:1])


def _names(settings: Sequence[Mapping[str, str]], keys: Sequence[str]) -> list[str]:
    return [", ".join(_word(key, each.get(key, ""), len(keys)) for key in keys) or "all runs" for each in settings]


def _word(key: str, value: str, keys: int) -> str:
    """A setting in a name: its value alone where it is the only one, or says itself what it is."""
    return value or f"no {key}" if keys == 1 or key in ("network", "data") else f"{key}={value or 'none'}"
