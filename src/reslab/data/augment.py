"""Augmentation of whole batches: no randomness of its own, what is drawn comes in."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reslab.data.batches import Normalizer
from reslab.data.crops import PadCropFlip
from reslab.data.seeds import generator


class Draws(NamedTuple):
    """What is drawn for the images of a batch, on their device: the crop's corner and whether to mirror, (N,) each."""

    top: Tensor
    left: Tensor
    mirror: Tensor


def draw(seed: int, step: int, images: int, pad: int) -> NDArray[np.int64]:
    """The draws of a step: corners 0 .. 2 * pad with equal chance, a mirror image with chance 1/2. (3, images)"""
    random = generator(seed, "augment", step)
    top, left = random.integers(0, 2 * pad, size=(2, images), endpoint=True)
    return np.stack([top, left, random.random(images) < 0.5])


def pad_crop_flip(batch: Tensor, draws: Draws, pad: int, flip: bool) -> Tensor:
    """Zero padding on each side, a crop of the old size and, with `flip`, its mirror image. A sec. 4.2.

    (N, C, H, W) -> (N, C, H, W), floats or bytes.
    """
    images, channels, height, width = batch.shape
    device = batch.device
    padded = F.pad(batch, (pad,) * 4)
    rows = padded.as_strided((padded.numel() - width + 1, width), (1, 1))  # one that begins at each pixel
    planes, lines = padded.stride(1), padded.stride(2)
    plane = torch.arange(images * channels, device=device).view(images, channels, 1) * planes
    corner = (draws.top * lines + draws.left)[:, None, None]
    line = torch.arange(height, device=device) * lines
    crops = rows.index_select(0, (plane + corner + line).flatten()).view(batch.shape)
    if not flip:
        return crops
    either = torch.cat([crops, crops.flip(3)])
    return either.index_select(0, torch.arange(images, device=device) + images * draws.mirror)


class Augmented:
    """Batches padded, cropped and mirrored while they are bytes, and normalised then, which is several times faster.

    The values are those of `pad_crop_flip` on normalised images: the zeros around an image stand for the mean, so each
    of the few possible crops of the mean is made once, with zeros around it too.
    """

    def __init__(self, normalised: Normalizer, augment: PadCropFlip):
        self.pad, self.flip = augment.pad, augment.flip
        self.scale = normalised.scale
        self.corners = 2 * self.pad + 1  # along each side
        every = torch.from_numpy(np.indices((self.corners, self.corners, 2)).reshape(3, -1)).to(self.scale.device)
        whole = normalised.shift.expand(every.shape[1], -1, -1, -1)
        self.shifts = pad_crop_flip(whole, Draws(*every), self.pad, self.flip)

    def __call__(self, pixels: Tensor, draws: Draws) -> Tensor:
        """Bytes (N, C, H, W) -> float32 images."""
        crops = pad_crop_flip(pixels, draws, self.pad, self.flip)
        which = (draws.top * self.corners + draws.left) * 2 + draws.mirror
        return self.shifts.index_select(0, which).addcmul_(crops.float(), self.scale)
