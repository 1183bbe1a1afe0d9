"""Errors and loss of a network over a set of images."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.data.images import DataSet
from reslab.data.picture import shown
from reslab.distributed import all_reduce_sum
from reslab.errors import SpecError
from reslab.machine import without_tf32
from reslab.nets.network import NetworkSpec

_BINS = 15  # of confidence; Guo et al. 2017 sec. 5


def must_fit(network: NetworkSpec, data: DataSet, told: str, names: Sequence[str] = ()) -> None:
    """Raises SpecError, which calls the network what `told` says, where it has not the classes or channels of a set.

    names: of its classes, in the order of its outputs; where it has some, the set's must be the same, or their places.
    """
    ours, theirs = (network.classes, network.channels), (len(data.classes), data.channels)
    if ours != theirs:
        what = "{} classes and {} channels"
        raise SpecError(f"{told}: a network of {what.format(*ours)}, but {data.name} has {what.format(*theirs)}")
    places = tuple(str(place) for place in range(len(names)))
    if not names or tuple(names) == data.classes or data.classes == places:
        return
    mine, other = next(pair for pair in zip(names, data.classes, strict=True) if pair[0] != pair[1])
    raise SpecError(
        f"{told}: a network of other classes than {data.name}: {shown(mine)} in the place of {shown(other)}\n"
        "take images of its own classes, or train a new head: `reslab train ... --weights FILE --recipe finetune`"
    )


class Evaluation(NamedTuple):
    """How a network does: images counted, errors in percent, mean cross-entropy."""

    images: int
    top1_error: float
    top5_error: float
    loss: float


class Details:
    """What stands behind the errors, of the images that `evaluate` counts.

    confusion: images of each class (rows) by the class that they were taken for (columns), (classes, classes)
    bins: images, their summed confidence and how many are right, by confidence in 15 equal parts of 0..1, (3, 15)
    """

    def __init__(self, classes: int):
        self.confusion = torch.zeros(classes, classes, dtype=torch.float64)
        self.bins = torch.zeros(3, _BINS, dtype=torch.float64)

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Count images by the logarithms of their probabilities, (N, classes)."""
        scores, labels = scores.cpu(), labels.cpu()
        score, best = scores.max(1)
        ones = torch.ones(len(labels), dtype=torch.float64)
        self.confusion.index_put_((labels, best), ones, accumulate=True)
        confidence = score.double().exp()
        where = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1
        self.bins.index_add_(1, where, torch.stack([ones, confidence, (best == labels).double()]))

    def sum_up(self) -> None:
        """Add what the other ranks counted."""
        self.confusion, self.bins = all_reduce_sum(self.confusion), all_reduce_sum(self.bins)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error in percent: |accuracy - confidence| over the bins. Guo et al. 2017, eq. 3."""
        count, confidence, right = self.bins
        return float(100 * (right - confidence).abs().sum() / count.sum())

    @property
    def images(self) -> list[int]:
        """Of each class."""
        return [int(count) for count in self.confusion.sum(1)]

    @property
    def class_errors(self) -> list[float | None]:
        """Top-1 error of each class in percent; None where it has no images."""
        right = self.confusion.diagonal().tolist()
        return [100 * (1 - good / count) if count else None for good, count in zip(right, self.images, strict=True)]


@torch.inference_mode()
@without_tf32()
def evaluate(network: nn.Module, views: Iterable[tuple[Tensor, Tensor]], details: Details | None = None) -> Evaluation:
    """Evaluate a network on a loader's `views`, in evaluation mode; all its modes are as before when this returns.

    The probabilities of an image's crops are averaged. Every image counts once, over all ranks together. What the
    details count is added up over the ranks too. Float32 is float32 on a GPU too, without TF32.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    sums = torch.zeros(4, dtype=torch.float64)
    for images, labels in views:
        sums = sums.to(labels.device)
        scores = _scores(network(images).float(), len(labels))
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
    return Evaluation(int(count), 100 * wrong1 / count, 100 * wrong5 / count, loss / count)


def _scores(logits: Tensor, images: int) -> Tensor:
    """The log of the probabilities, averaged over an image's crops: (N * crops, classes) -> (N, classes)."""
    crops = len(logits) // images
    scores = logits.log_softmax(1)
    if crops == 1:
        return scores
    return scores.view(images, crops, -1).logsumexp(1) - torch.tensor(float(crops)).log()
