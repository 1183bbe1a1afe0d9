"""Normalization of images, as values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reslab.spec import spec

Channels = tuple[float, float, float]


@spec
class MeanStd:
    """(x - mean) / std for each of three channels, x in 0..1."""

    mean: Channels
    std: Channels


@dataclass(frozen=True, eq=False)
class MeanImage:
    """x - mean, x in 0..1; mean: of all training images, (C, H, W). A sec. 4.2, "per-pixel mean subtracted"."""

    mean: NDArray[np.float32]


Normalise = MeanStd | MeanImage

IMAGENET = MeanStd((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The mean and standard deviation that torchvision's and most others' weights were trained with."""

HALF = MeanStd((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Pixels to -1..1, as TensorFlow's Inception weights were trained with."""
