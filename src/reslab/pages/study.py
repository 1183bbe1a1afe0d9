"""A study's report: made from the run directories alone, so that it can be made again at any time."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from reslab import drawing
from reslab.disk import write_whole
from reslab.errors import DataError
from reslab.nets import ResNet, name_of
from reslab.pages import study_figures as figures
from reslab.pages import study_tables as tables
from reslab.pages.template import template
from reslab.papers.claims import COUNTED, METRICS, Row
from reslab.runs.record import is_locked, read_json
from reslab.stats import CONFIDENCE
from reslab.study.plan import Plan, PlannedRun
from reslab.study.runner import progress
from reslab.study.verdict import Verdict, measure, sample, verdicts
from reslab.table import FORMATS


def render(plan: Plan, out: Path) -> Path:
    """Write report.html, results.json, the tables (CSV, LaTeX, Markdown) and the figures (PNG, PDF, SVG) into `out`.

    Each file replaces its forerunner whole. Returns the page's path.
    """
    found = results(plan)
    files: dict[str, bytes] = {"results.json": (json.dumps(found, indent=2, allow_nan=False) + "\n").encode()}
    for name, columns in tables.of_study(plan, found).items():
        for ending, write in FORMATS.items():
            files[f"{name}.{ending}"] = write(columns).encode()
    svgs = {}
    for name, figure in figures.drawings(plan).items():
        for file_format in ("png", "pdf", "svg"):  # the page's is the last that is drawn
            files[f"figures/{name}.{file_format}"] = drawing.drawn(figure.figure, file_format)
        svgs[name] = (drawing.inline(figure, files[f"figures/{name}.svg"], name), figure.caption)
    inside = _analyses(out.parent, {run.out.name for run in plan.runs})
    files["report.html"] = _page(plan, found, svgs, inside=inside).encode()
    for file_name, content in files.items():
        write_whole(out / file_name, content)
    return out / "report.html"


def page(plan: Plan, watched: bool = False) -> str:
    """The report's page alone; `watched` looks for a newer one every few seconds."""
    drawings = figures.drawings(plan)
    svgs = {
        name: (drawing.inline(figure, drawing.drawn(figure.figure, "svg"), name), figure.caption)
        for name, figure in drawings.items()
    }
    return _page(plan, results(plan), svgs, watched)


def write_index(reports: Path) -> Path:
    """Write index.html over all reports and analyses in a directory; returns its path."""
    found = []
    for folder, told in _told(reports):
        try:
            found.append({**told, "page": f"{folder}/report.html", "judged": _judged(told["claims"])})
        except (KeyError, TypeError):  # another's file, or one of an older form: it is not listed
            continue
    page = template("index.html").render(reports=found, analyses=_analyses(reports))
    write_whole(reports / "index.html", page.encode())
    return reports / "index.html"


def _told(reports: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What every results.json of the directory's folders says, with the folder's name."""
    for file in sorted(reports.glob("*/results.json")):
        with suppress(DataError):
            yield file.parent.name, read_json(file)


def _analyses(reports: Path, of: set[str] | None = None) -> list[dict[str, Any]]:
    """The analyses in a directory, or those that looked into one of some networks."""
    found = []
    for folder, told in _told(reports):
        try:
            if of is None or of & told["networks"].keys():
                judged, kinds = _judged(told["findings"]), Counter(told["networks"].values())
                found.append({**told, "page": f"{folder}/analysis.html", "judged": judged, "kinds": kinds})
        except (KeyError, TypeError, AttributeError):
            continue
    return found


def _judged(claims: list[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(claim["judgement"] for claim in claims))


def results(plan: Plan) -> dict[str, Any]:
    """Everything that the report says, as plain JSON types."""
    return {
        "study": plan.study.name,
        "title": plan.study.title,
        "source": plan.study.source,
        "scale": plan.scale_name,
        "seeds": plan.seeds,
        "cut": str(plan.cut) if plan.cut else None,
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
        "jointly": verdict.jointly,
        "measured": verdict.measured,
        "metric": METRICS[claim.metric],
        "lower": {"row": claim.lower, "n": verdict.lower.n, "measured": str(verdict.lower)},
        "higher": {"row": claim.higher, "n": verdict.higher.n, "measured": str(verdict.higher)},
        "difference": verdict.difference,
        "interval": verdict.interval,
        "margin": claim.margin,
    }


def _row(plan: Plan, row: Row) -> dict[str, Any]:
    network = plan.network(row)
    cost = network.cost()
    done = plan.runs_of(row.name)
    told: dict[str, Any] = {
        "row": row.name,
        "panel": row.panel,
        "network": name_of(network),
        "depth": network.depth if isinstance(network, ResNet) else None,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "n": len(done),
        "diverged": sum(read_json(run.out / "result.json")["status"] == "diverged" for run in done),
        "absent": plan.absent.get(row.name),
        "measured": {},
        "published": None,
    }
    for metric in plan.study.metrics:
        found = sample(plan, row.name, metric)
        middles = {"mean": found.mean, "std": found.std, "median": found.median}
        told["measured"][metric] = {**middles, "values": list(found.values), "text": str(found)}
    if row.published is not None and plan.beside_published:
        published = row.published
        told["published"] = published._asdict() | {"values": dict(published.values), "told": published.citation}
    return told


def _run(run: PlannedRun) -> dict[str, Any]:
    told = {"row": run.row, "seed": run.seed, "directory": run.out.name, "status": run.status}
    if not run.done:
        return told
    result = read_json(run.out / "result.json")
    told |= {key: result[key] for key in ("step", "seconds", "images_per_second")}
    return told | {metric: measure(run, metric) for metric in METRICS if metric not in COUNTED}


def _cost(plan: Plan) -> dict[str, Any]:
    """How long the runs trained, on what, with which versions; each said once with the number of runs it is true of."""
    done = [run for run in plan.runs if run.done]
    facts = [read_json(run.out / "run.json") for run in done]
    machines = Counter(
        f"{fact['machine'].get('gpu') or fact['machine']['processor']}, {fact['machine']['cores']} cores, "
        + (f"ranks of a run: {fact['machine']['ranks']}, in each " if fact["machine"]["ranks"] > 1 else "")
        + f"threads in a run: {fact['machine']['threads']}, {fact['chosen']['precision']}"
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


def _page(
    plan: Plan,
    found: dict[str, Any],
    svgs: dict[str, tuple[str, str]],
    watched: bool = False,
    inside: Sequence[dict[str, Any]] = (),
) -> str:
    running = [(run.row, run.seed, *progress(run)) for run in plan.missing if is_locked(run.out)]
    return template("report.html").render(
        plan=plan,
        study=plan.study,
        scale=plan.scale,
        found=found,
        tables=tables.of_study(plan, found),
        metrics=METRICS,
        together=sum(claim["measured"] for claim in found["claims"]),
        svgs=svgs,
        running=running,
        watched=watched,
        inside=inside,
    )
