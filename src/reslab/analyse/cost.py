"""The cost of each part of a network: parameters, multiply-adds, activations, depth, and measured time."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from reslab.analyse.analysis import Analysis
from reslab.analyse.inputs import Inputs
from reslab.analyse.preserve import Progress, preserve_state, silent
from reslab.drawing import STYLE, Drawing
from reslab.nets.modules import Concatenation, Network, ResidualUnit
from reslab.nets.network import NetworkSpec
from reslab.table import Column, Value, columns
from reslab.weights.file import empty

_ROUNDS = 5
_WARM = 1  # rounds whose time is not counted


@dataclass(frozen=True)
class Part:
    """The cost of one part (stem, stage1 ..., head) for one image.

    output: (channels, height, width), or (classes,)
    parameters: all trainable ones, `bn` of them BN's scale and shift
    multiply_adds: of convolutions and linear layers
    depth: weighted layers, convolutions and linear ones, on its longest path
    activations: bytes of the activations kept for the backward pass, in float32
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    bn: int
    multiply_adds: int
    depth: int
    activations: int


def parts(spec: NetworkSpec) -> list[Part]:
    """The parts of a network in order, without auxiliary classifiers."""
    network = empty(spec)
    kept = _activations(network, spec)
    rows = []
    for name in network.part_names:
        module = getattr(network, name)
        layers = [layer for layer in spec.layers() if layer.name.partition(".")[0] == name]
        rows.append(
            Part(
                name=name,
                output=kept[name].output,
                parameters=sum(layer.parameters for layer in layers),
                bn=sum(layer.parameters for layer in layers if layer.kind == "bn"),
                multiply_adds=sum(layer.multiply_adds for layer in layers),
                depth=depth(module),
                activations=kept[name].bytes,
            )
        )
    return rows


def depth(module: nn.Module) -> int:
    """The weighted layers on the longest path through a module, as the papers count them: ResNet-34 has 34.

    Shortcuts are parallel to the residuals, and gates to both, so that they count only where they are longer.
    """
    match module:
        case nn.Conv2d() | nn.Linear():
            return 1
        case Concatenation():
            return max(map(depth, module.children()))
        case ResidualUnit():
            return depth(module.shared) + max(depth(module.shortcut), depth(module.residual)) + depth(module.after)
        case Network():
            return sum(depth(getattr(module, name)) for name in module.part_names)
    return sum(map(depth, module.children()))


class _Saved(NamedTuple):
    output: tuple[int, ...]
    bytes: int


def _activations(network: Network, spec: NetworkSpec) -> dict[str, _Saved]:
    """The activations that each part saves for one image: the difference between batches of 3 and 2, without BN's
    statistics."""
    of_two, of_three = _saved(network, spec, 2), _saved(network, spec, 3)  # BN refuses one where its map is one pixel
    return {name: _Saved(saved.output, of_three[name].bytes - saved.bytes) for name, saved in of_two.items()}


def _saved(network: Network, spec: NetworkSpec, batch: int) -> dict[str, _Saved]:
    """The activations that each part saves for a batch, counted on the meta device; those that two parts save count
    once."""
    x = torch.empty(batch, *spec.input, device="meta")
    counted: dict[int, Tensor] = {}
    saved = {}
    for name in network.part_names:
        before = len(counted)

        def keep(tensor: Tensor) -> Tensor:
            if not isinstance(tensor, nn.Parameter):
                counted[id(tensor)] = tensor  # keeps its id from being reused
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            x = getattr(network, name)(x)
        new = list(counted.values())[before:]
        saved[name] = _Saved(tuple(x.shape[1:]), sum(tensor.numel() * tensor.element_size() for tensor in new))
    return saved


@torch.inference_mode()
def times(networks: Sequence[Network], batch: int, progress: Progress = silent) -> list[Mapping[str, float]]:
    """Milliseconds of each part of each network for one image in evaluation mode, medians of five rounds.

    The networks take turns, so that other load on the machine affects all alike. Modes stay unchanged.
    """
    laps: list[dict[str, list[float]]] = [{name: [] for name in network.part_names} for network in networks]
    inputs = [_images(network, batch) for network in networks]
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(preserve_state(network, "eval"))
        for turn in range(_WARM + _ROUNDS):
            for place, (network, x) in enumerate(zip(networks, inputs, strict=True)):
                for name, seconds in _lap(network, x).items():
                    if turn >= _WARM:
                        laps[place][name].append(1000 * seconds / batch)
                progress((turn * len(networks) + place + 1) / ((_WARM + _ROUNDS) * len(networks)))
    return [{name: median(times) for name, times in each.items()} for each in laps]


def _images(network: Network, batch: int) -> Tensor:
    """Random images: the time does not depend on their content."""
    device = next(network.parameters()).device
    images = torch.randn(batch, *network.spec.input, generator=torch.Generator().manual_seed(0))
    return images.to(device, memory_format=torch.channels_last)


def _lap(network: Network, x: Tensor) -> dict[str, float]:
    seconds = {}
    for name in network.part_names:
        began = time.perf_counter()
        x = getattr(network, name)(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        seconds[name] = time.perf_counter() - began
    return seconds


class Cost(NamedTuple):
    """The parts of a network, and the milliseconds of each for one image."""

    parts: list[Part]
    times: Mapping[str, float]


Measured = Mapping[str, Cost]
"""By a subject's label."""

_SHARES = ("parameters", "multiply-adds", "activations", "time")


@dataclass(frozen=True)
class CostAnalysis(Analysis[Measured]):
    """Costs of the parts of networks; batch: images at a time, None for 64 small ones or 8."""

    batch: int | None = None
    kind = "cost"
    title = "What networks cost"
    about = (
        "Parameters (those of BN are its scale and shift), multiply-adds of convolutions and linear layers, the "
        "activations that training keeps for the backward pass, weighted layers on the longest path, and the measured "
        "time of the forward pass, all for one image."
    )
    reading = (
        "Activations are the bytes that one image more in a batch adds to those that torch keeps for the backward "
        "pass, in float32: the inputs of convolutions, BN and linear layers, the outputs of ReLU, and the indices "
        "of max pooling. A map that two parts keep counts with the first; weights, BN's statistics and the loss do "
        "not count.",
        "Auxiliary classifiers, which only training uses, are left out.",
    )

    def settled(self, inputs: Inputs) -> dict[str, Any]:
        small = max(subject.spec.size for subject in inputs.subjects) <= 64
        return {"batch": self.batch or (64 if small else 8)}

    def measure(self, inputs: Inputs, progress: Progress) -> Measured:
        counted = [parts(subject.spec) for subject in inputs.subjects]
        networks = [subject.network for subject in inputs.subjects]
        measured = times(networks, self.settled(inputs)["batch"], progress)
        costs = map(Cost, counted, measured)
        return {subject.label: cost for subject, cost in zip(inputs.subjects, costs, strict=True)}

    def table(self, inputs: Inputs, measured: Measured) -> list[Column]:
        lines: list[tuple[str | float, ...]] = []
        for label, cost in measured.items():
            rows = [_counts(part) for part in cost.parts]
            for part, row in zip(cost.parts, rows, strict=True):
                lines.append((label, part.name, "×".join(map(str, part.output)), *row, cost.times[part.name]))
            lines.append((label, "all", "", *map(sum, zip(*rows, strict=True)), sum(cost.times.values())))
        lines = [(*line[:7], line[7] / 1000, line[8]) for line in lines]  # type: ignore[operator]
        titles = (
            "network",
            "part",
            "output",
            "layers",
            "parameters",
            "of BN",
            "multiply-adds",
            "activations, kB",
            "ms",
        )
        forms = ("",) * 3 + (",",) * 4 + (",.1f", ",.3f")
        return [
            Column(title, list(column), place > 2, form)
            for place, (title, column, form) in enumerate(zip(titles, zip(*lines, strict=True), forms, strict=True))
        ]

    def tables(self, measured: Measured) -> dict[str, list[Column]]:
        """The parts alone, with their units."""
        lines: list[tuple[Value, ...]] = [
            (label, part.name, *_counts(part), cost.times[part.name])
            for label, cost in measured.items()
            for part in cost.parts
        ]
        titles = ("network", "part", "layers", "parameters", "of BN", "multiply-adds", "activations, bytes", "ms")
        return {"values": columns(titles, lines, text=2)}

    def facts(self, inputs: Inputs, measured: Measured) -> dict[str, str]:
        sizes = [f"{one.label}, {' × '.join(map(str, one.spec.input))}" for one in inputs.subjects]
        batch = self.settled(inputs)["batch"]
        return {
            "networks": ", ".join(sizes),
            "time for an image": f"evaluation mode, float32, batches of {batch}, medians of five rounds in turns",
        }

    def drawings(self, inputs: Inputs, measured: Measured) -> dict[str, Drawing]:
        with mpl.rc_context({**STYLE, "axes.grid": False}):
            figure = Figure(figsize=(8.4, 0.6 + 2.1 * len(measured)), layout="constrained")
            drawing = Drawing(figure, "The share of each part in the cost of the whole network.")
            axes = figure.subplots(len(measured), 1, squeeze=False)[:, 0]
            for ax, (label, cost) in zip(axes, measured.items(), strict=True):
                colours = mpl.colormaps["viridis"].resampled(len(cost.parts))
                lefts = [0.0] * len(_SHARES)
                for place, part in enumerate(cost.parts):
                    shares = _shares(cost, part)
                    ax.barh(_SHARES, shares, left=lefts, color=colours(place), edgecolor="white", label=part.name)
                    for height, (measure, share, left) in enumerate(zip(_SHARES, shares, lefts, strict=True)):
                        text = f"{label}, {part.name}: {share:.1f} % of the {measure}"
                        drawing.points.append((ax, left + share / 2, float(height), text))
                    lefts = [left + share for left, share in zip(lefts, shares, strict=True)]
                ax.set(title=label, xlim=(0, 100), xlabel="%")
                ax.invert_yaxis()
                ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, ncols=-(-len(cost.parts) // 8))
        return {"cost": drawing}


def _counts(part: Part) -> tuple[int, ...]:
    return part.depth, part.parameters, part.bn, part.multiply_adds, part.activations


def _shares(cost: Cost, part: Part) -> list[float]:
    """The part's share of the whole network's cost, in percent."""
    pairs = [
        (part.parameters, sum(each.parameters for each in cost.parts)),
        (part.multiply_adds, sum(each.multiply_adds for each in cost.parts)),
        (part.activations, sum(each.activations for each in cost.parts)),
        (cost.times[part.name], sum(cost.times.values())),
    ]
    return [100 * one / whole for one, whole in pairs]
