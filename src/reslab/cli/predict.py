"""The command that classifies pictures."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslab.cli.options import AsJson, Device, EngineName, RunOrFile, console, one_of, say
from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from reslab.data.names import ClassName
    from reslab.use.predict import Prediction, Predictor


def predict(
    file: RunOrFile,
    pictures: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER", help="files, folders or both")],
    top: Annotated[int, typer.Option("--top", min=1, help="classes to name")] = 5,
    cam: Annotated[
        Path | None, typer.Option("--cam", metavar="OUT", help="folder for pictures of where the network looked")
    ] = None,
    cam_class: Annotated[
        str | None, typer.Option("--cam-class", metavar="NAME|INDEX", help="class of the heat maps, for --cam")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="pictures at once")] = 32,
    as_json: AsJson = False,
    device: Device = "auto",
    engine: EngineName = "torch",
) -> None:
    """Name the classes of pictures, the most probable first, with their probabilities."""
    from reslab.data.folder import picture_files

    if cam is not None and cam.exists() and not cam.is_dir():
        raise SpecError(f"--cam {cam}: not a folder")
    if cam_class is not None and cam is None:
        raise SpecError("--cam-class: the class of heat maps; give --cam OUT too")
    one_of("--engine", engine, ("torch", "openvino", "onnxruntime"))
    if engine != "torch" and device == "auto":
        device = "cpu"
    files = picture_files(pictures)

    import torch

    from reslab.data.names import class_index, class_names
    from reslab.machine import find_device
    from reslab.use.predict import Predictor
    from reslab.weights.file import read_weights

    weights = read_weights(file)
    predictor = Predictor(weights, torch.device(find_device(device)), engine)
    if weights.normalise is None:
        say(f"{file}: does not say how it wants its images; they are normalised as ImageNet's")
    names = class_names(weights.classes, weights.network.classes)
    chosen = None if cam_class is None else class_index(cam_class, names)
    batches = predictor.predict(files, top, batch)
    if cam is not None:
        batches = _with_overlays(batches, predictor, files, cam, chosen)
    if len(files) > batch:
        batches = _progress(batches, len(files), as_json)
    told: list[dict[str, Any]] = []
    for guess in chain.from_iterable(batches):
        if as_json:
            told.append(_plain(guess, names))
        else:
            _tell(guess, names)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    for bad, reason in predictor.skipped.items():
        say(f"skipped: {bad}: {reason}")
    if predictor.skipped:
        raise typer.Exit(DataError.exit_code)


def _tell(guess: "Prediction", names: "Sequence[ClassName]") -> None:
    from reslab.data.picture import shown

    typer.echo(shown(guess.file))
    for index, probability in guess.best:
        typer.echo(f"  {100 * probability:6.2f} %  {names[index]}")


def _plain(guess: "Prediction", names: "Sequence[ClassName]") -> dict[str, Any]:
    classes = []
    for index, probability in guess.best:
        name, wordnet = names[index]
        classes.append({"name": name, "probability": probability} | ({"wordnet": wordnet} if wordnet else {}))
    return {"file": str(guess.file), "classes": classes}


def _with_overlays(
    batches: "Iterable[list[Prediction]]", predictor: "Predictor", files: Sequence[Path], out: Path, chosen: int | None
) -> "Iterator[list[Prediction]]":
    """The same predictions, after writing the Grad-CAM overlay of each; chosen: a class for all, None for the best."""
    import numpy as np
    import torch

    from reslab.use.cam import heat, overlay, overlay_files, save_overlay

    paths = dict(zip(files, overlay_files(files, out), strict=True))
    for some in batches:
        images = predictor.normalised(np.stack([one.pixels for one in some]))
        labels = [one.best[0][0] if chosen is None else chosen for one in some]
        maps = heat(predictor.network, images, torch.tensor(labels, device=images.device)).cpu().numpy()
        for one, heat_map in zip(some, maps, strict=True):
            save_overlay(overlay(one.pixels, heat_map), paths[one.file])
        yield some


def _progress(batches: "Iterable[list[Prediction]]", total: int, as_json: bool) -> "Iterator[list[Prediction]]":
    """The same guesses, told of on stderr: a bar on a terminal on which no results appear, else a line each tenth."""
    from rich.progress import Progress

    told, done, tenth = console(), 0, 0
    bar = told.is_terminal and (as_json or not sys.stdout.isatty())
    with Progress(console=told, disable=not bar, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("predicting", total=total)
        for guesses in batches:
            yield guesses
            done += len(guesses)
            progress.update(task, completed=done)
            if not told.is_terminal and 10 * done // total > tenth:
                tenth = 10 * done // total
                told.print(f"{done:,} of {total:,} pictures", highlight=False)
