"""The loss around a network's weights: over two random directions, filter by filter as long as the weights.

Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv 1712.09913, sec. 4.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from reslab.data.batches import Batch
from reslab.evaluate import evaluate
from reslab.nets.modules import Network

State = Mapping[str, Tensor]
Place = tuple[int, int]
"""Where in a grid: the step along the first direction and along the second, from 0."""


class Grid(NamedTuple):
    """`points` × `points` places from -reach to reach along each direction, the weights themselves in the middle.

    seed: what the two directions follow from
    precision: "float32", or "bf16", torch's autocast; the middle is in float32 always, the network's own loss
    """

    points: int = 21
    reach: float = 1.0
    seed: int = 0
    precision: str = "float32"

    @property
    def steps(self) -> list[float]:
        half = self.points // 2
        return [self.reach * (place - half) / half for place in range(self.points)]

    @property
    def middle(self) -> Place:
        """The place of the weights themselves."""
        return self.points // 2, self.points // 2

    @property
    def places(self) -> list[Place]:
        """Every place, from the middle outwards."""
        half = self.points // 2
        every = [(first, second) for first in range(self.points) for second in range(self.points)]
        return sorted(every, key=lambda place: (max(abs(place[0] - half), abs(place[1] - half)), place))


class Point(NamedTuple):
    """Mean cross-entropy, None where it is no finite number, and error in percent, at a place of the grid."""

    loss: float | None
    error: float


def direction(network: Network, seed: int, index: int) -> State:
    """A random direction in the space of weights, by the seed alone.

    Each filter of a convolution and each row of a linear layer is Gaussian, scaled to the norm of the weights that it
    goes with; BN's scale and shift and all biases stay as they are. Li et al. sec. 4.
    """
    generator = torch.Generator().manual_seed(2 * seed + index)
    found = {}
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            continue
        drawn = torch.randn(weight.shape, generator=generator)
        filters = tuple(range(1, weight.ndim))
        length = vector_norm(weight.detach().cpu(), dim=filters, keepdim=True)
        found[name] = (drawn * length / vector_norm(drawn, dim=filters, keepdim=True)).to(weight.device)
    return found


@contextmanager
def moved(network: Network, directions: tuple[State, State], amounts: tuple[float, float]) -> Iterator[Network]:
    """A network some way along two directions; its weights are the very same when this ends."""
    weights = dict(network.named_parameters())
    before = {name: weights[name].detach().clone() for name in directions[0]}
    try:
        with torch.no_grad():
            for name, held in before.items():
                weights[name].copy_(held + amounts[0] * directions[0][name] + amounts[1] * directions[1][name])
        yield network
    finally:
        with torch.no_grad():
            for name, held in before.items():
                weights[name].copy_(held)


def measure(network: Network, images: list[Batch], directions: tuple[State, State], grid: Grid, place: Place) -> Point:
    """Loss and error at a place of the grid, in evaluation mode with the running statistics as they are."""
    steps = grid.steps
    bf16 = grid.precision == "bf16" and place != grid.middle
    with moved(network, directions, (steps[place[0]], steps[place[1]])):
        return _point(network, images, bf16)


def rounding(network: Network, images: list[Batch]) -> float:
    """By how much the loss of the weights themselves differs in bf16, in nats."""
    exact, rounded = (_point(network, images, bf16).loss for bf16 in (False, True))
    return math.inf if exact is None or rounded is None else abs(rounded - exact)


def _point(network: Network, images: list[Batch], bf16: bool) -> Point:
    with torch.autocast(images[0][0].device.type, torch.bfloat16, enabled=bf16):
        found = evaluate(network, images)
    return Point(found.loss if math.isfinite(found.loss) else None, found.top1_error)
