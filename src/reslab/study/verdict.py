"""The metrics of a study's runs, and the verdict on each claim."""

import math
from dataclasses import dataclass
from statistics import mean
from typing import assert_never

from reslab.errors import DataError
from reslab.evaluate import Evaluation
from reslab.nets import AnyNetwork
from reslab.papers.claims import COUNTED, Claim, Metric
from reslab.stats import CONFIDENCE, Judgement, Sample, compare
from reslab.study.plan import Plan, PlannedRun

FAILED_ERROR = 100.0  # the error that a diverged run counts with


def measure(planned: PlannedRun, metric: Metric) -> float:
    """One metric of one run that is done. See papers.claims.METRICS."""
    run = planned.run
    match metric:
        case "initial_loss":
            return next((line.train_loss for line in run.metrics), math.nan)
        case "steps_to_10":
            return float(next((line.step for line in run.metrics if line.train_error < 10), planned.recipe.steps))
        case "train_error" | "test_error" | "top5_error" | "curve" if run.status == "diverged":
            return FAILED_ERROR
        case "train_error" | "test_error":
            return _final(planned, metric).top1_error
        case "top5_error":
            return _final(planned, metric).top5_error
        case "curve":
            errors = (line.error(run.eval_split) for line in run.metrics)
            return mean(error for error in errors if error is not None)
        case "parameters" | "multiply_adds":
            return count(planned.network, metric)
        case _:
            assert_never(metric)


def _final(planned: PlannedRun, metric: Metric) -> Evaluation:
    """The evaluation of the last weights on the split of a metric."""
    result = planned.run.result
    if result is None or result.train is None or result.test is None:
        raise DataError(f"{planned.out}: has no final evaluation; remove it to train it again")
    return result.train if metric == "train_error" else result.test


def count(network: AnyNetwork, metric: Metric) -> float:
    """A network's parameters in millions, or its multiply-adds in billions."""
    cost = network.cost()
    return cost.parameters / 1e6 if metric == "parameters" else cost.multiply_adds / 1e9


@dataclass(frozen=True)
class Verdict:
    """A claim, its two samples, the difference (lower - higher) with its confidence interval, and the judgement.

    jointly: the judgement with Bonferroni's correction for all of the study's claims
    """

    claim: Claim
    lower: Sample
    higher: Sample
    interval: tuple[float, float] | None
    judgement: Judgement
    jointly: Judgement

    @property
    def measured(self) -> bool:
        """Whether it depends on the seeds: not if both sides are counted or given."""
        return not (self.lower.exact and self.higher.exact)

    @property
    def difference(self) -> float | None:
        if self.lower.mean is None or self.higher.mean is None:
            return None
        return self.lower.mean - self.higher.mean


def judge(claim: Claim, lower: Sample, higher: Sample, together: int = 1) -> Verdict:
    """Test the difference of the means against the claim's margin, alone and as one of `together` claims.

    See reslab.stats.compare.
    """
    judgement, interval = compare(lower, higher, claim.margin)
    jointly, _ = compare(lower, higher, claim.margin, 1 - (1 - CONFIDENCE) / together)
    return Verdict(claim, lower, higher, interval, judgement, jointly)


def sample(plan: Plan, row: str | float, metric: Metric) -> Sample:
    """A metric over a row's runs that are done, or counted of its network; a number is itself."""
    if not isinstance(row, str):
        return Sample((row,), exact=True)
    if metric in COUNTED:
        network = next(plan.network(known) for known in plan.rows if known.name == row)
        return Sample((count(network, metric),), exact=True)
    done = plan.runs_of(row)
    step = max((_step(planned, metric) for planned in done), default=0.0)
    return Sample(tuple(measure(planned, metric) for planned in done), step=step)


def _step(planned: PlannedRun, metric: Metric) -> float:
    """The resolution of a metric: 100 % of one image, or a logging interval's steps; 0 without one."""
    if metric == "steps_to_10":
        return float(planned.recipe.log_every)
    if metric in ("curve", "initial_loss") or planned.run.status == "diverged":
        return 0.0
    return 100 / _final(planned, metric).images


def verdicts(plan: Plan) -> list[Verdict]:
    """Every claim of the plan's study that can be judged at its scale and has its rows there."""
    sides = [
        (claim, sample(plan, claim.lower, claim.metric), sample(plan, claim.higher, claim.metric))
        for claim in plan.study.claims
        if set(claim.rows) <= set(plan.scale.rows)
        and plan.scale_name in (claim.scales or (plan.scale_name,))
        and (plan.beside_published or claim.scales != ("paper",))  # such a claim is of the whole recipe
    ]
    together = sum(not (lower.exact and higher.exact) for _, lower, higher in sides)
    return [judge(*side, max(1, together)) for side in sides]
