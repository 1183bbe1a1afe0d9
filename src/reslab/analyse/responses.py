"""The strength of the responses of 3x3 layers. A sec. 4.2, "Analysis of Layer Responses", Fig. 7."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from reslab.analyse.analysis import Analysis
from reslab.analyse.claims import (
    ClaimResult,
    counterparts,
    deeper,
    group_label,
    non_finite_warning,
    test_claim,
)
from reslab.analyse.inputs import INITIAL, Inputs, Subject
from reslab.analyse.preserve import Mode, Progress, outputs, preserve_state, silent, subtask
from reslab.data.batches import Batch
from reslab.drawing import STYLE, Drawing, line, scale
from reslab.errors import SpecError
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.stats import Sample
from reslab.table import Column, columns

_LEAST = 0.1  # of a response, which is 1 where BN's scale is: the least difference that is worth a claim


class Place(NamedTuple):
    """Where a 3x3 layer's response is read: the layer's path, the path of the module whose output it is, and whether
    that is the BN after the convolution or, where none follows it, the convolution itself."""

    layer: str
    module: str
    after_bn: bool


class Responses(NamedTuple):
    """The standard deviation of each layer's response over all images, channels and positions: std is (layers,)."""

    places: tuple[Place, ...]
    std: NDArray[np.float64]


Measured = Mapping[tuple[str, str], Responses]
"""By a subject's label and checkpoint."""


def places(spec: NetworkSpec) -> tuple[Place, ...]:
    """Where the responses of a network's 3x3 layers are read, from the image to the classifier.

    After BN, before the non-linearity and the addition. Raises SpecError for a network without 3x3 layers.
    """
    layers = spec.layers()
    rows = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if layer.kernel != (3, 3):
            continue
        parent = layer.name.rpartition(".")[0]
        normed = following is not None and following.kind == "bn" and following.name.rpartition(".")[0] == parent
        rows.append(Place(layer.name, following.name if normed and following else layer.name, normed))
    if not rows:
        raise SpecError("no 3×3 layer in this network, and responses are those of 3×3 layers: choose another")
    return tuple(rows)


@torch.inference_mode()
def responses(network: Network, images: Sequence[Batch], mode: Mode = "eval", progress: Progress = silent) -> Responses:
    """The responses of a network's 3x3 layers to images, in evaluation or with the statistics of each batch.

    The network, its buffers and torch's generators stay unchanged. Raises SpecError where it has no 3x3 layer.
    """
    read = places(network.spec)
    modules: dict[str, nn.Module] = {place.layer: network.get_submodule(place.module) for place in read}
    spreads = {place.layer: _Spread() for place in read}
    with preserve_state(network, mode), outputs(modules, lambda name, output: spreads[name].add(output)):
        for done, (pixels, _) in enumerate(images, 1):
            network(pixels)
            progress(done / len(images))
    return Responses(read, np.array([spreads[place.layer].std for place in read]))


class _Spread:
    """A running standard deviation over batches. Chan et al. 1979."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        count = values.numel()
        variance, mean = (float(part) for part in torch.var_mean(values.float(), correction=0))
        total, shift = self.count + count, mean - self.mean
        self.squares += variance * count + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count = total

    @property
    def std(self) -> float:
        return float((self.squares / self.count) ** 0.5)


@dataclass(frozen=True)
class ResponseAnalysis(Analysis[Measured]):
    """Responses at the first and the last checkpoint. A Fig. 7."""

    mode: Mode = "eval"
    kind = "responses"
    title = "Responses of layers on {data}"
    about = (
        "The standard deviation of the output of every 3×3 layer after BN, before the non-linearity and the addition, "
        "over all images, channels and positions; it has no unit. In a residual network it is the strength of the "
        "residual functions. Paper A, section 4.2, Fig. 7."
    )

    def measure(self, inputs: Inputs, progress: Progress) -> Measured:
        for subject in inputs.subjects:
            try:
                places(subject.spec)
            except SpecError as error:
                raise SpecError(f"{subject.label}: {error}") from None
        measured: dict[tuple[str, str], Responses] = {}
        for index, subject in enumerate(inputs.subjects):
            images = inputs.batches(subject)
            ends = list(dict.fromkeys((subject.first, subject.last)))
            share = subtask(progress, index, len(inputs.subjects))
            for number, checkpoint in enumerate(ends):
                mode: Mode = "train" if checkpoint == INITIAL else self.mode
                result = responses(subject.states[checkpoint], images, mode, subtask(share, number, len(ends)))
                measured[subject.label, checkpoint] = result
        return measured

    def table(self, inputs: Inputs, measured: Measured) -> list[Column]:
        rows = [(group, end, std) for group in inputs.by_architecture.values() for end, std in _ends(group, measured)]
        return [
            Column("network", [group_label(group) for group, _, _ in rows], numbers=False),
            Column("weights", [checkpoint for _, checkpoint, _ in rows], numbers=False),
            Column("3×3 layers", [std.shape[1] for _, _, std in rows]),
            Column("median response", [_median(std) for _, _, std in rows], form=".3g"),
            Column("least", [std.mean(0).min() for _, _, std in rows], form=".3g"),
            Column("greatest", [std.mean(0).max() for _, _, std in rows], form=".3g"),
        ]

    def tables(self, measured: Measured) -> dict[str, list[Column]]:
        lines = [
            (label, checkpoint, place.layer, place.module, std)
            for (label, checkpoint), one in measured.items()
            for place, std in zip(one.places, one.std, strict=True)
        ]
        titles = ("network", "weights", "layer", "read at the output of", "standard deviation")
        return {"values": columns(titles, lines, text=4)}

    def claims(self, inputs: Inputs, measured: Measured) -> list[ClaimResult]:
        """A Fig. 7's two orderings, tested on the median over the layers of each trained network."""
        groups = inputs.by_architecture
        pairs = [("Residual responses are smaller than plain ones", pair) for pair in counterparts(groups)]
        pairs += [("A deeper residual network has smaller responses", (deep, less)) for less, deep in deeper(groups)]
        results = []
        for claim, pair in pairs:
            of = groups[pair[0]], groups[pair[1]]
            stds = [std for group in of for checkpoint, std in _ends(group, measured) if checkpoint != INITIAL]
            if len(stds) == 2:
                claim = f"{claim}: {of[0][0].kind} and {of[1][0].kind}"
                sides = (_median(stds[0]), _median(stds[1]))
                results.append(test_claim(claim, "A sec. 4.2, Fig. 7", "median over the 3×3 layers", sides, of, _LEAST))
        return results

    def facts(self, inputs: Inputs, measured: Measured) -> dict[str, str]:
        return inputs.bn_statistics(self.mode)

    def notes(self, measured: Measured) -> tuple[str, ...]:
        notes = []
        if any(checkpoint == INITIAL for _, checkpoint in measured):
            notes.append(
                "Initial weights are measured with the statistics of each batch, as training begins: BN's running "
                "statistics are empty then. After BN every response is 1 by its definition."
            )
        if any(not place.after_bn for one in measured.values() for place in one.places):
            notes.append(
                "Where no BN stands between a convolution and the addition or the non-linearity, as after the last "
                "convolution of a pre-activation unit, the convolution's own output is measured (rings in the figure); "
                "its scale is not that of the layers with BN."
            )
        return tuple(notes)

    def warnings(self, inputs: Inputs, measured: Measured) -> tuple[str, ...]:
        return non_finite_warning(key for key, one in measured.items() if not np.isfinite(one.std).all())

    def drawings(self, inputs: Inputs, measured: Measured) -> dict[str, Drawing]:
        return {"responses": _drawing(list(inputs.by_architecture.values()), measured)}


def _ends(group: Sequence[Subject], measured: Measured) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The initial and the last weights of a group, where it has them: the standard deviations, (subjects, layers)."""
    initial = [measured[one.label, INITIAL].std for one in group if INITIAL in one.states]
    trained = [one for one in group if one.last != INITIAL]
    if initial:
        yield INITIAL, np.stack(initial)
    if trained:
        yield trained[0].last, np.stack([measured[one.label, one.last].std for one in trained])


def _median(std: NDArray[np.float64]) -> Sample:
    """The median over the layers, of each subject."""
    return Sample(tuple(np.median(std, axis=1).tolist()))


def _drawing(groups: Sequence[list[Subject]], measured: Measured) -> Drawing:
    trained = any(checkpoint != INITIAL for _, checkpoint in measured)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 6.8), layout="constrained")
        caption = (
            "Above: the layers in order; below: sorted by their response. Lines are means over runs under several "
            "seeds, bands reach from the least to the greatest." + " Thin: the initial weights." * trained
        )
        drawing = Drawing(figure, caption)
        upper, lower = figure.subplots(2, 1)
        for index, group in enumerate(groups):
            after_bn = [place.after_bn for place in places(group[0].spec)]
            for checkpoint, std in _ends(group, measured):
                thin = checkpoint == INITIAL and trained
                style = line(index) | ({"linewidth": 0.8, "alpha": 0.6} if thin else {"linewidth": 1.7})
                name = group_label(group) + ", initial" * thin
                std = np.where(np.isfinite(std), std, np.nan)
                _line(drawing, upper, std, name, style)
                _line(drawing, lower, -np.sort(-std, axis=1), name, style)
                rings = [place for place, normed in enumerate(after_bn) if not normed]
                ring = {"color": style["color"], "fillstyle": "none", "markersize": 5, "alpha": style.get("alpha")}
                upper.plot([place + 1 for place in rings], std.mean(0)[rings], "o", **ring)
        for ax, order in ((upper, "in order"), (lower, "sorted by magnitude")):
            ax.set(xlabel=f"3×3 layer, {order}", ylabel="response, standard deviation")
            scale(ax, np.concatenate([one.std for one in measured.values()]))
        handles = {label: handle for handle, label in zip(*upper.get_legend_handles_labels(), strict=True)}
        thick = {label: handle for label, handle in handles.items() if not label.endswith(", initial")}
        figure.legend(list(thick.values()), list(thick), loc="outside lower center", ncols=3, fontsize=9)
    return drawing


def _line(drawing: Drawing, ax: Axes, std: NDArray[np.float64], name: str, style: dict[str, Any]) -> None:
    layers, means = np.arange(1, std.shape[1] + 1), std.mean(0)
    ax.plot(layers, means, label=name, **style)
    if len(std) > 1:
        ax.fill_between(layers, std.min(0), std.max(0), color=style["color"], alpha=0.12, linewidth=0)
    for layer, value in zip(layers, means, strict=True):
        if np.isfinite(value):
            drawing.points.append((ax, float(layer), float(value), f"{name}, layer {layer}: {value:.3g}"))
