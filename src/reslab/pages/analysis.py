"""An analysis as a directory: a page, its tables and its figures."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from reslab.analyse.analysis import Analysis
from reslab.pages.page import Page


def render(analysis: Analysis, command: str, out: Path) -> Path:
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


def results(analysis: Analysis, command: str) -> dict[str, Any]:
    """An analysis as plain JSON types: its table as text, its other tables as numbers, its findings and facts."""
    return {
        "kind": analysis.kind,
        "title": analysis.title,
        "about": analysis.about,
        "command": command,
        "networks": dict(analysis.networks),
        "table": {column.title: column.cells for column in analysis.table},
        **{name: analysis.columns(name) for name in analysis.tables},
        "findings": [asdict(finding) for finding in analysis.findings],
        "facts": dict(analysis.facts),
        "notes": [*analysis.warnings, *analysis.notes],
    }
