"""Batches of images that are held in memory, on the device; the pad-crop-flip augmentation on whole batches."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reslab.data.batches import Batch, Loader, Normalizer, SplitName, positions, to_device
from reslab.data.crops import Augment, Crops, PadCropFlip
from reslab.data.images import DataSet, Images
from reslab.data.normalise import MeanImage, Normalise
from reslab.data.seeds import generator
from reslab.errors import SpecError

_EVAL_BATCH = 500  # images


class InMemoryLoader(Loader):
    """Images held on the device as bytes, normalized batch by batch.

    Values are in 0..1, less the mean training image as in the papers, unless weights need another `normalise`. Raises
    SpecError if that is a mean image of another size.
    """

    def __init__(self, data: DataSet, device: torch.device, normalise: Normalise | None = None):
        assert isinstance(data.train, Images)
        shape = data.train.pixels.shape[1:]
        if isinstance(normalise, MeanImage) and normalise.mean.shape != shape:
            sizes = ["×".join(map(str, sides)) for sides in (normalise.mean.shape, shape)]
            raise SpecError(f"{data.name}: images of {sizes[1]}, but the network was trained on images of {sizes[0]}")
        normalise = normalise or MeanImage(data.train.mean())
        super().__init__(data, device, normalise, Normalizer(normalise, shape, device))
        self._splits: dict[str, Batch] = {}

    def tensors(self, name: SplitName) -> Batch:
        """A split on the device: bytes (N, C, H, W) and labels (N,)."""
        if name not in self._splits:
            split = self.split(name)
            assert isinstance(split, Images)
            tensors = torch.from_numpy(split.pixels), torch.from_numpy(split.labels)
            self._splits[name] = tensors[0].to(self.device), tensors[1].to(self.device)
        return self._splits[name]

    def check(self, augment: Augment | None, crops: Crops = 1) -> None:
        if crops != 1:
            raise SpecError(f"crops {crops}: for pictures in folders; the images of {self.data.name} have one view")
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
            rows = np.concatenate([rows, random_offsets(seed, step, size, augment.pad)])
        return np.stack([self.ranks.share(row) for row in rows])

    def batch_function(self, augment: Augment | None) -> Callable[[Tensor], Batch]:
        """The function that makes the batch of `draws` on the device, by operations on the device alone."""
        self.check(augment)
        assert augment is None or isinstance(augment, PadCropFlip)
        pixels, labels = self.tensors("train")
        augmented = Augmented(self.normalised, augment) if augment else None

        def batch(draws: Tensor) -> Batch:
            images = pixels.index_select(0, draws[0])
            floats = augmented(images, Offsets(*draws[1:])) if augmented else self.normalised(images)
            return floats, labels.index_select(0, draws[0])

        return batch

    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        self.check(None, crops)
        pixels, labels = (self.ranks.share(tensor) for tensor in self.tensors(name))
        for start in range(0, len(labels), _EVAL_BATCH):
            yield self.normalised(pixels[start : start + _EVAL_BATCH]), labels[start : start + _EVAL_BATCH]


class Offsets(NamedTuple):
    """The crop's corner in the padded image, and whether to mirror, of a batch's images, on their device: (N,) each."""

    top: Tensor
    left: Tensor
    mirror: Tensor


def random_offsets(seed: int, step: int, images: int, pad: int) -> NDArray[np.int64]:
    """The random offsets of a step: corners uniform in 0 .. 2 * pad, mirrored with probability 1/2. (3, images)"""
    random = generator(seed, "augment", step)
    top, left = random.integers(0, 2 * pad, size=(2, images), endpoint=True)
    return np.stack([top, left, random.random(images) < 0.5])


def pad_crop_flip(batch: Tensor, offsets: Offsets, pad: int, flip: bool) -> Tensor:
    """Zero padding on each side, a crop of the old size and, with `flip`, its mirror image. A sec. 4.2.

    (N, C, H, W) -> (N, C, H, W), floats or bytes.
    """
    images, channels, height, width = batch.shape
    device = batch.device
    padded = F.pad(batch, (pad,) * 4)
    rows = padded.as_strided((padded.numel() - width + 1, width), (1, 1))  # one that begins at each pixel
    planes, lines = padded.stride(1), padded.stride(2)
    plane = torch.arange(images * channels, device=device).view(images, channels, 1) * planes
    corner = (offsets.top * lines + offsets.left)[:, None, None]
    line = torch.arange(height, device=device) * lines
    crops = rows.index_select(0, (plane + corner + line).flatten()).view(batch.shape)
    if not flip:
        return crops
    both = torch.cat([crops, crops.flip(3)])
    return both.index_select(0, torch.arange(images, device=device) + images * offsets.mirror)


class Augmented:
    """Pad-crop-flip on uint8, then normalise: several times faster than on floats.

    The values are those of `pad_crop_flip` on normalised images: the zero padding stands for the mean, so the crops of
    the zero-padded mean are made once for every offset.
    """

    def __init__(self, normalised: Normalizer, augment: PadCropFlip):
        self.pad, self.flip = augment.pad, augment.flip
        self.scale = normalised.scale
        self.corners = 2 * self.pad + 1  # along each side
        every = torch.from_numpy(np.indices((self.corners, self.corners, 2)).reshape(3, -1)).to(self.scale.device)
        shifts = normalised.shift.expand(every.shape[1], -1, -1, -1)
        self.shifts = pad_crop_flip(shifts, Offsets(*every), self.pad, self.flip)

    def __call__(self, pixels: Tensor, offsets: Offsets) -> Tensor:
        """Bytes (N, C, H, W) -> float32 images."""
        crops = pad_crop_flip(pixels, offsets, self.pad, self.flip)
        which = (offsets.top * self.corners + offsets.left) * 2 + offsets.mirror
        return self.shifts.index_select(0, which).addcmul_(crops.float(), self.scale)
