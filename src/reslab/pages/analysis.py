"""An analysis as a directory: a page, its tables and its figures."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reslab.analyse.analysis import Report
from reslab.analyse.claims import ClaimResult
from reslab.pages.answer import count_text
from reslab.pages.page import Page
from reslab.stats import Judgement

_DECIDED: tuple[Judgement, ...] = ("holds", "does not hold")


class _Answer(NamedTuple):
    """The first claim that holds and the first that does not, else the first of all, and how many were judged how."""

    leading: tuple[ClaimResult, ...]
    counted: str

    @property
    def text(self) -> str:
        """In a sentence; "" without a claim."""
        lead = "".join(f"{claim.judgement.capitalize()}: {claim.claim}. " for claim in self.leading)
        return f"{lead}{self.counted}." if lead else ""


def render(analysis: Report, command: str, out: Path) -> Path:
    """Write analysis.html and the files beside it into `out`; `command` makes the analysis again. -> the page's path"""
    page = Page(
        "analysis.html",
        {"analysis": analysis, "command": command, "answer": _answer(analysis.claims)},
        tables={"table": analysis.table},
        drawings=analysis.drawings,
        data=analysis.tables,
        results=results(analysis, command),
    )
    return page.write(out / "analysis.html")


def _answer(claims: Sequence[ClaimResult]) -> _Answer:
    firsts = [next((claim for claim in claims if claim.judgement == judgement), None) for judgement in _DECIDED]
    leading = tuple(filter(None, firsts)) or tuple(claims[:1])
    return _Answer(leading, count_text(Counter(claim.judgement for claim in claims), len(claims)) if claims else "")


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
    values = {"claim": claim.claim, "source": claim.source, "judgement": claim.judgement, "told": claim.evidence}
    return values | ({"key": claim.key} if claim.key else {})
