"""Signals and gradients as a table, a figure and claims. C eqs. 5 to 8; B sec. 3.3."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.analyse.analysis import Analysis, Finding
from reslab.analyse.conditions import Conditions, part
from reslab.analyse.gradients import Gradients, gradients
from reslab.analyse.intact import Mode, Told
from reslab.analyse.kinds import Kinds, judged, kinds, name
from reslab.analyse.subject import INITIAL, Subject, images
from reslab.report.drawing import COLOURS, STYLE, Drawing
from reslab.report.table import Column
from reslab.sample import Sample

Measured = Mapping[tuple[str, str], Gradients]
"""By a subject's label and its moment."""

_ABOUT = (
    "Signal: the root mean square of the output behind the stem and behind every unit. Gradient: the norm of the "
    "derivative of one image's cross-entropy by that output, root mean square over images. Dashed: the gradient that "
    "the shortcuts alone would carry back from the last unit, the product of their factors. Paper C, eqs. 5 to 8."
)
_NOTES = (
    "The shortcut's factor is 1 for an addition, its scale where it is scaled, 1 − p where it is dropped (in "
    "expectation), and where it is gated the measured mean of 1 − g. A shortcut with weights has none: behind it the "
    "product begins anew. A plain network has no shortcut.",
    "The residuals add to what the shortcuts carry, so that the measured gradient may lie above the dashed line, and a "
    "ReLU behind the addition, or a shortcut that leaves out every other pixel, takes some of it away.",
    "A channel is dead where a ReLU gives zero for it in every image and position.",
)
_INITIAL = "Initial weights are measured with the statistics of each batch, as BN's running statistics are empty then."


def look(subjects: Sequence[Subject], conditions: Conditions, told: Told | None = None) -> Analysis:
    """Measure and tell signals and gradients of subjects at every moment that they have."""
    began = time.monotonic()
    measured: dict[tuple[str, str], Gradients] = {}
    for index, subject in enumerate(subjects):
        seen = images(subject, conditions.data, conditions.images, conditions.device)
        for number, (moment, network) in enumerate(subject.states.items()):
            mode: Mode = "train" if moment == INITIAL else conditions.mode
            heard = part(part(told, index, len(subjects)), number, len(subject.states))
            measured[subject.label, moment] = gradients(network, seen, mode, heard)
    found = kinds(subjects)
    statistics = {"eval": "its running statistics", "train": "those of each batch of 128"}[conditions.mode]
    return Analysis(
        kind="gradients",
        title=f"Signals and gradients on {conditions.data.name}",
        about=_ABOUT,
        table=_table(measured),
        drawings={"gradients": _drawing(found, measured)},
        findings=tuple(_findings(found, measured)),
        facts={**conditions.facts(subjects, began), "statistics of BN": statistics},
        notes=(*_NOTES, _INITIAL),
        values=_values(measured),
    )


def _table(measured: Measured) -> list[Column]:
    ratios = [float(one.predicted()[0] / one.gradient[-1]) if one.gradient[-1] else np.nan for one in measured.values()]
    dead = [float(np.nanmean(one.dead)) if not np.isnan(one.dead).all() else np.nan for one in measured.values()]
    return [
        Column("network", [label for label, _ in measured], numbers=False),
        Column("weights", [moment for _, moment in measured], numbers=False),
        Column("signal behind the stem", [f"{one.signal[0]:.3g}" for one in measured.values()]),
        Column("behind the last unit", [f"{one.signal[-1]:.3g}" for one in measured.values()]),
        Column("gradient: stem over last unit", [_number(one.ratio()) for one in measured.values()]),
        Column("by the shortcuts alone", [_number(ratio) for ratio in ratios]),
        Column("dead channels, %", [_number(100 * share) for share in dead]),
        Column("died", ["yes" if one.died else "no" for one in measured.values()], numbers=False),
    ]


def _values(measured: Measured) -> list[Column]:
    lines = [
        (label, moment, block, *map(_number, numbers))
        for (label, moment), one in measured.items()
        for block, *numbers in zip(
            one.blocks, one.signal, one.gradient, one.predicted(), one.factor, one.dead, strict=True
        )
    ]
    titles = ("network", "weights", "behind", "signal", "gradient", "by shortcuts alone", "factor", "dead share")
    cells = zip(*lines, strict=True)
    return [Column(title, list(column), at > 2) for at, (title, column) in enumerate(zip(titles, cells, strict=True))]


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4g}"


def _findings(found: Kinds, measured: Measured) -> list[Finding]:
    """What C says of the product of factors, at a network's first moment, and B of networks that die, at its last."""
    findings = []
    for of in found.values():
        firsts = [measured[subject.label, next(iter(subject.states))] for subject in of]
        lasts = [measured[subject.label, list(subject.states)[-1]] for subject in of]
        ratio = Sample(tuple(one.ratio() for one in firsts))
        factors = np.array([one.factor for one in firsts])
        factors = factors[~np.isnan(factors)]
        what = f"gradient behind the stem over that behind the last unit, {next(iter(of[0].states))} weights"
        if factors.size and not np.isnan(ratio.values).any():
            if (factors == 1).all():
                claim, sides = "Identity shortcuts carry the gradient back undiminished", (1.0, ratio)
                findings.append(judged(f"{claim}: {of[0].kind}", "C sec. 2, eq. 5", what, sides, (of, of)))
            elif (factors <= 1).all():
                lower, claim = (ratio, 1.0), "With shortcut factors below 1 the gradient fades"
                findings.append(judged(f"{claim}: {of[0].kind}", "C sec. 3, eq. 8", what, lower, (of, of)))
        died = sum(one.died for one in lasts)
        findings.append(
            Finding(
                f"The network is alive, its last maps are not all zero: {of[0].kind}",
                "B sec. 3.3",
                "does not hold" if died else "holds",
                f"{died} of {len(lasts)} died",
            )
        )
    return findings


def _drawing(found: Kinds, measured: Measured) -> Drawing:
    moments = [INITIAL] * any(moment == INITIAL for _, moment in measured)
    moments += ["trained"] * any(moment != INITIAL for _, moment in measured)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * len(moments), 8.2), layout="constrained")
        drawing = Drawing(
            figure,
            "Means over runs under several seeds. Dashed: the gradient that the shortcuts alone would carry back. "
            "Thin: earlier checkpoints of a run. Unit 0 is the stem.",
        )
        axes = figure.subplots(3, len(moments), squeeze=False, sharey="row", sharex="col")
        for column, moment in enumerate(moments):
            for index, of in enumerate(found.values()):
                _lines(drawing, list(axes[:, column]), of, measured, (moment, COLOURS[index % len(COLOURS)]))
            axes[0, column].set_title(f"{moment} weights")
            axes[2, column].set_xlabel("unit")
        for ax, label in zip(
            axes[:, 0], ("signal, root mean square", "gradient, norm per image", "dead channels, %"), strict=True
        ):
            ax.set_ylabel(label)
        axes[0, 0].set_yscale("log")
        axes[1, 0].set_yscale("log")
        axes[2, 0].set_ylim(bottom=0)
        handles = {label: line for ax in axes[0] for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2, fontsize=9)
    return drawing


def _lines(drawing: Drawing, axes: list[Axes], of: list[Subject], measured: Measured, look: tuple[str, str]) -> None:
    moment, colour = look
    groups: dict[str, list[Gradients]] = {}
    for subject in of:
        for state in subject.states:
            if (state == INITIAL) == (moment == INITIAL):
                place = "last" if state == list(subject.states)[-1] or moment == INITIAL else state
                groups.setdefault(place, []).append(measured[subject.label, state])
    for place, group in groups.items():
        style: dict[str, Any] = {"color": colour, "linewidth": 1.7 if place == "last" else 0.6}
        told = name(of) if place == "last" else "_"
        units = np.arange(len(group[0].blocks))
        means = [np.mean([getattr(one, key) for one in group], axis=0) for key in ("signal", "gradient", "dead")]
        means[2] = 100 * means[2]
        for ax, values in zip(axes, means, strict=True):
            ax.plot(units, np.where(values > 0, values, np.nan) if ax is not axes[2] else values, label=told, **style)
        if place != "last":
            continue
        predicted = np.mean([one.predicted() for one in group], axis=0)
        axes[1].plot(units, predicted, "--", color=colour, linewidth=1.1)
        for unit, signal, gradient in zip(units, means[0], means[1], strict=True):
            drawing.points.append((axes[0], float(unit), float(signal), f"{told}, unit {unit}: {signal:.3g}"))
            drawing.points.append((axes[1], float(unit), float(gradient), f"{told}, unit {unit}: {gradient:.3g}"))
