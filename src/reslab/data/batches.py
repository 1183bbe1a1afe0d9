"""What every loader does: the batch of each step, and the views of each image of a part."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslab.data.crops import Augment, Crops
from reslab.data.images import DataSet, Split
from reslab.data.normalise import MeanStd, Normalise
from reslab.data.seeds import generator
from reslab.distributed import Ranks, current_rank

SplitName = Literal["train", "validation", "test"]
Batch = tuple[Tensor, Tensor]


class Loader(ABC):
    """A data set as batches of normalised float images on a device, each rank's share of them.

    `normalise` is what others need to see images as the network does, `normalised` does it to bytes.
    `skipped` tells of the files that could not be read, and why. What works in the background ends with the context.
    """

    def __init__(self, data: DataSet, device: torch.device, normalise: Normalise, normalised: "Normalizer"):
        self.data = data
        self.device = device
        self.normalise = normalise
        self.normalised = normalised
        self.ranks: Ranks = current_rank()
        self.skipped: dict[str, str] = {}
        self.background = ExitStack()

    def split(self, name: SplitName) -> Split:
        """A part of the data set."""
        part: Split | None = getattr(self.data, name)
        assert part is not None, f"{self.data.name} has no {name} part"
        return part

    @abstractmethod
    def check(self, augment: Augment | None, crops: Crops = 1) -> None:
        """Raises SpecError for an augmentation, or crops, that are not for such images."""

    @abstractmethod
    def batches(self, seed: int, steps: range, size: int, augment: Augment | None) -> Iterator[Batch]:
        """The training images and labels of each of the steps, counted from 0: (size, C, H, W) and (size,).

        Batches follow each other through an endless series of epochs, each in an order of its own, so that every
        batch is full and an epoch may end within one. Everything drawn is a function of the seed and the step. A
        rank gets its share of each batch.
        """

    @abstractmethod
    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        """Every image of a part once, over all ranks: (N * crops, C, H, W), an image's crops together, and (N,)."""

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *error: object) -> None:
        self.background.close()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device. A GPU is not waited for: it copies from locked memory when it comes to it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Normalizer:
    """Images as a network sees them: (x / 255 - mean) / std of bytes x, in one pass as x * scale + shift.

    Both are held at the images' whole shape (C, H, W) and in their memory format, as that is several times faster
    than to have them spread out for every batch.
    """

    def __init__(
        self,
        normalise: Normalise,
        shape: Sequence[int],
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
    ):
        mean, std = factors(normalise)
        self.scale, self.shift = (
            factor.expand(1, *shape).to(device).contiguous(memory_format=memory_format)
            for factor in (1 / (255 * std), -mean / std)
        )

    def __call__(self, pixels: Tensor) -> Tensor:
        """Bytes (N, C, H, W) -> float32 images."""
        return torch.addcmul(self.shift, pixels.float(), self.scale)


def factors(normalise: Normalise) -> tuple[Tensor, Tensor]:
    """What images in 0..1 are to have taken off, and by what they are divided then. Each fits (C, H, W)."""
    if isinstance(normalise, MeanStd):
        return torch.tensor(normalise.mean)[:, None, None], torch.tensor(normalise.std)[:, None, None]
    return torch.from_numpy(normalise.mean), torch.ones(())


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
