"""Evaluation of trained networks by names."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import BNStatistics, Crops, Device, Engine, OnBad, OnOff, Precision
from reslab.errors import DataError

if TYPE_CHECKING:
    from torch import nn

    from reslab.evaluate import Details
    from reslab.nets.modules import Network


def load(path: Path | str, classes: int | None = None) -> "Network":
    """The network of a run, of a weights file that reslab wrote, or of an export for Hugging Face, with its weights.

    It is a torch module in evaluation mode. Another number of `classes` makes its classifiers anew, with a warning.
    Raises DataError naming what is wrong with the file.
    """
    from reslab.weights.file import load

    return load(path, classes)


class ClassDetails(NamedTuple):
    """Errors class by class, and the expected calibration error in percent.

    classes: as the data set has them; names: as people call them
    images: of each class; errors: top-1, in percent, None for a class without images
    confusion: images of each class (rows) by predicted class (columns)
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    images: list[int]
    errors: list[float | None]
    confusion: list[list[int]]
    calibration_error: float


class EvaluationResult(NamedTuple):
    """Images counted, errors in percent, mean cross-entropy; files that were skipped, with the reason."""

    images: int
    top1_error: float
    top5_error: float
    loss: float
    skipped: dict[str, str]
    details: ClassDetails | None = None

    def _repr_html_(self) -> str:
        """Errors and loss, and those of each class where they were counted, for notebooks."""
        from reslab.table import Column, columns, to_html

        titles = ("images", "top-1 error, %", "top-5 error, %", "loss")
        table = to_html([Column(title, [value], form=",.4g") for title, value in zip(titles, self[:4], strict=True)])
        if self.details is None:
            return table
        lines = list(zip(self.details.names, self.details.images, self.details.errors, strict=True))
        return table + to_html(columns(("class", "images", "top-1 error, %"), lines, form=",.4g"))


def evaluate_network(
    path: Path | str,
    data: str,
    crops: Crops = 1,
    *,
    details: bool = False,
    device: Device = "auto",
    on_bad: OnBad = "error",
    engine: Engine = "torch",
    precision: Precision = "float32",
    compile: OnOff = "off",  # noqa: A002
    bn_statistics: BNStatistics = "running",
) -> EvaluationResult:
    """Evaluate a network that `load` reads on a data set's test images. Started by torchrun, ranks share them.

    crops: of each picture, whose probabilities are averaged
    details: errors class by class, the confusion matrix and the calibration error too
    on_bad: whether a picture that cannot be read ends the evaluation or is skipped
    engine: computes the outputs; those other than torch run on the processor
    compile: compile the network, for engine torch
    bn_statistics: BN's running averages of the training, or averages over the training images computed "anew"
    Raises SpecError where the network's classes or channels are not the data's, DataError where its outputs are not
    finite.
    """
    import torch

    from reslab.data.loader import load
    from reslab.distributed import gather, process_group
    from reslab.evaluate import NOT_FINITE, Details, evaluate, match_labels, purpose_for, renew_bn_statistics
    from reslab.machine import find_device, tune_malloc
    from reslab.use.engine import make_engine
    from reslab.weights.file import built, read_weights
    from reslab.weights.preprocessing import loader_for

    weights = read_weights(Path(path))
    tune_malloc()
    images = load(data, purpose="train" if bn_statistics == "anew" else purpose_for(Path(path), data))
    images = match_labels(weights.network, images, str(path), weights.classes)
    place = torch.device(find_device("cpu" if engine != "torch" and device == "auto" else device))
    counts = Details(weights.network.classes) if details else None
    with process_group(), loader_for(weights, images, place, on_bad) as loader:
        network = built(weights).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if bn_statistics == "anew":
            renew_bn_statistics(network, loader.views("train", 1))
        run: nn.Module = network
        if (engine, precision, compile) != ("torch", "float32", "off"):
            batch, _ = next(iter(loader.views("test", crops)))
            run = make_engine(network, engine, precision, compile == "on", batch)
        result = evaluate(run, loader.views("test", crops), counts)
        skipped = gather(loader.skipped)
    if not math.isfinite(result.loss):
        raise DataError(NOT_FINITE.format(path))
    return EvaluationResult(*result, skipped, _class_details(counts, images.classes) if counts else None)


def _class_details(counts: "Details", classes: tuple[str, ...]) -> ClassDetails:
    from reslab.data.names import class_names

    names = tuple(map(str, class_names(classes, len(classes))))
    confusion: list[list[int]] = counts.confusion.long().tolist()
    return ClassDetails(classes, names, counts.images, counts.class_errors, confusion, counts.calibration_error)
