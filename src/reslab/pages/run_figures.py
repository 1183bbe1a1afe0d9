"""The figures of a run: its learning curves and its confusion matrix."""

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.data.images import Indices
from reslab.drawing import COLOURS, Drawing, style
from reslab.runs.contents import Metrics

_NAMED = 40  # classes that still have their names at the axes
_COUNTED = 16  # classes whose counts are written into the squares
_POINTS = 60  # points of a curve that show their values, at most
_SPLITS: dict[Literal["train", "validation", "test"], str] = {
    "train": "training batches",
    "validation": "validation",
    "test": "test",
}


def curves(metrics: Sequence[Metrics], best_step: int | None) -> Drawing:
    """Error and loss over the steps, of the training batches and of the evaluated splits."""
    with style():
        figure = Figure(figsize=(8.8, 3.4), layout="constrained")
        drawing = Drawing(
            figure,
            "Thin: the training batches since the last log, with their augmentation and label smoothing; bold: whole "
            "splits in evaluation mode.",
        )
        errors, losses = figure.subplots(1, 2)
        for (split, name), colour in zip(_SPLITS.items(), COLOURS, strict=False):
            width = 0.9 if split == "train" else 2.2
            line = {"label": name, "color": colour, "linewidth": width}
            _curve(drawing, errors, [(at.step, at.error(split)) for at in metrics], line)
            top5 = line | {"label": f"{name}, top-5", "linestyle": "--"}
            _curve(drawing, errors, [(at.step, at.top5_error(split)) for at in metrics], top5)
            _curve(drawing, losses, [(at.step, at.loss(split)) for at in metrics], line)
        for ax, title in ((errors, "error, %"), (losses, "loss")):
            if best_step is not None:
                ax.axvline(best_step, color="#888", linestyle=":", linewidth=1.2, label="best weights")
            ax.set(xlabel="step", ylabel=title, xlim=(0, metrics[-1].step))
            ax.set_ylim(bottom=0)
        figure.legend(*errors.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return drawing


def _curve(drawing: Drawing, ax: Axes, values: Sequence[tuple[int, float | None]], line: dict[str, Any]) -> None:
    points = [(step, value) for step, value in values if value is not None]
    if not points:
        return
    ax.plot(*zip(*points, strict=True), **line)
    for step, value in points[:: max(1, -(-len(points) // _POINTS))]:
        drawing.points.append((ax, step, value, f"{line['label']}, step {step:,}: {value:.4g}"))


def confusion(counts: Indices, classes: Sequence[str]) -> Drawing:
    """The confusion matrix: a row for each true class, with the shares that were predicted as each class."""
    shares = 100 * counts / counts.sum(1, keepdims=True).clip(1)
    count = len(classes)
    named, counted = count <= _NAMED, count <= _COUNTED
    side = min(9.0, 3.2 + 0.26 * count) if named else 7.0
    caption = "Confusion matrix: a row for each true class, a column for each predicted one; correct on the diagonal."
    with style(**{"axes.grid": False}):
        figure = Figure(figsize=(side + 1.4, side), layout="constrained")
        drawing = Drawing(figure, caption + " The numbers are images." * counted, as_text=True)
        ax = figure.subplots()
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
        figure.colorbar(image, ax=ax, shrink=0.7, label="% of the true class")
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.spines[:].set_visible(False)
        if named:
            short = [name if len(name) <= 22 else name[:20] + "…" for name in classes]
            ax.set_xticks(range(count), short, rotation=90)
            ax.set_yticks(range(count), short)
        for row, column in zip(*counts.nonzero(), strict=True):
            if counted:
                ink = "white" if shares[row, column] > 55 else "black"
                ax.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
            if named:
                images = f"{counts[row, column]} of {counts[row].sum()}"
                text = f"{classes[row]} predicted as {classes[column]}: {images}"
                drawing.points.append((ax, column, row, text))
    return drawing
