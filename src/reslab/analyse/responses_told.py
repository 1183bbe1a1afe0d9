"""Responses as a table, a figure and claims. A Fig. 7."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reslab.analyse.analysis import Analysis, Finding, cell
from reslab.analyse.conditions import Conditions, part
from reslab.analyse.kinds import Kinds, counterparts, deeper, judged, kinds, mean, name, not_finite
from reslab.analyse.preserve import Mode, Told
from reslab.analyse.responses import Responses, places, responses
from reslab.analyse.subject import INITIAL, Subject
from reslab.drawing import STYLE, Drawing, line, scale
from reslab.errors import SpecError
from reslab.stats import Sample
from reslab.table import Column

Measured = Mapping[tuple[str, str], Responses]
"""By a subject's label and its moment."""

_ABOUT = (
    "The standard deviation of the output of every 3×3 layer after BN, before the non-linearity and the addition, over "
    "all images, channels and positions; it has no unit. In a residual network it is the strength of the residual "
    "functions. Paper A, section 4.2, Fig. 7."
)
_INITIAL = (
    "Initial weights are measured with the statistics of each batch, as training begins: BN's running statistics have "
    "seen nothing then. Behind BN every response is 1 by its definition."
)
_NOT_BN = (
    "Where no BN stands between a convolution and the addition or the non-linearity, as behind the last convolution "
    "of a pre-activation unit, the convolution's own output is measured (rings in the figure); its scale is not that "
    "of the layers behind BN."
)


def look(subjects: Sequence[Subject], conditions: Conditions, told: Told | None = None) -> Analysis:
    """Measure and tell the responses of subjects, at first and at last. Raises SpecError where one has no 3x3 layer."""
    began = time.monotonic()
    for subject in subjects:
        try:
            places(subject.spec)
        except SpecError as error:
            raise SpecError(f"{subject.label}: {error}") from None
    measured: dict[tuple[str, str], Responses] = {}
    for index, subject in enumerate(subjects):
        seen = conditions.seen(subject)
        ends = list(dict.fromkeys((next(iter(subject.states)), last(subject))))
        for number, moment in enumerate(ends):
            mode: Mode = "train" if moment == INITIAL else conditions.mode
            heard = part(part(told, index, len(subjects)), number, len(ends))
            measured[subject.label, moment] = responses(subject.states[moment], seen, mode, heard)
    found = kinds(subjects)
    return Analysis(
        kind="responses",
        title=f"Responses of layers on {conditions.data.name}",
        about=_ABOUT,
        table=_table(found, measured),
        drawings={"responses": _drawing(found, measured)},
        findings=tuple(_findings(found, measured)),
        facts=conditions.facts(subjects, began) | conditions.statistics(subjects),
        notes=tuple(_notes(measured)),
        warnings=not_finite(key for key, one in measured.items() if not np.isfinite(one.std).all()),
        tables={"values": _values(measured)},
        networks={subject.label: subject.kind for subject in subjects},
    )


def last(subject: Subject) -> str:
    """The last moment of a subject."""
    return list(subject.states)[-1]


def _over_seeds(subjects: Sequence[Subject], measured: Measured, initial: bool) -> NDArray[np.float64] | None:
    """The standard deviations of a kind at first or after training, (subjects, layers); None where there are none."""
    moments = {subject.label: INITIAL if initial else last(subject) for subject in subjects}
    rows = [measured[key].std for key in moments.items() if key in measured and initial == (key[1] == INITIAL)]
    return np.stack(rows) if rows else None


def _moments(found: Kinds, measured: Measured) -> list[tuple[list[Subject], str, NDArray[np.float64]]]:
    rows = []
    for subjects in found.values():
        for initial in (True, False):
            std = _over_seeds(subjects, measured, initial)
            if std is not None:
                rows.append((subjects, INITIAL if initial else last(subjects[0]), std))
    return rows


def _table(found: Kinds, measured: Measured) -> list[Column]:
    rows = _moments(found, measured)
    return [
        Column("network", [name(subjects) for subjects, _, _ in rows], numbers=False),
        Column("weights", [moment for _, moment, _ in rows], numbers=False),
        Column("3×3 layers", [str(std.shape[1]) for _, _, std in rows]),
        Column("median response", [mean(np.median(std, axis=1).tolist()) for _, _, std in rows]),
        Column("least", [cell(std.mean(0).min(), ".3g") for _, _, std in rows]),
        Column("greatest", [cell(std.mean(0).max(), ".3g") for _, _, std in rows]),
    ]


def _values(measured: Measured) -> list[Column]:
    lines = [
        (label, moment, place.layer, place.module, cell(std))
        for (label, moment), one in measured.items()
        for place, std in zip(one.places, one.std, strict=True)
    ]
    titles = ("network", "weights", "layer", "read at the output of", "standard deviation")
    columns = zip(titles, zip(*lines, strict=True), strict=True)
    return [Column(title, list(cells), title == titles[-1]) for title, cells in columns]


def _notes(measured: Measured) -> list[str]:
    notes = [_INITIAL] if any(moment == INITIAL for _, moment in measured) else []
    if any(not place.behind_bn for one in measured.values() for place in one.places):
        notes.append(_NOT_BN)
    return notes


def _findings(found: Kinds, measured: Measured) -> list[Finding]:
    """A Fig. 7's two orderings, judged by the median over the layers of each run after training."""
    claims = [("Residual responses are smaller than plain ones", pair) for pair in counterparts(found)]
    claims += [("A deeper residual network has smaller responses", (deep, less)) for less, deep in deeper(found)]
    findings = []
    for claim, pair in claims:
        stds = [_over_seeds(found[spec], measured, initial=False) for spec in pair]
        if any(std is None for std in stds):
            continue
        lower, higher = (Sample(tuple(np.median(std, axis=1).tolist())) for std in stds if std is not None)
        of = found[pair[0]], found[pair[1]]
        claim = f"{claim}: {of[0][0].kind} and {of[1][0].kind}"
        findings.append(judged(claim, "A sec. 4.2, Fig. 7", "median over the 3×3 layers", (lower, higher), of))
    return findings


def _drawing(found: Kinds, measured: Measured) -> Drawing:
    trained = any(moment != INITIAL for _, moment in measured)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 6.8), layout="constrained")
        drawing = Drawing(
            figure,
            "Above: the layers in order; below: sorted by their response. Lines are means over runs under several "
            "seeds, bands reach from the least to the greatest." + _THIN * trained,
        )
        upper, lower = figure.subplots(2, 1)
        for index, subjects in enumerate(found.values()):
            for initial in (True, False):
                std = _over_seeds(subjects, measured, initial)
                if std is None:
                    continue
                std = np.where(np.isfinite(std), std, np.nan)
                thin = initial and trained
                look = line(index) | ({"linewidth": 0.8, "alpha": 0.6} if thin else {"linewidth": 1.7})
                told = name(subjects) + ", initial" * thin
                _line(drawing, upper, std, told, look)
                _line(drawing, lower, -np.sort(-std, axis=1), told, look)
                bare = [at for at, place in enumerate(places(subjects[0].spec)) if not place.behind_bn]
                ring = {"color": look["color"], "fillstyle": "none", "markersize": 5, "alpha": look.get("alpha")}
                upper.plot([at + 1 for at in bare], std.mean(0)[bare], "o", **ring)
        _label(upper, lower, measured)
        handles = {label: shown for shown, label in zip(*upper.get_legend_handles_labels(), strict=True)}
        thick = {label: shown for label, shown in handles.items() if not label.endswith(", initial")}
        figure.legend(list(thick.values()), list(thick), loc="outside lower center", ncols=3, fontsize=9)
    return drawing


_THIN = " Thin: the initial weights."


def _label(upper: Axes, lower: Axes, measured: Measured) -> None:
    for ax, order in ((upper, "in order"), (lower, "sorted by magnitude")):
        ax.set(xlabel=f"3×3 layer, {order}", ylabel="response, standard deviation")
        scale(ax, np.concatenate([one.std for one in measured.values()]))


def _line(drawing: Drawing, ax: Axes, std: NDArray[np.float64], told: str, look: dict[str, Any]) -> None:
    layers, means = np.arange(1, std.shape[1] + 1), std.mean(0)
    ax.plot(layers, means, label=told, **look)
    if len(std) > 1:
        ax.fill_between(layers, std.min(0), std.max(0), color=look["color"], alpha=0.12, linewidth=0)
    for layer, value in zip(layers, means, strict=True):
        if np.isfinite(value):
            drawing.points.append((ax, float(layer), float(value), f"{told}, layer {layer}: {value:.3g}"))
