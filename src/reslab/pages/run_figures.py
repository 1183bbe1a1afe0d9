"""The figures of a run: its curves, and which classes it takes for which."""

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.data.images import Indices
from reslab.drawing import COLOURS, STYLE, Drawing

_NAMED = 40  # classes that still have their names at the axes
_COUNTED = 16  # classes whose counts are written into the squares
_TOLD = 60  # points of a curve, at most, that tell their values
_PARTS = {"train": "training batches", "validation": "validation", "test": "test"}


def curves(lines: list[dict[str, Any]], best: dict[str, Any] | None) -> Drawing:
    """Error and loss over the steps, of the training batches and of the images that were evaluated meanwhile."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.8, 3.4), layout="constrained")
        drawing = Drawing(figure, "")
        panels = {"error": "error, %", "loss": "loss"}
        for ax, (what, title) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for (part, told), colour in zip(_PARTS.items(), COLOURS, strict=False):
                _curve(drawing, ax, lines, f"{part}_{what}", told, color=colour)
            if best:
                ax.axvline(best["step"], color="#888", linestyle=":", linewidth=1.2, label="best weights")
            ax.set(xlabel="step", ylabel=title, xlim=(0, lines[-1]["step"]))
            ax.set_ylim(bottom=0)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    drawing.caption = (
        "Thin: the training batches between two readings, augmented and with smoothed labels where the recipe says "
        "so; bold: whole parts in evaluation mode."
    )
    return drawing


def _curve(drawing: Drawing, ax: Axes, lines: list[dict[str, Any]], key: str, told: str, **look: Any) -> None:
    points = [(line["step"], line[key]) for line in lines if key in line]
    if not points:
        return
    width = 0.9 if key.startswith("train") else 2.2
    ax.plot(*zip(*points, strict=True), linewidth=width, label=told, **look)
    for step, value in points[:: max(1, -(-len(points) // _TOLD))]:
        drawing.points.append((ax, step, value, f"{told}, step {step:,}: {value:.4g}"))


def confusion(counts: Indices, classes: tuple[str, ...]) -> Drawing:
    """The confusion matrix: a row for each true class, in it the share that was taken for each class."""
    shares = 100 * counts / counts.sum(1, keepdims=True).clip(1)
    count = len(classes)
    named = count <= _NAMED
    side = min(9.0, 3.2 + 0.26 * count) if named else 7.0
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(side + 1.4, side), layout="constrained")
        ax = figure.subplots()
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
        figure.colorbar(image, ax=ax, shrink=0.7, label="% of the true class")
        ax.set(xlabel="taken for", ylabel="true class")
        ax.spines[:].set_visible(False)
        if named:
            short = [name if len(name) <= 22 else name[:20] + "…" for name in classes]
            ax.set_xticks(range(count), short, rotation=90, parse_math=False)
            ax.set_yticks(range(count), short, parse_math=False)
        drawing = Drawing(figure, "Each row shows what the images of one class were taken for; the diagonal is right.")
        for row, column in zip(*counts.nonzero(), strict=True):
            if count <= _COUNTED:
                ink = "white" if shares[row, column] > 55 else "black"
                ax.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
            if named:
                told = f"{classes[row]} taken for {classes[column]}: {counts[row, column]} of {counts[row].sum()}"
                drawing.points.append((ax, column, row, told))
    if count <= _COUNTED:
        drawing.caption += " The numbers are images."
    return drawing
