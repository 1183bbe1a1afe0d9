"""Augmentation of whole batches: no randomness of its own, what is drawn comes in."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reslab.data.draws import generator
from reslab.ranks import Ranks


class Draws(NamedTuple):
    """What is drawn for the images of one batch: the crop's corner and whether to mirror, (N,) each."""

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    mirror: NDArray[np.bool_]

    def share(self, ranks: Ranks) -> "Draws":
        """What is drawn for a rank's share of the batch."""
        return Draws(*(np.ascontiguousarray(ranks.share(drawn)) for drawn in self))


def draw(seed: int, step: int, images: int, pad: int) -> Draws:
    """The draws of a step: corners 0 .. 2 * pad with equal chance, a mirror image with chance 1/2."""
    random = generator(seed, "augment", step)
    top, left = random.integers(0, 2 * pad, size=(2, images), endpoint=True)
    return Draws(top, left, random.random(images) < 0.5)


def pad_crop_flip(batch: Tensor, draws: Draws, pad: int, flip: bool) -> Tensor:
    """Zero padding on each side, a crop of the old size and, with `flip`, its mirror image. A sec. 4.2.

    (N, C, H, W) -> (N, C, H, W).
    """
    height, width = batch.shape[2:]
    device = batch.device
    crops = F.pad(batch, (pad,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    top, left = torch.from_numpy(draws.top).to(device), torch.from_numpy(draws.left).to(device)
    batch = crops[torch.arange(len(batch), device=device), :, top, left]
    if flip:
        mirrored = torch.from_numpy(np.flatnonzero(draws.mirror)).to(device)
        batch[mirrored] = batch[mirrored].flip(3)
    return batch
