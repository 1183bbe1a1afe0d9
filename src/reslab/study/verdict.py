"""What the runs of a study measured, and what that says of each claim."""

from dataclasses import dataclass
from statistics import mean
from typing import Any

from reslab.papers.claims import COUNTED, Claim, Metric, Row
from reslab.runs.record import read_json, read_metrics, watched
from reslab.stats import CONFIDENCE, Judgement, Sample, compare
from reslab.study.plan import Plan, Run

FAILED_ERROR = 100.0  # the error that a diverged run counts with


def measure(run: Run, metric: Metric) -> float:
    """One metric of one run that has its result. See papers.claims.METRICS."""
    if metric == "steps_to_10":
        reached = (line["step"] for line in read_metrics(run.out) if line["train_error"] < 10)
        return float(next(reached, run.recipe.steps))
    result: dict[str, Any] = read_json(run.out / "result.json")
    if result["status"] == "diverged":
        return FAILED_ERROR
    if metric == "curve":
        lines = list(read_metrics(run.out))
        error = f"{watched(lines)}_error"
        return mean(float(line[error]) for line in lines if error in line)
    part = "train" if metric == "train_error" else "test"
    return float(result[part]["top5_error" if metric == "top5_error" else "top1_error"])


def count(row: Row, plan: Plan, metric: Metric) -> float:
    """What is counted of a row's network, in the metric's unit."""
    cost = plan.network(row).cost()
    return cost.parameters / 1e6 if metric == "parameters" else cost.multiply_adds / 1e9


@dataclass(frozen=True)
class Verdict:
    """A claim, its two samples, the difference (lower - higher) with its confidence interval, and the judgement.

    jointly: the judgement at a confidence that all of the study's claims together have, which is Bonferroni's
    """

    claim: Claim
    lower: Sample
    higher: Sample
    interval: tuple[float, float] | None
    judgement: Judgement
    jointly: Judgement

    @property
    def measured(self) -> bool:
        """Whether chance has a say in it: not where both sides are counted or given."""
        return _measured(self.lower, self.higher)

    @property
    def difference(self) -> float | None:
        if self.lower.mean is None or self.higher.mean is None:
            return None
        return self.lower.mean - self.higher.mean


def _measured(lower: Sample, higher: Sample) -> bool:
    return not (lower.exact and higher.exact)


def judge(claim: Claim, lower: Sample, higher: Sample, together: int = 1) -> Verdict:
    """Hold the difference of the means against the claim's margin, alone and as one of so many claims together.

    See reslab.stats.compare.
    """
    judgement, interval = compare(lower, higher, claim.margin)
    jointly, _ = compare(lower, higher, claim.margin, 1 - (1 - CONFIDENCE) / together)
    return Verdict(claim, lower, higher, interval, judgement, jointly)


def sample(plan: Plan, row: str | float, metric: Metric) -> Sample:
    """A metric over a row's runs that have their result, or of its network; a number stands for itself."""
    if not isinstance(row, str):
        return Sample((row,), exact=True)
    if metric in COUNTED:
        named = next(known for known in plan.rows if known.name == row)
        return Sample((count(named, plan, metric),), exact=True)
    done = plan.runs_of(row)
    step = max((_step(run, metric) for run in done), default=0.0)
    return Sample(tuple(measure(run, metric) for run in done), step=step)


def _step(run: Run, metric: Metric) -> float:
    """The least difference that a metric can show: an image's share of the images, a logging interval's steps."""
    if metric == "steps_to_10":
        return float(run.recipe.log_every)
    result = read_json(run.out / "result.json")
    part = "train" if metric == "train_error" else "test"
    return 0.0 if metric == "curve" or part not in result else 100 / float(result[part]["images"])


def verdicts(plan: Plan) -> list[Verdict]:
    """Every claim of the plan's study that can be judged at its scale, which has its rows."""
    sides = [
        (claim, sample(plan, claim.lower, claim.metric), sample(plan, claim.higher, claim.metric))
        for claim in plan.study.claims
        if set(claim.rows) <= set(plan.scale.rows)
        and plan.scale_name in (claim.scales or (plan.scale_name,))
        and (plan.beside_published or claim.scales != ("paper",))  # cut short it is not what that claim is of
    ]
    together = sum(_measured(lower, higher) for _, lower, higher in sides)
    return [judge(*side, max(1, together)) for side in sides]
