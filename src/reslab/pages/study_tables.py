"""The tables of a study: its results, its claims, its runs."""

from typing import Any

from reslab.papers.claims import COUNTED, FAILED, METRICS, Metric
from reslab.study.plan import Plan
from reslab.study.verdict import measure
from reslab.table import Column


def of_study(plan: Plan, found: dict[str, Any]) -> dict[str, list[Column]]:
    """Its tables by name, `found` being what `results` says; those of claims and runs where it has any."""
    tables = {"table": columns(plan, found["rows"]), "claims": claims(found["claims"]), "runs": runs(found["runs"])}
    return {name: table for name, table in tables.items() if table[0].cells}


def claims(told: list[dict[str, Any]]) -> list[Column]:
    """The table of a study's claims, `told` being those of `results`."""
    sides = ("lower", "higher")
    intervals = [claim["interval"] or (None, None) for claim in told]
    return [
        Column("claim", [claim["claim"] for claim in told], numbers=False),
        Column("source", [claim["source"] for claim in told], numbers=False),
        Column("judgement", [claim["judgement"] for claim in told], numbers=False),
        Column("all claims together", [claim["jointly"] for claim in told], numbers=False),
        Column("measured by", [claim["metric"] for claim in told], numbers=False),
        *(
            column
            for side in sides
            for column in (
                Column(side, [f"{claim[side]['row']}" for claim in told], numbers=False),
                Column("its mean", [claim[side]["measured"] for claim in told]),
                Column("its n", [f"{claim[side]['n']}" for claim in told]),
            )
        ),
        Column("difference", [_number(claim["difference"], "") for claim in told]),
        Column("interval from", [_number(low, "") for low, _ in intervals]),
        Column("to", [_number(high, "") for _, high in intervals]),
        Column("margin", [f"{claim['margin']:g}" for claim in told]),
    ]


def runs(told: list[dict[str, Any]]) -> list[Column]:
    """The table of a study's runs, `told` being those of `results`."""

    def numbers(key: str, form: str) -> list[str]:
        return [format(run[key], form) if key in run else "–" for run in told]

    return [
        Column("run", [run["row"] for run in told], numbers=False),
        Column("seed", [f"{run['seed']}" for run in told]),
        Column("status", [run["status"] for run in told], numbers=False),
        Column("training error, %", numbers("train_error", ".2f")),
        Column("test error, %", numbers("test_error", ".2f")),
        Column("seconds", numbers("seconds", ".1f")),
        Column("images/s", numbers("images_per_second", ",.0f")),
        Column("directory", [run["directory"] for run in told], numbers=False),
    ]


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
            found.append(Column("deviation", [_deviation(row, metric) for row in rows]))
    if any(row["published"] for row in rows):
        sources = [row["published"]["told"] if row["published"] else "" for row in rows]
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


def _number(value: float | None, otherwise: str = "not run") -> str:
    return otherwise if value is None else f"{value:.2f}"


def _published(row: dict[str, Any], metric: Metric) -> str:
    value = row["published"]["values"].get(metric, "–") if row["published"] else "–"
    if isinstance(value, str):
        return value
    return f"{value:g}" if metric in COUNTED else f"{value:.2f}"


def _deviation(row: dict[str, Any], metric: Metric) -> str:
    """What was measured less what was published: in points, and of what is counted in percent."""
    value = row["published"]["values"].get(metric) if row["published"] else None
    found = row["measured"][metric]["median" if value is not None and row["published"]["of"] == "median" else "mean"]
    if value is None or value == FAILED or found is None:
        return "–"
    told = f"{100 * (found / value - 1):+.1f} %" if metric in COUNTED else f"{found - value:+.2f}"
    return told.replace("-", "−")
