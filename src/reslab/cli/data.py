"""Commands for data sets."""

import json
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import AsJson, print_table, print_text
from reslab.errors import DataError

SetName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab data list`")]

app = typer.Typer(help="Data sets: list, get, check.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def data_list() -> None:
    """List the data sets and whether they are here."""
    cells = [("name", "training", "test", "classes", "images", "state")]
    for name, state, data, error in api.list_data():
        if data is None:
            cells.append((name, "", "", "", "", "not here" if state == "missing" else error.splitlines()[0]))
            continue
        counts = (f"{len(data.train.labels):,}", f"{len(data.test.labels):,}", str(len(data.classes)))
        cells.append((name, *counts, f"{data.channels}×{data.size}×{data.size}", state))
    folders, root = api.data_folders()
    cells += [(f"{kind}:PATH", "", "", "", "pictures", "folders train and val of class folders") for kind in folders]
    print_table(cells, right=(1, 2, 3))
    print_text(f"`reslab data get NAME` downloads a set to {root} (RESLAB_DATA)")


@app.command("get")
def data_get(name: SetName) -> None:
    """Download a data set from its official place and check it."""
    for path in api.get_data(name, progress=True):
        typer.echo(str(path))


@app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(metavar="D", help="a set's name, folder:PATH or imagenet:PATH")],
    as_json: AsJson = False,
) -> None:
    """Read every image; list those that cannot be read, and odd ones, with the reason."""
    check = api.check_data(name, progress=True)
    if as_json:
        findings = [finding._asdict() for finding in check.findings]
        tree = {"images": check.images, "classes": check.classes, "findings": findings}
        typer.echo(json.dumps(tree | {"passed_over": list(check.passed_over)}, indent=2, allow_nan=False))
    else:
        for finding in check.findings:
            typer.echo(f"{'bad' if finding.bad else 'odd'}  {finding.file}: {finding.reason}")
        for file in check.passed_over:
            typer.echo(f"passed over  {file}")
        *first, last = (f"{count:,} {'training' if key == 'train' else key}" for key, count in check.images.items())
        typer.echo(
            f"{', '.join(first)} and {last} images of {check.classes:,} classes: "
            f"{check.bad:,} cannot be read, {len(check.findings) - check.bad:,} odd"
        )
    if check.bad:
        raise DataError(f"{name}: {check.bad:,} images cannot be read; repair or remove them, or use --on-bad skip")
