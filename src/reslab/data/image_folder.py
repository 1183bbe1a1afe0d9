"""Batches of pictures that are decoded from their files while the previous batches are used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reslab.data.batches import Batch, Loader, Normalizer, SplitName, positions, to_device
from reslab.data.crops import UNIFORMS, Augment, Crops, EvalCrop, PadCropFlip, PictureCrop, views
from reslab.data.images import DataSet, Indices, Pictures, Split
from reslab.data.normalise import IMAGENET, Normalise
from reslab.data.picture import CropFunction, PictureError, crop_and_resize
from reslab.data.seeds import generator
from reslab.errors import DataError, SpecError
from reslab.machine import cores

OnBad = Literal["error", "skip"]
Pixels = NDArray[np.uint8]
Tag = TypeVar("Tag")

_EVAL_VIEWS = 96  # in an evaluation batch
_AHEAD = 2  # batches


class ImageFolderLoader(Loader):
    """Pictures decoded from their files on all cores, two batches ahead, at the size that a network reads.

    on_bad: "error" raises the DataError of a file that cannot be read; "skip" leaves the file out, so that its batch is
    smaller, and adds it to `skipped`. No other picture takes its place.
    crop: the single view of a test picture, see `views`
    """

    def __init__(
        self,
        data: DataSet,
        device: torch.device,
        size: int,
        normalise: Normalise = IMAGENET,
        on_bad: OnBad = "error",
        crop: EvalCrop = "center",
    ):
        normalised = Normalizer(normalise, (3, size, size), device, torch.channels_last)
        super().__init__(data, device, normalise, normalised)
        self.size = size
        self.on_bad = on_bad
        self.crop = crop
        self._pool = ThreadPoolExecutor(cores())
        self.background.callback(self._pool.shutdown, cancel_futures=True)

    def check(self, augment: Augment | None, crops: Crops = 1) -> None:
        if isinstance(augment, PadCropFlip):
            raise SpecError(
                f"augment {augment.kind}: for data sets in memory; pictures take scale-jitter, inception-crop or none"
            )

    def batches(self, seed: int, steps: range, size: int, augment: Augment | None) -> Iterator[Batch]:
        self.check(augment)
        assert not isinstance(augment, PadCropFlip)
        split = self.split("train")
        for images, labels in self._decoded(split, (self._step(split, seed, step, size, augment) for step in steps)):
            if not len(labels):
                raise DataError("none of a batch's pictures can be read; `reslab data check` lists them")
            yield images, labels

    def _step(
        self, split: Split, seed: int, step: int, size: int, augment: PictureCrop | None
    ) -> "tuple[Indices, list[CropRequest]]":
        indices = self.ranks.share(positions(seed, step, size, len(split.labels)))
        uniforms = self.ranks.share(generator(seed, "augment", step).random((size, UNIFORMS)))
        return indices, [_random_crop(augment, row) for row in uniforms]

    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        split = self.split(name)
        mine = self.ranks.share(np.arange(len(split.labels)))
        size = max(1, _EVAL_VIEWS // crops)
        request = CropRequest(lambda width, height: views(crops, width, height, self.crop))
        indices = (mine[start : start + size] for start in range(0, len(mine), size))
        batches = self._decoded(split, ((some, [request] * len(some)) for some in indices))
        return (batch for batch in batches if len(batch[1]))

    def _decoded(self, split: Split, batches: "Iterable[tuple[Indices, list[CropRequest]]]") -> Iterator[Batch]:
        assert isinstance(split, Pictures)
        decodes = (
            (
                indices,
                [partial(_decode, split.path(i), one, self.size) for i, one in zip(indices, requests, strict=True)],
            )
            for indices, requests in batches
        )
        for indices, kept, pixels in prefetch(self._pool, decodes, self._skip):
            raw = np.concatenate([np.empty((0, self.size, self.size, 3), np.uint8), *pixels])
            images = to_device(torch.from_numpy(raw), self.device).permute(0, 3, 1, 2)  # channels last
            labels = torch.from_numpy(split.labels[indices[kept]])
            yield self.normalised(images), to_device(labels, self.device)

    def _skip(self, error: PictureError) -> None:
        if self.on_bad == "error":
            raise error
        self.skipped[error.file] = error.reason


class CropRequest(NamedTuple):
    """The crops to take of a picture, and the colour augmentation."""

    crops: CropFunction
    colour: Callable[[Image.Image], Image.Image] | None = None


def _random_crop(augment: PictureCrop | None, uniforms: NDArray[np.float64]) -> CropRequest:
    """The augmented crop of a training picture."""
    if augment is None:
        return CropRequest(lambda width, height: views(1, width, height))
    colour = partial(augment.colour, uniforms=uniforms) if augment.colour else None
    return CropRequest(lambda width, height: [augment.view(width, height, uniforms)], colour)


def _decode(file: Path, request: CropRequest, size: int) -> Pixels:
    """The crops of a file, (V, size, size, 3)."""
    crops = crop_and_resize(file, request.crops, size)
    if request.colour:
        crops = [request.colour(crop) for crop in crops]
    return np.stack([np.asarray(crop) for crop in crops])


def prefetch(
    pool: Executor,
    batches: Iterable[tuple[Tag, Sequence[Callable[[], Pixels]]]],
    skip: Callable[[PictureError], None],
) -> Iterator[tuple[Tag, list[int], list[Pixels]]]:
    """Decode batches of pictures on a pool's threads, two batches ahead of their use.

    batches: a tag and the decoding calls of each batch
    skip: receives the error of each picture that cannot be read, and may raise it
    Yields the tag, the positions of the readable pictures in their batch, and their pixels.
    """
    waiting: deque[tuple[Tag, list[Future[Pixels]]]] = deque()
    try:
        for tag, decodes in batches:
            waiting.append((tag, [pool.submit(decode) for decode in decodes]))
            if len(waiting) > _AHEAD:
                yield _collect(*waiting[0], skip)
                waiting.popleft()
        while waiting:
            yield _collect(*waiting[0], skip)
            waiting.popleft()
    finally:
        for _, futures in waiting:
            for future in futures:
                future.cancel()


def _collect(
    tag: Tag, futures: list[Future[Pixels]], skip: Callable[[PictureError], None]
) -> tuple[Tag, list[int], list[Pixels]]:
    kept, pixels = [], []
    for position, future in enumerate(futures):
        try:
            pixels.append(future.result())
            kept.append(position)
        except PictureError as error:
            skip(error)
    return tag, kept, pixels
