"""Batches of pictures that are decoded from their files when they are needed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reslab.data.batches import Batch, Loader, Normalizer, SplitName, positions, to_device
from reslab.data.crops import DRAWN, Augment, Crops, PadCropFlip, PictureCrop, views
from reslab.data.images import DataSet, Pictures, Split
from reslab.data.normalise import IMAGENET, Normalise
from reslab.data.picture import Look, PictureError, seen
from reslab.data.seeds import generator
from reslab.errors import DataError, SpecError
from reslab.machine import cores

OnBad = Literal["error", "skip"]

_VIEWS_AT_ONCE = 96  # in an evaluation batch
_AHEAD = 2  # batches that are decoded while one is learnt from


class ImageFolderLoader(Loader):
    """Pictures that are decoded from their files on all cores, two batches ahead, at the size that a network reads.

    on_bad: what a file that cannot be read does. "error" raises its DataError; "skip" leaves it out, so that its
    batch is smaller by it, and tells of it in `skipped`. Nothing ever takes its place.
    whole: a single view is the whole middle square of a picture, see `views`
    """

    def __init__(
        self,
        data: DataSet,
        device: torch.device,
        size: int,
        normalise: Normalise = IMAGENET,
        on_bad: OnBad = "error",
        whole: bool = False,
    ):
        normalised = Normalizer(normalise, (3, size, size), device, torch.channels_last)
        super().__init__(data, device, normalise, normalised)
        self.size = size
        self.on_bad = on_bad
        self.whole = whole
        self._pool = ThreadPoolExecutor(cores())
        self.background.callback(self._pool.shutdown, cancel_futures=True)

    def check(self, augment: Augment | None, crops: Crops = 1) -> None:
        if isinstance(augment, PadCropFlip):
            raise SpecError(
                f"augment {augment.kind}: for sets held whole; pictures take scale-jitter, inception-crop or none"
            )

    def batches(self, seed: int, steps: range, size: int, augment: Augment | None) -> Iterator[Batch]:
        self.check(augment)
        assert not isinstance(augment, PadCropFlip)
        part = self.split("train")
        for images, labels in self._ahead(self._begin_step(part, seed, step, size, augment) for step in steps):
            if not len(labels):
                raise DataError("none of a batch's pictures can be read; `reslab data check` lists them")
            yield images, labels

    def _begin_step(self, part: Split, seed: int, step: int, size: int, augment: PictureCrop | None) -> "_Decoding":
        where = self.ranks.share(positions(seed, step, size, len(part.labels)))
        draws = self.ranks.share(generator(seed, "augment", step).random((size, DRAWN)))
        return self._begin(part, where, [_glance(augment, drawn) for drawn in draws])

    def views(self, name: SplitName, crops: Crops = 1) -> Iterator[Batch]:
        part = self.split(name)
        mine = self.ranks.share(np.arange(len(part.labels)))
        at_once = max(1, _VIEWS_AT_ONCE // crops)
        glance = _Glance(lambda width, height: views(crops, width, height, self.whole))
        starts = range(0, len(mine), at_once)
        chosen = (mine[start : start + at_once] for start in starts)
        batches = self._ahead(self._begin(part, where, [glance] * len(where)) for where in chosen)
        return (batch for batch in batches if len(batch[1]))

    def _begin(self, part: Split, where: NDArray[np.int64], glances: "list[_Glance]") -> "_Decoding":
        assert isinstance(part, Pictures)
        files = [part.folder / part.files[index] for index in where]
        futures = [
            self._pool.submit(_decode, file, glance, self.size) for file, glance in zip(files, glances, strict=True)
        ]
        return _Decoding(futures, part.labels[where])

    def _ahead(self, decodings: "Iterable[_Decoding]") -> Iterator[Batch]:
        waiting: deque[_Decoding] = deque()
        try:
            for decoding in decodings:
                waiting.append(decoding)
                if len(waiting) > _AHEAD:
                    yield self._ready(waiting.popleft())
            while waiting:
                yield self._ready(waiting.popleft())
        finally:
            for decoding in waiting:
                decoding.cancel()

    def _ready(self, decoding: "_Decoding") -> Batch:
        good, labels = [np.empty((0, self.size, self.size, 3), np.uint8)], []
        for future, label in zip(decoding.futures, decoding.labels, strict=True):
            try:
                good.append(future.result())
                labels.append(label)
            except PictureError as error:
                if self.on_bad == "error":
                    decoding.cancel()
                    raise
                self.skipped[error.file] = error.reason
        raw = to_device(torch.from_numpy(np.concatenate(good)), self.device).permute(0, 3, 1, 2)  # channels last
        return self.normalised(raw), to_device(torch.tensor(labels, dtype=torch.int64), self.device)


class _Glance(NamedTuple):
    """What is looked at in a picture, and what happens to the colours of it."""

    look: Look
    colour: Callable[[Image.Image], Image.Image] | None = None


def _glance(augment: PictureCrop | None, draws: NDArray[np.float64]) -> _Glance:
    """A training picture's."""
    if augment is None:
        return _Glance(lambda width, height: views(1, width, height))
    colour = partial(augment.colour, draws=draws) if augment.colour else None
    return _Glance(lambda width, height: [augment.view(width, height, draws)], colour)


def _decode(file: Path, glance: _Glance, size: int) -> NDArray[np.uint8]:
    """What is seen of a file, (V, size, size, 3)."""
    cuts = seen(file, glance.look, size)
    if glance.colour:
        cuts = [glance.colour(cut) for cut in cuts]
    return np.stack([np.asarray(cut) for cut in cuts])


class _Decoding(NamedTuple):
    """Pictures of a batch that are being decoded."""

    futures: list[Future[NDArray[np.uint8]]]
    labels: NDArray[np.int64]

    def cancel(self) -> None:
        for future in self.futures:
            future.cancel()
