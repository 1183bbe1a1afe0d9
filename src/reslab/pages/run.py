"""The report of a run: one page with its learning curves, confusion matrix and worst mistakes."""

import base64
import io
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from reslab.columns import counted
from reslab.data.crops import views
from reslab.data.image_folder import OnBad
from reslab.data.images import DataSet, Images, Indices
from reslab.data.names import class_names
from reslab.data.picture import crop_and_resize, shown
from reslab.disk import write_whole
from reslab.errors import DataError
from reslab.evaluate import Predictions, predictions
from reslab.nets import picture
from reslab.pages import run_figures as figures
from reslab.pages.page import Page
from reslab.runs.contents import Result, RunRecord
from reslab.runs.run import Run
from reslab.table import Column
from reslab.weights.file import built, read_weights
from reslab.weights.preprocessing import loader_for

_WORST = 24  # mistakes that are shown
_CLASSES = 50  # rows of the class table, those with the greatest errors
_SIDE = 144  # pixels of a picture on the page


def write_report(path: Path, data: DataSet, device: torch.device, on_bad: OnBad = "error") -> Path:
    """Write report.html into the directory of a finished run, and return the page's path.

    The run's best weights, or else its last ones, predict the test images of `data`. Raises DataError where the run's
    files or the pictures cannot be read.
    """
    run = Run(path)
    record, result = run.record, run.result
    if result is None:
        raise DataError(f"{path}: the run has no result yet")
    weights = read_weights(run.best_file) if result.best else run.weights
    with loader_for(weights, data, device, on_bad) as loader:
        network = built(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        predicted = predictions(network, loader, "test", record.recipe.crops)
    classes = tuple(map(str, class_names(data.classes, len(data.classes))))
    counts = predicted.confusion(len(classes))
    table = _class_table(counts, classes)
    mistakes = [_mistake(predicted, index, classes, weights.network.size) for index in predicted.worst(_WORST)]
    values = {
        "title": f"{record.name} on {shown(data.name)}",
        "question": f"How well does {record.name} classify {shown(data.name)}?",
        "confused": _most_confused(counts, classes),
        "result": result,
        "predictions": predicted,
        "others": len(classes) - len(table[0].values),
        "mistakes": mistakes,
        "facts": _facts(record, result),
        "commands": _commands(run.best_file if result.best else path, shown(data.name)),
    }
    drawings = {
        "curves": figures.curves(run.metrics, result.best.step if result.best else None),
        "confusion": figures.confusion(counts, classes),
        "network": picture.column((record.name, record.network)),
    }
    page = Page("run.html", values, tables={"classes": table}, drawings=drawings)
    write_whole(path / "report.html", page.html().encode())
    return path / "report.html"


def _most_confused(counts: Indices, classes: Sequence[str]) -> dict[str, Any] | None:
    """The two classes that are most often taken for each other, and the number of images; None without a mistake."""
    wrong = counts - np.diag(counts.diagonal())
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    images = int(wrong[true, predicted])
    return {"true": classes[int(true)], "predicted": classes[int(predicted)], "images": images} if images else None


def _class_table(counts: Indices, classes: Sequence[str]) -> list[Column]:
    """The classes with the greatest errors first: images, error, and the class most often predicted instead."""
    images, right = counts.sum(1), counts.diagonal()
    errors = 100 * (1 - right / images.clip(1))
    order = [int(index) for index in np.argsort(-errors, kind="stable") if images[index]][:_CLASSES]
    wrong = counts - np.diag(right)
    confused = [wrong[index].argmax() if wrong[index].any() else None for index in order]
    return [
        Column("class", [classes[index] for index in order], numbers=False),
        Column("images", [int(images[index]) for index in order], form=","),
        Column("error, %", [float(errors[index]) for index in order], form=".1f"),
        Column("most often predicted as", [None if j is None else classes[j] for j in confused], False, empty="–"),
        Column("images so", [int(wrong[index].max()) or None for index in order], form=",", empty="–"),
    ]


def _mistake(predicted: Predictions, index: int, classes: Sequence[str], size: int) -> dict[str, Any]:
    """A wrong prediction, with the picture as the network saw it."""
    split = predicted.images
    if isinstance(split, Images):
        pixels = split.pixels[index].transpose(1, 2, 0)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    else:
        picture = crop_and_resize(split.path(index), lambda width, height: views(1, width, height), min(size, _SIDE))[0]
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return {
        "picture": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
        "name": shown(split.names(np.array([index]))[0]),
        "true": classes[predicted.labels[index]],
        "true_probability": 100 * predicted.true_probability[index],
        "predicted": classes[predicted.predicted[index]],
        "probability": 100 * predicted.confidence[index],
    }


def _facts(record: RunRecord, result: Result) -> dict[str, str]:
    """How the run was made, by the names that the page gives to each fact."""
    recipe, machine, network, weights = record.recipe, record.machine, record.network, record.weights
    splits = ", ".join(f"{split.images:,} {name}" for name, split in record.data_set.splits.items())
    frozen = [name for name, is_frozen in (("body", recipe.freeze), ("BN", recipe.bn == "frozen")) if is_frozen]
    return {
        "network": f"{record.name}, {network.classes} classes, images of {network.size}×{network.size}",
        "initial weights": f"{weights.file}, SHA-256 {weights.sha256}" if weights else "random",
        "frozen": ", ".join(frozen) or "nothing",
        "images": f"{splits}, {len(record.data_set.classes)} classes",
        "training": f"{counted(recipe.steps, 'step')} of {counted(recipe.batch, 'image')}, seed {record.seed}",
        "time": f"{result.seconds:,.0f} s of training, {result.images_per_second:,.0f} images/s",
        "machine": f"{record.hardware}, {machine.threads} threads, {record.chosen.precision}",
        "versions": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
    }


def _commands(weights: Path, data: str) -> str:
    file = shlex.quote(str(weights))
    return f"reslab evaluate {file} --data {shlex.quote(data)}\nreslab predict {file} IMAGE..."
