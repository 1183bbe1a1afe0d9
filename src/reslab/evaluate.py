"""Errors and loss of a network over a set of images."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.data.loader import Loader


class Evaluation(NamedTuple):
    """How a network does: images counted, errors in percent, mean cross-entropy."""

    images: int
    top1_error: float
    top5_error: float
    loss: float


@torch.inference_mode()
def evaluate(network: nn.Module, loader: Loader, part: tuple[Tensor, Tensor], batch: int = 500) -> Evaluation:
    """One view of every image, in evaluation mode; the network is in the mode it had before when this returns.

    `part` is the loader's `train` or `test`. Every image counts once, whatever the batch.
    """
    was_training = network.training
    network.eval()
    pixels, labels = part
    wrong1 = wrong5 = 0
    loss = 0.0
    for start in range(0, len(labels), batch):
        truth = labels[start : start + batch]
        logits = network(loader.images(pixels[start : start + batch])).float()
        best = logits.topk(min(5, logits.shape[1])).indices
        wrong1 += int((best[:, 0] != truth).sum())
        wrong5 += int((best != truth[:, None]).all(1).sum())
        loss += float(F.cross_entropy(logits, truth, reduction="sum"))
    network.train(was_training)
    count = len(labels)
    return Evaluation(count, 100 * wrong1 / count, 100 * wrong5 / count, loss / count)
