"""The command that lists runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import AsJson, message

_LONGEST = 38  # letters of a name, so that a line fits 80 columns


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="the folder of runs", show_default=False)] = api.RUNS,
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder: status, steps, test error, seconds of training."""
    rows = api.list_runs(folder)
    if as_json:
        typer.echo(json.dumps([{**row._asdict(), "path": str(row.path)} for row in rows], indent=2))
        return
    if not rows:
        message(f"{folder}: no runs")
        return
    cells: list[tuple[str, ...]] = [("run", "status", "step", "test error", "seconds")]
    for row in rows:
        error = "" if row.test_error is None else f"{row.test_error:.2f} %"
        step = "" if row.steps is None else f"{row.step:,}" + ("" if row.step == row.steps else f"/{row.steps:,}")
        seconds = "" if row.seconds is None else f"{row.seconds:,.0f}"
        cells.append((_short(row.path.name), row.status, step, error, seconds))
    typer.echo(api.aligned(cells, right=(2, 3, 4)))
    for row in rows:
        if row.problem:
            message(row.problem)


def _short(name: str) -> str:
    """A name that fits its column: its begin, and its end, where seed and digest stand."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 17]}…{name[-16:]}"
