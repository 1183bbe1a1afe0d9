"""An analysis as a directory: a page, its table and its figures."""

import json
from pathlib import Path
from typing import Any

from reslab import drawing
from reslab.analyse.analysis import Report
from reslab.analyse.claims import ClaimResult
from reslab.disk import write_whole
from reslab.pages.template import template
from reslab.table import FORMATS


def render(analysis: Report, command: str, out: Path) -> Path:
    """Write analysis.html, results.json, the tables and the figures (PNG, PDF, SVG) into `out`.

    command: what makes it again. Each file replaces its forerunner whole. Returns the page's path.
    """
    files = {"results.json": (json.dumps(results(analysis, command), indent=2, allow_nan=False) + "\n").encode()}
    for ending, write in FORMATS.items():
        files[f"table.{ending}"] = write(analysis.table).encode()
    for name, columns in analysis.tables.items():
        files[f"{name}.csv"] = FORMATS["csv"](columns).encode()
    svgs = {}
    for name, figure in analysis.drawings.items():
        for file_format in ("png", "pdf", "svg"):  # the page's is the last that is drawn
            files[f"figures/{name}.{file_format}"] = drawing.drawn(figure.figure, file_format)
        svgs[name] = (drawing.inline(figure, files[f"figures/{name}.svg"], name), figure.caption)
    page = template("analysis.html").render(analysis=analysis, svgs=svgs, command=command)
    files["analysis.html"] = page.encode()
    for file_name, content in files.items():
        write_whole(out / file_name, content)
    return out / "analysis.html"


def results(analysis: Report, command: str) -> dict[str, Any]:
    """An analysis as plain JSON types: its table as text, its other tables as numbers, its findings and facts."""
    return {
        "kind": analysis.kind,
        "title": analysis.title,
        "about": analysis.about,
        "command": command,
        "networks": dict(analysis.networks),
        "table": {column.title: column.cells for column in analysis.table},
        **{name: analysis.columns(name) for name in analysis.tables},
        "findings": [_finding(claim) for claim in analysis.claims],
        "facts": dict(analysis.facts),
        "notes": [*analysis.warnings, *analysis.notes],
    }


def _finding(claim: ClaimResult) -> dict[str, str]:
    return {"claim": claim.claim, "source": claim.source, "judgement": claim.judgement, "told": claim.evidence}
