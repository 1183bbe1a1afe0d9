"""Data sets and their splits: arrays of bytes in memory, or picture files that are decoded on use."""

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
        """Names of some images for messages: their indices in the split."""
        return [str(index) for index in where]

    def digest(self) -> str:
        """A fingerprint of the content in hex digits."""
        return hashlib.sha256(self.pixels.tobytes() + self.labels.tobytes()).hexdigest()[:16]

    def mean(self) -> NDArray[np.float32]:
        """The mean image, (C, H, W) in 0..1."""
        mean: NDArray[np.float64] = self.pixels.mean(axis=0, dtype=np.float64) / 255
        return mean.astype(np.float32)


class Pictures(NamedTuple):
    """Picture files under a folder, by their relative paths; labels: (N,) int64."""

    folder: Path
    files: Sequence[str]
    labels: Indices

    def path(self, index: int) -> Path:
        return self.folder / self.files[index]

    def take(self, where: Indices) -> "Pictures":
        return Pictures(self.folder, [self.files[index] for index in where], self.labels[where])

    def names(self, where: Indices) -> list[str]:
        """Names of some pictures for messages: their files."""
        return [self.files[index] for index in where]

    def digest(self) -> str:
        """A fingerprint of the file names and labels in hex digits; the files are not read."""
        listed = "\n".join(f"{label} {file}" for label, file in zip(self.labels, self.files, strict=True))
        return hashlib.sha256(listed.encode(errors="surrogateescape")).hexdigest()[:16]


Split = Images | Pictures


@dataclass(frozen=True)
class DataSet:
    """A named data set with its fixed splits; `classes` are the names of its labels.

    `validation` is for choosing a model; `hold_out` takes it from the training images.
    `passed_over` are the files in class folders that are no readable pictures.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    validation: Split | None = None
    passed_over: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of an image; pictures are read as RGB."""
        return int(self.train.pixels.shape[1]) if isinstance(self.train, Images) else 3

    @property
    def size(self) -> int | None:
        """Height and width of an image; None for pictures, which are cropped to the network's size."""
        return int(self.train.pixels.shape[2]) if isinstance(self.train, Images) else None

    def relabel(self, labels: Indices, classes: tuple[str, ...]) -> "DataSet":
        """The same images with other labels: `labels` has the new one of each old label, `classes` their names."""
        train, test = (part._replace(labels=labels[part.labels]) for part in (self.train, self.test))
        validation = self.validation and self.validation._replace(labels=labels[self.validation.labels])
        return replace(self, train=train, test=test, classes=classes, validation=validation)

    def hold_out(self, amount: int | float) -> "DataSet":
        """The data set with a validation split taken from its training images, stratified and always the same.

        amount: a number of images or a share, at least one of each class. A sec. 4.2 holds out 5,000 of CIFAR-10's
        50,000. Raises SpecError if a class has a single image, or there are too few images.
        """
        images, counts = len(self.train.labels), np.bincount(self.train.labels, minlength=len(self.classes))
        if counts.min() < 2:
            rare = f"class {self.classes[int(counts.argmin())]} of {self.name} has fewer than two training images"
            raise SpecError(f"validation {amount}: {rare}; add some, or --set validation=0 --set best=false")
        count = amount if isinstance(amount, int) else max(len(self.classes), round(amount * images))
        try:
            kept, held = split(self.train.labels, count)
        except ValueError as error:
            share = f"{count} of the {images:,} training images of {self.name}"
            raise SpecError(f"validation {amount}: cannot hold out {share}: {error}") from None
        return replace(self, train=self.train.take(kept), validation=self.train.take(held))


def split(labels: Indices, count: int) -> tuple[Indices, Indices]:
    """Indices of a stratified split in two, the second of `count` images; the same for the same labels.

    Raises ValueError if there are too few images.
    """
    from sklearn.model_selection import train_test_split

    first, second = train_test_split(np.arange(len(labels)), test_size=count, stratify=labels, random_state=0)
    return first, second
