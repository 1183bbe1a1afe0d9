"""The data loader interface: training batches by step, and evaluation views of a split; normalization."""

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
    """A data loader: batches of normalised float images on a device, each rank's share of them.

    `normalise` is the normalization as a value, `normalised` applies it to bytes. `skipped` has the files that could
    not be read, with the reason. A context manager: its background threads end with it.
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
        """A split of the data set."""
        split: Split | None = getattr(self.data, name)
        assert split is not None, f"{self.data.name} has no {name} split"
        return split

    @abstractmethod
    def check(self, augment: Augment | None, crops: Crops = 1) -> None:
        """Raise SpecError for an augmentation or crops that do not apply to such images."""

    @abstractmethod
    def batches(self, seed: int, steps: range, size: int, augment: Augment | None) -> Iterator[Batch]:
        """The training images and labels of each step, counted from 0: (size, C, H, W) and (size,).

        Epochs follow each other without end, each in its own order; every batch is full, so an epoch may end within
        one. Order and augmentation are functions of the seed and the step. A rank gets its share of each batch.
        """

    @abstractmethod
    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        """Every image of a split once, over all ranks: (N * crops, C, H, W), an image's crops together, and (N,)."""

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *error: object) -> None:
        self.background.close()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; to a GPU an asynchronous copy from pinned memory."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class Normalizer:
    """Normalization of bytes x: (x / 255 - mean) / std, in one pass as x * scale + shift.

    Scale and shift are expanded to (C, H, W) once, in the images' memory format: broadcasting in every batch is several
    times slower.
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
    """Mean and standard deviation of a normalization of images in 0..1; each broadcasts to (C, H, W)."""
    if isinstance(normalise, MeanStd):
        return torch.tensor(normalise.mean)[:, None, None], torch.tensor(normalise.std)[:, None, None]
    return torch.from_numpy(normalise.mean), torch.ones(())


def positions(seed: int, step: int, size: int, images: int) -> NDArray[np.int64]:
    """Indices of the training images in the batch of a step: a pure function of its arguments. (size,)"""
    position = np.arange(step * size, (step + 1) * size)
    epoch, within = position // images, position % images
    chosen = np.empty(size, dtype=np.int64)
    for number in range(int(epoch[0]), int(epoch[-1]) + 1):
        chosen[epoch == number] = order(seed, number, images)[within[epoch == number]]
    return chosen


@lru_cache(maxsize=2)
def order(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    """The order of an epoch, a permutation of all training images. Cached, so it is read-only."""
    permutation = generator(seed, "order", epoch).permutation(images)
    permutation.setflags(write=False)
    return permutation
