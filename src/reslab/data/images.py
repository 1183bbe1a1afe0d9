"""Data sets small enough to be held whole: images as arrays of bytes, with their labels."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Images(NamedTuple):
    """pixels: (N, C, H, W) uint8; labels: (N,) int64."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class DataSet:
    """A named data set with its fixed split; `classes` are the names of its labels."""

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]

    @property
    def channels(self) -> int:
        return int(self.train.pixels.shape[1])

    @property
    def size(self) -> int:
        """Height and width of an image."""
        return int(self.train.pixels.shape[2])

    def mean_image(self) -> NDArray[np.float32]:
        """The mean training image, (C, H, W) in 0..1, which the papers subtract from every image. A sec. 4.2."""
        mean: NDArray[np.float64] = self.train.pixels.mean(axis=0, dtype=np.float64) / 255
        return mean.astype(np.float32)
