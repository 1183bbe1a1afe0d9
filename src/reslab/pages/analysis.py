"""An analysis as a directory: a page, its tables and its figures."""

from pathlib import Path
from typing import Any

from reslab.analyse.analysis import Report
from reslab.analyse.claims import ClaimResult
from reslab.pages.page import Page


def render(analysis: Report, command: str, out: Path) -> Path:
    """Write analysis.html and the files beside it into `out`; `command` makes the analysis again. -> the page's path"""
    page = Page(
        "analysis.html",
        {"analysis": analysis, "command": command},
        tables={"table": analysis.table},
        drawings=analysis.drawings,
        data=analysis.tables,
        results=results(analysis, command),
    )
    return page.write(out / "analysis.html")


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
