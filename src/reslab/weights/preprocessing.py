"""How a network sees pictures, which travels with its weights: prediction and evaluation both take it from here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reslab.data.batches import Loader
from reslab.data.crops import MIDDLE, View, views
from reslab.data.image_folder import OnBad
from reslab.data.images import DataSet
from reslab.data.loader import make_loader
from reslab.data.normalise import MeanImage
from reslab.data.picture import crop_and_resize, pixels
from reslab.errors import SpecError
from reslab.weights.file import Weights

_HELD = 32  # pixels; the largest images of the sets that are held whole


class Preprocessing(NamedTuple):
    """How a network sees a picture file.

    channels: 3, or 1 for grey
    size: height and width that it reads
    whole: the whole middle square rather than the middle crop of A sec. 3.4
    """

    channels: int
    size: int
    whole: bool

    def look(self, width: int, height: int) -> Sequence[View]:
        return views(1, width, height, "square" if self.whole else "center")

    def read(self, file: Path) -> NDArray[np.uint8]:
        """What is seen of a file, (C, size, size). Raises PictureError."""
        (picture,) = crop_and_resize(file, self.look, self.size)
        return np.asarray(picture.convert("L"))[None] if self.channels == 1 else pixels(picture)

    def told(self) -> dict[str, Any]:
        """The same in words and numbers for other programs, which do this before they normalise."""
        return {
            "upright": "turned as EXIF says",
            "colours": "RGB" if self.channels == 3 else "grey",
            "transparency": "on white",
            "crop": "the square in the middle",
            "crop_share": 1.0 if self.whole else MIDDLE,
            "size": self.size,
            "interpolation": "bilinear, antialiased as Pillow's, from the crop to the size at once",
        }


def preprocessing(weights: Weights) -> Preprocessing:
    """How a network sees pictures: as the images that it was trained on.

    One trained on pictures sees their middle crop. One trained on images held whole sees the whole middle square of a
    picture, so that such an image saved as a file is the image itself. Where the weights do not say, those with a mean
    image were, and those that read at most 32 pixels and name no classes, which are others' for CIFAR.
    Raises SpecError where the channels are neither one nor three.
    """
    network = weights.network
    if network.channels not in (1, 3):
        raise SpecError(f"a network of {network.channels} channels cannot see pictures, which have 1 or 3")
    return Preprocessing(network.channels, network.size, _whole(weights))


def _whole(weights: Weights) -> bool:
    if weights.whole is not None:
        return weights.whole
    return isinstance(weights.normalise, MeanImage) or (not weights.classes and weights.network.size <= _HELD)


def loader_for(weights: Weights, data: DataSet, device: torch.device, on_bad: OnBad = "error") -> Loader:
    """The loader that shows the images of a data set as weights want to see them."""
    return make_loader(
        data, device, weights.network.size, weights.normalise, on_bad, "square" if _whole(weights) else "center"
    )
