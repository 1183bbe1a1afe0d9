"""Data sets: a part held whole as arrays of bytes, or picture files that are read when they are needed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reslab.errors import DataError, SpecError

Indices = NDArray[np.int64]


class MissingError(DataError):
    """A data set that has not been downloaded."""


class Images(NamedTuple):
    """pixels: (N, C, H, W) uint8; labels: (N,) int64."""

    pixels: NDArray[np.uint8]
    labels: Indices

    def take(self, where: Indices) -> "Images":
        return Images(self.pixels[where], self.labels[where])

    def names(self, where: Indices) -> list[str]:
        """What messages call some of the images: their numbers in the part."""
        return [str(index) for index in where]

    def digest(self) -> str:
        """Hex digits that name the content."""
        return hashlib.sha256(self.pixels.tobytes() + self.labels.tobytes()).hexdigest()[:16]

    def mean(self) -> NDArray[np.float32]:
        """The mean image, (C, H, W) in 0..1."""
        mean: NDArray[np.float64] = self.pixels.mean(axis=0, dtype=np.float64) / 255
        return mean.astype(np.float32)


class Pictures(NamedTuple):
    """Files under a folder, by their names there; labels: (N,) int64."""

    folder: Path
    files: Sequence[str]
    labels: Indices

    def take(self, where: Indices) -> "Pictures":
        return Pictures(self.folder, [self.files[index] for index in where], self.labels[where])

    def names(self, where: Indices) -> list[str]:
        """What messages call some of the pictures: their files."""
        return [self.files[index] for index in where]

    def digest(self) -> str:
        """Hex digits that name the files and their labels; their content is not read."""
        listed = "\n".join(f"{label} {file}" for label, file in zip(self.labels, self.files, strict=True))
        return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()[:16]


Split = Images | Pictures


@dataclass(frozen=True)
class DataSet:
    """A named data set with its fixed split; `classes` are the names of its labels.

    `validation` is what `hold_out` took from the training images, to choose by.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    validation: Split | None = None

    @property
    def channels(self) -> int:
        """Of an image; pictures are read as RGB."""
        return int(self.train.pixels.shape[1]) if isinstance(self.train, Images) else 3

    @property
    def size(self) -> int | None:
        """Height and width of an image; None for pictures, which are cropped to what a network reads."""
        return int(self.train.pixels.shape[2]) if isinstance(self.train, Images) else None

    def hold_out(self, amount: int | float) -> "DataSet":
        """The set with some training images, stratified by class and always the same, kept for validation.

        amount: how many, or what share of them, at least one of each class. A sec. 4.2 holds out 5,000 of CIFAR-10's
        50,000. Raises SpecError where a class has one image alone, or there are too few for it.
        """
        images, counts = len(self.train.labels), np.bincount(self.train.labels, minlength=len(self.classes))
        if counts.min() < 2:
            alone = self.classes[int(counts.argmin())]
            told = f"class {alone} of {self.name} has one training image, and none to hold out"
            raise SpecError(f"validation {amount}: {told}; add some, or --set validation=0 --set best=false")
        count = amount if isinstance(amount, int) else max(len(self.classes), round(amount * images))
        try:
            kept, held = split(self.train.labels, count)
        except ValueError as error:
            told = f"{count} of the {images:,} training images of {self.name}"
            raise SpecError(f"validation {amount}: cannot hold out {told}: {error}") from None
        return replace(self, train=self.train.take(kept), validation=self.train.take(held))


def split(labels: Indices, count: int) -> tuple[Indices, Indices]:
    """Where the images of two parts stand, the second of `count` images, both with the classes in proportion.

    The same for the same labels. Raises ValueError where there are too few images for it.
    """
    from sklearn.model_selection import train_test_split

    first, second = train_test_split(np.arange(len(labels)), test_size=count, stratify=labels, random_state=0)
    return first, second
