"""Costs as a table and a figure."""

import time
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import torch
from matplotlib.figure import Figure

from reslab.analyse.analysis import Analysis
from reslab.analyse.cost import Part, parts, times
from reslab.analyse.preserve import Told
from reslab.drawing import STYLE, Drawing
from reslab.machine import processor
from reslab.nets import to_string
from reslab.nets.modules import Network
from reslab.table import Column

_ABOUT = (
    "Parameters (those of BN are its scale and shift), multiply-adds of convolutions and linear layers, the maps that "
    "training keeps for the way back, weighted layers on the longest way, and the measured time of the way forward, "
    "all for one image."
)
_NOTES = (
    "Activations are the bytes that one image more in a batch adds to what torch keeps for the way back, in float32: "
    "the inputs of convolutions, BN and linear layers, the outputs of ReLU, and where max pooling found its values. "
    "What two parts keep counts with the first; weights, BN's statistics and the loss do not count.",
    "Auxiliary classifiers, which only training uses, are left out.",
)
_MEASURES = ("parameters", "multiply-adds", "activations", "time")


def look(networks: Mapping[str, Network], batch: int, told: Told | None = None) -> Analysis:
    """Count and measure networks by their labels, with batches of so many images."""
    began = time.monotonic()
    counted = {label: parts(network.spec) for label, network in networks.items()}
    measured = dict(zip(networks, times(list(networks.values()), batch, told), strict=True))
    device = next(next(iter(networks.values())).parameters()).device
    where = (
        torch.cuda.get_device_name() if device.type == "cuda" else f"{processor()}, {torch.get_num_threads()} threads"
    )
    return Analysis(
        kind="cost",
        title="What networks cost",
        about=_ABOUT,
        table=_table(counted, measured),
        drawings={"cost": _drawing(counted, measured)},
        facts={
            "networks": ", ".join(f"{label}, {_size(network)}" for label, network in networks.items()),
            "time for an image": f"evaluation mode, float32, batches of {batch}, medians of five rounds in turns",
            "machine": f"{where}, torch {torch.__version__}",
            "time": f"{time.monotonic() - began:.0f} s",
        },
        notes=_NOTES,
        tables={"values": _values(counted, measured)},
        networks={label: to_string(network.spec) for label, network in networks.items()},
    )


def _size(network: Network) -> str:
    return "{} × {} × {}".format(*network.spec.input)


def _table(counted: Mapping[str, list[Part]], measured: Mapping[str, Mapping[str, float]]) -> list[Column]:
    lines: list[tuple[str, ...]] = []
    for label, found in counted.items():
        for part in found:
            milliseconds = measured[label][part.name]
            lines.append((label, part.name, "×".join(map(str, part.output)), *_numbers([part], milliseconds)))
        lines.append((label, "all", "", *_numbers(found, sum(measured[label].values()))))
    titles = ("network", "part", "output", "layers", "parameters", "of BN", "multiply-adds", "activations, kB", "ms")
    columns = zip(titles, zip(*lines, strict=True), strict=True)
    return [Column(title, list(cells), title not in ("network", "part", "output")) for title, cells in columns]


def _values(counted: Mapping[str, list[Part]], measured: Mapping[str, Mapping[str, float]]) -> list[Column]:
    """The parts alone, as plain numbers with their units."""
    lines = [
        (label, part.name, *map(str, _counts(part)), f"{measured[label][part.name]:.6g}")
        for label, found in counted.items()
        for part in found
    ]
    titles = ("network", "part", "layers", "parameters", "of BN", "multiply-adds", "activations, bytes", "ms")
    columns = zip(titles, zip(*lines, strict=True), strict=True)
    return [Column(title, list(cells), title not in ("network", "part")) for title, cells in columns]


def _counts(part: Part) -> tuple[int, ...]:
    return part.depth, part.parameters, part.bn, part.multiply_adds, part.activations


def _numbers(found: Sequence[Part], milliseconds: float) -> tuple[str, ...]:
    return (
        str(sum(part.depth for part in found)),
        f"{sum(part.parameters for part in found):,}",
        f"{sum(part.bn for part in found):,}",
        f"{sum(part.multiply_adds for part in found):,}",
        f"{sum(part.activations for part in found) / 1000:,.1f}",
        f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}",
    )


def _drawing(counted: Mapping[str, list[Part]], measured: Mapping[str, Mapping[str, float]]) -> Drawing:
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(8.4, 0.6 + 2.1 * len(counted)), layout="constrained")
        drawing = Drawing(figure, "The share of each part in what the whole network costs.")
        rows = figure.subplots(len(counted), 1, squeeze=False)[:, 0]
        for ax, (label, found) in zip(rows, counted.items(), strict=True):
            colours = mpl.colormaps["viridis"].resampled(len(found))
            lefts = [0.0] * len(_MEASURES)
            for place, part in enumerate(found):
                shares = _shares(found, part, measured[label])
                ax.barh(_MEASURES, shares, left=lefts, color=colours(place), edgecolor="white", label=part.name)
                for height, (measure, share, left) in enumerate(zip(_MEASURES, shares, lefts, strict=True)):
                    told = f"{label}, {part.name}: {share:.1f} % of the {measure}"
                    drawing.points.append((ax, left + share / 2, float(height), told))
                lefts = [left + share for left, share in zip(lefts, shares, strict=True)]
            ax.set(title=label, xlim=(0, 100), xlabel="%")
            ax.invert_yaxis()
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, ncols=-(-len(found) // 8))
    return drawing


def _shares(found: list[Part], part: Part, milliseconds: Mapping[str, float]) -> list[float]:
    pairs = [
        (part.parameters, sum(each.parameters for each in found)),
        (part.multiply_adds, sum(each.multiply_adds for each in found)),
        (part.activations, sum(each.activations for each in found)),
        (milliseconds[part.name], sum(milliseconds.values())),
    ]
    return [100 * one / whole for one, whole in pairs]
