"""Commands that see to data sets."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer

from reslab.cli.options import AsJson, console
from reslab.errors import DataError

SetName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab data list`")]

app = typer.Typer(help="Data sets: list, get, check.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def data_list() -> None:
    """List the data sets and whether they are here."""
    from reslab.data.images import MissingError
    from reslab.data.loader import FOLDERS, SETS, data_root, load
    from reslab.nets.table import aligned

    cells = [("name", "training", "test", "classes", "images", "state")]
    for name in SETS:
        try:
            data = load(name)
        except MissingError:
            cells.append((name, "", "", "", "", f"not here; reslab data get {name}"))
            continue
        except DataError as error:
            cells.append((name, "", "", "", "", str(error).splitlines()[0]))
            continue
        size = f"{data.channels}×{data.size}×{data.size}"
        counts = (f"{len(data.train.labels):,}", f"{len(data.test.labels):,}", str(len(data.classes)))
        cells.append((name, *counts, size, "here" if SETS[name].files else "embedded"))
    cells += [(f"{kind}:PATH", "", "", "", "pictures", "folders train and val of class folders") for kind in FOLDERS]
    typer.echo(aligned(cells, right=(1, 2, 3)))
    typer.echo(f"downloaded sets lie in {data_root()} (RESLAB_DATA)")


@app.command("get")
def data_get(name: SetName) -> None:
    """Download a data set from its official place and check it."""
    from reslab.data.loader import download, load

    for path in download(name, console()):
        typer.echo(str(path))
    load(name)


@app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(metavar="D", help="a set's name, folder:PATH or imagenet:PATH")],
    as_json: AsJson = False,
) -> None:
    """Read every image; list those that cannot be read, and odd ones, with the reason."""
    from rich.progress import track

    from reslab.data.images import Pictures
    from reslab.data.loader import load
    from reslab.data.picture import check_picture, shown
    from reslab.machine import cores

    data = load(name)
    every = {"train": data.train, "validation": data.validation, "test": data.test}
    parts = {part: images for part, images in every.items() if images is not None}
    told: list[dict[str, Any]] = []
    with ThreadPoolExecutor(cores()) as pool:
        for part in parts.values():
            if not isinstance(part, Pictures):
                continue
            paths = [part.folder / file for file in part.files]
            screen = console()
            found = track(
                pool.map(check_picture, paths), "checking", len(paths), console=screen, disable=not screen.is_terminal
            )
            told += [finding._asdict() for finding in found if finding.bad or finding.odd]
    counts = {part: len(images.labels) for part, images in parts.items()}
    bad = sum(finding["bad"] for finding in told)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "images": counts,
                    "classes": len(data.classes),
                    "findings": told,
                    "passed_over": [*map(shown, data.passed_over)],
                },
                indent=2,
            )
        )
    else:
        for finding in told:
            typer.echo(f"{'bad' if finding['bad'] else 'odd'}  {finding['file']}: {finding['reason']}")
        for file in data.passed_over:
            typer.echo(f"passed over  {shown(file)}")
        *first, last = (f"{count:,} {'training' if part == 'train' else part}" for part, count in counts.items())
        typer.echo(
            f"{', '.join(first)} and {last} images of {len(data.classes):,} classes: "
            f"{bad:,} cannot be read, {len(told) - bad:,} odd"
        )
    if bad:
        raise DataError(f"{name}: {bad:,} images cannot be read; mend or remove them, or train with --on-bad skip")
