"""The commands that compare runs."""

from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import message, print_table, print_text, print_verdict, terminal_width

Metric = Annotated[str | None, typer.Option("--metric", help="what is compared  [default: the test error]")]
Claims = Annotated[
    list[str] | None, typer.Option("--claim", metavar="'A < B'", help="of two groups, or a group and a number")
]
Margin = Annotated[float, typer.Option("--margin", min=0, help="by which A may be higher in every claim")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="the page's directory  [default: in reports/]")]


def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run directories, or folders of runs")],
    by: Annotated[str | None, typer.Option("--by", metavar="FIELD", help="group by one field, such as lr")] = None,
    claims: Claims = None,
    metric: Metric = None,
    margin: Margin = 0.0,
    out: Out = None,
) -> None:
    """Compare runs in groups that differ in their seed alone: table with spread, curves, claims, a page."""
    _print(api.compare_runs(paths, by=by, metric=metric, claims=claims or (), margin=margin, out=out))


def judge(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, or a folder of TensorBoard's event files")],
    by: Annotated[str | None, typer.Option("--by", metavar="COLUMN,...", help="columns that make a group")] = None,
    claims: Claims = None,
    metric: Metric = None,
    margin: Margin = 0.0,
    out: Out = None,
) -> None:
    """Compare the runs of any framework in a CSV file with columns such as group, seed, test_error; write a page."""
    _print(api.judge_file(file, by=by, metric=metric, claims=claims or (), margin=margin, out=out))


def _print(report: api.ComparisonReport) -> None:
    comparison = report.comparison
    rows, answer = api.comparison_lines(report)
    print_table(rows, right=(1, 2))
    print_text(answer)
    for contrast in comparison.contrasts():
        sides = ((contrast.claim.lower, contrast.lower), (contrast.claim.higher, contrast.higher))
        shown = [
            f"{side} {sample:.4g} (n = {sample.n})" if isinstance(side, str) else f"{side:g}" for side, sample in sides
        ]
        print_verdict(contrast.judgement, [str(contrast.claim), ", ".join(shown)])
    keys = dict.fromkeys(key for group in comparison.groups for key in group.fields)
    notes = [*comparison.notes, *[f"grouped by {', '.join(keys)}"] * bool(keys)]
    if others := [metric for metric in comparison.metrics if metric != comparison.metric]:
        notes.append(f"compared by {comparison.metric}; --metric takes {', '.join(others[:8])} too")
    for note in notes:
        message(api.wrapped(note, terminal_width()))
    typer.echo(f"report: {report.page}")
