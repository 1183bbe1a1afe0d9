"""From a data set's name to its arrays, and from its arrays to the batch of a step."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslab.data.cifar import CIFAR10, CIFAR100, load_cifar
from reslab.data.digits import load_digits
from reslab.data.draws import generator
from reslab.data.images import DataSet, Images
from reslab.data.normalise import MeanStd
from reslab.errors import SpecError, nearest

SETS: dict[str, Callable[[Path], DataSet]] = {
    "digits": lambda root: load_digits(),
    "cifar10": lambda root: load_cifar("cifar10", CIFAR10, root),
    "cifar100": lambda root: load_cifar("cifar100", CIFAR100, root),
}


def data_root() -> Path:
    """Where downloaded sets lie: RESLAB_DATA, or reslab's folder in the user's cache."""
    if root := os.environ.get("RESLAB_DATA"):
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reslab"


def load(name: str, root: Path | None = None) -> DataSet:
    """The data set of a name: digits, cifar10 or cifar100.

    Raises SpecError for another name, DataError where its files are missing or damaged.
    """
    if name not in SETS:
        raise SpecError(f"no data set {name!r}: {nearest(name, SETS)}")
    return SETS[name](root or data_root())


class Loader:
    """A data set on a device, as normalised float images.

    Pixels are held as bytes, (N, C, H, W), and become float images when they are asked for: in 0..1, less the mean
    training image as in the papers, or normalised by channel where others' weights want that.
    """

    def __init__(self, data: DataSet, device: torch.device, normalise: MeanStd | None = None):
        if normalise is None:
            self.mean, self.std = torch.from_numpy(data.mean_image()), torch.ones(())
        else:
            self.mean, self.std = (torch.tensor(values)[:, None, None] for values in (normalise.mean, normalise.std))
        self.mean, self.std = self.mean.to(device), self.std.to(device)
        self.train = self._on(data.train, device)
        self.test = self._on(data.test, device)

    @staticmethod
    def _on(images: Images, device: torch.device) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device)

    def images(self, pixels: Tensor) -> Tensor:
        """Bytes (N, C, H, W) -> normalised float32 images."""
        return pixels.float().div_(255).sub_(self.mean).div_(self.std)

    def batch(self, seed: int, step: int, size: int) -> tuple[Tensor, Tensor]:
        """The training images and labels of a step, counted from 0: (size, C, H, W) and (size,).

        Batches follow each other through an endless series of epochs, each in an order of its own, so that every
        batch is full and an epoch may end within one.
        """
        pixels, labels = self.train
        where = torch.from_numpy(positions(seed, step, size, len(labels))).to(labels.device)
        return self.images(pixels[where]), labels[where]


def positions(seed: int, step: int, size: int, images: int) -> NDArray[np.int64]:
    """Which training images make the batch of a step: a pure function of its arguments. (size,)"""
    place = np.arange(step * size, (step + 1) * size)
    epoch, within = place // images, place % images
    chosen = np.empty(size, dtype=np.int64)
    for number in range(int(epoch[0]), int(epoch[-1]) + 1):
        chosen[epoch == number] = order(seed, number, images)[within[epoch == number]]
    return chosen


@lru_cache(maxsize=2)
def order(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    """The order of an epoch, a permutation of all training images. Cached, so not to be written to."""
    permutation = generator(seed, "order", epoch).permutation(images)
    permutation.setflags(write=False)
    return permutation
