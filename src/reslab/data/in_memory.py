"""Batches of images that are held in memory, on the device; the pad-crop-flip augmentation on whole batches."""

from collections.abc import Iterator
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
from reslab.distributed import Ranks
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
        self.check(augment)
        assert augment is None or isinstance(augment, PadCropFlip)
        pixels, labels = self.tensors("train")
        augmented = Augmented(self.normalised, augment) if augment else None
        for step in steps:
            indices = self.ranks.share(positions(seed, step, size, len(labels)))
            chosen = to_device(torch.from_numpy(np.ascontiguousarray(indices)), self.device)
            images = pixels.index_select(0, chosen)
            if augmented:
                offsets = random_offsets(seed, step, size, augmented.pad)
                yield augmented(images, offsets.share(self.ranks)), labels[chosen]
            else:
                yield self.normalised(images), labels[chosen]

    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        self.check(None, crops)
        pixels, labels = (self.ranks.share(tensor) for tensor in self.tensors(name))
        for start in range(0, len(labels), _EVAL_BATCH):
            yield self.normalised(pixels[start : start + _EVAL_BATCH]), labels[start : start + _EVAL_BATCH]


class Offsets(NamedTuple):
    """The crop's corner in the padded image, and whether to mirror, for each image of a batch: (N,) each."""

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    mirror: NDArray[np.bool_]

    def share(self, ranks: Ranks) -> "Offsets":
        """The offsets of a rank's share of the batch."""
        return Offsets(*(np.ascontiguousarray(ranks.share(values)) for values in self))


def random_offsets(seed: int, step: int, images: int, pad: int) -> Offsets:
    """The random offsets of a step: corners uniform in 0 .. 2 * pad, mirrored with probability 1/2."""
    random = generator(seed, "augment", step)
    top, left = random.integers(0, 2 * pad, size=(2, images), endpoint=True)
    return Offsets(top, left, random.random(images) < 0.5)


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
    corner = to_device(torch.from_numpy(offsets.top * lines + offsets.left), device)[:, None, None]
    line = torch.arange(height, device=device) * lines
    crops = rows.index_select(0, (plane + corner + line).flatten()).view(batch.shape)
    if not flip:
        return crops
    both = torch.cat([crops, crops.flip(3)])
    return both.index_select(0, to_device(torch.from_numpy(np.arange(images) + images * offsets.mirror), device))


class Augmented:
    """Pad-crop-flip on uint8, then normalise: several times faster than on floats.

    The values are those of `pad_crop_flip` on normalised images: the zero padding stands for the mean, so the crops of
    the zero-padded mean are made once for every offset.
    """

    def __init__(self, normalised: Normalizer, augment: PadCropFlip):
        self.pad, self.flip = augment.pad, augment.flip
        self.scale = normalised.scale
        self.corners = 2 * self.pad + 1  # along each side
        top, left, mirror = np.indices((self.corners, self.corners, 2)).reshape(3, -1)
        shifts = normalised.shift.expand(len(top), -1, -1, -1)
        self.shifts = pad_crop_flip(shifts, Offsets(top, left, mirror.astype(bool)), self.pad, self.flip)

    def __call__(self, pixels: Tensor, offsets: Offsets) -> Tensor:
        """Bytes (N, C, H, W) -> float32 images."""
        crops = pad_crop_flip(pixels, offsets, self.pad, self.flip)
        indices = (offsets.top * self.corners + offsets.left) * 2 + offsets.mirror
        which = to_device(torch.from_numpy(indices), pixels.device)
        return self.shifts.index_select(0, which).addcmul_(crops.float(), self.scale)
