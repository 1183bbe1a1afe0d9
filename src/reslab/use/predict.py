"""Classes of pictures in files, seen as the evaluation of the same network would see them."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reslab.data.batches import Normalizer
from reslab.data.normalise import IMAGENET
from reslab.data.picture import PictureError, shown
from reslab.errors import DataError, SpecError
from reslab.machine import cores, tune_malloc
from reslab.weights.file import Weights, built
from reslab.weights.preprocessing import preprocessing

_Decoded = Future[NDArray[np.uint8]]
_Read = tuple[list[Path], NDArray[np.uint8]]

_AHEAD = 2  # batches that are decoded while one is classified


class Guess(NamedTuple):
    """What a network takes a picture for.

    best: its classes by their numbers, the most probable first, with probabilities
    pixels: the bytes that it saw, (C, size, size)
    """

    file: Path
    best: list[tuple[int, float]]
    pixels: NDArray[np.uint8]


class Predictor:
    """A network that classifies pictures on a device.

    engine: what computes its outputs: torch, openvino or onnxruntime, in float32
    `network` is its module, in evaluation mode; `skipped` tells of the files that could not be read, and why.
    Raises SpecError where the weights do not say how a network of one channel wants its images.
    """

    def __init__(self, weights: Weights, device: torch.device, engine: str = "torch"):
        tune_malloc()
        self.preprocessing = preprocessing(weights)
        if weights.normalise is None and self.preprocessing.channels == 1:
            raise SpecError("the weights do not say how their network wants its images normalised: train it again")
        self.device = device
        self.engine = engine
        self.network = built(weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = self.preprocessing.channels, self.preprocessing.size, self.preprocessing.size
        self._normalised = Normalizer(weights.normalise or IMAGENET, shape, device)
        self.skipped: dict[Path, str] = {}
        self._run: nn.Module | None = self.network if engine == "torch" else None

    def predict(self, files: Sequence[Path], top: int = 5, batch: int = 32) -> Iterator[list[Guess]]:
        """The `top` classes of each picture, batch by batch in the order of the files.

        A batch is smaller by the files that cannot be read, which are in `skipped`. Raises DataError
        where the network's outputs are not finite.
        """
        for read, images in self._batches(files, batch):
            given = self.normalised(images)
            with torch.inference_mode():
                probabilities = self._running(given)(given).float().softmax(1)
            if not probabilities.isfinite().all():
                raise DataError(f"{shown(read[0])}: outputs that are not finite; the network's weights are of no use")
            found = probabilities.topk(min(top, probabilities.shape[1]))
            rows = zip(read, found.indices.tolist(), found.values.tolist(), images, strict=True)
            yield [
                Guess(file, list(zip(classes, chances, strict=True)), pixels) for file, classes, chances, pixels in rows
            ]

    def _running(self, images: Tensor) -> nn.Module:
        """What computes the outputs; the engine is held against the network on the first images."""
        if self._run is None:
            from reslab.use.engine import make_engine

            self._run = make_engine(self.network, self.engine, "float32", False, images)
        return self._run

    def normalised(self, images: NDArray[np.uint8]) -> Tensor:
        """Bytes (N, C, H, W) -> what the network reads, on its device."""
        return self._normalised(torch.from_numpy(images).to(self.device))

    def _batches(self, files: Sequence[Path], batch: int) -> Iterator[_Read]:
        """The files that can be read and their pixels, decoded on all cores ahead of their use."""
        waiting: deque[tuple[Sequence[Path], list[_Decoded]]] = deque()
        with ThreadPoolExecutor(cores()) as pool:
            try:
                for start in range(0, len(files) + _AHEAD * batch, batch):
                    if chosen := files[start : start + batch]:
                        waiting.append((chosen, [pool.submit(self.preprocessing.read, file) for file in chosen]))
                    if start >= _AHEAD * batch and waiting:
                        yield from self._ready(*waiting.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ready(self, files: Sequence[Path], futures: list[_Decoded]) -> Iterator[_Read]:
        """A batch, or nothing where none of its files can be read."""
        read, images = [], []
        for file, future in zip(files, futures, strict=True):
            try:
                images.append(future.result())
                read.append(file)
            except PictureError as error:
                self.skipped[file] = error.reason
        if images:
            yield read, np.stack(images)
