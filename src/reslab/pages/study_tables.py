"""The tables of a study: its results, its claims, its runs."""

from collections.abc import Sequence
from dataclasses import replace

from reslab.papers.claims import COUNTED, METRICS, Metric, Row
from reslab.runs.answers import disagreement
from reslab.stats import Sample
from reslab.study.plan import Plan
from reslab.study.verdict import Verdict, answers, measure, sample
from reslab.table import Column, Value


def of_study(plan: Plan, verdicts: Sequence[Verdict]) -> dict[str, list[Column]]:
    """The tables by name; those of claims and runs only if there are any."""
    tables = {"table": rows(plan), "claims": claims(verdicts), "runs": runs(plan)}
    if plan.beside_published:
        tables["others"] = others(plan)
    return {name: table for name, table in tables.items() if table[0].values}


def others(plan: Plan) -> list[Column]:
    """What the paper prints beside the study's rows and is not run here."""
    values = [other.published.values for other in plan.study.others]
    return [
        Column("not run here", [other.name for other in plan.study.others], numbers=False),
        Column("published test error, %", [value.get("test_error") for value in values], form=".2f", empty="–"),
        Column("published top-5 error, %", [value.get("top5_error") for value in values], form=".2f", empty="–"),
        Column("source", [other.published.citation for other in plan.study.others], numbers=False),
    ]


def claims(verdicts: Sequence[Verdict]) -> list[Column]:
    """Every claim with its verdict, both sides, the interval of their difference, and what it needs."""
    intervals = [verdict.interval or (None, None) for verdict in verdicts]
    over_images = [verdict.over_images or (None, None) for verdict in verdicts]
    prospects = [verdict.prospect for verdict in verdicts]
    return [
        Column("claim", [verdict.text for verdict in verdicts], numbers=False),
        Column("source", [verdict.claim.source for verdict in verdicts], numbers=False),
        Column("judgement", [verdict.judgement for verdict in verdicts], numbers=False),
        Column("all claims together", [verdict.jointly for verdict in verdicts], numbers=False),
        Column("measured by", [str(METRICS[verdict.claim.metric]) for verdict in verdicts], numbers=False),
        Column("lower", [verdict.names[0] for verdict in verdicts], numbers=False),
        Column("its mean", [verdict.lower for verdict in verdicts]),
        Column("its n", [verdict.lower.n for verdict in verdicts]),
        Column("higher", [verdict.names[1] for verdict in verdicts], numbers=False),
        Column("its mean", [verdict.higher for verdict in verdicts]),
        Column("its n", [verdict.higher.n for verdict in verdicts]),
        Column("difference", [verdict.difference for verdict in verdicts], form=".2f"),
        Column("interval from", [low for low, _ in intervals], form=".2f"),
        Column("to", [high for _, high in intervals], form=".2f"),
        *(
            Column(f"over seeds and test images {side}", ends, form=".2f")
            for side, ends in zip(("from", "to"), zip(*over_images, strict=True), strict=False)
            if any(end is not None for end in ends)
        ),
        Column("margin", [verdict.claim.margin for verdict in verdicts], form="g"),
        Column("test", [verdict.comparison.method or "" for verdict in verdicts], numbers=False),
        Column("p", [verdict.comparison.p for verdict in verdicts], form=".2g"),
        Column("published difference", [verdict.published for verdict in verdicts], form=".2f"),
        Column("seeds for 80 %", [each and each.seeds for each in prospects]),
        Column("chance with its n", [each and each.chance for each in prospects], form=".2f"),
    ]


def runs(plan: Plan) -> list[Column]:
    """Every run with its status, errors, training time in seconds and speed."""
    results = [run.run.result if run.done else None for run in plan.runs]
    seconds = [None if result is None else result.seconds for result in results]
    speeds = [None if result is None else result.images_per_second for result in results]
    train, test = (
        [measure(run, metric) if run.done else None for run in plan.runs] for metric in ("train_error", "test_error")
    )
    return [
        Column("run", [plan.label(run.row) for run in plan.runs], numbers=False),
        Column("seed", [run.seed for run in plan.runs]),
        Column("status", [run.status for run in plan.runs], numbers=False),
        Column("training error, %", train, form=".2f", empty="–"),
        Column("test error, %", test, form=".2f", empty="–"),
        Column("seconds", seconds, form=".1f", empty="–"),
        Column("images/s", speeds, form=",.0f", empty="–"),
        Column("directory", [run.out.name for run in plan.runs], numbers=False),
    ]


def rows(plan: Plan) -> list[Column]:
    """Every row with its network's cost and its metrics, beside the published values where the scale allows it."""
    names = [row.name for row in plan.rows]
    costs = [plan.network(row).cost() for row in plan.rows]
    table = [Column("network", [plan.label(name) for name in names], numbers=False)]
    if "parameters" not in plan.study.metrics:
        table.append(Column("parameters", [cost.parameters for cost in costs], form=","))
    if "multiply_adds" not in plan.study.metrics:
        table.append(Column("multiply-adds", [cost.multiply_adds for cost in costs], form=","))
    if plan.runs or plan.absent:
        table.append(Column("n", [_count(plan, name) for name in names]))
    hardware = [_hardware(plan, name) for name in names]
    if len({text for text in hardware if text}) > 1:
        table.append(Column("trained on", hardware, numbers=False, empty="–"))
    compared = compared_metrics(plan)
    for metric in shown_metrics(plan):
        samples = [sample(plan, name, metric) for name in names]
        table.append(Column(str(METRICS[metric]), samples))
        if plan.study.medians and metric == "test_error":
            medians = [measured.median for measured in samples]
            table.append(Column("its median", medians, form=".2f", empty="not run"))
        if metric in compared:
            table += _beside_published(plan, metric)
    if any(run.done for run in plan.runs):
        table.append(Column("training loss of the first steps", [_first_loss(plan, name) for name in names]))
    if any(kept := [answers(plan, name) for name in names]):
        calibrations = [Sample(tuple(each.calibration_error for each in runs)) if runs else None for runs in kept]
        table.append(Column("calibration error, %", calibrations, empty="–"))
        disagreements = list(map(disagreement, kept))
        if any(share is not None for share in disagreements):
            table.append(Column("answers that two seeds disagree on, %", disagreements, form=".2f", empty="–"))
    if any(row.published for row in plan.rows) and plan.beside_published:
        sources = [row.published.citation if row.published else "" for row in plan.rows]
        table.append(Column("source", sources, numbers=False))
    return table


def of_begun(plan: Plan, table: Sequence[Column]) -> list[Column]:
    """The lines of a table of the plan's rows whose runs have begun; all of them where none has, or none is trained."""
    begun = [bool(plan.runs_of(row.name) or plan.begun_of(row.name)) for row in plan.rows]
    kept = [place for place, known in enumerate(begun) if known or not any(begun)]
    finished = [bool(plan.runs_of(row.name)) for row in plan.rows]

    def value(column: Column, place: int) -> Value:
        known = column.values[place]
        empty = known is None or (isinstance(known, Sample) and known.mean is None)
        return "–" if empty and begun[place] and not finished[place] else known

    return [replace(column, values=[value(column, place) for place in kept]) for column in table]


def not_run(plan: Plan) -> str:
    """The names of the rows that are trained and of which no run has begun."""
    names = [row.name for row in plan.rows] if plan.runs else []
    return "; ".join(name for name in names if not plan.runs_of(name) and not plan.begun_of(name))


def _hardware(plan: Plan, row: str) -> str | None:
    """The processor or GPU and the precision of a row's finished runs; None without any."""
    records = [run.run.record for run in plan.runs_of(row)]
    return "; ".join(sorted({f"{record.hardware}, {record.chosen.precision}" for record in records})) or None


def _first_loss(plan: Plan, row: str) -> Sample:
    """The mean training loss up to the first logged step, which is ln(classes) where a network begins undecided."""
    lines = [run.run.metrics for run in plan.runs_of(row)]
    return Sample(tuple(metrics[0].train_loss for metrics in lines if metrics))


def shown_metrics(plan: Plan) -> list[Metric]:
    """The study's metrics, without the steps to 10 % if no run reached it."""
    done = [run for run in plan.runs if run.done]
    reached = not done or any(measure(run, "steps_to_10") is not None for run in done)
    return [metric for metric in plan.study.metrics if metric != "steps_to_10" or reached]


def compared_metrics(plan: Plan) -> list[Metric]:
    """The metrics with published values that may stand beside ours."""
    published = [row.published.values for row in plan.rows if row.published] if plan.beside_published else []
    return [metric for metric in shown_metrics(plan) if any(metric in values for values in published)]


def _beside_published(plan: Plan, metric: Metric) -> list[Column]:
    """The published values, and our deviation from them: in points, or in percent of what is counted."""
    published = [row.published.values.get(metric) if row.published else None for row in plan.rows]
    deviations = [_deviation(plan, row, metric) for row in plan.rows]
    if metric in COUNTED:
        return [
            Column("published", published, form="g", empty="–"),
            Column("deviation, %", deviations, form="+.1f", empty="–"),
        ]
    return [
        Column("published", published, form=".2f", empty="–"),
        Column("deviation", deviations, form="+.2f", empty="–"),
    ]


def _deviation(plan: Plan, row: Row, metric: Metric) -> float | None:
    """Measured less published: points of an error, percent of what is counted; None if there is no such number."""
    published = row.published.values.get(metric) if row.published else None
    ours = sample(plan, row.name, metric)
    measured = ours.median if row.published and row.published.of == "median" else ours.mean
    if not isinstance(published, int | float) or measured is None:
        return None
    return 100 * (measured / published - 1) if metric in COUNTED else measured - published


def _count(plan: Plan, row: str) -> int | str:
    """The row's number of runs, with those that diverged, or why it has none."""
    if row in plan.absent:
        return plan.absent[row]
    done = plan.runs_of(row)
    diverged = sum(run.run.status == "diverged" for run in done)
    return f"{len(done)} ({diverged} diverged)" if diverged else len(done)
