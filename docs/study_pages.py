"""The generated page of the studies: question, published values, measured tables and verdicts."""

from dataclasses import replace
from itertools import compress

import evidence
from evidence import RESULTS

from reslab.nets import to_string
from reslab.pages.study_tables import rows
from reslab.papers import STUDIES
from reslab.papers.claims import METRICS, SCALES, Study
from reslab.study.plan import Plan
from reslab.study.verdict import verdicts
from reslab.table import FORMATS, Column


def page() -> str:
    """A card for each study."""
    text = (
        "# Studies\n\nThe papers' tables and figures, declared: rows, published values, claims. "
        "[What a verdict means](../studies.md).\n"
    )
    return text + "".join(_card(study) for study in STUDIES.values())


def _card(study: Study) -> str:
    parts = [f"\n## {study.name}", f"**{study.title}.** {study.question} {study.source}."]
    parts.append("### What the paper prints" if _published(study) else "")
    parts.append(_published(study))
    for scale in filter(study.scales.__contains__, SCALES):
        plan = evidence.plan(study.name, scale)
        if any(run.done for run in plan.runs):
            parts += _measured(plan)
    parts += ["### Known differences", "\n".join(f"- {each}" for each in study.deviations)] if study.deviations else []
    parts.append(f"```sh\nreslab study show {study.name}\nreslab study run {study.name} --scale demo\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _published(study: Study) -> str:
    """The rows with published values."""
    published = [(row, row.published) for row in study.rows if row.published]
    metrics = [metric for metric in METRICS if any(metric in values.values for _, values in published)]
    if not metrics:
        return ""
    columns = [
        Column("row", [row.name for row, _ in published], numbers=False),
        Column("network", [to_string(row.network) for row, _ in published], numbers=False),
    ]
    columns += [
        Column(str(METRICS[metric]), [values.values.get(metric) for _, values in published], empty="–")
        for metric in metrics
    ]
    columns.append(Column("source", [values.citation for _, values in published], numbers=False))
    return FORMATS["md"](columns).rstrip()


def _measured(plan: Plan) -> list[str]:
    """The rows with runs and the verdicts on them, at one scale."""
    folder = f"{plan.study.name}-{plan.scale_name}"
    has_runs = [bool(plan.runs_of(row.name)) for row in plan.rows]
    table = [replace(column, values=list(compress(column.values, has_runs))) for column in rows(plan)]
    judged = [verdict for verdict in verdicts(plan) if verdict.lower.n and verdict.higher.n]
    lines = [f"- **{verdict.judgement}**: {verdict.claim.text} ({verdict.claim.source})" for verdict in judged]
    parts = [f"### Measured, {plan.scale_name} scale", plan.scale.note, FORMATS["md"](table).rstrip(), "\n".join(lines)]
    if absent := len(has_runs) - sum(has_runs):
        parts.append(f"Not run: {absent} of {len(has_runs)} rows.")
    if (RESULTS / "reports" / folder / "report.html").is_file():
        parts.append(f"[The report](site:../reports/{folder}/report.html), its curves and every run.")
    return parts
