"""The strength of signal and gradient after each unit, beside the gradient along the shortcuts alone.

C sec. 2 and 3, eqs. 5 to 8; A sec. 4.1 on healthy gradients; B sec. 3.3 on networks that die.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import NamedTuple, assert_never

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
from reslab.analyse.blocks import HEAD, Block, blocks
from reslab.analyse.claims import ClaimResult, group_label, non_finite_warning, test_claim
from reslab.analyse.inputs import INITIAL, Inputs, Subject
from reslab.analyse.preserve import Mode, Progress, outputs, preserve_state, silent, subtask
from reslab.data.batches import Batch
from reslab.drawing import STYLE, Drawing, line, scale
from reslab.nets import Gated, ResNet
from reslab.nets.leaves import Flatten, GlobalPool
from reslab.nets.merges import Add, Dropped, Scaled, StochasticDepth, Weighted
from reslab.nets.modules import Network
from reslab.nets.paths import Chain
from reslab.nets.unit import Unit
from reslab.stats import Judgement, Sample
from reslab.table import Column, Value, columns

Floats = NDArray[np.float64]

VANISHED = 0.01
"""A product of shortcut factors below this carries next to no gradient."""
HEALTHY = -1.0
"""The gradient after the stem has not vanished if the log10 of its share of that after the last unit is above this."""


class Gradients(NamedTuple):
    """A network's blocks from the stem to the last unit, in order; every array is (blocks,).

    signal: root mean square of the block's output, over images, channels and positions
    gradient: norm of the derivative of an image's cross-entropy by its output of the block; root mean square over the
        images
    factor: the factor of h(x) in the block's merge; nan without a shortcut, and for one with weights
    dead: the share of channels that no ReLU inside the block let through for any image; nan without ReLU
    died: whether the input of the average pooling, or of the flattening, is zero for every image. B sec. 3.3
    """

    blocks: tuple[str, ...]
    signal: Floats
    gradient: Floats
    factor: Floats
    dead: Floats
    died: bool

    def predicted(self) -> Floats:
        """The gradient along the shortcuts alone, backward from the last unit, (blocks,). C eqs. 5 to 8.

        It restarts at the measured one before a block without a factor; nan where no shortcut follows.
        """
        values = np.full(len(self.blocks), np.nan)
        for place in range(len(self.blocks) - 1, 0, -1):
            if not np.isnan(self.factor[place]):
                if np.isnan(values[place]):
                    values[place] = self.gradient[place]
                with np.errstate(over="ignore"):
                    values[place - 1] = values[place] * self.factor[place]
        return values

    def product(self) -> float:
        """The product of the factors of all shortcuts; nan where one has weights or there is none. C eqs. 5 to 8."""
        with np.errstate(over="ignore"):
            return float(np.prod(self.factor[1:]))

    def ratio(self) -> float:
        """The gradient after the stem over that after the last unit."""
        return float(self.gradient[0]) / float(self.gradient[-1]) if self.gradient[-1] else float("nan")

    def finite(self) -> bool:
        """Whether all values are finite, apart from those that do not exist."""
        strengths = np.isfinite([self.signal, self.gradient]).all()
        return bool(strengths) and not np.isinf([*self.predicted(), self.product(), self.ratio()]).any()

    def mean_dead(self) -> float:
        """The mean share of dead channels over the blocks with ReLUs."""
        dead = self.dead[~np.isnan(self.dead)]
        return float(dead.mean()) if dead.size else float("nan")


Measured = Mapping[tuple[str, str], Gradients]
"""By a subject's label and checkpoint."""


def gradients(
    network: Network, images: Sequence[Batch], mode: Mode = "train", progress: Progress = silent
) -> Gradients:
    """Signal and gradient of a network on images, with the statistics of each batch as in training, or in evaluation.

    The network, its buffers and gradients, and torch's generators stay unchanged.
    """
    body = blocks(network)[:-1]
    tally = _Tally(network, body)
    with preserve_state(network, mode), tally.hooks():
        for done, (pixels, labels) in enumerate(images, 1):
            logits = network(pixels.clone().requires_grad_())
            loss = F.cross_entropy(logits.float(), labels, reduction="sum")
            after = [tally.after[block.name] for block in body]
            tally.add(torch.autograd.grad(loss, after), len(labels))
            progress(done / len(images))
    return tally.result()


class _Tally:
    """Sums over batches of the outputs of a network's modules."""

    def __init__(self, network: Network, body: Sequence[Block]):
        self.blocks = body
        self.ends = {block.name: block.module for block in body}
        self.relus = {
            f"{block.name}.{name}": module
            for block in body
            for name, module in block.module.named_modules()
            if isinstance(module, nn.ReLU)
        }
        gated = (block for block in body if isinstance(block.node, Unit) and isinstance(block.node.merge, Gated))
        self.gates: dict[str, nn.Module] = {block.name: block.module.get_submodule("merge.gate") for block in gated}
        self.pooled = dict([before_pooling(network)])
        self.after: dict[str, Tensor] = {}
        self.highest: dict[str, Tensor] = {}
        self.open: dict[str, list[float]] = {name: [] for name in self.gates}
        self.alive = False
        self.images = 0
        self.squares = np.zeros((2, len(body)))

    def hooks(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(outputs(self.ends, self.after.__setitem__))
        stack.enter_context(outputs(self.relus, self._relu))
        stack.enter_context(outputs(self.gates, self._gate))
        stack.enter_context(outputs(self.pooled, self._pooled))
        return stack

    def _relu(self, name: str, output: Tensor) -> None:
        highest = output.detach().amax([axis for axis in range(output.dim()) if axis != 1])
        self.highest[name] = torch.maximum(highest, self.highest[name]) if name in self.highest else highest

    def _gate(self, name: str, output: Tensor) -> None:
        self.open[name].append(float(torch.sigmoid(-output.detach()).mean()))

    def _pooled(self, name: str, output: Tensor) -> None:
        self.alive = self.alive or bool(output.detach().any())

    def add(self, slopes: Sequence[Tensor], count: int) -> None:
        for place, (block, slope) in enumerate(zip(self.blocks, slopes, strict=True)):
            self.squares[0, place] += float(self.after[block.name].detach().double().square().flatten(1).mean(1).sum())
            self.squares[1, place] += float(slope.double().square().sum())
        self.images += count
        self.after.clear()

    def result(self) -> Gradients:
        signal, gradient = (self.squares / self.images) ** 0.5
        factor = np.array([self._factor(block) for block in self.blocks])
        dead = np.array([self._dead(block.name) for block in self.blocks])
        return Gradients(tuple(self.ends), signal, gradient, factor, dead, not self.alive)

    def _factor(self, block: Block) -> float:
        unit = block.node
        if not isinstance(unit, Unit) or unit.shortcut is None:
            return float("nan")
        if any(layer.parameters for layer in unit.shortcut.layers(block.in_shape, "")):
            return float("nan")
        match unit.merge:
            case Add() | Weighted() | StochasticDepth():
                return 1.0
            case Scaled(shortcut=shortcut):
                return shortcut
            case Dropped(p=p, inverted=inverted):
                return 1.0 if inverted else 1 - p
            case Gated():
                return float(np.mean(self.open[block.name]))
            case _:
                assert_never(unit.merge)

    def _dead(self, name: str) -> float:
        inside = [highest <= 0 for relu, highest in self.highest.items() if relu.startswith(f"{name}.")]
        return float(torch.cat(inside).float().mean()) if inside else float("nan")


def before_pooling(network: Network) -> tuple[str, nn.Module]:
    """The module, with its path, whose output the head averages or flattens."""
    head = network.spec.plan().parts[-1][1]
    assert isinstance(head, Chain)
    path = blocks(network)[-2].name
    for name, node in head.parts:
        if isinstance(node, GlobalPool | Flatten):
            break
        path = f"{HEAD}.{name}"
    return path, network.get_submodule(path)


@dataclass(frozen=True)
class GradientAnalysis(Analysis[Measured]):
    """Signals and gradients at every checkpoint. C eqs. 5 to 8; B sec. 3.3."""

    mode: Mode = "train"
    kind = "gradients"
    title = "Signals and gradients on {data}"
    about = (
        "Signal: the root mean square of the output of the stem and of every unit. Gradient: the norm of the "
        "derivative of one image's cross-entropy by that output, root mean square over images. Dotted: the gradient "
        "along the shortcuts alone, the product of their factors, backward from the last unit. Paper C, eqs. 5 to 8."
    )
    reading = (
        "The shortcut's factor is 1 for an addition, its scale where it is scaled, 1 − p where it is dropped (in "
        "expectation), and where it is gated the measured mean of 1 − g. A shortcut with weights has none: the "
        "product restarts there. A plain network has no shortcut.",
        "The residuals add to the gradient of the shortcuts, so that the measured gradient may lie above the "
        "dotted line, and a ReLU after the addition, or a shortcut that leaves out every other pixel, takes some "
        "of it away.",
        "A channel is dead where a ReLU gives zero for it in every image and position. A network has died where "
        "the input of its head's average is zero for every image.",
        "Initial weights are measured with the statistics of each batch, as BN's running ones are empty then.",
    )

    def measure(self, inputs: Inputs, progress: Progress) -> Measured:
        measured: dict[tuple[str, str], Gradients] = {}
        for index, subject in enumerate(inputs.subjects):
            images = inputs.batches(subject)
            share = subtask(progress, index, len(inputs.subjects))
            for number, (checkpoint, network) in enumerate(subject.states.items()):
                mode: Mode = "train" if checkpoint == INITIAL else self.mode
                result = gradients(network, images, mode, subtask(share, number, len(subject.states)))
                measured[subject.label, checkpoint] = result
        return measured

    def table(self, inputs: Inputs, measured: Measured) -> list[Column]:
        """Means over the runs of each architecture, at every checkpoint that one of them has."""
        rows: list[tuple[Value, ...]] = []
        for group in inputs.by_architecture.values():
            for checkpoint in dict.fromkeys(checkpoint for subject in group for checkpoint in subject.states):
                some = [measured[subject.label, checkpoint] for subject in group if checkpoint in subject.states]
                values = [
                    (one.signal[0], one.signal[-1], one.ratio(), one.product(), 100 * one.mean_dead()) for one in some
                ]
                died = f"{sum(one.died for one in some)} of {len(some)}"
                rows.append((group_label(group), checkpoint, *map(Sample, zip(*values, strict=True)), died))
        titles = (
            "network",
            "weights",
            "signal after the stem",
            "after the last unit",
            "gradient: stem over last unit",
            "product of the shortcuts' factors",
            "dead channels, %",
            "died",
        )
        return columns(titles, rows, text=2, form=".3g")

    def tables(self, measured: Measured) -> dict[str, list[Column]]:
        lines: list[tuple[Value, ...]] = [
            (label, checkpoint, *values)
            for (label, checkpoint), one in measured.items()
            for values in zip(one.blocks, one.signal, one.gradient, one.predicted(), one.factor, one.dead, strict=True)
        ]
        titles = ("network", "weights", "behind", "signal", "gradient", "by shortcuts alone", "factor", "dead share")
        return {"values": columns(titles, lines, text=3)}

    def claims(self, inputs: Inputs, measured: Measured) -> list[ClaimResult]:
        """The claims of A and C on gradients, at the first checkpoint, and B's on networks that die, at the last."""
        results = []
        for group in inputs.by_architecture.values():
            firsts = [measured[subject.label, subject.first] for subject in group]
            lasts = [measured[subject.label, subject.last] for subject in group]
            results += [*_vanishing(group, firsts), *_product(group, firsts), _alive(group, lasts)]
        return results

    def facts(self, inputs: Inputs, measured: Measured) -> dict[str, str]:
        return inputs.bn_statistics(self.mode)

    def warnings(self, inputs: Inputs, measured: Measured) -> tuple[str, ...]:
        return non_finite_warning(key for key, one in measured.items() if not one.finite())

    def drawings(self, inputs: Inputs, measured: Measured) -> dict[str, Drawing]:
        """A figure of the first and last checkpoints, and one of those between for runs that kept more."""
        groups = list(inputs.by_architecture.values())
        figures = {"gradients": _ends_drawing(groups, measured)}
        if any(len(subject.states) > 2 for subject in inputs.subjects):
            figures["training"] = _training_drawing(groups, measured)
        return figures


def _alive(group: list[Subject], lasts: list[Gradients]) -> ClaimResult:
    """Whether the networks did not die in training."""
    died = sum(one.died for one in lasts)
    broken = sum(not np.isfinite(one.signal).all() for one in lasts)
    judgement: Judgement = "does not hold" if died else "not decided" if broken else "holds"
    evidence = f"{died} of {len(lasts)} died" + f"; the values of {broken} are not finite" * bool(broken)
    claim = f"The network is alive, its last maps are not all zero: {group[0].kind}"
    return ClaimResult(claim, "B sec. 3.3", judgement, evidence)


def _vanishing(group: list[Subject], firsts: list[Gradients]) -> Iterator[ClaimResult]:
    """Whether the gradient reaches the stem: over identity shortcuts, and in a plain network."""
    if any(one.gradient[-1] == 0 for one in firsts):
        return
    ratios = np.array([one.ratio() for one in firsts])
    decades = Sample(tuple(np.log10(np.maximum(ratios, np.finfo(np.float64).tiny)).tolist()))
    metric = f"log10 of the gradient after the stem over that after the last unit, {group[0].first} weights"
    factors = np.concatenate([one.factor[~np.isnan(one.factor)] for one in firsts])
    if factors.size and (factors == 1).all():
        claim = "Identity shortcuts carry the gradient back undiminished"
        yield test_claim(f"{claim}: {group[0].kind}", "C sec. 2, eq. 5", metric, (0.0, decades), (group, group))
    if isinstance(group[0].spec, ResNet) and group[0].spec.shortcut is None:
        claim = "BN keeps the gradient of a plain network from vanishing"
        result = test_claim(f"{claim}: {group[0].kind}", "A sec. 4.1", metric, (HEALTHY, decades), (group, group))
        yield replace(result, key="plain-gradient")


def _product(group: list[Subject], firsts: list[Gradients]) -> Iterator[ClaimResult]:
    """Whether factors below 1 multiply to nearly zero, so that the gradient must come through the weights."""
    factors = np.array([one.factor[1:] for one in firsts])
    if not (factors < 1).all():
        return
    product = Sample(tuple(one.product() for one in firsts))
    claim = f"Shortcut factors below 1 multiply to next to nothing: {group[0].kind}"
    metric = f"product of {factors.shape[1]} factors, {group[0].first} weights"
    gated = isinstance(group[0].spec, ResNet) and isinstance(group[0].spec.merge, Gated)
    if (factors == factors[0]).all() and not gated:  # fixed by the architecture, the same for every seed
        judgement: Judgement = "holds" if product.values[0] < VANISHED else "does not hold"
        evidence = f"{metric}: {product.values[0]:.3g}, the bound {VANISHED}"
        yield ClaimResult(claim, "C sec. 3, eq. 8", judgement, evidence)
    else:
        yield test_claim(claim, "C sec. 3, eq. 8", metric, (product, VANISHED), (group, group))


_PANELS = {
    "signal": "signal, root mean square",
    "gradient": "gradient, norm per image",
    "dead": "dead channels, %",
}
_CAPTION = "Means over runs under several seeds. Unit 0 is the stem. "


def _ends_drawing(groups: Sequence[list[Subject]], measured: Measured) -> Drawing:
    """A column for the initial weights, and one for the last."""
    ends = [INITIAL] * any(checkpoint == INITIAL for _, checkpoint in measured)
    ends += ["last"] * any(checkpoint != INITIAL for _, checkpoint in measured)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 5.0 * len(ends)), 8.2), layout="constrained")
        drawing = Drawing(figure, _CAPTION + "Dotted: the gradient along the shortcuts alone.")
        axes = figure.subplots(3, len(ends), squeeze=False, sharey="row", sharex="col")
        for column, end in enumerate(ends):
            for index, group in enumerate(groups):
                keys = [(one.label, INITIAL if end == INITIAL else one.last) for one in group]
                some = [measured[key] for key in keys if key in measured and (end == INITIAL) == (key[1] == INITIAL)]
                if some:
                    _lines(drawing, list(axes[:, column]), group_label(group), some, index)
            axes[0, column].set_title("initial weights" if end == INITIAL else "trained weights")
        _label(axes, measured)
        handles = {
            label: handle for ax in axes[0] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2, fontsize=9)
    return drawing


def _lines(drawing: Drawing, axes: Sequence[Axes], label: str, some: Sequence[Gradients], index: int) -> None:
    died = sum(one.died for one in some)
    name = label + f", {died} of {len(some)} died" * bool(died)
    units = np.arange(len(some[0].blocks))
    for ax, panel in zip(axes, _PANELS, strict=True):
        values = _mean(some, panel)
        ax.plot(units, values, label=name, linewidth=1.7, **line(index))
        unit = " %" if panel == "dead" else ""
        drawing.points += [
            (ax, float(place), float(value), f"{label}, {block}: {value:.3g}{unit}")
            for place, block, value in zip(units, some[0].blocks, values, strict=True)
            if not np.isnan(value)
        ]
    predicted = np.mean([one.predicted() for one in some], axis=0)
    dotted = np.where(np.isfinite(predicted), predicted, np.nan)
    axes[1].plot(units, dotted, ":", color=line(index)["color"], linewidth=1.6)


def _mean(some: Sequence[Gradients], panel: str) -> Floats:
    """Over runs, (blocks,); nan for values that are not finite, or not positive on a logarithmic axis."""
    mean = np.mean([getattr(one, panel) for one in some], axis=0)
    return 100 * mean if panel == "dead" else np.where(np.isfinite(mean) & (mean > 0), mean, np.nan)


def _label(axes: NDArray[np.object_], measured: Measured) -> None:
    for (panel, label), row in zip(_PANELS.items(), axes, strict=True):
        row[0].set_ylabel(label)
        if panel == "dead":
            top = max(1.0, row[0].get_ylim()[1])
            row[0].set_ylim(-0.03 * top, top)  # so that a line at zero is seen
            continue
        values = np.concatenate([_mean([one], panel) for one in measured.values()])
        if panel == "gradient":
            values = np.concatenate([values, *(one.predicted() for one in measured.values())])
        scale(row[0], values)
    for ax in axes[-1]:
        ax.set_xlabel("unit")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _training_drawing(groups: Sequence[list[Subject]], measured: Measured) -> Drawing:
    """A column for each architecture with more than two checkpoints, a line for each that all its runs have."""
    panels: dict[str, dict[str, list[Gradients]]] = {}
    for group in groups:
        common = [checkpoint for checkpoint in group[0].states if all(checkpoint in one.states for one in group)]
        if len(common) > 2:
            panels[group_label(group)] = {
                checkpoint: [measured[one.label, checkpoint] for one in group] for checkpoint in common
            }
    colours = mpl.colormaps["viridis"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 3.6 * len(panels)), 8.2), layout="constrained")
        drawing = Drawing(figure, _CAPTION + "Along the training, from its first weights (dark) to its last (light).")
        axes = figure.subplots(3, len(panels), squeeze=False, sharey="row", sharex="col")
        for column, (title, checkpoints) in enumerate(panels.items()):
            for place, (checkpoint, some) in enumerate(checkpoints.items()):
                shade = colours(0.92 * place / (len(checkpoints) - 1))
                for ax, panel in zip(axes[:, column], _PANELS, strict=True):
                    values = _mean(some, panel)
                    ax.plot(np.arange(len(values)), values, color=shade, linewidth=1.3, label=checkpoint)
                    drawing.points += [
                        (ax, float(unit), float(value), f"{title}, {checkpoint}, unit {unit}: {value:.3g}")
                        for unit, value in enumerate(values)
                        if not np.isnan(value)
                    ]
            axes[0, column].set_title(title, fontsize=9)
            axes[0, column].legend(fontsize=7, ncols=2)
        _label(axes, measured)
    return drawing
