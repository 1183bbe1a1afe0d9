"""Classes of pictures by names."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import Device, Engine
from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from reslab.data.names import ClassName
    from reslab.use.predict import Guess, Predictor


class Prediction(NamedTuple):
    """The classes of a picture, the most probable first, with probabilities; or the error why it cannot be read.

    name: the file's name as text that any terminal can print
    """

    file: Path
    name: str
    classes: "list[tuple[ClassName, float]]"
    error: str = ""


class Predictions(NamedTuple):
    """Predictions, batch by batch as they are computed, for a number of files. `warning` is empty or a message.

    The last batch holds the files that cannot be read.
    """

    files: int
    warning: str
    batches: Iterator[list[Prediction]]


def predict_batches(
    path: Path | str,
    pictures: Sequence[Path | str] | Path | str,
    top: int = 5,
    *,
    cam: Path | str | None = None,
    batch: int = 32,
    device: Device = "auto",
    engine: Engine = "torch",
) -> Predictions:
    """Predictions with their progress; see `predict_pictures`."""
    import torch

    from reslab.data.names import class_names
    from reslab.data.picture import shown
    from reslab.machine import find_device
    from reslab.use.pictures import overlay_files, picture_files
    from reslab.use.predict import Predictor
    from reslab.weights.file import read_weights

    if cam is not None and Path(cam).exists() and not Path(cam).is_dir():
        raise SpecError(f"--cam {cam}: not a folder")
    files = picture_files([Path(pictures)] if isinstance(pictures, str | Path) else [*map(Path, pictures)])
    weights = read_weights(Path(path))
    place = find_device("cpu" if engine != "torch" and device == "auto" else device)
    predictor = Predictor(weights, torch.device(place), engine)
    names = class_names(weights.classes, weights.network.classes)
    guesses = predictor.predict(files, top, batch)
    if cam is not None:
        guesses = _with_overlays(guesses, predictor, dict(zip(files, overlay_files(files, Path(cam)), strict=True)))

    def batches() -> Iterator[list[Prediction]]:
        for some in guesses:
            yield [
                Prediction(each.file, shown(each.file), [(names[index], chance) for index, chance in each.best])
                for each in some
            ]
        if predictor.skipped:
            yield [Prediction(file, shown(file), [], reason) for file, reason in predictor.skipped.items()]

    warning = "" if weights.normalise else f"{path}: does not say how its images are normalised; ImageNet's is used"
    return Predictions(len(files), warning, batches())


def _with_overlays(
    batches: "Iterable[list[Guess]]", predictor: "Predictor", places: dict[Path, Path]
) -> "Iterator[list[Guess]]":
    """The same guesses, after a class activation map has been written for each."""
    import numpy as np
    import torch

    from reslab.use.cam import heat, overlay, save_overlay

    for guesses in batches:
        images = predictor.normalised(np.stack([guess.pixels for guess in guesses]))
        classes = torch.tensor([guess.best[0][0] for guess in guesses], device=images.device)
        maps = heat(predictor.network, images, classes).cpu().numpy()
        for guess, place in zip(guesses, maps, strict=True):
            save_overlay(overlay(guess.pixels, place), places[guess.file])
        yield guesses


def predict_pictures(
    path: Path | str,
    pictures: Sequence[Path | str] | Path | str,
    top: int = 5,
    *,
    cam: Path | str | None = None,
    batch: int = 32,
    device: Device = "auto",
    engine: Engine = "torch",
) -> dict[Path, list[tuple[str, float]]]:
    """The `top` classes of each picture by its file, the most probable first, each with its probability.

    path: a run, or a file that reslab wrote, whose network sees the pictures as it sees them in evaluation
    pictures: files, and folders with some, or one of these
    cam: folder for class activation maps (Grad-CAM) of the most probable classes, one picture each
    batch: pictures at a time
    Raises DataError naming the first file that cannot be read.
    """
    predictions = predict_batches(path, pictures, top, cam=cam, batch=batch, device=device, engine=engine)
    rows = [row for some in predictions.batches for row in some]
    for row in rows:
        if row.error:
            raise DataError(f"{row.name}: {row.error}")
    return {row.file: [(str(name), chance) for name, chance in row.classes] for row in rows}
