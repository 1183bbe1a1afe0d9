"""The command that classifies pictures."""

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from reslab import api
from reslab.cli.options import AsJson, DeviceName, EngineName, RunOrFile, message
from reslab.errors import DataError


def predict(
    file: RunOrFile,
    pictures: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER", help="files, folders or both")],
    top: Annotated[int, typer.Option("--top", min=1, help="classes to name")] = 5,
    cam: Annotated[
        Path | None, typer.Option("--cam", metavar="OUT", help="folder for class activation maps (Grad-CAM)")
    ] = None,
    cam_class: Annotated[
        str | None, typer.Option("--cam-class", metavar="NAME|INDEX", help="class of the heat maps, for --cam")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="pictures at once")] = 32,
    as_json: AsJson = False,
    device: DeviceName = "auto",
    engine: EngineName = "torch",
) -> None:
    """Name the classes of pictures, the most probable first, with their probabilities."""
    predictions = api.predict_batches(
        file, pictures, top, cam=cam, cam_class=cam_class, batch=batch, device=device, engine=engine
    )
    if predictions.warning:
        message(predictions.warning)
    batches = predictions.batches
    if predictions.files > batch:
        batches = _progress(batches, predictions.files, as_json)
    trees, failed = [], []
    for prediction in chain.from_iterable(batches):
        if prediction.error:
            failed.append(prediction)
        elif as_json:
            trees.append(_plain(prediction))
        else:
            lines = [f"  {100 * chance:6.2f} %  {name}" for name, chance in prediction.classes]
            typer.echo("\n".join([prediction.name, *lines]))
    if as_json:
        typer.echo(json.dumps(trees, indent=2, allow_nan=False))
    for prediction in failed:
        message(f"skipped: {prediction.name}: {prediction.error}")
    if failed:
        raise typer.Exit(DataError.exit_code)


def _plain(prediction: api.Prediction) -> dict[str, Any]:
    classes = []
    for (name, wordnet), probability in prediction.classes:
        classes.append({"name": name, "probability": probability} | ({"wordnet": wordnet} if wordnet else {}))
    return {"file": str(prediction.file), "classes": classes}


def _progress(batches: Iterator[list[api.Prediction]], total: int, as_json: bool) -> Iterator[list[api.Prediction]]:
    """The same batches, with progress on stderr: a bar on a terminal without results, else a line each tenth."""
    from rich.progress import Progress

    console, done, tenth = api.progress_console(), 0, 0
    bar = console.is_terminal and (as_json or not sys.stdout.isatty())
    with Progress(console=console, disable=not bar, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("predicting", total=total)
        for predictions in batches:
            yield predictions
            done += len(predictions)
            progress.update(task, completed=done)
            if not console.is_terminal and 10 * done // total > tenth:
                tenth = 10 * done // total
                message(f"{done:,} of {total:,} pictures")
