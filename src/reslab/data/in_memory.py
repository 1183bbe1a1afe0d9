"""Batches of images that are held whole on the device."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslab.data.augment import Augmented, Draws, draw
from reslab.data.batches import Batch, Loader, Normalizer, SplitName, positions, to_device
from reslab.data.crops import Augment, Crops, PadCropFlip
from reslab.data.images import DataSet, Images
from reslab.data.normalise import MeanImage, Normalise
from reslab.errors import SpecError

_AT_ONCE = 500  # images of an evaluation batch


class InMemoryLoader(Loader):
    """Images that are held whole on the device, as bytes, and become float images when they are asked for.

    Values are in 0..1, less the mean training image as in the papers, unless weights want another `normalise`. Raises
    SpecError where that is a mean image of another size.
    """

    def __init__(self, data: DataSet, device: torch.device, normalise: Normalise | None = None):
        assert isinstance(data.train, Images)
        shape = data.train.pixels.shape[1:]
        if isinstance(normalise, MeanImage) and normalise.mean.shape != shape:
            sizes = ["×".join(map(str, sides)) for sides in (normalise.mean.shape, shape)]
            raise SpecError(f"{data.name}: images of {sizes[1]}, but the network was trained on images of {sizes[0]}")
        normalise = normalise or MeanImage(data.train.mean())
        super().__init__(data, device, normalise, Normalizer(normalise, shape, device))
        self._parts: dict[str, Batch] = {}

    def tensors(self, name: SplitName) -> Batch:
        """A part on the device: bytes (N, C, H, W) and labels (N,)."""
        if name not in self._parts:
            part = self.split(name)
            assert isinstance(part, Images)
            tensors = torch.from_numpy(part.pixels), torch.from_numpy(part.labels)
            self._parts[name] = tensors[0].to(self.device), tensors[1].to(self.device)
        return self._parts[name]

    def check(self, augment: Augment | None, crops: Crops = 1) -> None:
        if crops != 1:
            raise SpecError(f"crops {crops}: for pictures in folders; the images of {self.data.name} are seen whole")
        if augment is not None and not isinstance(augment, PadCropFlip):
            raise SpecError(
                f"augment {augment.kind}: for pictures in folders; {self.data.name} takes pad-crop-flip or none"
            )

    def batches(self, seed: int, steps: range, size: int, augment: Augment | None) -> Iterator[Batch]:
        batch = self.batch_function(augment)
        for step in steps:
            yield batch(to_device(torch.from_numpy(self.draws(seed, step, size, augment)), self.device))

    def draws(self, seed: int, step: int, size: int, augment: Augment | None) -> NDArray[np.int64]:
        """What a step draws for this rank's share of its batch: which images and, with augmentation, each crop's top
        and left and whether it is mirrored. (1 or 4, N), a pure function of its arguments."""
        rows = positions(seed, step, size, len(self.split("train").labels))[None]
        if isinstance(augment, PadCropFlip):
            rows = np.concatenate([rows, draw(seed, step, size, augment.pad)])
        return np.stack([self.ranks.share(row) for row in rows])

    def batch_function(self, augment: Augment | None) -> Callable[[Tensor], Batch]:
        """The function that makes the batch of `draws` on the device, by operations on the device alone."""
        self.check(augment)
        assert augment is None or isinstance(augment, PadCropFlip)
        pixels, labels = self.tensors("train")
        augmented = Augmented(self.normalised, augment) if augment else None

        def batch(draws: Tensor) -> Batch:
            images = pixels.index_select(0, draws[0])
            floats = augmented(images, Draws(*draws[1:])) if augmented else self.normalised(images)
            return floats, labels.index_select(0, draws[0])

        return batch

    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        self.check(None, crops)
        pixels, labels = (self.ranks.share(tensor) for tensor in self.tensors(name))
        for start in range(0, len(labels), _AT_ONCE):
            yield self.normalised(pixels[start : start + _AT_ONCE]), labels[start : start + _AT_ONCE]
