"""The propagation of signals: moments of shortcut and residual after each unit, and the gradients of single images.

Brock et al. 2021, arXiv 2101.08692 (moments); De and Smith 2020, arXiv 2002.10444 (shares of the residual); Yang et al.
2019, arXiv 1902.08129 (growth of gradients with BN); Balduzzi et al. 2017, arXiv 1702.08591 (shattered gradients).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.analyse.analysis import Analysis
from reslab.analyse.blocks import Block, blocks
from reslab.analyse.claims import ClaimResult, counterparts, group_label, non_finite_warning, test_claim
from reslab.analyse.inputs import INITIAL, Inputs, Subject
from reslab.analyse.preserve import Progress, outputs, preserve_state, silent, subtask
from reslab.data.batches import Batch
from reslab.drawing import STYLE, Drawing, line, scale
from reslab.nets import Add, ResNet
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.nets.modules import Network, PlainUnit, ResidualUnit
from reslab.stats import Sample
from reslab.table import Column, Value, columns

Floats = NDArray[np.float64]
GROWTH = np.pi / (np.pi - 1)
"""By how much a convolution, BN and ReLU multiply the squared gradient backward, initially. Yang et al. 2019."""

NOISE = 1e-3
"""A mean cosine or a squared mean below this is not drawn."""


class Signals(NamedTuple):
    """A network's blocks from the stem to the last unit, in order; every array is (blocks,).

    squares, variance: of the block's output: the squared mean of a channel and its variance over images and positions,
        both averaged over channels
    shortcut_..., residual_...: the same of h(x) and of F(x), before they meet; nan where there is none
    gradient: norm of the derivative of the first class's logit by one image's output of the block, root mean square
        over the images
    correlation: mean cosine of these derivatives over all pairs of images
    """

    blocks: tuple[str, ...]
    squares: Floats
    variance: Floats
    shortcut_squares: Floats
    shortcut_variance: Floats
    residual_squares: Floats
    residual_variance: Floats
    gradient: Floats
    correlation: Floats

    def growth(self) -> float:
        """The gradient after the stem over that after the last unit."""
        return float(self.gradient[0] / self.gradient[-1]) if self.gradient[-1] else float("nan")

    def share(self, block: int) -> float:
        """The residual's share of the variance that enters a block's sum."""
        both = self.residual_variance[block] + self.shortcut_variance[block]
        return float(self.residual_variance[block] / both) if both else float("nan")

    def finite(self) -> bool:
        """Whether all values are finite that every network has."""
        return bool(np.isfinite([self.squares, self.variance, self.gradient]).all())


Measured = Mapping[tuple[str, str], Signals]
"""By a subject's label and checkpoint."""


def signals(network: Network, images: Sequence[Batch], initial: bool, progress: Progress = silent) -> Signals:
    """The moments and gradients of a network on images, in evaluation mode.

    initial: BN's statistics, which are empty in initial weights, become those of the images; they stay fixed, so that
    the gradient of an image is its own. The network, its buffers and gradients, and torch's generators stay unchanged.
    """
    body = blocks(network)[:-1]
    tally = _Tally(body)
    with preserve_state(network, "eval"):
        if initial:
            _calibrate(network, images)
        with outputs(tally.modules, tally.values.__setitem__):
            for done, (pixels, labels) in enumerate(images, 1):
                logits = network(pixels.clone().requires_grad_())
                after = [tally.values[block.name] for block in body]
                tally.add(torch.autograd.grad(logits[:, 0].float().sum(), after), len(labels))
                progress(done / len(images))
    return tally.result()


@torch.no_grad()
def _calibrate(network: Network, images: Sequence[Batch]) -> None:
    """Set BN's running statistics to their means over batches of images."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with _cumulative(norms):
        for pixels, _ in images:
            network(pixels)


@contextmanager
def _cumulative(norms: Sequence[nn.BatchNorm2d]) -> Iterator[None]:
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


class _Tally:
    """Sums over batches of the outputs of a network's blocks and of their parts."""

    def __init__(self, body: Sequence[Block]):
        self.blocks = body
        self.modules = {block.name: block.module for block in body}
        for block in body:
            if isinstance(block.module, ResidualUnit | PlainUnit):
                self.modules[f"{block.name}.residual"] = block.module.residual
            if isinstance(block.module, ResidualUnit):
                self.modules[f"{block.name}.shortcut"] = block.module.shortcut
        self.values: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}  # of a channel and of its square, (2, channels)
        self.counts: dict[str, int] = {}
        self.units = [torch.zeros(1, dtype=torch.float64) for _ in body]  # sums of gradients of length 1
        self.lengths = np.zeros((2, len(body)))  # sums of squared norms, and of images with a gradient
        self.images = 0

    def add(self, slopes: Sequence[Tensor], count: int) -> None:
        for name, value in self.values.items():
            flat = value.detach().double().transpose(0, 1).flatten(1)
            both = torch.stack([flat.sum(1), flat.square().sum(1)])
            self.sums[name] = self.sums[name] + both if name in self.sums else both
            self.counts[name] = self.counts.get(name, 0) + flat.shape[1]
        for place, slope in enumerate(slopes):
            flat = slope.double().flatten(1)
            squares = flat.square().sum(1)
            self.lengths[:, place] += float(squares.sum()), float((squares > 0).sum())
            self.units[place] = self.units[place].to(flat.device) + F.normalize(flat, eps=1e-300).sum(0)
        self.images += count
        self.values.clear()

    def result(self) -> Signals:
        gradient = (self.lengths[0] / self.images) ** 0.5
        summed = np.array([float(unit.square().sum()) for unit in self.units])
        pairs = self.lengths[1] * (self.lengths[1] - 1)
        correlation = np.divide(summed - self.lengths[1], pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        names = [block.name for block in self.blocks]
        output, shortcut, residual = (
            np.array([self._moments(f"{name}{part}") for name in names]).T for part in ("", ".shortcut", ".residual")
        )
        moments = (*output, *shortcut, *residual)
        return Signals(tuple(names), *moments, gradient, correlation)  # type: ignore[call-arg]

    def _moments(self, name: str) -> tuple[float, float]:
        if name not in self.sums:
            return float("nan"), float("nan")
        mean, square = self.sums[name] / self.counts[name]
        return float(mean.square().mean()), float((square - mean.square()).mean())


@dataclass(frozen=True)
class SignalAnalysis(Analysis[Measured]):
    """Signals at every checkpoint."""

    kind = "signals"
    title = "Propagation of signals on {data}"
    about = (
        "Moments: the variance of a channel and its squared mean, over images and positions, averaged over channels; "
        "of the shortcut h(x) and of the residual F(x) of every unit, as in Brock et al. 2021. Gradient: of the first "
        "class's logit by one image's output of a unit; its norm, root mean square over images (its growth with BN: "
        "Yang et al. 2019), and its mean cosine over pairs of images (shattered gradients: Balduzzi et al. 2017)."
    )
    reading = (
        "A residual F that ends in a convolution after BN and ReLU adds a second moment of about 1 in every unit at "
        "first, so that an identity shortcut's variance grows in a line along a stage, and F is an ever smaller share.",
        f"Without shortcuts every convolution, BN and ReLU multiplies the squared gradient by about π / (π − 1) = "
        f"{GROWTH:.3f} backward at first: the convolution by 2, ReLU by 1/2, and BN divides it by the variance of the "
        "convolution's output, 1 − 1/π.",
        "Initial weights are measured with BN's statistics of all the images, held fixed; trained ones with BN's "
        "running statistics. Whatever drops is at its mean.",
    )

    def measure(self, inputs: Inputs, progress: Progress) -> Measured:
        measured: dict[tuple[str, str], Signals] = {}
        for index, subject in enumerate(inputs.subjects):
            images = inputs.batches(subject)
            share = subtask(progress, index, len(inputs.subjects))
            for number, (checkpoint, network) in enumerate(subject.states.items()):
                part = subtask(share, number, len(subject.states))
                measured[subject.label, checkpoint] = signals(network, images, checkpoint == INITIAL, part)
        return measured

    def table(self, inputs: Inputs, measured: Measured) -> list[Column]:
        rows: list[tuple[Value, ...]] = []
        for group in inputs.by_architecture.values():
            for checkpoint in dict.fromkeys(checkpoint for one in group for checkpoint in one.states):
                some = _of(group, checkpoint, measured)
                last = len(some[0].blocks) - 1
                values = [
                    (one.variance[0], one.variance[-1], one.share(last), one.growth(), float(one.correlation.mean()))
                    for one in some
                ]
                rows.append((group_label(group), checkpoint, *map(Sample, zip(*values, strict=True))))
        titles = [
            *("network", "weights", "variance after the stem", "after the last unit", "share of F in the last unit"),
            *("gradient: stem over last unit", "cosine of two images' gradients, mean over units"),
        ]
        return columns(titles, rows, text=2, form=".3g")

    def tables(self, measured: Measured) -> dict[str, list[Column]]:
        lines: list[tuple[Value, ...]] = [
            (label, checkpoint, block, *values)
            for (label, checkpoint), one in measured.items()
            for block, *values in zip(*one, strict=True)
        ]
        moments = [f"{moment}{part}" for part in ("", " of h", " of F") for moment in ("squared mean", "variance")]
        titles = ("network", "weights", "after", *moments, "gradient", "correlation")
        return {"values": columns(titles, lines, text=3)}

    def claims(self, inputs: Inputs, measured: Measured) -> list[ClaimResult]:
        """The papers' claims on initial weights."""
        initial = {spec: group for spec, group in inputs.by_architecture.items() if group[0].first == INITIAL}
        results: list[ClaimResult] = []
        for spec, group in initial.items():
            if isinstance(spec, ResNet):
                results += _small_share(spec, group, measured) if spec.shortcut else _explosion(spec, group, measured)
        for residual, plain in counterparts(initial):
            results += _beside_plain(initial[residual], initial[plain], measured)
        return results

    def facts(self, inputs: Inputs, measured: Measured) -> dict[str, str]:
        return {"statistics of BN": "of all the images for initial weights, the running ones for trained weights"}

    def warnings(self, inputs: Inputs, measured: Measured) -> tuple[str, ...]:
        return non_finite_warning(key for key, one in measured.items() if not one.finite())

    def drawings(self, inputs: Inputs, measured: Measured) -> dict[str, Drawing]:
        """The initial and the last weights of all, and each training of which more checkpoints are kept."""
        groups = list(inputs.by_architecture.values())
        ends: dict[str, list[_Line]] = {"initial weights": [], "trained weights": []}
        training: dict[str, list[_Line]] = {}
        for index, group in enumerate(groups):
            for checkpoint in dict.fromkeys((group[0].first, group[0].last)):
                some = _of(group, checkpoint, measured)
                end = "initial weights" if checkpoint == INITIAL else "trained weights"
                ends[end].append(_Line(group_label(group), some, line(index)))
            kept = list(group[0].states)
            if len(kept) > 2:
                shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(kept)))
                training[group[0].kind] = [
                    _Line(checkpoint, _of(group, checkpoint, measured), {"color": shade})
                    for checkpoint, shade in zip(kept, shades, strict=True)
                ]
        figures = {"signals": _drawing({title: lines for title, lines in ends.items() if lines})}
        return figures | ({"training": _drawing(training)} if training else {})


def _of(group: Sequence[Subject], checkpoint: str, measured: Measured) -> list[Signals]:
    """What was measured of a group's subjects that have a checkpoint."""
    return [measured[subject.label, checkpoint] for subject in group if checkpoint in subject.states]


def _small_share(spec: ResNet, group: list[Subject], measured: Measured) -> Iterator[ClaimResult]:
    """Whether BN makes the residual of a deep unit small beside its identity shortcut."""
    if spec.merge != Add() or spec.shortcut == "C" or ARRANGEMENTS[spec.arrangement].after:
        return  # what follows the addition changes the shortcut's path
    some = _of(group, INITIAL, measured)
    units = max(spec.units)
    stage = spec.units.index(units) + 1
    place = some[0].blocks.index(f"stage{stage}.unit{units}")
    share = Sample(tuple(one.share(place) for one in some))
    claim = f"BN makes the residual of a deep unit a small part of its output: {group[0].kind}"
    metric = f"share of F in the variance, unit {units} of stage {stage}, bound 2 over its units"
    yield test_claim(claim, "De and Smith 2020, sec. 2", metric, (share, 2 / units), (group, group))


def _explosion(spec: ResNet, group: list[Subject], measured: Measured) -> Iterator[ClaimResult]:
    """Whether the gradient of a plain network with BN explodes backward."""
    if "bn" not in ARRANGEMENTS[spec.arrangement].between:
        return
    some = _of(group, INITIAL, measured)
    growth = _growth_per_layer(spec, some)
    claim = f"With BN and without shortcuts gradients explode backward: {group[0].kind}"
    metric = f"growth of the squared gradient in a layer, {GROWTH:.3f} expected"
    yield test_claim(claim, "Yang et al. 2019, abstract", metric, (1.0, growth), (group, group))


def _growth_per_layer(spec: ResNet, some: Sequence[Signals]) -> Sample:
    layers = len(spec.kernels) * sum(spec.units)
    return Sample(tuple(one.growth() ** (2 / layers) for one in some))


def _beside_plain(residual: list[Subject], plain: list[Subject], measured: Measured) -> Iterator[ClaimResult]:
    """Whether shortcuts keep gradients from exploding and from shattering."""
    some, others = _of(residual, INITIAL, measured), _of(plain, INITIAL, measured)
    names = f"{residual[0].kind} and {plain[0].kind}"
    spec = residual[0].spec
    assert isinstance(spec, ResNet)
    growth = _growth_per_layer(spec, some), _growth_per_layer(spec, others)
    claim = f"Gradients explode less with shortcuts: {names}"
    metric = "growth of the squared gradient in a layer"
    yield test_claim(claim, "Yang et al. 2019, abstract", metric, growth, (residual, plain))
    alike = [Sample(tuple(float(one.correlation.mean()) for one in side)) for side in (others, some)]
    claim = f"Gradients of different images are less alike without shortcuts: {plain[0].kind} and {residual[0].kind}"
    metric = "cosine of two images' gradients, mean over units"
    yield test_claim(claim, "Balduzzi et al. 2017, sec. 3", metric, (alike[0], alike[1]), (plain, residual))


class _Line(NamedTuple):
    label: str
    some: list[Signals]
    style: dict[str, Any]


_PANELS = {
    "variance": ("shortcut_variance", "residual_variance"),
    "squared mean": ("shortcut_squares", "residual_squares"),
    "gradient, norm per image": ("gradient",),
    "cosine of two gradients": ("correlation",),
}

_NOISY = ("correlation", "shortcut_squares", "residual_squares")


def _drawing(parts: Mapping[str, Sequence[_Line]]) -> Drawing:
    """A column for each title, a row for each quantity."""
    caption = (
        "Unit 0 is the stem. Variance and squared mean: solid h(x), dashed F(x), of a plain network F(x) alone. Means "
        "over seeds. Cosines and squared means below 0.001 are not drawn. "
        + "From first weights (dark) to last (light)."
        * ("initial weights" not in parts)
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.8, 4.4 * len(parts)), 10.4), layout="constrained")
        drawing = Drawing(figure, caption)
        axes = figure.subplots(len(_PANELS), len(parts), squeeze=False, sharey="row", sharex="col")
        for column, (title, lines) in enumerate(parts.items()):
            for one in lines:
                for ax, names in zip(axes[:, column], _PANELS.values(), strict=True):
                    for name, dash in zip(names, ("-", "--"), strict=False):
                        _line(drawing, ax, one, name, dash if len(names) > 1 else one.style.get("linestyle", "-"))
            axes[0, column].set_title(title, fontsize=10)
            axes[-1, column].set_xlabel("unit")
            axes[-1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
        for row, label in zip(axes, _PANELS, strict=True):
            row[0].set_ylabel(label)
            scale(row[0], np.concatenate([drawn.get_ydata() for ax in row for drawn in ax.lines]))
        axes[-1, 0].set_ylim(NOISE, 1.3)
        handles = {
            label: handle for ax in axes[2] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2, fontsize=9)
    return drawing


def _line(drawing: Drawing, ax: Axes, one: _Line, name: str, dash: str) -> None:
    values = np.mean([getattr(each, name) for each in one.some], axis=0)
    shown = np.where(np.isfinite(values) & (values > (NOISE if name in _NOISY else 0)), values, np.nan)
    ax.plot(np.arange(len(shown)), shown, label=one.label, linewidth=1.5, **one.style | {"linestyle": dash})
    what = name.replace("_squares", "'s squared mean").replace("_variance", "'s variance")
    drawing.points += [
        (ax, float(unit), float(value), f"{one.label}, {block}, {what}: {value:.3g}")
        for unit, (block, value) in enumerate(zip(one.some[0].blocks, shown, strict=True))
        if not np.isnan(value)
    ]
