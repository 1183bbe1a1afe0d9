"""Commands that look inside networks, one for each analysis of the registry."""

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslab import api
from reslab.cli.options import AsJson, DeviceName, message, print_skipped, print_table, print_verdict

if TYPE_CHECKING:
    from reslab.api.analyse import Report

Networks = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK|RUN|FILE...",
        help="names, 'NAME key=value ...' with changed fields, run directories, weights that reslab wrote",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", help="the report's directory  [default: in reports/, by name]")]

app = typer.Typer(
    help="Look inside networks: what they do, with tables, figures and claims.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _command(kind: str, row: api.AnalysisRow) -> Callable[..., None]:
    """The function of a command, whose signature has the options of its analysis."""

    def command(
        subjects: Networks, *, device: DeviceName = "auto", out: Out = None, as_json: AsJson = False, **options: Any
    ) -> None:
        with progress(kind) as show:
            report = api.analyse_networks(kind, subjects, device=device, out=out, progress=show, page=True, **options)
        _print(report, as_json)

    fixed = list(inspect.signature(command).parameters.values())[:-1]
    own = [_parameter(option) for option in row.options]
    # what typer reads
    command.__signature__ = inspect.Signature([fixed[0], *own, *fixed[1:]])  # type: ignore[attr-defined]
    command.__annotations__ |= {parameter.name: parameter.annotation for parameter in own}
    command.__doc__ = row.summary
    return command


def _parameter(option: api.AnalysisOption) -> inspect.Parameter:
    required = option.name == "data"
    annotation = option.type if option.default is not None or required else option.type | None
    metavar = "D" if required else None
    described = typer.Option(option.flag, help=option.help, min=option.least, metavar=metavar)
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else option.default,
        annotation=Annotated[annotation, described],
    )


for kind, row in api.ANALYSES.items():
    app.command(kind)(_command(kind, row))


def _print(report: "Report", as_json: bool) -> None:
    """Print a report's table, claims and page, or all of it as JSON."""
    page, index = report.folder / "analysis.html", report.folder.parent / "index.html"
    print_skipped(report.skipped)
    for warning in report.warnings:
        message(warning)
    if as_json:
        typer.echo(json.dumps(api.report_values(report) | {"page": str(page)}, indent=2, allow_nan=False))
        return
    lines = [tuple(column.title for column in report.table)]
    lines += zip(*(column.cells for column in report.table), strict=True)
    numbers = tuple(place for place, column in enumerate(report.table) if column.numbers)
    print_table(lines, numbers)
    for claim in report.claims:
        print_verdict(claim.judgement, [f"{claim.claim} ({claim.source})", claim.evidence])
    typer.echo(f"report: {page}")
    if index.parent == api.REPORTS:
        typer.echo(f"all reports: {index}")


@contextmanager
def progress(kind: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, a line for each tenth elsewhere; both with the time left."""
    import time

    from rich.progress import Progress

    screen = api.progress_console()
    if screen.is_terminal:
        with Progress(console=screen, transient=True) as bar:
            task = bar.add_task(kind, total=1.0)
            yield lambda share: bar.update(task, completed=share)
        return
    tenths, began, first = 0, time.monotonic(), None

    def show(share: float) -> None:
        nonlocal tenths, first
        first = share if first is None else first  # a landscape that goes on begins at its share
        if int(share * 10 + 1e-9) > tenths:
            tenths = int(share * 10 + 1e-9)
            left = (time.monotonic() - began) * (1 - share) / (share - first) if share > first else 0
            text = f", about {left:.0f} s left" if left >= 1 else ""
            screen.print(f"{kind}: {tenths * 10} %{text}")

    yield show
