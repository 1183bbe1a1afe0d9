"""Where the gradient comes from: paths through residual units, by their length. Veit et al. 2016, sec. 4.2 and 4.3."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reslab.analyse.blocks import Block, through, trunk
from reslab.analyse.lesion import kept_bytes
from reslab.analyse.preserve import Told
from reslab.data.batches import Batch
from reslab.nets.modules import Network, ResidualUnit
from reslab.use.folded import folded

_LENGTHS = 15  # at most so many are measured
_IMAGES = 32
_GRAPH = 2**30  # bytes that the graphs of the units may take
_GRAPH_SHARE = 12  # activations that a unit's graph keeps for each that comes in, about


class Paths(NamedTuple):
    """The paths through n residual units, by the number of residuals that they pass.

    lengths: 0 ... n, (n + 1,)
    share: of all 2^n paths, those of each length; binomial, sums to 1
    measured: the lengths that were measured, (m,)
    norm: the norm of the gradient that reaches the first unit along one path of a measured length; the mean over random
        paths and images, (m,)
    contribution: share times norm, divided by its sum, (n + 1,); norms between measured ones are interpolated
    """

    lengths: NDArray[np.int64]
    share: NDArray[np.float64]
    measured: NDArray[np.int64]
    norm: NDArray[np.float64]
    contribution: NDArray[np.float64]

    def reach(self, part: float) -> int:
        """The length up to which paths carry a part of the gradient."""
        return int(self.lengths[np.searchsorted(np.cumsum(self.contribution), part)])


def paths(
    network: Network, images: Sequence[Batch], seed: int = 0, draws: int = 6, told: Told | None = None
) -> Paths | None:
    """The gradient by path length, in evaluation mode, on the first 32 images.

    None without residual units, and where what comes back is zero or no finite number.

    The values going forward are the network's own; going backward the gradient of the cross-entropy passes only
    through the residuals of the units that a path takes, and only through the shortcuts of the others.
    """
    blocks = trunk(folded(network))
    units = [number for number, block in enumerate(blocks) if isinstance(block.module, ResidualUnit)]
    if not units:
        return None
    first, last = units[0], units[-1]
    count = max(1, min(_IMAGES, _GRAPH // (_GRAPH_SHARE * kept_bytes(blocks))))
    pixels, labels = (tensor[:count] for tensor in images[0])
    n = len(units)
    measured = np.unique(np.linspace(0, n, min(n + 1, _LENGTHS)).round().astype(np.int64))
    random = np.random.default_rng(seed)
    norms = np.zeros(len(measured))
    with torch.no_grad():
        x = through(blocks[:first], pixels)
    ways = []
    for block in blocks[first : last + 1]:
        ways.append(_ways(block, x))
        x = ways[-1].value
    x = x.requires_grad_()
    loss = F.cross_entropy(through(blocks[last + 1 :], x).float(), labels, reduction="sum")
    (behind,) = torch.autograd.grad(loss, x)
    for place, length in enumerate(measured):
        for _ in range(draws):
            taken = {int(unit) - first for unit in random.choice(units, length, replace=False)}
            norms[place] += float(_along(ways, taken, behind).flatten(1).norm(dim=1).mean()) / draws
        if told:
            told((place + 1) / len(measured))
    return _weighed(n, measured, norms) if np.isfinite(norms).all() and norms.any() else None


class _Ways(NamedTuple):
    """A block's input, its output as the residual and as the shortcut give it alone to the gradient, its value."""

    x: Tensor
    residual: Tensor
    shortcut: Tensor
    value: Tensor


def _ways(block: Block, x: Tensor) -> _Ways:
    x = x.detach().requires_grad_()
    if not isinstance(block.module, ResidualUnit):  # a reduction, which every path passes
        y = block.module(x)
        return _Ways(x, y, y, y.detach())
    unit = block.module
    shared = unit.shared(x)
    shortcut, residual = unit.shortcut(shared), unit.residual(shared)
    still = shared.detach()  # what a gate reads is no path
    by_residual = unit.after(unit.merge(still, shortcut.detach(), residual))
    by_shortcut = unit.after(unit.merge(still, shortcut, residual.detach()))
    return _Ways(x, by_residual, by_shortcut, by_residual.detach())


def _along(ways: Sequence[_Ways], taken: set[int], gradient: Tensor) -> Tensor:
    """The gradient in front of the first block, for that behind the last."""
    for number in range(len(ways) - 1, -1, -1):
        y = ways[number].residual if number in taken else ways[number].shortcut
        (gradient,) = torch.autograd.grad(y, ways[number].x, gradient, retain_graph=True)
    return gradient


def _weighed(n: int, measured: NDArray[np.int64], norms: NDArray[np.float64]) -> Paths:
    from scipy.stats import binom

    lengths = np.arange(n + 1)
    share = binom.pmf(lengths, n, 0.5)
    floor = max(norms.max(), np.finfo(float).tiny) * 1e-300**0.5
    between = np.exp(np.interp(lengths, measured, np.log(np.maximum(norms, floor))))
    between[np.isin(lengths, measured)] = norms
    weight = share * between
    return Paths(lengths, share, measured, norms, weight / weight.sum() if weight.sum() else weight)
