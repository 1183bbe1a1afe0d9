"""A study's report: made from the run directories alone, so that it can be made again at any time."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2

from reslab.disk import write_whole
from reslab.nets import name_of
from reslab.papers.claims import METRICS, Row
from reslab.study import figures
from reslab.study.plan import Plan, Run
from reslab.study.verdict import CONFIDENCE, Verdict, measure, sample, verdicts
from reslab.train.record import read_json


def render(plan: Plan, out: Path) -> Path:
    """Write report.html, results.json, table.csv and the figures (PNG, SVG, PDF) into `out`; return the page's path.

    Each file replaces its forerunner whole.
    """
    drawings = {"curves": figures.curves(plan), "depth": figures.depths(plan)}
    files: dict[str, bytes] = {}
    for name, figure in drawings.items():
        for file_format in figures.FORMATS:
            files[f"figures/{name}.{file_format}"] = figures.drawn(figure, file_format)
    found = results(plan)
    files["results.json"] = (json.dumps(found, indent=2, allow_nan=False) + "\n").encode()
    files["table.csv"] = _csv(found["rows"]).encode()
    svgs = {name: figures.inline(files[f"figures/{name}.svg"], name) for name in drawings}
    files["report.html"] = _page(plan, found, svgs).encode()
    for file_name, content in files.items():
        write_whole(out / file_name, content)
    return out / "report.html"


def results(plan: Plan) -> dict[str, Any]:
    """Everything that the report says, as plain JSON types."""
    return {
        "study": plan.study.name,
        "title": plan.study.title,
        "source": plan.study.source,
        "scale": plan.scale_name,
        "seeds": plan.seeds,
        "command": plan.command,
        "confidence": CONFIDENCE,
        "claims": [_claim(verdict) for verdict in verdicts(plan)],
        "rows": [_row(plan, row) for row in plan.rows],
        "cost": _cost(plan),
        "runs": [_run(run) for run in plan.runs],
    }


def _claim(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "claim": claim.text,
        "source": claim.source,
        "judgement": verdict.judgement,
        "metric": METRICS[claim.metric],
        "lower": {"row": claim.lower, "n": verdict.lower.n, "measured": str(verdict.lower)},
        "higher": {"row": claim.higher, "n": verdict.higher.n, "measured": str(verdict.higher)},
        "difference": verdict.difference,
        "interval": verdict.interval,
        "margin": claim.margin,
    }


def _row(plan: Plan, row: Row) -> dict[str, Any]:
    network = next(run for run in plan.runs if run.row == row.name).network
    cost = network.cost()
    done = plan.runs_of(row.name)
    told: dict[str, Any] = {
        "row": row.name,
        "network": name_of(network),
        "depth": network.depth,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "n": len(done),
        "diverged": sum(read_json(run.out / "result.json")["status"] == "diverged" for run in done),
    }
    for metric in METRICS:
        found = sample(plan, row.name, metric)
        told[metric] = {"mean": found.mean, "std": found.std, "values": list(found.values), "text": str(found)}
    if plan.scale_name == "paper" and row.published is not None:
        told["published"] = row.published._asdict()
    return told


def _run(run: Run) -> dict[str, Any]:
    told = {"row": run.row, "seed": run.seed, "directory": run.out.name, "status": "not run"}
    if not run.done:
        return told
    result = read_json(run.out / "result.json")
    told |= {key: result[key] for key in ("status", "step", "seconds", "images_per_second")}
    return told | {metric: measure(run, metric) for metric in METRICS}


def _cost(plan: Plan) -> dict[str, Any]:
    """How long the runs trained, on what, with which versions; each said once with the number of runs it is true of."""
    done = [run for run in plan.runs if run.done]
    facts = [read_json(run.out / "run.json") for run in done]
    machines = Counter(
        f"{fact['machine'].get('gpu') or fact['machine']['processor']}, {fact['machine']['cores']} cores, "
        f"threads in a run: {fact['machine']['threads']}, {fact['chosen']['precision']}"
        for fact in facts
    )
    versions = Counter(", ".join(f"{name} {number}" for name, number in fact["versions"].items()) for fact in facts)
    return {
        "runs": len(done),
        "planned": len(plan.runs),
        "training_seconds": sum(read_json(run.out / "result.json")["seconds"] for run in done),
        "machines": dict(machines),
        "versions": dict(versions),
        "commits": dict(Counter(fact["commit"] or "not from a checkout" for fact in facts)),
    }


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    plain = ["row", "network", "depth", "parameters", "multiply_adds", "n", "diverged"]
    writer.writerow(plain + [f"{metric}_{part}" for metric in METRICS for part in ("mean", "std")])
    for row in rows:
        measured = [row[metric][part] for metric in METRICS for part in ("mean", "std")]
        writer.writerow([row[key] for key in plain] + ["" if value is None else f"{value:.4f}" for value in measured])
    return buffer.getvalue()


def _page(plan: Plan, found: dict[str, Any], svgs: dict[str, str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reslab.study"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["signed"] = lambda number: f"{number:.2f}".replace("-", "−")
    return environment.get_template("report.html").render(
        plan=plan, study=plan.study, scale=plan.scale, found=found, metrics=METRICS, svgs=svgs
    )
