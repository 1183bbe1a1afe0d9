"""What a network answered for every image of a test set, in a small file of its run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from reslab.disk import read_file, write_whole
from reslab.errors import DataError
from reslab.evaluate import calibration_bins, calibration_error

_KINDS = {"labels": "u", "predicted": "u", "confidence": "f"}  # of numpy's types


class Answers(NamedTuple):
    """The answers for a split's images, in its order, from the weights that result.json's errors are of.

    labels, predicted: true and most probable class, (N,) uint8 or, of more than 256 classes, uint16
    confidence: the probability of the latter, (N,) float16
    """

    labels: NDArray[Any]
    predicted: NDArray[Any]
    confidence: NDArray[np.float16]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        wrong: NDArray[np.bool_] = np.not_equal(self.labels, self.predicted)
        return wrong

    @property
    def calibration_error(self) -> float:
        """Expected calibration error in percent, see reslab.evaluate.calibration_error."""
        right = torch.from_numpy(~self.wrong)
        return calibration_error(calibration_bins(torch.from_numpy(self.confidence.astype(np.float64)), right))


class AnswerRecorder:
    """Records the answers of an evaluation for a split's images, over all ranks.

    answers: after the evaluation; None where it left out images, as the place in the file is all that names one
    """

    def __init__(self, classes: int, images: int):
        self._type = np.uint8 if classes <= 256 else np.uint16
        self._images = images
        self._rows = [(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), torch.empty(0))]
        self.answers: Answers | None = None

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Record images by their log-probabilities, (N, classes)."""
        best = scores.max(1)
        self._rows.append((labels.cpu(), best.indices.cpu(), best.values.exp().cpu()))

    def sum_up(self) -> None:
        """Put the answers of all ranks in the split's order, of which each rank had every total-th image."""
        labels, predicted, confidence = (torch.cat(column).numpy() for column in zip(*self._rows, strict=True))
        own = Answers(labels.astype(self._type), predicted.astype(self._type), confidence.astype(np.float16))
        ranks = [own]
        if dist.is_initialized():
            ranks *= dist.get_world_size()
            dist.all_gather_object(ranks, own)
        if sum(len(each.labels) for each in ranks) == self._images:
            self.answers = _interleaved(ranks)


def _interleaved(ranks: Sequence[Answers]) -> Answers:
    """The answers of all ranks, one of each in turn."""
    whole = Answers(*(np.empty(sum(map(len, arrays)), arrays[0].dtype) for arrays in zip(*ranks, strict=True)))
    for rank, part in enumerate(ranks):
        for array, values in zip(whole, part, strict=True):
            array[rank :: len(ranks)] = values
    return whole


def write_answers(answers: Answers, path: Path) -> None:
    """Write answers as a safetensors file, atomically."""
    write_whole(path, save(answers._asdict()))


def read_answers(path: Path) -> Answers:
    """The answers in a file. Raises DataError naming one that is damaged."""
    try:
        tensors = load(read_file(path))
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from None
    if {name: (tensor.dtype.kind, tensor.ndim) for name, tensor in tensors.items()} != {
        name: (kind, 1) for name, kind in _KINDS.items()
    } or len({len(tensor) for tensor in tensors.values()}) > 1:
        raise DataError(f"{path}: does not hold a label, an answer and a confidence of each image")
    return Answers(**{name: tensors[name] for name in _KINDS})


def disagreement(runs: Sequence[Answers]) -> float | None:
    """The share of images that two runs answer differently, in percent, mean over all pairs; None for fewer than two.

    It bounds what an ensemble of them can gain.
    """
    pairs = [
        float(np.not_equal(one.predicted, other.predicted).mean())
        for place, one in enumerate(runs)
        for other in runs[:place]
    ]
    return 100 * sum(pairs) / len(pairs) if pairs else None


def wrong_answers(runs: Sequence[Answers]) -> NDArray[np.bool_] | None:
    """Which images each of some runs answers wrongly, (runs, images); None where they are not of the same images."""
    if not runs or any(not np.array_equal(run.labels, runs[0].labels) for run in runs):
        return None
    return np.stack([run.wrong for run in runs])
