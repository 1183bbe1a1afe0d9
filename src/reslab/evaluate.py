"""Predictions of a network on a split, and its errors, loss, confusion matrix and calibration."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.data.batches import Batch, Loader, SplitName
from reslab.data.crops import Crops
from reslab.data.folder import Purpose
from reslab.data.images import DataSet, Indices, Pictures, Split
from reslab.data.names import imagenet
from reslab.data.picture import shown
from reslab.disk import read_file
from reslab.distributed import all_reduce_sum
from reslab.errors import DataError, SpecError, nearest
from reslab.machine import without_tf32
from reslab.nets.network import NetworkSpec

NOT_FINITE = "{}: the outputs are not finite numbers; its weights are unusable"
_BINS = 15  # of confidence; Guo et al. 2017 sec. 5
_OTHERS = "take images of its own classes, or train a new head: `reslab train ... --weights FILE --recipe finetune`"


def must_fit(network: NetworkSpec, data: DataSet, name: str, classes: Sequence[str] = ()) -> None:
    """Raise SpecError if the network's classes or channels differ from the data set's.

    name: the network's, for the message
    classes: the network's, in the order of its logits; the data set's must be the same, or their numbers
    """
    ours, theirs = (network.classes, network.channels), (len(data.classes), data.channels)
    if ours != theirs:
        words = "{} classes and {} channels"
        raise SpecError(f"{name}: a network of {words.format(*ours)}, but {data.name} has {words.format(*theirs)}")
    if not classes or tuple(classes) == data.classes or data.classes == _numbers(len(classes)):
        return
    mine, other = next(pair for pair in zip(classes, data.classes, strict=True) if pair[0] != pair[1])
    raise SpecError(
        f"{name}: a network of other classes than {data.name}: {shown(mine)} in the place of {shown(other)}\n{_OTHERS}"
    )


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def match_labels(network: NetworkSpec, data: DataSet, name: str, classes: Sequence[str] = ()) -> DataSet:
    """A data set with its labels in the order of the network's logits, matched by the classes' names.

    The data set may have some of the network's classes, in any order: by name, by number, or by WordNet number for a
    network of 1,000 classes without names. Raises SpecError as `must_fit` does, and for a class unknown to the network.
    """
    known = tuple(classes)
    if not known and network.classes == len(imagenet()) and set(data.classes) <= set(imagenet()):
        known = tuple(imagenet())
    if set(data.classes) <= set(_numbers(len(known))) - set(known):
        known = _numbers(len(known))
    if network.channels != data.channels or not known or len(known) != network.classes or known == data.classes:
        must_fit(network, data, name, classes)
        return data
    places = {word: place for place, word in enumerate(known)}
    if strange := [word for word in data.classes if word not in places]:
        hint = nearest(strange[0], known)
        raise SpecError(f"{name}: no class {shown(strange[0])}, which {shown(data.name)} has; {hint}\n{_OTHERS}")
    labels = np.array([places[word] for word in data.classes], np.int64)
    return data.relabel(labels, tuple(classes) or known)


def purpose_for(path: Path, data: str) -> Purpose:
    """The purpose of a data set for the evaluation of weights: "train", with its held-out test split, if their run was
    trained on it.
    """
    for folder in (path, *path.parents[:3]):
        try:
            recorded = json.loads(read_file(folder / "run.json"))
        except (OSError, ValueError, RecursionError):
            continue
        return "train" if isinstance(recorded, dict) and recorded.get("data") == data else "evaluate"
    return "evaluate"


class Evaluation(NamedTuple):
    """Number of images, top-1 and top-5 error in percent, mean cross-entropy."""

    images: int
    top1_error: float
    top5_error: float
    loss: float


def confusion_matrix(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Number of images by true class (rows) and predicted class (columns). (N,), (N,) -> (classes, classes) int64"""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes)


class EvaluationRecorder(Protocol):
    """What an evaluation counts or keeps of every image, beside the errors."""

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Take images by their log-probabilities, (N, classes), and their labels."""

    def sum_up(self) -> None:
        """Take what the other ranks have."""


def calibration_bins(confidence: Tensor, right: Tensor) -> Tensor:
    """Images by confidence in 15 equal intervals of 0..1: how many, their summed confidence, and correct ones.

    (N,) float64, (N,) -> (3, 15) float64. Guo et al. 2017 sec. 5.
    """
    interval = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1
    values = torch.stack([torch.ones_like(confidence), confidence, right.to(confidence)])
    return torch.zeros(3, _BINS, dtype=torch.float64).index_add_(1, interval, values)


def calibration_error(bins: Tensor) -> float:
    """Expected calibration error in percent: |accuracy - confidence| over the bins. Guo et al. 2017, eq. 3."""
    count, confidence, right = bins
    return float(100 * (right - confidence).abs().sum() / count.sum())


class Details:
    """Confusion matrix and reliability bins.

    confusion: images by true class (rows) and predicted class (columns), (classes, classes)
    bins: by confidence in 15 equal intervals of 0..1: images, their summed confidence, and correct ones, (3, 15)
    """

    def __init__(self, classes: int):
        self.confusion = torch.zeros(classes, classes, dtype=torch.float64)
        self.bins = torch.zeros(3, _BINS, dtype=torch.float64)

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Count images by their log-probabilities, (N, classes)."""
        scores, labels = scores.cpu(), labels.cpu()
        score, best = scores.max(1)
        self.confusion += confusion_matrix(labels, best, len(self.confusion))
        confidence = score.double().exp()
        self.bins += calibration_bins(confidence, best == labels)

    def sum_up(self) -> None:
        """Add the counts of the other ranks."""
        self.confusion, self.bins = all_reduce_sum(self.confusion), all_reduce_sum(self.bins)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error in percent, see `calibration_error`."""
        return calibration_error(self.bins)

    @property
    def images(self) -> list[int]:
        """Number of images of each class."""
        return [int(count) for count in self.confusion.sum(1)]

    @property
    def class_errors(self) -> list[float | None]:
        """Top-1 error of each class in percent; None for a class without images."""
        right = self.confusion.diagonal().tolist()
        return [100 * (1 - good / count) if count else None for good, count in zip(right, self.images, strict=True)]


@torch.inference_mode()
@without_tf32()
def evaluate(network: nn.Module, views: Iterable[Batch], details: EvaluationRecorder | None = None) -> Evaluation:
    """Evaluate a network on a loader's `views`, in evaluation mode; the modules' modes are restored.

    The probabilities of an image's crops are averaged. Every image counts once, over all ranks together, and likewise
    in `details`. The loss is not a finite number if an output is none. Float32 is float32 on a GPU too, without TF32.
    Raises DataError if no image can be read.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    sums = torch.zeros(4, dtype=torch.float64)
    for scores, labels in _scored(network, views):
        sums = sums.to(labels.device)
        best = scores.topk(min(5, scores.shape[1])).indices
        wrong1 = (best[:, 0] != labels).sum()
        wrong5 = (best != labels[:, None]).all(1).sum()
        loss = F.nll_loss(scores, labels, reduction="sum")
        if details is not None:
            details.add(scores, labels)
        sums += torch.stack([wrong1.double(), wrong5.double(), loss.double(), sums.new_tensor(len(labels))])
    for module, training in modes:
        module.training = training
    if details is not None:
        details.sum_up()
    wrong1, wrong5, loss, count = all_reduce_sum(sums).tolist()
    if not count:
        raise DataError("none of the images to evaluate on can be read; `reslab data check` lists the reasons")
    return Evaluation(int(count), 100 * wrong1 / count, 100 * wrong5 / count, loss / count)


def _scored(network: nn.Module, views: Iterable[Batch]) -> Iterator[Batch]:
    """Log-probabilities, averaged over an image's crops, and labels: (N, classes), (N,)."""
    for images, labels in views:
        scores = network(images).float().log_softmax(1)
        crops = len(scores) // len(labels)
        if crops > 1:
            scores = scores.view(len(labels), crops, -1).logsumexp(1) - torch.tensor(float(crops)).log()
        yield scores, labels


class Ensemble(nn.Module):
    """The mean of the probabilities of several networks, as its logarithm. A Table 5.

    (N, C, H, W) -> (N, classes)
    """

    def __init__(self, networks: Iterable[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        scores = torch.stack([network(images).float().log_softmax(1) for network in self.networks])
        return scores.logsumexp(0) - math.log(len(self.networks))


class Predictions(NamedTuple):
    """Per-image predictions on a split, of the images that could be read.

    images: the images themselves, in the order of the arrays
    labels, predicted: true and most probable class, (N,) int64
    confidence, true_probability: the probabilities of these two, (N,) float64
    """

    images: Split
    labels: Indices
    predicted: Indices
    confidence: NDArray[np.float64]
    true_probability: NDArray[np.float64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.not_equal(self.labels, self.predicted)

    def error(self) -> float:
        """Top-1 error in percent."""
        return 100 * float(self.wrong.mean())

    def confusion(self, classes: int) -> Indices:
        """See `confusion_matrix`."""
        matrix: Indices = confusion_matrix(
            torch.from_numpy(self.labels), torch.from_numpy(self.predicted), classes
        ).numpy()
        return matrix

    def worst(self, count: int) -> list[int]:
        """Indices of the wrong predictions, least probability of the true class first."""
        wrong = np.flatnonzero(self.wrong)
        return [int(index) for index in wrong[np.argsort(self.true_probability[wrong], kind="stable")][:count]]


@torch.inference_mode()
def predictions(network: nn.Module, loader: Loader, name: SplitName, crops: Crops = 1) -> Predictions:
    """Predictions of a network in evaluation mode on a split.

    Raises DataError if no image can be read, or if outputs are not finite.
    """
    rows: list[tuple[Tensor, ...]] = []
    for scores, labels in _scored(network, loader.views(name, crops)):
        if scores.isnan().any():
            raise DataError(NOT_FINITE.format("the network"))
        best = scores.max(1)
        true = scores.gather(1, labels[:, None])[:, 0]
        rows.append((labels.cpu(), best.indices.cpu(), best.values.double().exp().cpu(), true.double().exp().cpu()))
    if not rows:
        raise DataError("none of the images to evaluate on can be read; `reslab data check` lists the reasons")
    arrays = (torch.cat(tensors).numpy() for tensors in zip(*rows, strict=True))
    return Predictions(_readable(loader, name), *arrays)


def _readable(loader: Loader, name: SplitName) -> Split:
    """The images of a split without those that could not be read."""
    split = loader.split(name)
    if not loader.skipped or not isinstance(split, Pictures):
        return split
    good = [index for index in range(len(split.files)) if shown(split.path(index)) not in loader.skipped]
    return split.take(np.array(good, dtype=np.int64))


@torch.no_grad()
def renew_bn_statistics(network: nn.Module, views: Iterable[tuple[Tensor, Tensor]]) -> None:
    """BN's means and variances computed anew: plain averages over the batches of a loader's `views`, over all ranks.

    In place of the running averages of training, which lag the weights. Everything but BN is in evaluation mode.
    Batches smaller than the first are left out. The released weights of A were made so (their README).
    """
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta, modes = [layer.momentum for layer in layers], [(module, module.training) for module in network.modules()]
    network.eval()
    size = None
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over the batches
    for images, _ in views:
        size = size or len(images)
        if len(images) == size:
            network(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    for layer in layers if dist.is_initialized() else ():
        for buffer in (layer.running_mean, layer.running_var):
            assert buffer is not None
            buffer.copy_(all_reduce_sum(buffer.clone()) / dist.get_world_size())
    for module, training in modes:
        module.training = training
