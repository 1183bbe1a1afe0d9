"""The gradient along paths through residual units, by the length of the path. Veit et al. 2016, sec. 4.2 and 4.3."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reslab.analyse.blocks import Block, apply, blocks, kept_bytes
from reslab.analyse.preserve import Progress, silent
from reslab.data.batches import Batch
from reslab.drawing import STYLE, Drawing, line
from reslab.nets.modules import Network, ResidualUnit
from reslab.table import Column, columns
from reslab.use.folded import folded

_LENGTHS = 15  # measured at most
_IMAGES = 32
_GRAPH = 2**30  # bytes that the graphs of the units may take
_GRAPH_SHARE = 12  # activations in a unit's graph for each one of its input, about


class Paths(NamedTuple):
    """The paths through n residual units, by their length, the number of residuals on the path.

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
        """The shortest length such that paths up to it carry a share `part` of the gradient."""
        return int(self.lengths[np.searchsorted(np.cumsum(self.contribution), part)])


def paths(
    network: Network, images: Sequence[Batch], seed: int = 0, draws: int = 6, progress: Progress = silent
) -> Paths | None:
    """The gradient by path length, in evaluation mode, on the first 32 images.

    None without residual units, and where the gradient at the first unit is zero or not finite.

    The values going forward are the network's own; going backward the gradient of the cross-entropy passes only
    through the residuals of the units that a path takes, and only through the shortcuts of the others.
    """
    body = blocks(folded(network))
    units = [number for number, block in enumerate(body) if isinstance(block.module, ResidualUnit)]
    if not units:
        return None
    first, last = units[0], units[-1]
    count = max(1, min(_IMAGES, _GRAPH // (_GRAPH_SHARE * kept_bytes(body))))
    pixels, labels = (tensor[:count] for tensor in images[0])
    n = len(units)
    measured = np.unique(np.linspace(0, n, min(n + 1, _LENGTHS)).round().astype(np.int64))
    random = np.random.default_rng(seed)
    norms = np.zeros(len(measured))
    with torch.no_grad():
        x = apply(body[:first], pixels)
    graphs = []
    for block in body[first : last + 1]:
        graphs.append(_graphs(block, x))
        x = graphs[-1].value
    x = x.requires_grad_()
    loss = F.cross_entropy(apply(body[last + 1 :], x).float(), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, x)
    for place, length in enumerate(measured):
        for _ in range(draws):
            taken = {int(unit) - first for unit in random.choice(units, length, replace=False)}
            norms[place] += float(_along(graphs, taken, gradient).flatten(1).norm(dim=1).mean()) / draws
        progress((place + 1) / len(measured))
    return _weighed(n, measured, norms) if np.isfinite(norms).all() and norms.any() else None


class _Graphs(NamedTuple):
    """A block's input, its output with a graph through the residual alone and through the shortcut alone, its value."""

    x: Tensor
    residual: Tensor
    shortcut: Tensor
    value: Tensor


def _graphs(block: Block, x: Tensor) -> _Graphs:
    x = x.detach().requires_grad_()
    if not isinstance(block.module, ResidualUnit):  # a reduction, part of every path
        y = block.module(x)
        return _Graphs(x, y, y, y.detach())
    unit = block.module
    shared = unit.shared(x)
    shortcut, residual = unit.shortcut(shared), unit.residual(shared)
    gate_input = shared.detach()  # no path leads through a gate
    by_residual = unit.after(unit.merge(gate_input, shortcut.detach(), residual))
    by_shortcut = unit.after(unit.merge(gate_input, shortcut, residual.detach()))
    return _Graphs(x, by_residual, by_shortcut, by_residual.detach())


def _along(graphs: Sequence[_Graphs], taken: set[int], gradient: Tensor) -> Tensor:
    """Backpropagate a gradient from the last block's output to the first block's input along one path.

    taken: the blocks whose residual is on the path
    """
    for number in range(len(graphs) - 1, -1, -1):
        y = graphs[number].residual if number in taken else graphs[number].shortcut
        (gradient,) = torch.autograd.grad(y, graphs[number].x, gradient, retain_graph=True)
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


def path_columns(measured: Mapping[str, Paths]) -> list[Column]:
    """Every length of every network's paths, by the network's label."""
    lines = []
    for label, one in measured.items():
        norms = dict(zip(one.measured.tolist(), one.norm.tolist(), strict=True))
        for length, share, carried in zip(one.lengths.tolist(), one.share, one.contribution, strict=True):
            lines.append((label, length, share, norms.get(length), carried))
    return columns(("network", "length", "share of the paths", "gradient along one", "share of the gradient"), lines)


def paths_drawing(groups: Mapping[str, Sequence[Paths]]) -> Drawing:
    """The share, gradient and contribution of the paths of each group of runs, by its label; plain ones have none."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.8), layout="constrained")
        drawing = Drawing(
            figure,
            "Paths by their length, the number of residuals on the path. Left: their share of all paths, binomial. "
            "Middle: the gradient at the first unit along one path. Right: the product, the share of the gradient "
            "along paths of each length. Means over runs.",
        )
        axes = figure.subplots(1, 3)
        for index, (name, of) in enumerate(groups.items()):
            if not of:
                continue
            style = line(index) | {"linewidth": 1.6}
            one, norms = of[0], np.mean([each.norm for each in of], axis=0)
            contribution = np.mean([each.contribution for each in of], axis=0)
            axes[0].plot(one.lengths, one.share, label=name, **style)
            axes[1].plot(one.measured, norms, marker="o", markersize=3, **style)
            axes[2].plot(one.lengths, contribution, **style)
            for length, value in zip(one.lengths, contribution, strict=True):
                text = f"{name}, length {length}: {100 * value:.1f} % of the gradient"
                drawing.points.append((axes[2], float(length), float(value), text))
        axes[1].set_yscale("log")
        labels = ("share of the paths", "norm of the gradient", "share of the gradient")
        for ax, label in zip(axes, labels, strict=True):
            ax.set(xlabel="length: residuals passed", ylabel=label)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return drawing
