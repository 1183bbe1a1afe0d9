"""Lesions and paths as a table, figures and claims. Veit et al. 2016, Figs. 3, 5 and 6."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.analyse.analysis import Analysis, Finding
from reslab.analyse.blocks import trunk
from reslab.analyse.conditions import Conditions, part
from reslab.analyse.kinds import Kinds, counterparts, judged, kinds, name
from reslab.analyse.lesion import Outcome, lesions, outcome
from reslab.analyse.paths import Paths, paths
from reslab.analyse.preserve import Told
from reslab.analyse.subject import INITIAL, Subject
from reslab.drawing import STYLE, Drawing, line
from reslab.errors import SpecError
from reslab.nets import ResNet
from reslab.nets.modules import Network
from reslab.stats import Sample
from reslab.table import Column

SOURCE = "Veit et al. 2016, arXiv 1605.06431"
_TAU = 0.05  # lesions whose tau is nearest to the same multiple of it have one point of the mean line
HARDLY, CHANCE = 0.1, 0.9
"""Shares of the way from the whole network's error to chance: below the first the error has hardly changed, above the
second it is at chance."""

_AT_CHANCE = 1.0  # percent of the images; a network whose error is nearer to chance has nothing to lose

_ABOUT = (
    "Top-1 error on test images, in percent, of trained networks that are hurt at test time: without one unit, without "
    "k random units, with random pairs of units of the same shape swapped. Of a removed residual unit the shortcut's "
    "part of the merge stays; a removed plain unit hands on its input. " + SOURCE + ", sec. 4."
)
_NOTES = (
    "Units of a plain network that change the shape cannot be removed; residual ones can, their shortcut changes it.",
    "Kendall's tau compares the order of all units with the network's own: 1 is the same order.",
    "Paths: the values are those of the whole network; the gradient passes through the residuals of the units on the "
    "path alone, and through the shortcuts of all others.",
)


class Ablated(NamedTuple):
    """What was measured of one subject."""

    outcome: Outcome
    paths: Paths | None

    def lost(self, chance: float) -> float:
        """The share of the way to chance that the error goes without one unit, the median over the units.

        nan where the whole network is at chance, or nearer to it than 1 point.
        """
        way = chance - self.outcome.whole
        if way < _AT_CHANCE:
            return float("nan")
        return (float(np.median(list(self.outcome.single().values()))) - self.outcome.whole) / way


Measured = Mapping[str, Ablated]
"""By a subject's label."""


def look(subjects: Sequence[Subject], conditions: Conditions, told: Told | None = None) -> Analysis:
    """Ablated trained subjects and tell it. Raises SpecError for fresh weights, and where nothing can be removed."""
    began = time.monotonic()
    plans = {}
    for index, subject in enumerate(subjects):
        if list(subject.states)[-1] == INITIAL:
            raise SpecError(f"{subject.label}: fresh weights have nothing to lose; give a run or a file of weights")
        try:
            plans[subject.label] = lesions(trunk(_network(subject)), (conditions.seed, index))
        except SpecError as error:
            raise SpecError(f"{subject.label}: {error}") from None
    measured = {}
    for index, subject in enumerate(subjects):
        seen = conditions.seen(subject)
        heard = part(told, index, len(subjects))
        found = outcome(_network(subject), seen, plans[subject.label], part(heard, 0, 2))
        measured[subject.label] = Ablated(
            found, paths(_network(subject), seen, conditions.seed, told=part(heard, 1, 2))
        )
    grouped, chance = kinds(subjects), 100 * (1 - 1 / len(conditions.data.classes))
    drawings = {"lesion": _drawing(grouped, measured, chance)}
    if any(one.paths for one in measured.values()):
        drawings["paths"] = _paths_drawing(grouped, measured)
    return Analysis(
        kind="lesion",
        title=f"Networks without some of their units, on {conditions.data.name}",
        about=_ABOUT,
        table=_table(grouped, measured, chance),
        drawings=drawings,
        findings=tuple(_findings(grouped, measured, chance)),
        facts=conditions.facts(subjects, began),
        notes=_NOTES,
        warnings=_warnings(measured, chance),
        tables={"values": _values(measured)} | ({"paths": _path_values(measured)} if "paths" in drawings else {}),
        networks={subject.label: subject.kind for subject in subjects},
    )


def _network(subject: Subject) -> Network:
    return list(subject.states.values())[-1]


def _table(grouped: Kinds, measured: Measured, chance: float) -> list[Column]:
    rows = [[measured[subject.label] for subject in subjects] for subjects in grouped.values()]

    def column(title: str, value: str) -> Column:
        picks: dict[str, Callable[[Ablated], float]] = {
            "whole": lambda one: one.outcome.whole,
            "median": lambda one: float(np.median(list(one.outcome.single().values()))),
            "worst": lambda one: max(one.outcome.single().values()),
            "lost": lambda one: one.lost(chance),
        }
        return Column(title, [_mean(tuple(picks[value](one) for one in row)) for row in rows])

    def reach(row: list[Ablated]) -> str:
        reached = [one.paths.reach(0.5) for one in row if one.paths]
        return f"{np.median(reached):g} of {row[0].paths.lengths[-1]}" if reached and row[0].paths else ""

    return [
        Column("network", [name(subjects) for subjects in grouped.values()], numbers=False),
        column("error, %", "whole"),
        column("without one unit: median, %", "median"),
        column("greatest, %", "worst"),
        column("share of the way to chance", "lost"),
        Column("half of the gradient comes along paths through at most", [reach(row) for row in rows]),
    ]


def _mean(values: tuple[float, ...]) -> str:
    """A cell for the mean of some runs; empty where one has no such number."""
    return str(Sample(values)) if np.isfinite(values).all() else ""


def _warnings(measured: Measured, chance: float) -> tuple[str, ...]:
    at_chance = [label for label, one in measured.items() if np.isnan(one.lost(chance))]
    if not at_chance:
        return ()
    told = f"At chance ({chance:g} %) as a whole, or less than 1 point below it: {', '.join(at_chance)}"
    return (f"{told}. The share of the way to chance is left out there, and no claim is judged by it.",)


def _values(measured: Measured) -> list[Column]:
    lines = [
        (label, lesion.what, str(lesion.k), " ".join(lesion.units), f"{lesion.tau:.4f}", f"{error:.3f}")
        for label, one in measured.items()
        for lesion, error in zip(one.outcome.lesions, one.outcome.errors, strict=True)
    ]
    titles = ("network", "lesion", "k", "units", "Kendall's tau", "top-1 error, %")
    text = (False, False, True, False, True, True)
    cells = zip(*lines, strict=True)
    return [Column(title, list(column), number) for title, column, number in zip(titles, cells, text, strict=True)]


def _path_values(measured: Measured) -> list[Column]:
    lines = []
    for label, one in measured.items():
        if one.paths is None:
            continue
        norms = dict(zip(one.paths.measured.tolist(), one.paths.norm.tolist(), strict=True))
        for length, share, carried in zip(one.paths.lengths, one.paths.share, one.paths.contribution, strict=True):
            norm = f"{norms[length]:.6g}" if length in norms else ""
            lines.append((label, str(length), f"{share:.6g}", norm, f"{carried:.6g}"))
    titles = ("network", "length", "share of the paths", "gradient along one", "share of the gradient")
    cells = zip(*lines, strict=True)
    return [Column(title, list(column), at > 0) for at, (title, column) in enumerate(zip(titles, cells, strict=True))]


def _findings(grouped: Kinds, measured: Measured, chance: float) -> list[Finding]:
    """Veit's contrast, judged by each run's median over its units."""
    lost = {spec: Sample(tuple(measured[one.label].lost(chance) for one in of)) for spec, of in grouped.items()}
    what = f"share of the way from its error to chance ({chance:g} %) that a network goes without one unit, median"
    findings = []
    for spec, of in grouped.items():
        if not isinstance(spec, ResNet):
            continue
        sides: tuple[Sample | float, Sample | float]
        if spec.shortcut:
            claim, sides = (
                "Without one unit, the median one, a residual network's error hardly changes",
                (lost[spec], HARDLY),
            )
        else:
            claim, sides = "Without one unit, the median one, a plain network is at chance", (CHANCE, lost[spec])
        findings.append(judged(f"{claim}: {of[0].kind}", f"{SOURCE}, Fig. 3", what, sides, (of, of)))
    for residual, plain in counterparts(grouped):
        pair = grouped[residual], grouped[plain]
        claim = f"A residual network loses less with a unit than a plain one: {pair[0][0].kind} and {pair[1][0].kind}"
        findings.append(judged(claim, f"{SOURCE}, Fig. 3", what, (lost[residual], lost[plain]), pair))
    return findings


def _drawing(grouped: Kinds, measured: Measured, chance: float) -> Drawing:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        drawing = Drawing(
            figure,
            "Left: without one unit; dotted: the whole network. Middle: without k random units. Right: after random "
            "swaps of units of the same shape. Dots are single lesions of single runs, lines means, on the right of "
            "lesions of about the same tau; grey: chance.",
        )
        axes = figure.subplots(1, 3, sharey=True)
        for index, subjects in enumerate(grouped.values()):
            of = [measured[subject.label].outcome for subject in subjects]
            for ax, draw in zip(axes, (_positions, _counts, _orders), strict=True):
                draw(drawing, ax, subjects, of, line(index))
        for ax, label in zip(axes, ("unit removed", "units removed, k", "Kendall's tau of the order"), strict=True):
            ax.axhline(chance, color="#999", linewidth=0.8)
            ax.set(xlabel=label, ylim=(0, 100))
        axes[0].set_ylabel("top-1 error, %")
        axes[2].invert_xaxis()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return drawing


def _positions(drawing: Drawing, ax: Axes, subjects: list[Subject], of: list[Outcome], look: dict[str, Any]) -> None:
    numbers = {b.name: n for n, b in enumerate((b for b in trunk(_network(subjects[0])) if b.is_unit), 1)}
    units = list(of[0].single())
    errors = np.array([list(one.single().values()) for one in of])
    at = [numbers[unit] for unit in units]
    ax.plot(at, errors.mean(0), marker="o", markersize=3, linewidth=1.2, label=name(subjects), **look)
    if len(of) > 1:
        ax.fill_between(at, errors.min(0), errors.max(0), color=look["color"], alpha=0.12, linewidth=0)
    ax.axhline(float(np.mean([one.whole for one in of])), color=look["color"], linewidth=1.2, linestyle=":")
    for unit, place, error in zip(units, at, errors.mean(0), strict=True):
        drawing.points.append((ax, place, float(error), f"{name(subjects)} without {unit}: {error:.1f} %"))


def _counts(drawing: Drawing, ax: Axes, subjects: list[Subject], of: list[Outcome], look: dict[str, Any]) -> None:
    found = {k: [error for one in of for _, error in one.by_count("remove")[k]] for k in of[0].by_count("remove")}
    for k, errors in found.items():
        ax.plot([k] * len(errors), errors, ".", color=look["color"], markersize=3, alpha=0.35)
        drawing.points.append((ax, k, float(np.mean(errors)), f"{name(subjects)}, k = {k}: {np.mean(errors):.1f} %"))
    ax.plot(list(found), [float(np.mean(errors)) for errors in found.values()], linewidth=1.6, **look)


def _orders(drawing: Drawing, ax: Axes, subjects: list[Subject], of: list[Outcome], look: dict[str, Any]) -> None:
    pairs = np.array([pair for one in of for pairs in one.by_count("swap").values() for pair in pairs])
    if not len(pairs):
        return
    taus, errors = pairs.T
    ax.plot(taus, errors, ".", color=look["color"], markersize=3, alpha=0.35)
    near = np.round(taus / _TAU)
    means = [(taus[near == at].mean(), errors[near == at].mean()) for at in np.unique(near)]
    ax.plot(*zip(*means, strict=True), linewidth=1.6, **look)
    for tau, error in means:
        drawing.points.append((ax, tau, error, f"{name(subjects)}, tau about {tau:.2f}: {error:.1f} %"))


def _paths_drawing(grouped: Kinds, measured: Measured) -> Drawing:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.8), layout="constrained")
        drawing = Drawing(
            figure,
            "Paths by the number of residuals that they pass. Left: their share of all paths, binomial. Middle: the "
            "gradient that reaches the first unit along one path. Right: the product, the share of the gradient that "
            "comes along paths of each length. Means over runs.",
        )
        axes = figure.subplots(1, 3)
        for index, subjects in enumerate(grouped.values()):
            of = [found for subject in subjects if (found := measured[subject.label].paths)]
            if not of:
                continue
            look = line(index) | {"linewidth": 1.6}
            one, norms = of[0], np.mean([found.norm for found in of], axis=0)
            contribution = np.mean([found.contribution for found in of], axis=0)
            axes[0].plot(one.lengths, one.share, label=name(subjects), **look)
            axes[1].plot(one.measured, norms, marker="o", markersize=3, **look)
            axes[2].plot(one.lengths, contribution, **look)
            for length, value in zip(one.lengths, contribution, strict=True):
                told = f"{name(subjects)}, length {length}: {100 * value:.1f} % of the gradient"
                drawing.points.append((axes[2], float(length), float(value), told))
        axes[1].set_yscale("log")
        for ax, label in zip(
            axes, ("share of the paths", "norm of the gradient", "share of the gradient"), strict=True
        ):
            ax.set(xlabel="length: residuals passed", ylabel=label)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return drawing
