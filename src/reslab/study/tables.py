"""The table of a study's results."""

from typing import Any

from reslab.papers.claims import COUNTED, METRICS, Metric
from reslab.report.table import Column
from reslab.study.plan import Plan
from reslab.study.verdict import measure


def columns(plan: Plan, rows: list[dict[str, Any]]) -> list[Column]:
    """The table of a study's results, `rows` being those of `results`."""
    found = [Column("network", [row["row"] for row in rows], numbers=False)]
    for metric in (metric for metric in COUNTED if metric not in plan.study.metrics):
        found.append(
            Column(METRICS[metric].partition(",")[0].partition(" for")[0], [f"{row[metric]:,}" for row in rows])
        )
    if plan.runs or plan.absent:
        found.append(Column("n", [_count(row) for row in rows]))
    for metric in metrics(plan):
        found.append(Column(METRICS[metric], [row["measured"][metric]["text"] for row in rows]))
        if plan.study.medians and metric == "test_error":
            found.append(Column("its median", [_number(row["measured"][metric]["median"]) for row in rows]))
        if any(row["published"] and metric in row["published"]["values"] for row in rows):
            found.append(Column("published", [_published(row, metric) for row in rows]))
    if any(row["published"] for row in rows):
        sources = [row["published"]["source"] if row["published"] else "" for row in rows]
        found.append(Column("source", sources, numbers=False))
    return found


def metrics(plan: Plan) -> list[Metric]:
    """Those that say something: not how soon 10 % was reached, where no run reached it."""
    done = [run for run in plan.runs if run.done]
    reached = not done or any(measure(run, "steps_to_10") < run.recipe.steps for run in done)
    return [metric for metric in plan.study.metrics if metric != "steps_to_10" or reached]


def _count(row: dict[str, Any]) -> str:
    if row["absent"]:
        return str(row["absent"])
    return f"{row['n']}" + (f" ({row['diverged']} diverged)" if row["diverged"] else "")


def _number(value: float | None) -> str:
    return "not run" if value is None else f"{value:.2f}"


def _published(row: dict[str, Any], metric: Metric) -> str:
    value = row["published"]["values"].get(metric, "–") if row["published"] else "–"
    if isinstance(value, str):
        return value
    return f"{value:g}" if metric in COUNTED else f"{value:.2f}"
