"""Classes of pictures by names."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import Device, Engine
from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from reslab.data.names import ClassName
    from reslab.use.predict import Prediction as Predicted
    from reslab.use.predict import Predictor


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
    cam_class: str | int | None = None,
    batch: int = 32,
    device: Device = "auto",
    engine: Engine = "torch",
) -> Predictions:
    """Predictions with their progress; see `predict_pictures`."""
    import torch

    from reslab.data.folder import picture_files
    from reslab.data.names import class_index, class_names
    from reslab.data.picture import shown
    from reslab.machine import find_device
    from reslab.use.predict import Predictor
    from reslab.weights.file import read_weights

    if cam is not None and Path(cam).exists() and not Path(cam).is_dir():
        raise SpecError(f"--cam {cam}: not a folder")
    if cam_class is not None and cam is None:
        raise SpecError("--cam-class: the class of heat maps; give --cam OUT too")
    weights = read_weights(Path(path))  # first, as a folder may take long to walk
    files = picture_files([Path(pictures)] if isinstance(pictures, str | Path) else [*map(Path, pictures)])
    place = find_device("cpu" if engine != "torch" and device == "auto" else device)
    predictor = Predictor(weights, torch.device(place), engine)
    names = class_names(weights.classes, weights.network.classes)
    chosen = None if cam_class is None else class_index(str(cam_class), names)
    predicted = predictor.predict(files, top, batch)
    if cam is not None:
        predicted = _with_overlays(predicted, predictor, files, Path(cam), chosen)

    def batches() -> Iterator[list[Prediction]]:
        for some in predicted:
            yield [
                Prediction(each.file, shown(each.file), [(names[index], chance) for index, chance in each.best])
                for each in some
            ]
        if predictor.skipped:
            yield [Prediction(Path(file), file, [], reason) for file, reason in predictor.skipped.items()]

    warning = "" if weights.normalise else f"{path}: does not say how its images are normalised; ImageNet's is used"
    return Predictions(len(files), warning, batches())


def _with_overlays(
    batches: "Iterable[list[Predicted]]", predictor: "Predictor", files: Sequence[Path], out: Path, chosen: int | None
) -> "Iterator[list[Predicted]]":
    """The same predictions, after writing the heat map of each; chosen: a class for all, None for the best."""
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


def predict_pictures(
    path: Path | str,
    pictures: Sequence[Path | str] | Path | str,
    top: int = 5,
    *,
    cam: Path | str | None = None,
    cam_class: str | int | None = None,
    batch: int = 32,
    device: Device = "auto",
    engine: Engine = "torch",
) -> dict[Path, list[tuple[str, float]]]:
    """The `top` classes of each picture by its file, the most probable first, each with its probability.

    path: a run, or a file that reslab wrote, whose network sees the pictures as it sees them in evaluation
    pictures: files, and folders with some, or one of these
    cam: folder for class activation maps (Grad-CAM) of the most probable classes, one picture each
    cam_class: the class of the maps, by name or index, in place of the most probable one
    batch: pictures at a time
    Raises DataError naming the first file that cannot be read.
    """
    predictions = predict_batches(
        path, pictures, top, cam=cam, cam_class=cam_class, batch=batch, device=device, engine=engine
    )
    rows = [row for some in predictions.batches for row in some]
    for row in rows:
        if row.error:
            raise DataError(f"{row.name}: {row.error}")
    return {row.file: [(str(name), chance) for name, chance in row.classes] for row in rows}
