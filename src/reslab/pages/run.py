"""The report of a run: one page with its curves, what it takes for what, and its worst mistakes as pictures."""

import base64
import io
import shlex
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image

from reslab import drawing
from reslab.data.crops import views
from reslab.data.image_folder import OnBad
from reslab.data.images import DataSet, Images, Indices
from reslab.data.names import class_names
from reslab.data.picture import crop_and_resize, shown
from reslab.disk import write_whole
from reslab.evaluate import Predictions, predictions
from reslab.pages import run_figures as figures
from reslab.pages.template import template
from reslab.runs.checkpoint import BEST
from reslab.runs.record import read_json, read_metrics
from reslab.table import Column
from reslab.weights.file import built, read_weights
from reslab.weights.preprocessing import loader_for

_WORST = 24  # mistakes that are shown
_CLASSES = 50  # rows of the table, those with the greatest errors
_SIDE = 144  # pixels of a picture on the page


def write_report(run: Path, data: DataSet, device: torch.device, on_bad: OnBad = "error") -> Path:
    """Write report.html into the directory of a run that has finished, and return its path.

    The test images of `data` are shown to the run's best weights, where it kept them, and to the last ones elsewhere.
    Raises DataError where the run's files or the pictures cannot be read.
    """
    facts, result = read_json(run / "run.json"), read_json(run / "result.json")
    weights = read_weights(run / BEST if "best" in result else run)
    with loader_for(weights, data, device, on_bad) as loader:
        network = built(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = predictions(network, loader, "test", facts["recipe"]["crops"])
    classes = tuple(map(str, class_names(data.classes, len(data.classes))))
    counts = found.confusion(len(classes))
    drawings = {
        "curves": figures.curves(list(read_metrics(run)), result.get("best")),
        "confusion": figures.confusion(counts, classes),
    }
    table = _table(counts, classes)
    page = template("run.html").render(
        title=f"{facts['network']['name']} on {shown(data.name)}",
        result=result,
        best=result.get("best"),
        found=found,
        svgs={name: (_drawn(name, figure), figure.caption) for name, figure in drawings.items()},
        table=table,
        others=len(classes) - len(table[0].cells),
        mistakes=[_mistake(found, index, classes, weights.network.size) for index in found.worst(_WORST)],
        facts=_facts(facts, result),
        commands=_commands(run, shown(data.name), "best" in result),
    )
    write_whole(run / "report.html", page.encode())
    return run / "report.html"


def _drawn(name: str, figure: drawing.Drawing) -> str:
    """A figure as an element of the page, with its text as text: the browser has the letters of every script."""
    with mpl.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        return drawing.inline(figure, drawing.drawn(figure.figure, "svg"), name)


def _table(counts: Indices, classes: tuple[str, ...]) -> list[Column]:
    """The classes with the greatest errors first: images, error, and what they were most often taken for."""
    images, right = counts.sum(1), counts.diagonal()
    errors = 100 * (1 - right / images.clip(1))
    order = [int(index) for index in np.argsort(-errors, kind="stable") if images[index]][:_CLASSES]
    wrong = counts - np.diag(right)
    taken = [
        f"{classes[wrong[index].argmax()]} ({wrong[index].max()})" if wrong[index].any() else "–" for index in order
    ]
    return [
        Column("class", [classes[index] for index in order], numbers=False),
        Column("images", [f"{images[index]:,}" for index in order]),
        Column("error, %", [f"{errors[index]:.1f}" for index in order]),
        Column("most often taken for", taken, numbers=False),
    ]


def _mistake(found: Predictions, index: int, classes: tuple[str, ...], size: int) -> dict[str, Any]:
    """A wrong guess as the page shows it, with the picture as the network saw it."""
    part = found.images
    if isinstance(part, Images):
        pixels = part.pixels[index].transpose(1, 2, 0)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    else:
        picture = crop_and_resize(part.path(index), lambda width, height: views(1, width, height), min(size, _SIDE))[0]
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return {
        "picture": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
        "name": shown(part.names(np.array([index]))[0]),
        "true": classes[found.labels[index]],
        "true_chance": 100 * found.true_probability[index],
        "guessed": classes[found.predicted[index]],
        "chance": 100 * found.confidence[index],
    }


def _facts(facts: dict[str, Any], result: dict[str, Any]) -> dict[str, str]:
    """What the page says of how the run was made."""
    recipe, machine, parts = facts["recipe"], facts["machine"], facts["data_set"]
    network, weights = facts["network"], facts["weights"]
    images = ", ".join(f"{parts[name]['images']:,} {name}" for name in ("train", "validation", "test") if name in parts)
    frozen = [told for told, is_so in (("body", recipe["freeze"]), ("BN", recipe["bn"] == "frozen")) if is_so]
    place = machine.get("gpu") or machine["processor"]
    return {
        "network": f"{network['name']}, {network['classes']} classes, images of {network['size']}×{network['size']}",
        "begun with": f"{weights['file']}, SHA-256 {weights['sha256']}" if weights else "fresh weights",
        "frozen": ", ".join(frozen) or "nothing",
        "images": f"{images}, {len(parts['classes'])} classes",
        "training": f"{recipe['steps']:,} steps of {recipe['batch']:,} images, seed {facts['seed']}",
        "time": f"{result['seconds']:,.0f} s of training, {result['images_per_second']:,.0f} images/s",
        "machine": f"{place}, {machine['threads']} threads, {facts['chosen']['precision']}",
        "versions": ", ".join(f"{name} {number}" for name, number in facts["versions"].items()),
    }


def _commands(run: Path, data: str, best: bool) -> str:
    weights = shlex.quote(str(run / BEST if best else run))
    return f"reslab evaluate {weights} --data {shlex.quote(data)}\nreslab predict {weights} IMAGE..."
