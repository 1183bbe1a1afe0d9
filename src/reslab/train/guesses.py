"""What a network takes each image of a part for."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reslab.data.batches import Loader, SplitName
from reslab.data.crops import Crops
from reslab.data.images import Indices, Pictures, Split
from reslab.data.picture import shown


class Guesses(NamedTuple):
    """Of each image that could be read: the true class, the most probable one, and the probabilities of the two.

    part: the images, in the order of the others; labels, guessed: (N,) int64; sure, true: (N,) float64
    """

    part: Split
    labels: Indices
    guessed: Indices
    sure: NDArray[np.float64]
    true: NDArray[np.float64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        return np.not_equal(self.labels, self.guessed)

    def error(self) -> float:
        """Top-1 error in percent."""
        return 100 * float(self.wrong.mean())

    def confusion(self, classes: int) -> Indices:
        """How many images of each true class (row) were taken for each class (column). (classes, classes)"""
        from sklearn.metrics import confusion_matrix

        counts: Indices = confusion_matrix(self.labels, self.guessed, labels=np.arange(classes))
        return counts

    def worst(self, count: int) -> list[int]:
        """Where the wrong guesses stand, those first that gave the true class the least probability."""
        where = np.flatnonzero(self.wrong)
        return [int(index) for index in where[np.argsort(self.true[where], kind="stable")][:count]]


@torch.inference_mode()
def guess(network: nn.Module, loader: Loader, name: SplitName, crops: Crops = 1) -> Guesses:
    """Ask a network in evaluation mode about every image of a part; the probabilities of its crops are averaged."""
    labels, guessed, sure, true = [], [], [], []
    for images, told in loader.views(name, crops):
        chances = network(images).double().softmax(1).view(len(told), crops, -1).mean(1)
        best = chances.max(1)
        labels.append(told.cpu())
        guessed.append(best.indices.cpu())
        sure.append(best.values.cpu())
        true.append(chances.gather(1, told[:, None])[:, 0].cpu())
    whole = (torch.cat(parts).numpy() for parts in (labels, guessed, sure, true))
    return Guesses(_read(loader, name), *whole)


def _read(loader: Loader, name: SplitName) -> Split:
    """The images of a part without those that could not be read."""
    part = loader.split(name)
    if not loader.skipped or not isinstance(part, Pictures):
        return part
    good = [index for index, file in enumerate(part.files) if shown(part.folder / file) not in loader.skipped]
    return part.take(np.array(good, dtype=np.int64))
