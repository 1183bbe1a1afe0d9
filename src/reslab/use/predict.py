"""Predicted classes of picture files, preprocessed as in the evaluation of the same network."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reslab.data.batches import Normalizer
from reslab.data.image_folder import prefetch
from reslab.data.normalise import IMAGENET
from reslab.data.picture import PictureError, shown
from reslab.errors import DataError, SpecError
from reslab.evaluate import NOT_FINITE
from reslab.machine import cores, tune_malloc
from reslab.weights.file import Weights, built
from reslab.weights.preprocessing import preprocessing


class Prediction(NamedTuple):
    """The most probable classes of a picture.

    best: class numbers with their probabilities, the most probable first
    pixels: the bytes that the network read, (C, size, size)
    """

    file: Path
    best: list[tuple[int, float]]
    pixels: NDArray[np.uint8]


class Predictor:
    """A network that classifies pictures on a device.

    engine: torch, openvino or onnxruntime, in float32
    `network` is its module, in evaluation mode; `skipped` has the files that could not be read, with the reason.
    Raises SpecError for a network of one channel whose weights do not include the normalization.
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
        self.skipped: dict[str, str] = {}
        self._engine: nn.Module | None = self.network if engine == "torch" else None

    def predict(self, files: Sequence[Path], top: int = 5, batch: int = 32) -> Iterator[list[Prediction]]:
        """The `top` classes of each picture, batch by batch in the order of the files.

        Files that cannot be read are left out of their batch, and are in `skipped`. Raises DataError if the network's
        outputs are not finite.
        """
        for readable, pixels in self._decoded(files, batch):
            images = self.normalised(pixels)
            with torch.inference_mode():
                probabilities = self._running(images)(images).float().softmax(1)
            if not probabilities.isfinite().all():
                raise DataError(NOT_FINITE.format(shown(readable[0])))
            top_k = probabilities.topk(min(top, probabilities.shape[1]))
            rows = zip(readable, top_k.indices.tolist(), top_k.values.tolist(), pixels, strict=True)
            yield [
                Prediction(file, list(zip(classes, chances, strict=True)), image)
                for file, classes, chances, image in rows
            ]

    def _running(self, images: Tensor) -> nn.Module:
        """The module that computes the outputs; an engine is compared with the network on the first images."""
        if self._engine is None:
            from reslab.use.engine import make_engine

            self._engine = make_engine(self.network, self.engine, "float32", False, images)
        return self._engine

    def normalised(self, images: NDArray[np.uint8]) -> Tensor:
        """Bytes (N, C, H, W) -> the network's input, on its device."""
        return self._normalised(torch.from_numpy(images).to(self.device))

    def _decoded(self, files: Sequence[Path], batch: int) -> Iterator[tuple[list[Path], NDArray[np.uint8]]]:
        """The files that can be read and their pixels, by batches that are not empty."""
        some = (files[start : start + batch] for start in range(0, len(files), batch))
        decodes = ((chosen, [partial(self.preprocessing.read, file) for file in chosen]) for chosen in some)
        with ThreadPoolExecutor(cores()) as pool:
            for chosen, kept, pixels in prefetch(pool, decodes, self._skip):
                if kept:
                    yield [chosen[position] for position in kept], np.stack(pixels)

    def _skip(self, error: PictureError) -> None:
        self.skipped[error.file] = error.reason
