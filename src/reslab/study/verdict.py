"""What the runs of a study measured, and what that says of each claim."""

import math
from dataclasses import dataclass
from statistics import mean, median, stdev, variance
from typing import Any, Literal

from reslab.papers.claims import COUNTED, Claim, Metric, Row
from reslab.study.plan import Plan, Run
from reslab.train.record import read_json, read_metrics

CONFIDENCE = 0.95
FAILED_ERROR = 100.0  # the error that a diverged run counts with

Judgement = Literal["holds", "does not hold", "not decided"]


def measure(run: Run, metric: Metric) -> float:
    """One metric of one run that has its result. See papers.claims.METRICS."""
    if metric == "steps_to_10":
        reached = (line["step"] for line in read_metrics(run.out) if line["train_error"] < 10)
        return float(next(reached, run.recipe.steps))
    result: dict[str, Any] = read_json(run.out / "result.json")
    if result["status"] == "diverged":
        return FAILED_ERROR
    if metric == "curve":
        watched = "validation_error" if run.recipe.validation else "test_error"
        return mean(float(line[watched]) for line in read_metrics(run.out) if watched in line)
    part = "train" if metric == "train_error" else "test"
    return float(result[part]["top5_error" if metric == "top5_error" else "top1_error"])


def count(row: Row, plan: Plan, metric: Metric) -> float:
    """What is counted of a row's network, in the metric's unit."""
    cost = plan.network(row).cost()
    return cost.parameters / 1e6 if metric == "parameters" else cost.multiply_adds / 1e9


@dataclass(frozen=True)
class Sample:
    """A metric over the seeds of a row; `exact` where it is counted or given, and no seed changes it."""

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


@dataclass(frozen=True)
class Verdict:
    """A claim, its two samples, the difference (lower - higher) with its confidence interval, and the judgement."""

    claim: Claim
    lower: Sample
    higher: Sample
    interval: tuple[float, float] | None
    judgement: Judgement

    @property
    def difference(self) -> float | None:
        if self.lower.mean is None or self.higher.mean is None:
            return None
        return self.lower.mean - self.higher.mean


def judge(claim: Claim, lower: Sample, higher: Sample) -> Verdict:
    """Hold the difference of the means against the claim's margin.

    Welch's interval at 95 % confidence: the claim holds where the whole interval lies below the margin, does not hold
    where it lies above, and is not decided otherwise or where a row has fewer than two seeds. What is counted or given
    has no spread.
    """
    interval = _welch(lower, higher)
    judgement: Judgement = "not decided"
    if interval is not None:
        below, above = interval
        if above < claim.margin:
            judgement = "holds"
        elif below > claim.margin or (below == above == claim.margin):
            judgement = "does not hold"
    return Verdict(claim, lower, higher, interval, judgement)


def _welch(lower: Sample, higher: Sample) -> tuple[float, float] | None:
    both = (lower, higher)
    if any(side.n < (1 if side.exact else 2) for side in both):
        return None
    from scipy.stats import t

    difference = mean(lower.values) - mean(higher.values)
    spread = [(0.0 if side.exact else variance(side.values) / side.n, side.n - 1) for side in both]
    if sum(squared for squared, _ in spread) == 0:
        return difference, difference
    freedom = sum(squared for squared, _ in spread) ** 2 / sum(squared**2 / n for squared, n in spread if squared)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(sum(squared for squared, _ in spread))
    return difference - reach, difference + reach


def sample(plan: Plan, row: str | float, metric: Metric) -> Sample:
    """A metric over a row's runs that have their result, or of its network; a number stands for itself."""
    if not isinstance(row, str):
        return Sample((row,), exact=True)
    if metric in COUNTED:
        named = next(known for known in plan.rows if known.name == row)
        return Sample((count(named, plan, metric),), exact=True)
    return Sample(tuple(measure(run, metric) for run in plan.runs_of(row)))


def verdicts(plan: Plan) -> list[Verdict]:
    """Every claim of the plan's study that can be judged at its scale, which has its rows."""
    return [
        judge(claim, sample(plan, claim.lower, claim.metric), sample(plan, claim.higher, claim.metric))
        for claim in plan.study.claims
        if set(claim.rows) <= set(plan.scale.rows) and plan.scale_name in (claim.scales or (plan.scale_name,))
    ]
