"""The metrics of a study's runs, and the verdict on each claim."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import sqrt
from statistics import mean
from typing import NamedTuple, assert_never

from reslab.errors import DataError
from reslab.evaluate import Evaluation
from reslab.nets import AnyNetwork
from reslab.papers.claims import COUNTED, FAILED, FAILS_ABOVE, FINAL, Claim, Metric
from reslab.recipes.schedule import Drops
from reslab.runs.answers import Answers, wrong_answers
from reslab.stats import (
    CONFIDENCE,
    Comparison,
    Judgement,
    Pool,
    Sample,
    comparison,
    holm,
    interval_over_images,
    least_effect,
    pool,
    power,
    seeds_needed,
)
from reslab.study.plan import Plan, PlannedRun


def measure(planned: PlannedRun, metric: Metric, threshold: float | None = None) -> float | None:
    """One metric of one run that is done, see papers.claims.METRICS; None if it diverged or never got there.

    threshold: the training error for "steps_to_other", which no run has without it
    """
    run = planned.run
    if metric not in COUNTED and run.status == "diverged":
        return None
    match metric:
        case "initial_loss":
            return next((line.train_loss for line in run.metrics), None)
        case "steps_to_10":
            return next((float(line.step) for line in run.metrics if line.train_error < 10), None)
        case "steps_to_other":
            reached = () if threshold is None else _reached(planned, threshold)
            return next(iter(reached), None)
        case "train_error" | "test_error":
            return _final(planned, metric).top1_error
        case "train_loss":
            return _final(planned, "train_error").loss
        case "top5_error":
            return _final(planned, metric).top5_error
        case "train_curve":
            return mean(line.train_error for line in run.metrics)
        case "curve":
            errors = [error for line in run.metrics if (error := line.error(run.eval_split)) is not None]
            return mean(errors)
        case "parameters" | "multiply_adds" | "layers":
            return count(planned.network, metric)
        case _:
            assert_never(metric)


def _final(planned: PlannedRun, metric: Metric) -> Evaluation:
    """The evaluation of the last weights on the split of a metric."""
    result = planned.run.result
    if result is None or result.train is None or result.test is None:
        raise DataError(f"{planned.out}: has no final evaluation; remove it to train it again")
    return result.train if metric == "train_error" else result.test


def _before_drop(planned: PlannedRun) -> Iterator[tuple[int, float]]:
    """Steps before the learning rate first drops, each with the training error of the last `evaluate_every` steps."""
    recipe = planned.recipe
    drops = recipe.schedule.at if isinstance(recipe.schedule, Drops) else ()
    lines = [line for line in planned.run.metrics if line.step <= min(drops, default=recipe.steps)]
    window = max(1, recipe.evaluate_every // recipe.log_every)
    for end in range(window, len(lines) + 1):
        yield lines[end - 1].step, mean(line.train_error for line in lines[end - window : end])


def _reached(planned: PlannedRun, threshold: float) -> Iterator[float]:
    return (float(step) for step, error in _before_drop(planned) if error <= threshold)


def count(network: AnyNetwork, metric: Metric) -> float:
    """A network's parameters in millions, its multiply-adds in billions, or its layers with weights."""
    cost = network.cost()
    if metric == "layers":
        return cost.convolutions + cost.linears
    return cost.parameters / 1e6 if metric == "parameters" else cost.multiply_adds / 1e9


class Prospect(NamedTuple):
    """What a claim needs: the published difference in its favour, the published standard deviation of a run, the seeds
    a row with which it holds at a chance of 80 % (None: more than any study has), and its chance with a plan's seeds.
    """

    difference: float
    spread: float
    seeds: int | None
    chance: float


@dataclass(frozen=True)
class Verdict:
    """A claim and the test of it.

    text: the claim, with the networks that are trained for its rows; names: of both sides, likewise
    jointly: the judgement where all of the study's claims are to be right together at 95 % (Holm)
    published: the paper's difference, lower - higher; None where it prints none
    over_images: the interval of test errors where the test images are a sample too; None without the runs' answers
    """

    claim: Claim
    lower: Sample
    higher: Sample
    comparison: Comparison
    jointly: Judgement
    text: str
    names: tuple[str, str]
    published: float | None = None
    prospect: Prospect | None = None
    over_images: tuple[float, float] | None = None

    @property
    def judgement(self) -> Judgement:
        return self.comparison.judgement

    @property
    def interval(self) -> tuple[float, float] | None:
        return self.comparison.interval

    @property
    def measured(self) -> bool:
        """Whether it depends on the seeds: not if both sides are counted or given."""
        return not (self.lower.exact and self.higher.exact)

    @property
    def difference(self) -> float | None:
        """Lower - higher, as the test has it, or of the means where nothing is tested."""
        if self.comparison.difference is not None or self.comparison.method is not None:
            return self.comparison.difference
        if self.lower.mean is None or self.higher.mean is None:
            return None
        return self.lower.mean - self.higher.mean


def judge(claim: Claim, lower: Sample, higher: Sample, *, pooled: Pool | None = None, medians: bool = False) -> Verdict:
    """Test a claim alone. See reslab.stats.comparison for the tests and which one is taken."""
    if not lower.n or not higher.n:
        tested = Comparison("not run")
    else:
        terms = (claim.relation, claim.margin, claim.least_effect)
        tested = comparison(lower, higher, *terms, pooled=pooled, medians=medians)
    return Verdict(claim, lower, higher, tested, tested.judgement, claim.text, (str(claim.lower), str(claim.higher)))


def together(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts with their judgement for all together: a decided one whose p by Holm is too large is not decided."""
    verdicts = list(verdicts)
    measured = [verdict for verdict in verdicts if verdict.measured]
    adjusted = dict(zip(map(id, measured), holm([verdict.comparison.p for verdict in measured]), strict=True))

    def jointly(verdict: Verdict) -> Judgement:
        sure = verdict.comparison.p is None or adjusted.get(id(verdict), 0.0) <= 1 - CONFIDENCE
        return verdict.judgement if sure else "not decided"

    return [replace(verdict, jointly=jointly(verdict)) for verdict in verdicts]


def sample(plan: Plan, row: str | float, metric: Metric, threshold: float | None = None) -> Sample:
    """A metric over a row's runs that are done, or counted of its network; a number is itself."""
    if not isinstance(row, str):
        return Sample((row,), exact=True)
    if metric in COUNTED:
        network = next(plan.network(known) for known in plan.rows if known.name == row)
        return Sample((count(network, metric),), exact=True)
    done = plan.runs_of(row)
    values = [value for run in done if (value := measure(run, metric, threshold)) is not None]
    failed = sum(run.run.status == "diverged" for run in done)
    beyond = len(done) - failed - len(values)
    limit = max((_limit(run, metric) for run in done), default=0) if beyond else 0
    step = max((_step(run, metric) for run in done), default=0.0)
    return Sample(tuple(values), step=step, failed=failed, beyond=beyond, limit=limit)


def _limit(planned: PlannedRun, metric: Metric) -> int:
    """The last step at which a run could have reached a threshold."""
    if metric == "steps_to_other":
        return max((step for step, _ in _before_drop(planned)), default=0)
    return planned.recipe.steps


def _step(planned: PlannedRun, metric: Metric) -> float:
    """The resolution of a metric: 100 % of one image, or a logging interval's steps; 0 without one."""
    if metric in ("steps_to_10", "steps_to_other"):
        return float(planned.recipe.log_every)
    if metric in ("curve", "train_curve", "train_loss", "initial_loss") or planned.run.status == "diverged":
        return 0.0
    return 100 / _final(planned, metric).images


def sides(plan: Plan, claim: Claim) -> tuple[Sample, Sample]:
    """Both samples of a claim."""
    threshold = None
    if claim.metric == "steps_to_other":
        ends = [list(_before_drop(run)) for run in plan.runs_of(str(claim.higher)) if run.run.status != "diverged"]
        threshold = max((errors[-1][1] for errors in ends if errors), default=None)
    return (
        sample(plan, claim.lower, claim.metric, threshold),
        sample(plan, claim.higher, claim.metric, threshold),
    )


def verdicts(plan: Plan) -> list[Verdict]:
    """Every claim of the plan's study that can be judged at its scale and has its rows there."""
    claims = [claim for claim in plan.study.claims if is_judged(plan, claim)]
    metrics = {claim.metric for claim in claims if claim.metric in FINAL}
    pools = {metric: pool(sample(plan, row.name, metric) for row in plan.rows) for metric in metrics if plan.runs}
    judged = []
    for claim in claims:
        verdict = judge(claim, *sides(plan, claim), pooled=pools.get(claim.metric), medians=plan.study.medians)
        published = plan.study.published_difference(claim) if plan.beside_published else None
        names = [plan.label(side) if isinstance(side, str) else f"{side:g}" for side in (claim.lower, claim.higher)]
        verdict = replace(verdict, text=claim_text(plan, claim), names=(names[0], names[1]))
        verdict = replace(verdict, published=published, over_images=over_images(plan, claim))
        judged.append(replace(verdict, prospect=prospect(plan, claim)))
    return together(judged)


def answers(plan: Plan, row: str) -> list[Answers]:
    """What the row's finished runs answered for the test images; empty where one did not keep it."""
    kept = [run.run.answers for run in plan.runs_of(row)]
    return [each for each in kept if each is not None] if None not in kept else []


def over_images(plan: Plan, claim: Claim) -> tuple[float, float] | None:
    """The interval of a claim on test errors over seeds and test images; None where runs have no answers for them."""
    if claim.metric != "test_error" or len(claim.rows) < 2:
        return None
    kept = [answers(plan, row) for row in claim.rows]
    wrong = wrong_answers([*kept[0], *kept[1]]) if all(kept) else None
    return None if wrong is None else interval_over_images(wrong[: len(kept[0])], wrong[len(kept[0]) :])


def is_judged(plan: Plan, claim: Claim) -> bool:
    """Whether a plan's scale has a claim's rows, and steps enough for it."""
    return (
        set(claim.rows) <= set(plan.scale.rows)
        and plan.scale_name in (claim.scales or (plan.scale_name,))
        and (plan.scale.ends or claim.metric not in FINAL)
        and (plan.beside_published or claim.scales != ("paper",))  # such a claim is of the whole recipe
    )


def claim_text(plan: Plan, claim: Claim) -> str:
    """A claim in words, with the networks that are trained in place of those that it names."""
    stand_ins = dict.fromkeys(filter(None, map(plan.stand_in, claim.rows)))
    return f"{claim.text} (here {', '.join(stand_ins)})" if stand_ins else claim.text


def prospect(plan: Plan, claim: Claim) -> Prospect | None:
    """A claim's power at the published difference and spread; None without either, or without runs."""
    difference = plan.study.published_difference(claim)
    if difference is None or plan.study.spread is None or claim.metric != "test_error":
        return None
    spread, _ = plan.study.spread
    distance = claim.margin - (abs(difference) if claim.relation == "about" else difference)
    return Prospect(distance, spread, seeds_needed(distance / spread), power(distance / spread, plan.seeds))


class Resolution(NamedTuple):
    """What a plan without published values can show: the least difference in test error, in standard deviations of
    single runs, with which a claim holds at a chance of 80 % (None for one seed), and that deviation by the runs so far
    (None before two runs of a row are done).
    """

    effect: float | None
    spread: float | None


def resolution(plan: Plan) -> Resolution:
    """What a plan can show by its number of seeds."""
    samples = [sample(plan, row.name, "test_error") for row in plan.rows]
    variances = [each.variance for each in samples if len(each.values) > 1]
    return Resolution(least_effect(plan.seeds), sqrt(mean(variances)) if variances else None)


class Agreement(NamedTuple):
    """Kendall's rank correlation of measured and published values, its p, and the rows that it is over."""

    tau: float
    p: float
    rows: int


def agreement(plan: Plan, metric: Metric = "test_error") -> Agreement | None:
    """How the rows' ranking agrees with the paper's table; None for fewer than four rows with both values."""
    from scipy.stats import kendalltau

    pairs = []
    for row in plan.rows:
        value = row.published.values.get(metric) if row.published else None
        ours = sample(plan, row.name, metric)
        if value is not None and ours.n:
            theirs = FAILS_ABOVE if value == FAILED else value
            pairs.append((100.0 if ours.median is None else ours.median, theirs))
    if len(pairs) < 4:
        return None
    result = kendalltau(*zip(*pairs, strict=True))
    return Agreement(float(result.statistic), float(result.pvalue), len(pairs))
