"""Landscapes as a table, figures and a claim."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from reslab.analyse.analysis import Analysis, Finding
from reslab.analyse.kinds import Kinds, counterparts, judged, kinds
from reslab.analyse.landscape_record import Landscape
from reslab.analyse.subject import Subject
from reslab.drawing import STYLE, Drawing, line
from reslab.stats import Sample
from reslab.table import Column

_ABOUT = (
    "Mean cross-entropy over two random directions in the space of weights, in evaluation mode. Every filter of a "
    "direction is as long as the filter of the weights that it is added to, so that a step of 1 is as large as the "
    "weights themselves; BN's scale and shift and the biases stay. Li et al. 2018, arXiv 1712.09913, sec. 4."
)
_NOTES = (
    "BN's running statistics stay those of the trained weights.",
    "Two directions out of hundreds of thousands show little of a landscape; another seed shows others.",
)
_BASIN = 1.0  # above the loss in the middle, in nats
_COLOURED = (0.01, 30.0)  # nats, between which colours differ


def tell(subjects: Sequence[Subject], found: Mapping[str, Landscape], facts: Mapping[str, str]) -> Analysis:
    """What landscapes, by their subjects' labels, show."""
    by_kind = kinds(subjects)
    return Analysis(
        kind="landscape",
        title="Loss around the weights",
        about=_ABOUT,
        table=_table(found),
        drawings={"landscape": _contours(found), "slices": _slices(found)},
        findings=tuple(_findings(by_kind, found)),
        facts=facts,
        notes=_NOTES,
        tables={"values": _values(found)},
        networks={subject.label: subject.kind for subject in subjects},
    )


def basin(landscape: Landscape) -> float:
    """The share of the grid, in percent, whose loss is less than 1 nat above that of the weights themselves."""
    losses = landscape.losses()
    return float(100 * (losses < _middle(losses) + _BASIN).mean())


def _middle(losses: NDArray[np.float64]) -> float:
    return float(losses[losses.shape[0] // 2, losses.shape[1] // 2])


def _table(found: Mapping[str, Landscape]) -> list[Column]:
    half = {label: landscape.grid.points // 2 for label, landscape in found.items()}
    errors = [landscape.points[half[label], half[label]].error for label, landscape in found.items()]
    losses = [landscape.losses() for landscape in found.values()]
    return [
        Column("network", list(found), numbers=False),
        Column("loss of the weights", [f"{_middle(each):.4f}" for each in losses]),
        Column("their error, %", [f"{error:.2f}" for error in errors]),
        Column("lowest loss", [f"{each.min():.4f}" for each in losses]),
        Column("median loss", [f"{np.median(each):.3g}" for each in losses]),
        Column("within 1 nat of the weights', % of the grid", [f"{basin(each):.1f}" for each in found.values()]),
    ]


def _values(found: Mapping[str, Landscape]) -> list[Column]:
    lines = []
    for label, landscape in found.items():
        steps = landscape.grid.steps
        for (first, second), point in sorted(landscape.points.items()):
            loss = "" if point.loss is None else f"{point.loss:.6g}"
            lines.append((label, f"{steps[first]:g}", f"{steps[second]:g}", loss, f"{point.error:.2f}"))
    titles = ("network", "along the first", "along the second", "loss", "error, %")
    columns = zip(titles, zip(*lines, strict=True), strict=True)
    return [Column(title, list(cells), title != "network") for title, cells in columns]


def _findings(found: Kinds, landscapes: Mapping[str, Landscape]) -> list[Finding]:
    findings = []
    for residual, plain in counterparts(found):
        narrow, wide = (
            Sample(tuple(basin(landscapes[subject.label]) for subject in found[spec])) for spec in (plain, residual)
        )
        claim = f"The residual network lies in a wider basin: {found[residual][0].kind} and {found[plain][0].kind}"
        what = "grid within 1 nat of the weights' loss, %"
        subjects = (found[plain], found[residual])
        findings.append(judged(claim, "Li et al. 2018, sec. 5", what, (narrow, wide), subjects))
    return findings


def _contours(found: Mapping[str, Landscape]) -> Drawing:
    levels = np.geomspace(*_COLOURED, 25)
    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(3.4 * columns + 1.0, 3.5 * rows), layout="constrained")
        drawing = Drawing(
            figure,
            "Loss over the first direction (across) and the second (up), colours by its logarithm, the same for all "
            "and ending at 0.01 and 30. The cross marks the weights themselves.",
        )
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (label, landscape) in zip(axes, found.items(), strict=False):
            steps, losses = landscape.grid.steps, landscape.losses()
            shown = np.clip(losses, _COLOURED[0] / 2, _COLOURED[1] * 2)
            shades = ax.contourf(steps, steps, shown.T, levels, norm=LogNorm(), cmap="viridis", extend="both")
            ax.contour(steps, steps, shown.T, levels[::3], colors="white", linewidths=0.4)
            ax.plot(0, 0, "x", color="#D55E00")
            ax.set_title(label, fontsize=9)
            ax.set(aspect="equal", xlabel="first direction", ylabel="second direction")
            for first, x in enumerate(steps):
                for second, y in enumerate(steps):
                    drawing.points.append((ax, x, y, f"{label} at {x:g}, {y:g}: loss {losses[first, second]:.3g}"))
        for ax in axes[len(found) :]:
            ax.remove()
        bar = figure.colorbar(shades, ax=list(axes[: len(found)]), label="loss, nats", shrink=0.8, format="%.3g")
        bar.set_ticks(levels[::6].tolist())
        bar.ax.yaxis.set_minor_locator(NullLocator())
    return drawing


def _slices(found: Mapping[str, Landscape]) -> Drawing:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        drawing = Drawing(figure, "Loss along each direction alone: the first bold, the second thin.")
        ax = figure.subplots()
        for index, (label, landscape) in enumerate(found.items()):
            steps, losses, half = landscape.grid.steps, landscape.losses(), landscape.grid.points // 2
            ax.plot(steps, losses[:, half], linewidth=2.0, label=label, **line(index))
            ax.plot(steps, losses[half, :], linewidth=0.9, **line(index))
            for x, loss in zip(steps, losses[:, half], strict=True):
                if np.isfinite(loss):
                    drawing.points.append((ax, x, float(loss), f"{label}, first direction at {x:g}: loss {loss:.3g}"))
        ax.set(xlabel="steps along the direction, 1 as long as the weights", ylabel="loss, nats", yscale="log")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, fontsize=9)
    return drawing
