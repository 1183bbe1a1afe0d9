"""Signals and gradients as figures: over the units, and over the units along a training."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from reslab.analyse.gradients import Gradients
from reslab.analyse.kinds import Kinds, name
from reslab.analyse.subject import INITIAL, Subject
from reslab.drawing import STYLE, Drawing, line, scale

Measured = Mapping[tuple[str, str], Gradients]
"""By a subject's label and its moment."""

_ROWS = {
    "signal": "signal, root mean square",
    "gradient": "gradient, norm per image",
    "dead": "dead channels, %",
}
_TOLD = "Means over runs under several seeds. Unit 0 is the stem. "


def drawings(found: Kinds, measured: Measured) -> dict[str, Drawing]:
    """A figure of the first and last moments, and one of those between where runs have kept checkpoints."""
    figures = {"gradients": _ends(found, measured)}
    if any(len(subject.states) > 2 for subjects in found.values() for subject in subjects):
        figures["training"] = _training(found, measured)
    return figures


def _ends(found: Kinds, measured: Measured) -> Drawing:
    columns = [INITIAL] * any(moment == INITIAL for _, moment in measured)
    columns += ["last"] * any(moment != INITIAL for _, moment in measured)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 5.0 * len(columns)), 8.2), layout="constrained")
        drawing = Drawing(figure, _TOLD + "Dotted: the gradient that the shortcuts alone would carry back.")
        axes = figure.subplots(3, len(columns), squeeze=False, sharey="row", sharex="col")
        for column, moment in enumerate(columns):
            for index, subjects in enumerate(found.values()):
                ends = [(subject.label, _end(subject, moment)) for subject in subjects]
                if group := [measured[key] for key in ends if key in measured]:  # type: ignore[index]
                    _lines(drawing, list(axes[:, column]), name(subjects), group, index)
            axes[0, column].set_title("initial weights" if moment == INITIAL else "trained weights")
        _label(axes, measured)
        handles = {label: shown for ax in axes[0] for shown, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2, fontsize=9)
    return drawing


def _end(subject: Subject, moment: str) -> str | None:
    if moment == INITIAL:
        return INITIAL
    last = list(subject.states)[-1]
    return None if last == INITIAL else last


def _lines(drawing: Drawing, axes: Sequence[Axes], label: str, group: Sequence[Gradients], index: int) -> None:
    dead = sum(one.died for one in group)
    told = label + f", {dead} of {len(group)} died" * bool(dead)
    units = np.arange(len(group[0].blocks))
    for ax, key in zip(axes, _ROWS, strict=True):
        values = _mean(group, key)
        ax.plot(units, values, label=told, linewidth=1.7, **line(index))
        unit = " %" if key == "dead" else ""
        drawing.points += [
            (ax, float(at), float(value), f"{label}, {block}: {value:.3g}{unit}")
            for at, block, value in zip(units, group[0].blocks, values, strict=True)
            if not np.isnan(value)
        ]
    predicted = np.mean([one.predicted() for one in group], axis=0)
    axes[1].plot(
        units, np.where(np.isfinite(predicted), predicted, np.nan), ":", color=line(index)["color"], linewidth=1.6
    )


def _mean(group: Sequence[Gradients], key: str) -> NDArray[np.float64]:
    """Over runs, (blocks,); without what a logarithmic axis cannot show, and what is not finite."""
    mean = np.mean([getattr(one, key) for one in group], axis=0)
    return 100 * mean if key == "dead" else np.where(np.isfinite(mean) & (mean > 0), mean, np.nan)


def _label(axes: NDArray[np.object_], measured: Measured) -> None:
    for (key, label), row in zip(_ROWS.items(), axes, strict=True):
        row[0].set_ylabel(label)
        if key == "dead":
            top = max(1.0, row[0].get_ylim()[1])
            row[0].set_ylim(-0.03 * top, top)  # so that a line at zero is seen
            continue
        values = np.concatenate([_mean([one], key) for one in measured.values()])
        if key == "gradient":
            values = np.concatenate([values, *(one.predicted() for one in measured.values())])
        scale(row[0], values)
    for ax in axes[-1]:
        ax.set_xlabel("unit")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _training(found: Kinds, measured: Measured) -> Drawing:
    """A column for each kind whose runs have kept checkpoints, a line for each moment that all of them have."""
    columns: dict[str, dict[str, list[Gradients]]] = {}
    for subjects in found.values():
        moments = [moment for moment in subjects[0].states if all(moment in one.states for one in subjects)]
        if len(moments) > 2:
            columns[name(subjects)] = {
                moment: [measured[subject.label, moment] for subject in subjects] for moment in moments
            }
    colours = mpl.colormaps["viridis"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 3.6 * len(columns)), 8.2), layout="constrained")
        drawing = Drawing(figure, _TOLD + "Along the training, from its first weights (dark) to its last (light).")
        axes = figure.subplots(3, len(columns), squeeze=False, sharey="row", sharex="col")
        for column, (title, along) in enumerate(columns.items()):
            for at, (moment, group) in enumerate(along.items()):
                shade = colours(0.92 * at / (len(along) - 1))
                units = np.arange(len(group[0].blocks))
                for ax, key in zip(axes[:, column], _ROWS, strict=True):
                    values = _mean(group, key)
                    ax.plot(units, values, color=shade, linewidth=1.3, label=moment)
                    drawing.points += [
                        (ax, float(unit), float(value), f"{title}, {moment}, unit {unit}: {value:.3g}")
                        for unit, value in zip(units, values, strict=True)
                        if not np.isnan(value)
                    ]
            axes[0, column].set_title(title, fontsize=9)
            axes[0, column].legend(fontsize=7, ncols=2)
        _label(axes, measured)
    return drawing
