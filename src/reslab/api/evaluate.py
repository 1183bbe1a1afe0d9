"""Evaluation of trained networks by names."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import BNStatistics, Crops, Device, Engine, OnBad, OnOff, Precision
from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from torch import nn

    from reslab.evaluate import Details
    from reslab.nets.modules import Network
    from reslab.weights.file import Weights


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
    path: Path | str | Sequence[Path | str],
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

    path: of several, the networks are an ensemble, whose probabilities are averaged
    crops: of each picture, whose probabilities are averaged
    details: errors class by class, the confusion matrix and the calibration error too
    on_bad: whether a picture that cannot be read ends the evaluation or is skipped
    engine: computes the outputs; those other than torch run on the processor
    compile: compile the network, for engine torch
    bn_statistics: BN's running averages of the training, or averages over the training images computed "anew"
    Raises SpecError where the network's classes or channels are not the data's, or where networks do not take the same
    images, DataError where outputs are not finite.
    """
    import torch

    from reslab.data.loader import load
    from reslab.distributed import gather, process_group
    from reslab.evaluate import NOT_FINITE, Details, Ensemble, evaluate, match_labels, purpose_for, renew_bn_statistics
    from reslab.machine import find_device, tune_malloc
    from reslab.use.engine import make_engine
    from reslab.weights.file import built
    from reslab.weights.preprocessing import loader_for

    paths = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    names, usual = ", ".join(map(str, paths)), (engine, precision, compile) == ("torch", "float32", "off")
    members = _members(paths, usual)
    weights = members[0]
    tune_malloc()
    images = load(data, purpose="train" if bn_statistics == "anew" else purpose_for(paths[0], data))
    images = match_labels(weights.network, images, names, weights.classes)
    place = torch.device(find_device("cpu" if engine != "torch" and device == "auto" else device))
    counts = Details(weights.network.classes) if details else None
    with process_group(), loader_for(weights, images, place, on_bad) as loader:
        networks = [built(each).to(place, memory_format=torch.channels_last) for each in members]  # type: ignore[call-overload]
        if bn_statistics == "anew":
            for network in networks:
                renew_bn_statistics(network, loader.views("train", 1))
        run: nn.Module = networks[0] if len(networks) == 1 else Ensemble(networks)
        if not usual:
            batch, _ = next(iter(loader.views("test", crops)))
            run = make_engine(networks[0], engine, precision, compile == "on", batch)
        result = evaluate(run, loader.views("test", crops), counts)
        skipped = gather(loader.skipped)
    if not math.isfinite(result.loss):
        raise DataError(NOT_FINITE.format(names))
    return EvaluationResult(*result, skipped, _class_details(counts, images.classes) if counts else None)


def _members(paths: Sequence[Path], usual: bool) -> "list[Weights]":
    """The weights of a network, or of an ensemble's, in the engine and precision of training or not (`usual`)."""
    from reslab.weights.file import read_weights
    from reslab.weights.preprocessing import must_read_alike

    if len(paths) > 1 and not usual:
        raise SpecError("an ensemble is evaluated by torch in float32 alone: leave --engine, --precision and --compile")
    members = [read_weights(path) for path in paths]
    must_read_alike(members, paths)
    return members


def _class_details(counts: "Details", classes: tuple[str, ...]) -> ClassDetails:
    from reslab.data.names import class_names

    names = tuple(map(str, class_names(classes, len(classes))))
    confusion: list[list[int]] = counts.confusion.long().tolist()
    return ClassDetails(classes, names, counts.images, counts.class_errors, confusion, counts.calibration_error)
