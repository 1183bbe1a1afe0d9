"""What a network does without some of its units, or with units in another order, at test time.

Veit, Wilber and Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks",
arXiv 1605.06431, sec. 4.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reslab.analyse.blocks import Block, trunk
from reslab.analyse.preserve import Told
from reslab.data.batches import Batch
from reslab.errors import SpecError
from reslab.nets.modules import Network, ResidualUnit
from reslab.use.folded import folded

DRAWS = 3  # random choices for each number of units
_COUNTS = (2, 3, 5, 8, 12, 20, 30, 50)  # units removed at once
_SWAPS = (1, 2, 4, 8, 16, 32)
_CACHE = 2**28  # bytes of activations that are kept at once


class Step(NamedTuple):
    """A block of the trunk, by number, on the way through the network, and whether it is removed."""

    block: int
    removed: bool = False


class Lesion(NamedTuple):
    """One way to hurt a network.

    what: whether units are removed or swapped; k: how many units, or swaps; units: the removed ones' paths
    tau: Kendall's rank correlation of the units' order with that of the network, 1 where none is swapped
    route: the blocks in the order in which they compute
    """

    what: Literal["remove", "swap"]
    k: int
    units: tuple[str, ...]
    tau: float
    route: tuple[Step, ...]


class Outcome(NamedTuple):
    """A network's top-1 error in percent: whole, and under each lesion."""

    whole: float
    lesions: tuple[Lesion, ...]
    errors: NDArray[np.float64]

    def single(self) -> dict[str, float]:
        """The error without each unit, by the unit's path."""
        pairs = zip(self.lesions, self.errors, strict=True)
        return {lesion.units[0]: float(error) for lesion, error in pairs if lesion.what == "remove" and lesion.k == 1}

    def by_count(self, what: str) -> dict[int, list[tuple[float, float]]]:
        """(tau, error) of each lesion of a sort, by the number of units removed or of swaps."""
        found: dict[int, list[tuple[float, float]]] = {}
        for lesion, error in zip(self.lesions, self.errors, strict=True):
            if lesion.what == what:
                found.setdefault(lesion.k, []).append((lesion.tau, float(error)))
        return found


def lesions(blocks: Sequence[Block], seed: int | tuple[int, int] = 0, draws: int = DRAWS) -> tuple[Lesion, ...]:
    """Every single unit removed, several random ones removed, and random pairs of units of the same shape swapped.

    What is random follows from the seed. Raises SpecError where no unit can be removed.
    """
    units = [number for number, block in enumerate(blocks) if block.removable]
    if not units:
        raise SpecError("no unit of this network can be removed: none has a shortcut or keeps its input's shape")
    random = np.random.default_rng(seed)
    chosen: list[tuple[int, ...]] = [(unit,) for unit in units]
    for k in (count for count in _COUNTS if count < len(units)):
        chosen += [tuple(sorted(map(int, random.choice(units, k, replace=False)))) for _ in range(draws)]
    found = [
        Lesion(
            "remove",
            len(removed),
            tuple(blocks[unit].name for unit in removed),
            1.0,
            tuple(Step(number, number in removed) for number in range(len(blocks))),
        )
        for removed in chosen
    ]
    return (*found, *_swaps(blocks, random, draws))


def _swaps(blocks: Sequence[Block], random: np.random.Generator, draws: int) -> list[Lesion]:
    from scipy.stats import kendalltau

    alike = [
        [other for other, twin in enumerate(blocks) if twin.is_unit and twin.before == twin.behind == block.before]
        for block in blocks
    ]
    movable = [number for number, block in enumerate(blocks) if number in alike[number] and len(alike[number]) > 1]
    units = [number for number, block in enumerate(blocks) if block.is_unit]
    found = []
    for k in (count for count in _SWAPS if count < len(movable)):
        for _ in range(draws):
            order = list(range(len(blocks)))
            for _ in range(k):
                one = int(random.choice(movable))
                other = int(random.choice([unit for unit in alike[one] if unit != one]))
                order[one], order[other] = order[other], order[one]
            tau = float(kendalltau(units, [order[unit] for unit in units]).statistic)
            found.append(Lesion("swap", k, (), tau, tuple(Step(number) for number in order)))
    return found


@torch.inference_mode()
def outcome(network: Network, images: Sequence[Batch], hurt: Sequence[Lesion], told: Told | None = None) -> Outcome:
    """The errors of a network under lesions, in evaluation mode; the network itself stays as it is.

    A copy is hurt in which BN has gone into the convolutions. The activations in front of every block are kept, so that
    a lesion computes only what follows its first change.
    """
    blocks = trunk(folded(network))
    whole = tuple(Step(number) for number in range(len(blocks)))
    firsts = [next((at for at, step in enumerate(lesion.route) if step != whole[at]), 0) for lesion in hurt]
    at_once = max(1, _CACHE // kept_bytes(blocks))
    batches = [
        part
        for pixels, labels in images
        for part in zip(torch.split(pixels, at_once), torch.split(labels, at_once), strict=True)
    ]
    wrong, count = np.zeros(1 + len(hurt)), 0
    for done, (pixels, labels) in enumerate(batches):
        inputs = [pixels]
        for block in blocks:
            inputs.append(block.module(inputs[-1]))
        wrong[0] += _wrong(inputs[-1], labels)
        count += len(labels)
        for number, (lesion, first) in enumerate(zip(hurt, firsts, strict=True), 1):
            x = inputs[first]
            for step in lesion.route[first:]:
                x = _without(blocks[step.block], x) if step.removed else blocks[step.block].module(x)
            wrong[number] += _wrong(x, labels)
            if told:
                told((done + number / len(hurt)) / len(batches))
    errors = 100 * wrong / count
    return Outcome(float(errors[0]), tuple(hurt), errors[1:])


def kept_bytes(blocks: Sequence[Block]) -> int:
    """The bytes of the activations in front of all blocks, for one image, in float32."""
    return 4 * sum(int(np.prod(block.before)) for block in blocks)


def _without(block: Block, x: Tensor) -> Tensor:
    """What stays of a removed unit: the shortcut's part of the merge, or in a plain one its input."""
    if not isinstance(block.module, ResidualUnit):
        return x
    unit = block.module
    x = unit.shared(x)
    shortcut = unit.shortcut(x)
    return unit.after(unit.merge(x, shortcut, torch.zeros_like(shortcut)))  # type: ignore[no-any-return]


def _wrong(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) != labels).sum())
