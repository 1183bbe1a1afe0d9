"""Errors and loss of a network over a set of images."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.data.images import DataSet
from reslab.errors import SpecError
from reslab.nets.network import NetworkSpec
from reslab.ranks import summed


def must_fit(network: NetworkSpec, data: DataSet, told: str) -> None:
    """Raises SpecError, which calls the network what `told` says, where it has not the classes or channels of a set."""
    ours, theirs = (network.classes, network.channels), (len(data.classes), data.channels)
    if ours != theirs:
        what = "{} classes and {} channels"
        raise SpecError(f"{told}: a network of {what.format(*ours)}, but {data.name} has {what.format(*theirs)}")


class Evaluation(NamedTuple):
    """How a network does: images counted, errors in percent, mean cross-entropy."""

    images: int
    top1_error: float
    top5_error: float
    loss: float


@torch.inference_mode()
def evaluate(network: nn.Module, views: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
    """Evaluate a network on a loader's `views`, in evaluation mode; its mode is as before when this returns.

    The probabilities of an image's crops are averaged. Every image counts once, over all ranks together.
    """
    was_training = network.training
    network.eval()
    sums = torch.zeros(4, dtype=torch.float64)
    for images, labels in views:
        sums = sums.to(labels.device)
        scores = _scores(network(images).float(), len(labels))
        best = scores.topk(min(5, scores.shape[1])).indices
        wrong1 = (best[:, 0] != labels).sum()
        wrong5 = (best != labels[:, None]).all(1).sum()
        loss = F.nll_loss(scores, labels, reduction="sum")
        sums += torch.stack([wrong1.double(), wrong5.double(), loss.double(), sums.new_tensor(len(labels))])
    network.train(was_training)
    wrong1, wrong5, loss, count = summed(sums).tolist()
    return Evaluation(int(count), 100 * wrong1 / count, 100 * wrong5 / count, loss / count)


def _scores(logits: Tensor, images: int) -> Tensor:
    """The log of the probabilities, averaged over an image's crops: (N * crops, classes) -> (N, classes)."""
    crops = len(logits) // images
    scores = logits.log_softmax(1)
    if crops == 1:
        return scores
    return scores.view(images, crops, -1).logsumexp(1) - torch.tensor(float(crops)).log()
