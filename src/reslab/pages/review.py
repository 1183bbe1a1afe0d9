"""The review, sentence by sentence: what it says, what the papers say, what was measured, the verdict."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reslab.analyse.claims import ClaimResult
from reslab.pages.page import Page
from reslab.papers import STUDIES
from reslab.papers.claims import METRICS, SCALES
from reslab.papers.review import REVIEW, Statement
from reslab.stats import Conjunction, Judgement, Sample, conjunction
from reslab.study.plan import Plan, make_plan
from reslab.study.verdict import Verdict, is_judged, verdicts
from reslab.table import Column

Plans = Mapping[tuple[str, str], Plan]
"""By the names of study and scale."""
Analyses = Sequence[Mapping[str, Any]]
"""The content of their results.json."""
_NOT_RUN: tuple[tuple[Judgement, Judgement]] = (("not run", "not run"),)


class Measured(NamedTuple):
    """The verdicts on a statement's claims at a scale, those without runs included, and the one on all of them.

    judgement: a kind of claim that the scale has no rows for counts as one that was not run
    report, figure: the page of the study and its curves, as the review's page links them; None where there are none
    """

    plan: Plan
    verdicts: tuple[Verdict, ...]
    judgement: Conjunction
    report: str | None
    figure: str | None

    @property
    def is_tested(self) -> bool:
        """Whether a claim has runs enough to be tested."""
        return any(verdict.comparison.method for verdict in self.verdicts)

    @property
    def scale(self) -> str:
        return self.plan.scale_name if self.plan.scale.settings else "counted"


class AnalysisResult(NamedTuple):
    """What an analysis says of a statement: its claims, its page as the review's page links it, and its command."""

    claims: tuple[ClaimResult, ...]
    page: str
    command: str


class Line(NamedTuple):
    """A statement with its number, and what was measured of it, from the largest scale with a test to the smallest;
    or what an analysis says of it."""

    number: int
    statement: Statement
    measured: tuple[Measured, ...]
    analysed: AnalysisResult | None = None

    @property
    def verdict(self) -> str:
        """In words; "no claim" where nothing is tested."""
        if counted := self.statement.counted:
            return "holds" if counted[0] == counted[1] else "does not hold"
        if self.measured:
            return str(self.measured[0].judgement)
        if self.analysed:
            return str(conjunction([(each.judgement, each.judgement) for each in self.analysed.claims]))
        return "not run" if self.statement.study or self.statement.analysed else "no claim"

    @property
    def scale(self) -> str:
        """The scale of the verdict, "counted" where nothing was trained for it, "" without one."""
        if self.statement.counted:
            return "counted"
        if self.analysed:
            return "analysis"
        return self.measured[0].scale if self.measured else ""

    @property
    def evidence(self) -> str:
        """Both sides of every claim that the verdict rests on."""
        if self.statement.counted:
            return "{} counted, the review says {}".format(*self.statement.counted)
        if self.analysed:
            return "; ".join(each.evidence for each in self.analysed.claims)
        return _evidence(self.measured[0]) if self.measured else ""

    @property
    def command(self) -> str:
        """The command that measures it, or measures it again."""
        study = self.statement.study
        if self.measured:
            return self.measured[0].plan.command
        if self.analysed:
            return self.analysed.command
        if not study:
            return self.statement.analysed.command if self.statement.analysed else ""
        return f"reslab study run {study.name} --scale {'short' if 'short' in study.scales else 'small'}"


def plans(runs: Path, pictures: str | None = None) -> Plans:
    """The plan of every study at every scale.

    pictures: the folder for studies on ImageNet, as --data names it; the paper's scale takes imagenet:PATH alone
    """
    made = {}
    for study in STUDIES.values():
        for name, scale in study.scales.items():
            reads = scale.reads_pictures and (name != "paper" or (pictures or "").startswith("imagenet:"))
            made[study.name, name] = make_plan(study, name, runs, pictures=pictures if reads else None)
    return made


def lines(plans: Plans, reports: Path, page: Path, analyses: Analyses = ()) -> list[Line]:
    """Every statement with its verdicts.

    reports: the folder of the studies' reports; page: the folder of the review's page, which links them
    analyses: the results of analyses, with their pages as it links them
    """
    judged = {key: {verdict.claim: verdict for verdict in verdicts(plan)} for key, plan in plans.items()}
    result = []
    for number, statement in enumerate(REVIEW, 1):
        measured = []
        for scale in SCALES if statement.study else ():
            plan = plans.get((statement.study.name, scale)) if statement.study else None
            if plan is None or (scale != "demo" and not plan.scale.settings):  # what is counted is the same at all
                continue
            own = [judged[plan.study.name, scale][claim] for claim in statement.claims if is_judged(plan, claim)]
            if any(verdict.judgement != "not run" for verdict in own):
                absent = len(statement.keys) - len({verdict.claim.key for verdict in own})
                pairs: list[tuple[Judgement, Judgement]] = [(each.judgement, each.jointly) for each in own]
                joint = conjunction([*pairs, *_NOT_RUN * absent])
                links = _links(reports / f"{plan.study.name}-{scale}", page)
                measured.append(Measured(plan, tuple(own), joint, *links))
        tested_first = sorted(measured, key=lambda each: not each.is_tested)
        result.append(Line(number, statement, tuple(tested_first), _analysed(statement, analyses)))
    return result


def _analysed(statement: Statement, analyses: Analyses) -> AnalysisResult | None:
    """What the analysis that decides most of a statement's claims says of it."""
    if not statement.analysed:
        return None
    some = []
    for summary in analyses:
        claims = tuple(
            ClaimResult(each["claim"], each["source"], each["judgement"], each["told"], each["key"])
            for each in summary["findings"]
            if each.get("key") == statement.analysed.key
        )
        if claims:
            some.append(AnalysisResult(claims, summary["page"], summary["command"]))
    return max(some, key=lambda one: sum(each.judgement != "not decided" for each in one.claims), default=None)


def _links(report: Path, page: Path) -> tuple[str | None, str | None]:
    files = (report / "report.html", report / "figures" / "curves.svg")
    first, second = (os.path.relpath(file, page) if file.is_file() else None for file in files)
    return first, second


def render(plans: Plans, reports: Path, out: Path, analyses: Analyses = ()) -> Path:
    """Write index.html into `out`, and beside it results.json and the table. Returns its path."""
    statements = lines(plans, reports, out, analyses)
    values = {
        "lines": statements,
        "counts": Counter(line.verdict.partition(" (")[0] for line in statements),
        "slips": sum(bool(line.statement.slip) for line in statements),
        "metrics": METRICS,
        "sides": sides_text,
    }
    page = Page("review.html", values, {"review": table(statements)}, results=_results(statements))
    return page.write(out / "index.html")


def table(statements: list[Line]) -> list[Column]:
    """The statements with their verdicts, for programs and for pasting elsewhere."""
    return [
        Column("n", [line.number for line in statements]),
        Column("the review says", [line.statement.text for line in statements], numbers=False),
        Column("section", [line.statement.source for line in statements], numbers=False),
        Column("verdict", [line.verdict for line in statements], numbers=False),
        Column("scale", [line.scale for line in statements], numbers=False),
        Column("measured", [line.evidence for line in statements], numbers=False),
        Column("slip of the review", [line.statement.slip for line in statements], numbers=False),
        Column("command", [line.command for line in statements], numbers=False),
    ]


def _evidence(measured: Measured) -> str:
    return "; ".join(sides_text(each) for each in measured.verdicts if each.judgement != "not run")


def sides_text(verdict: Verdict) -> str:
    """Both sides of a claim with their samples: "ResNet-56 6.97 ± 0.16 (n = 5) against plain-56 13.00 ± ..."."""
    rows = verdict.claim.lower, verdict.claim.higher
    samples = verdict.lower, verdict.higher
    return " against ".join(map(_side, rows, verdict.names, samples))


def _side(row: str | float, name: str, sample: Sample) -> str:
    if not isinstance(row, str):
        return str(sample)
    return f"{name} {sample}" + ("" if sample.exact or not sample.n else f" (n = {sample.n})")


def _results(statements: list[Line]) -> dict[str, Any]:
    return {
        "statements": [
            {
                "number": line.number,
                "statement": line.statement.text,
                "section": line.statement.source,
                "papers": line.statement.papers,
                "slip": line.statement.slip or None,
                "verdict": line.verdict,
                "counted": line.statement.counted,
                "command": line.command or None,
                "analysed": [vars(each) for each in line.analysed.claims] if line.analysed else [],
                "measured": [
                    {
                        "study": each.plan.study.name,
                        "scale": each.scale,
                        "judgement": each.judgement.judgement,
                        "decided": each.judgement.decided,
                        "claims": [_claim(verdict) for verdict in each.verdicts],
                    }
                    for each in line.measured
                ],
            }
            for line in statements
        ]
    }


def _claim(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.text,
        "source": verdict.claim.source,
        "judgement": verdict.judgement,
        "jointly": verdict.jointly,
        "evidence": sides_text(verdict),
    }
