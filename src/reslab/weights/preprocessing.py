"""Preprocessing of pictures, which travels with the weights; prediction and evaluation share it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reslab.data.batches import Loader, factors
from reslab.data.crops import MIDDLE, EvalCrop, View, views
from reslab.data.image_folder import OnBad
from reslab.data.images import DataSet
from reslab.data.loader import make_loader
from reslab.data.normalise import MeanImage
from reslab.data.picture import crop_and_resize, pixels
from reslab.errors import SpecError
from reslab.weights.file import Weights

_SMALL = 32  # pixels; the largest images of the data sets that networks see uncropped


class Preprocessing(NamedTuple):
    """From a picture file to the bytes that a network reads, before they are normalised.

    channels: 3, or 1 for grey
    size: height and width in pixels
    crop: "center", A sec. 3.4, or "square", the largest square in the middle
    """

    channels: int
    size: int
    crop: EvalCrop

    def view(self, width: int, height: int) -> Sequence[View]:
        return views(1, width, height, self.crop)

    def read(self, file: Path) -> NDArray[np.uint8]:
        """The pixels of a file, (C, size, size). Raises PictureError."""
        (picture,) = crop_and_resize(file, self.view, self.size)
        return np.asarray(picture.convert("L"))[None] if self.channels == 1 else pixels(picture)

    def metadata(self) -> dict[str, Any]:
        """The steps in words and numbers, for other programs."""
        return {
            "upright": "turned as EXIF says",
            "colours": "RGB" if self.channels == 3 else "grey",
            "transparency": "on white",
            "crop": "the square in the middle",
            "crop_share": 1.0 if self.crop == "square" else MIDDLE,
            "size": self.size,
            "interpolation": "bilinear, antialiased as Pillow's, from the crop to the size at once",
        }


def preprocessing(weights: Weights) -> Preprocessing:
    """The preprocessing of pictures for a network, as in its training.

    A network trained on pictures takes the center crop; one trained on whole images takes the largest square, so that
    a saved image is read as it was. Raises SpecError for other than 1 or 3 channels.
    """
    network = weights.network
    if network.channels not in (1, 3):
        raise SpecError(f"a network of {network.channels} channels cannot see pictures, which have 1 or 3")
    return Preprocessing(network.channels, network.size, _crop(weights))


def _crop(weights: Weights) -> EvalCrop:
    """The crop that weights name. Without one: square for those with a mean image, and for those of at most 32 pixels
    without names of classes, which are foreign CIFAR weights."""
    if weights.crop is not None:
        return weights.crop
    nameless = not weights.classes and weights.network.size <= _SMALL
    return "square" if isinstance(weights.normalise, MeanImage) or nameless else "center"


def must_read_alike(members: Sequence[Weights], names: Sequence[Path]) -> None:
    """Raise SpecError unless all members of an ensemble take the same images to the same classes.

    names: of their files, for the message
    """
    first = members[0]
    for weights, name in zip(members[1:], names[1:], strict=True):
        pairs = {
            "size": (first.network.size, weights.network.size),
            "channels": (first.network.channels, weights.network.channels),
            "crop": (_crop(first), _crop(weights)),
            "number of classes": (first.network.classes, weights.network.classes),
            "classes": (first.classes, weights.classes),
            "normalization": (_factors(first), _factors(weights)),
        }
        if differing := [what for what, (one, other) in pairs.items() if one != other]:
            raise SpecError(f"{name}: another {' and '.join(differing)} than {names[0]}; an ensemble reads one image")


def _factors(weights: Weights) -> list[object] | None:
    return [tensor.tolist() for tensor in factors(weights.normalise)] if weights.normalise else None


def loader_for(weights: Weights, data: DataSet, device: torch.device, on_bad: OnBad = "error") -> Loader:
    """The loader of a data set with the preprocessing of weights."""
    return make_loader(data, device, weights.network.size, weights.normalise, on_bad, _crop(weights))
