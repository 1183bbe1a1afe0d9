"""A study's report: made from the run directories alone, so that it can be made again at any time."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from reslab.disk import write_whole
from reslab.errors import DataError
from reslab.nets import ResNet, find_name, name_of, to_string
from reslab.pages import student
from reslab.pages import study_figures as figures
from reslab.pages import study_tables as tables
from reslab.pages.answer import answer
from reslab.pages.citations import references
from reslab.pages.page import Page
from reslab.pages.study_curves import switches
from reslab.papers.claims import COUNTED, METRICS, SCALES, Row
from reslab.runs.contents import RunRecord, read_json
from reslab.stats import CONFIDENCE, Sample
from reslab.study.plan import Plan, PlannedRun
from reslab.study.runner import progress
from reslab.study.verdict import Verdict, agreement, measure, sample, verdicts
from reslab.table import Column


def render(plan: Plan, out: Path) -> Path:
    """Write report.html and the files beside it into `out`, with links to the analyses beside `out` of its networks."""
    return _page(plan, inside=analyses(out.parent, {run.out.name for run in plan.runs})).write(out / "report.html")


def live_page(plan: Plan) -> str:
    """The report's page alone, which looks for a newer one every few seconds."""
    return _page(plan, live=True).html()


def write_index(reports: Path) -> Path:
    """Write index.html over all reports and analyses in a directory, those of the papers' scale first with the first
    one's curves; returns its path."""
    studies = []
    for folder, summary in _summaries(reports):
        with suppress(KeyError, TypeError):  # another's file, or one of an older form, is not listed
            judged = _judgements(summary["claims"])
            answered = {"question": "", "answer": None, "curves": _curves(reports, folder), **summary}
            studies.append({**answered, "page": f"{folder}/report.html", "judged": judged})
    studies.sort(key=lambda study: study["scale"] != SCALES[0])
    index = Page("index.html", {"reports": studies, "analyses": analyses(reports)})
    write_whole(reports / "index.html", index.html().encode())
    return reports / "index.html"


def _curves(reports: Path, folder: str) -> str | None:
    """The address of a report's curves, seen from the index."""
    address = f"{folder}/figures/curves.svg"
    return address if (reports / address).is_file() else None


def _summaries(reports: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The folders of a directory with the content of their results.json."""
    for file in sorted(reports.glob("*/results.json")):
        with suppress(DataError):
            yield file.parent.name, read_json(file)


def analyses(reports: Path, networks: set[str] | None = None, address: str = "") -> list[dict[str, Any]]:
    """The results.json of the analyses in a directory: all, or those of one of some networks; each with its page.

    address: of the directory, seen from the page that links them, with its last slash
    """
    found = []
    for folder, summary in _summaries(reports):
        with suppress(KeyError, TypeError, AttributeError):
            if networks is None or networks & summary["networks"].keys():
                judged, kinds = _judgements(summary["findings"]), Counter(summary["networks"].values())
                page = f"{address}{folder}/analysis.html"
                found.append({**summary, "page": page, "judged": judged, "kinds": kinds})
    return found


def _judgements(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return dict(Counter(claim["judgement"] for claim in claims))


def _page(plan: Plan, live: bool = False, inside: Sequence[Mapping[str, Any]] = ()) -> Page:
    judged = verdicts(plan)
    drawings, units = figures.drawings(plan, live), None if live else student.units(plan)
    all_tables = tables.of_study(plan, judged)
    all_tables["table"][1:1] = [_trained(plan)]
    begun = {row.name for row in plan.rows if plan.begun_of(row.name)}
    values = {
        "plan": plan,
        "study": plan.study,
        "scale": plan.scale,
        "answer": answer(plan, judged),
        "switches": switches(plan),
        "state": _state(plan),
        "word": partial(_word, plan, begun),
        "begun": begun,
        "elsewhere": [claim for claim in plan.study.claims if claim not in [verdict.claim for verdict in judged]],
        "shown_rows": tables.of_begun(plan, all_tables["table"]),
        "shown_runs": _made(plan, all_tables.get("runs", [])),
        "unit_text": student.UNIT,
        "look": student.LOOK.get(plan.study.name),
        "papers": references(plan.study.source, plan.scale.note, *plan.study.deviations),
        "verdicts": judged,
        "metrics": METRICS,
        "shown_metrics": tables.shown_metrics(plan),
        "compared_metrics": tables.compared_metrics(plan),
        "together": sum(verdict.measured for verdict in judged),
        "agreement": agreement(plan),
        "cost": _cost(plan),
        "running": [
            (run.row, run.seed, *progress(run)) for run in plan.missing if run.run.is_locked and not run.damage
        ],
        "live": live,
        "analyses": inside,
    }
    return Page(
        "report.html",
        values,
        tables=all_tables,
        drawings=drawings | ({"units": units} if units else {}),
        results=_results(plan, judged),
    )


def _trained(plan: Plan) -> Column:
    """The network that each row has at this scale; one far from every name is a smaller form of the row's own."""
    words = []
    for row in plan.rows:
        network = plan.network(row)
        known = isinstance(network, ResNet) or find_name(network)
        words.append(to_string(network) if known else f"{name_of(row.network)}, made smaller")
    return Column("trained as" if plan.runs else "by name", words, numbers=False)


def _made(plan: Plan, table: Sequence[Column]) -> list[Column]:
    """The lines of a table of the plan's runs that were begun."""
    kept = [place for place, run in enumerate(plan.runs) if run.done or run.run.exists]
    return [replace(column, values=[column.values[place] for place in kept]) for column in table]


def _state(plan: Plan) -> dict[str, str]:
    """How many runs the rows have, which are not finished, and which were never made."""
    names = [row.name for row in plan.rows]
    finished = {name: len(plan.runs_of(name)) for name in names}
    begun = {name: runs for name in names if not finished[name] and (runs := plan.begun_of(name))}
    counts = sorted({count for count in finished.values() if count})
    seeds = " to ".join(map(str, {counts[0]: 0, counts[-1]: 0})) if counts else ""
    unfinished = [f"{name} (to step {max(run.run.metrics[-1].step for run in runs):,})" for name, runs in begun.items()]
    return {
        "seeds": seeds,
        "unfinished": "; ".join(unfinished),
        "missing": tables.not_run(plan),
    }


def _word(plan: Plan, begun: Collection[str], verdict: Verdict) -> str:
    """The judgement, or "not finished" where all rows of the claim have runs, and some have none with a result."""
    have_runs = all(plan.runs_of(row) or row in begun for row in verdict.claim.rows)
    return "not finished" if verdict.judgement == "not run" and have_runs else verdict.judgement


def results(plan: Plan) -> dict[str, Any]:
    """The content of the report, as plain JSON types."""
    return _results(plan, verdicts(plan))


def _results(plan: Plan, judged: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "study": plan.study.name,
        "title": plan.study.title,
        "question": plan.study.question,
        "answer": answer(plan, judged)._asdict(),
        "source": plan.study.source,
        "scale": plan.scale_name,
        "seeds": plan.seeds,
        "cut": str(plan.cut) if plan.cut else None,
        "command": plan.command,
        "confidence": CONFIDENCE,
        "claims": [_claim(verdict) for verdict in judged],
        "agreement": (agrees := agreement(plan)) and agrees._asdict(),
        "rows": [_row(plan, row) for row in plan.rows],
        "cost": _cost(plan),
        "runs": [_run(run) for run in plan.runs],
    }


def _claim(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "claim": verdict.text,
        "source": claim.source,
        "judgement": verdict.judgement,
        "jointly": verdict.jointly,
        "measured": verdict.measured,
        "metric": str(METRICS[claim.metric]),
        "test": verdict.comparison.method,
        "p": verdict.comparison.p,
        "lower": _side(claim.lower, verdict.names[0], verdict.lower),
        "higher": _side(claim.higher, verdict.names[1], verdict.higher),
        "difference": verdict.difference,
        "interval": verdict.interval,
        "over_images": verdict.over_images,
        "margin": claim.margin,
        "least": claim.least_effect,
        "published": verdict.published,
        "prospect": verdict.prospect and verdict.prospect._asdict(),
    }


def _side(row: str | float, trained: str, measured: Sample) -> dict[str, Any]:
    return {"row": row, "trained": trained, "n": measured.n, "measured": str(measured)}


def _row(plan: Plan, row: Row) -> dict[str, Any]:
    network = plan.network(row)
    cost = network.cost()
    done = plan.runs_of(row.name)
    published = row.published if plan.beside_published else None
    return {
        "row": row.name,
        "trained": plan.label(row.name),
        "panel": row.panel,
        "network": name_of(network),
        "depth": network.depth if isinstance(network, ResNet) else None,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "n": len(done),
        "diverged": sum(run.run.status == "diverged" for run in done),
        "absent": plan.absent.get(row.name),
        "measured": {metric: _sample(sample(plan, row.name, metric)) for metric in plan.study.metrics},
        "published": published and published._asdict() | {"values": dict(published.values), "told": published.citation},
    }


def _sample(measured: Sample) -> dict[str, Any]:
    middles = {"mean": measured.mean, "std": measured.std, "median": measured.median}
    apart = {"failed": measured.failed, "beyond": measured.beyond}
    return {**middles, "values": list(measured.values), **apart, "text": str(measured)}


def _run(run: PlannedRun) -> dict[str, Any]:
    result = run.run.result
    summary: dict[str, Any] = {"row": run.row, "seed": run.seed, "directory": run.out.name, "status": run.status}
    summary |= {"damage": run.damage} if run.damage else {}
    if result is None or not run.done:
        return summary
    summary |= {"step": result.step, "seconds": result.seconds, "images_per_second": result.images_per_second}
    return summary | {metric: measure(run, metric) for metric in METRICS if metric not in COUNTED}


def _cost(plan: Plan) -> dict[str, Any]:
    """The runs' training time, machines, versions and commits, each with its number of runs."""
    done = [run for run in plan.runs if run.done]
    records = [run.run.record for run in done]
    versions = [", ".join(f"{name} {number}" for name, number in record.versions.items()) for record in records]
    return {
        "runs": len(done),
        "planned": len(plan.runs),
        "training_seconds": sum(run.run.result.seconds for run in done if run.run.result),
        "machines": dict(Counter(map(_machine, records))),
        "versions": dict(Counter(versions)),
        "commits": dict(Counter(record.commit or "not from a checkout" for record in records)),
    }


def _machine(record: RunRecord) -> str:
    machine = record.machine
    ranks = f"ranks of a run: {machine.ranks}, in each " if machine.ranks > 1 else ""
    return (
        f"{record.hardware}, {machine.cores} cores, "
        f"{ranks}threads in a run: {machine.threads}, {record.chosen.precision}"
    )
