"""Mixup: training on weighted means of two images and of their labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reslab.data.batches import to_device
from reslab.data.seeds import generator


def draw_mixup(seed: int, step: int, alpha: float, images: int) -> tuple[float, NDArray[np.int64]]:
    """The weight of each image in its mean, 0.5 to 1, and the indices of the second images: functions of the arguments.

    The weight is drawn from Beta(alpha, alpha). Below a half it would be the second image's that is greater; to call
    that one the first changes no distribution, and leaves each image's own label the greater one. Under torchrun every
    rank takes these numbers, and mixes the images of its own share.
    """
    random = generator(seed, "mixup", step)
    weight = float(random.beta(alpha, alpha))
    return max(weight, 1 - weight), random.permutation(images)


def mixup(
    images: Tensor, labels: Tensor, classes: int, weight: float, others: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Means of images (N, C, H, W) and of labels (N,) with others of the batch: images, and probabilities (N, classes).

    x = weight x_i + (1 - weight) x_j, y likewise. Zhang et al. 2018, eq. 1-2.
    """
    second = to_device(torch.from_numpy(others), images.device)
    targets = F.one_hot(labels, classes).to(images.dtype)
    return images.lerp(images[second], 1 - weight), targets.lerp(targets[second], 1 - weight)
