"""The error of a network without some of its units, or with units in another order, at test time.

Veit, Wilber and Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks",
arXiv 1605.06431, sec. 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from reslab.analyse.analysis import Analysis
from reslab.analyse.blocks import Block, blocks, kept_bytes
from reslab.analyse.claims import ClaimResult, counterparts, group_label, test_claim
from reslab.analyse.inputs import INITIAL, Inputs, Subject
from reslab.analyse.paths import Paths, path_columns, paths, paths_drawing
from reslab.analyse.preserve import Progress, silent, subtask
from reslab.data.batches import Batch
from reslab.drawing import STYLE, Drawing, line
from reslab.errors import SpecError
from reslab.nets import ResNet
from reslab.nets.modules import Network, ResidualUnit
from reslab.stats import Sample
from reslab.table import Column
from reslab.use.folded import folded

DRAWS = 3  # random choices for each number of units
_COUNTS = (2, 3, 5, 8, 12, 20, 30, 50)  # units removed at once
_SWAPS = (1, 2, 4, 8, 16, 32)
_CACHE = 2**28  # bytes of activations kept at a time
_TAU = 0.05  # the mean line has a point for each multiple of this tau
SOURCE = "Veit et al. 2016, arXiv 1605.06431"
HARDLY, CHANCE = 0.1, 0.9
"""Shares of the difference between the whole network's error and chance: an error below the first has hardly changed,
one above the second is at chance."""
_AT_CHANCE = 1.0  # points; a network whose error is nearer to chance has nothing to lose


class Step(NamedTuple):
    """A block of the network, by number, and whether it is removed."""

    block: int
    removed: bool = False


class Lesion(NamedTuple):
    """One ablation of a network.

    what: whether units are removed or swapped; k: how many units, or swaps; units: the removed ones' paths
    tau: Kendall's rank correlation of the units' order with that of the network, 1 where none is swapped
    route: the blocks in the order of computation
    """

    what: Literal["remove", "swap"]
    k: int
    units: tuple[str, ...]
    tau: float
    route: tuple[Step, ...]


class Outcome(NamedTuple):
    """A network's top-1 error in percent: whole, and under each lesion."""

    whole: float
    lesions: tuple[Lesion, ...]
    errors: NDArray[np.float64]

    def single(self) -> dict[str, float]:
        """The error without each unit, by the unit's path."""
        pairs = zip(self.lesions, self.errors, strict=True)
        return {lesion.units[0]: float(error) for lesion, error in pairs if lesion.what == "remove" and lesion.k == 1}

    def by_count(self, what: str) -> dict[int, list[tuple[float, float]]]:
        """(tau, error) of each lesion of a kind, by the number of units removed or of swaps."""
        pairs: dict[int, list[tuple[float, float]]] = {}
        for lesion, error in zip(self.lesions, self.errors, strict=True):
            if lesion.what == what:
                pairs.setdefault(lesion.k, []).append((lesion.tau, float(error)))
        return pairs


def lesions(body: Sequence[Block], seed: int | tuple[int, int] = 0, draws: int = DRAWS) -> tuple[Lesion, ...]:
    """Removals of every single unit and of several random ones, and swaps of random pairs of units of the same shape.

    seed: of the random choices; draws: random choices for each number of units
    Raises SpecError where no unit can be removed.
    """
    units = [number for number, block in enumerate(body) if block.removable]
    if not units:
        raise SpecError("no unit of this network can be removed: none has a shortcut or keeps its input's shape")
    random = np.random.default_rng(seed)
    chosen: list[tuple[int, ...]] = [(unit,) for unit in units]
    for k in (count for count in _COUNTS if count < len(units)):
        chosen += [tuple(sorted(map(int, random.choice(units, k, replace=False)))) for _ in range(draws)]
    removals = [
        Lesion(
            "remove",
            len(removed),
            tuple(body[unit].name for unit in removed),
            1.0,
            tuple(Step(number, number in removed) for number in range(len(body))),
        )
        for removed in chosen
    ]
    return (*removals, *_swaps(body, random, draws))


def _swaps(body: Sequence[Block], random: np.random.Generator, draws: int) -> list[Lesion]:
    from scipy.stats import kendalltau

    alike = [
        [other for other, twin in enumerate(body) if twin.is_unit and twin.in_shape == twin.out_shape == block.in_shape]
        for block in body
    ]
    movable = [number for number, block in enumerate(body) if number in alike[number] and len(alike[number]) > 1]
    units = [number for number, block in enumerate(body) if block.is_unit]
    swaps = []
    for k in (count for count in _SWAPS if count < len(movable)):
        for _ in range(draws):
            order = list(range(len(body)))
            for _ in range(k):
                one = int(random.choice(movable))
                other = int(random.choice([unit for unit in alike[one] if unit != one]))
                order[one], order[other] = order[other], order[one]
            tau = float(kendalltau(units, [order[unit] for unit in units]).statistic)
            swaps.append(Lesion("swap", k, (), tau, tuple(Step(number) for number in order)))
    return swaps


@torch.inference_mode()
def outcome(
    network: Network, images: Sequence[Batch], ablations: Sequence[Lesion], progress: Progress = silent
) -> Outcome:
    """The errors of a network under lesions, in evaluation mode; the network itself stays unchanged.

    BN is folded into the convolutions of a copy. The input activations of every block are kept, so that a lesion
    computes only the blocks after its first change.
    """
    body = blocks(folded(network))
    whole = tuple(Step(number) for number in range(len(body)))
    firsts = [next((place for place, step in enumerate(one.route) if step != whole[place]), 0) for one in ablations]
    size = max(1, _CACHE // kept_bytes(body))
    batches = [
        part
        for pixels, labels in images
        for part in zip(torch.split(pixels, size), torch.split(labels, size), strict=True)
    ]
    wrong, count = np.zeros(1 + len(ablations)), 0
    for done, (pixels, labels) in enumerate(batches):
        inputs = [pixels]
        for block in body:
            inputs.append(block.module(inputs[-1]))
        wrong[0] += _wrong(inputs[-1], labels)
        count += len(labels)
        for number, (lesion, first) in enumerate(zip(ablations, firsts, strict=True), 1):
            x = inputs[first]
            for step in lesion.route[first:]:
                x = _removed(body[step.block], x) if step.removed else body[step.block].module(x)
            wrong[number] += _wrong(x, labels)
            progress((done + number / len(ablations)) / len(batches))
    errors = 100 * wrong / count
    return Outcome(float(errors[0]), tuple(ablations), errors[1:])


def _removed(block: Block, x: Tensor) -> Tensor:
    """The output of a removed unit: the shortcut's part of the merge, or for a plain unit its input."""
    if not isinstance(block.module, ResidualUnit):
        return x
    unit = block.module
    x = unit.shared(x)
    shortcut = unit.shortcut(x)
    return unit.after(unit.merge(x, shortcut, torch.zeros_like(shortcut)))  # type: ignore[no-any-return]


def _wrong(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) != labels).sum())


class Ablated(NamedTuple):
    """The lesions and paths of one subject."""

    outcome: Outcome
    paths: Paths | None

    def median(self) -> float:
        """The error without one unit, the median over the units."""
        return float(np.median(list(self.outcome.single().values())))

    def lost(self, chance: float) -> float:
        """The share of the difference between chance and the network's error that is lost without one unit, the
        median one.

        nan where the whole network is at chance, or less than 1 point below it.
        """
        room = chance - self.outcome.whole
        return (self.median() - self.outcome.whole) / room if room >= _AT_CHANCE else float("nan")


Measured = Mapping[str, Ablated]
"""By a subject's label."""


@dataclass(frozen=True)
class LesionAnalysis(Analysis[Measured]):
    """Lesions and paths of trained networks. Veit et al. 2016, Figs. 3, 5 and 6."""

    kind = "lesion"
    title = "Networks without some of their units, on {data}"
    about = (
        "Top-1 error on test images, in percent, of trained networks that are changed at test time: without one unit, "
        "without k random units, with random pairs of units of the same shape swapped. Of a removed residual unit the "
        "shortcut's part of the merge stays; a removed plain unit passes its input on. " + SOURCE + ", sec. 4."
    )
    reading = (
        "Units of a plain network that change the shape cannot be removed; residual ones can, their shortcut "
        "changes it.",
        "Kendall's tau compares the order of all units with the network's own: 1 is the same order.",
        "Paths: the values are those of the whole network; the gradient passes through the residuals of the units "
        "on the path alone, and through the shortcuts of all others.",
    )

    def measure(self, inputs: Inputs, progress: Progress) -> Measured:
        plans = {}
        for index, subject in enumerate(inputs.subjects):
            if subject.last == INITIAL:
                raise SpecError(f"{subject.label}: fresh weights have nothing to lose; give a run or a file of weights")
            try:
                plans[subject.label] = lesions(blocks(subject.network), (inputs.seed, index))
            except SpecError as error:
                raise SpecError(f"{subject.label}: {error}") from None
        measured = {}
        for index, subject in enumerate(inputs.subjects):
            images = inputs.batches(subject)
            share = subtask(progress, index, len(inputs.subjects))
            errors = outcome(subject.network, images, plans[subject.label], subtask(share, 0, 2))
            some = paths(subject.network, images, inputs.seed, progress=subtask(share, 1, 2))
            measured[subject.label] = Ablated(errors, some)
        return measured

    def table(self, inputs: Inputs, measured: Measured) -> list[Column]:
        groups = list(inputs.by_architecture.values())
        rows = [[measured[subject.label] for subject in group] for group in groups]
        chance = _chance(inputs)

        def reach(row: list[Ablated]) -> str | None:
            reached = [one.paths.reach(0.5) for one in row if one.paths]
            return f"{np.median(reached):g} of {row[0].paths.lengths[-1]}" if reached and row[0].paths else None

        return [
            Column("network", [group_label(group) for group in groups], numbers=False),
            Column("error, %", [Sample(tuple(one.outcome.whole for one in row)) for row in rows]),
            Column("without one unit: median, %", [Sample(tuple(one.median() for one in row)) for row in rows]),
            Column("greatest, %", [Sample(tuple(max(one.outcome.single().values()) for one in row)) for row in rows]),
            Column("share of the way to chance", [Sample(tuple(one.lost(chance) for one in row)) for row in rows]),
            Column("half of the gradient comes along paths through at most", [reach(row) for row in rows]),
        ]

    def tables(self, measured: Measured) -> dict[str, list[Column]]:
        lines = [
            (label, lesion.what, lesion.k, " ".join(lesion.units), lesion.tau, error)
            for label, one in measured.items()
            for lesion, error in zip(one.outcome.lesions, one.outcome.errors, strict=True)
        ]
        text = {"network", "lesion", "units"}
        titles = ("network", "lesion", "k", "units", "Kendall's tau", "top-1 error, %")
        values = [
            Column(title, list(column), title not in text)
            for title, column in zip(titles, zip(*lines, strict=True), strict=True)
        ]
        some = {label: one.paths for label, one in measured.items() if one.paths}
        return {"values": values} | ({"paths": path_columns(some)} if some else {})

    def claims(self, inputs: Inputs, measured: Measured) -> list[ClaimResult]:
        """Veit's contrast, tested on each run's median over its units."""
        groups, chance, figure = inputs.by_architecture, _chance(inputs), f"{SOURCE}, Fig. 3"
        lost = {spec: Sample(tuple(measured[one.label].lost(chance) for one in of)) for spec, of in groups.items()}
        metric = (
            f"share of the way from its error to chance ({chance:g} %) that a network goes without one unit, median"
        )
        results = []
        for spec, of in groups.items():
            if not isinstance(spec, ResNet):
                continue
            sides: tuple[Sample | float, Sample | float] = (CHANCE, lost[spec])
            claim = "Without one unit, the median one, a plain network is at chance"
            if spec.shortcut:
                sides = (lost[spec], HARDLY)
                claim = "Without one unit, the median one, a residual network's error hardly changes"
            results.append(test_claim(f"{claim}: {of[0].kind}", figure, metric, sides, (of, of)))
        for residual, plain in counterparts(groups):
            pair = groups[residual], groups[plain]
            claim = (
                f"A residual network loses less with a unit than a plain one: {pair[0][0].kind} and {pair[1][0].kind}"
            )
            results.append(test_claim(claim, figure, metric, (lost[residual], lost[plain]), pair))
        return results

    def warnings(self, inputs: Inputs, measured: Measured) -> tuple[str, ...]:
        chance = _chance(inputs)
        at_chance = [label for label, one in measured.items() if np.isnan(one.lost(chance))]
        if not at_chance:
            return ()
        text = f"At chance ({chance:g} %) as a whole, or less than 1 point below it: {', '.join(at_chance)}"
        return (f"{text}. The share of the way to chance is left out there, and no claim is judged by it.",)

    def drawings(self, inputs: Inputs, measured: Measured) -> dict[str, Drawing]:
        groups = list(inputs.by_architecture.values())
        drawings = {"lesion": _drawing(groups, measured, _chance(inputs))}
        some = {group_label(group): [p for one in group if (p := measured[one.label].paths)] for group in groups}
        return drawings | ({"paths": paths_drawing(some)} if any(some.values()) else {})


def _chance(inputs: Inputs) -> float:
    """The error of guessing, in percent."""
    return 100 * (1 - 1 / inputs.subjects[0].spec.classes)


def _drawing(groups: Sequence[list[Subject]], measured: Measured, chance: float) -> Drawing:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        drawing = Drawing(
            figure,
            "Left: without one unit; dotted: the whole network. Middle: without k random units. Right: after random "
            "swaps of units of the same shape. Dots are single lesions of single runs, lines means, on the right of "
            "lesions of about the same tau; grey: chance.",
        )
        axes = figure.subplots(1, 3, sharey=True)
        for index, group in enumerate(groups):
            of = [measured[subject.label].outcome for subject in group]
            _positions(drawing, axes[0], group, of, line(index))
            _counts(drawing, axes[1], group_label(group), of, line(index))
            _orders(drawing, axes[2], group_label(group), of, line(index))
        for ax, label in zip(axes, ("unit removed", "units removed, k", "Kendall's tau of the order"), strict=True):
            ax.axhline(chance, color="#999", linewidth=0.8)
            ax.set(xlabel=label, ylim=(0, 100))
        axes[0].set_ylabel("top-1 error, %")
        axes[2].invert_xaxis()
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    return drawing


def _positions(drawing: Drawing, ax: Axes, group: list[Subject], of: list[Outcome], style: dict[str, Any]) -> None:
    numbers = {b.name: n for n, b in enumerate((b for b in blocks(group[0].network) if b.is_unit), 1)}
    name, units = group_label(group), list(of[0].single())
    errors = np.array([list(one.single().values()) for one in of])
    places = [numbers[unit] for unit in units]
    ax.plot(places, errors.mean(0), marker="o", markersize=3, linewidth=1.2, label=name, **style)
    if len(of) > 1:
        ax.fill_between(places, errors.min(0), errors.max(0), color=style["color"], alpha=0.12, linewidth=0)
    ax.axhline(float(np.mean([one.whole for one in of])), color=style["color"], linewidth=1.2, linestyle=":")
    for unit, place, error in zip(units, places, errors.mean(0), strict=True):
        drawing.points.append((ax, place, float(error), f"{name} without {unit}: {error:.1f} %"))


def _counts(drawing: Drawing, ax: Axes, name: str, of: list[Outcome], style: dict[str, Any]) -> None:
    by_k = {k: [error for one in of for _, error in one.by_count("remove")[k]] for k in of[0].by_count("remove")}
    for k, errors in by_k.items():
        ax.plot([k] * len(errors), errors, ".", color=style["color"], markersize=3, alpha=0.35)
        drawing.points.append((ax, k, float(np.mean(errors)), f"{name}, k = {k}: {np.mean(errors):.1f} %"))
    ax.plot(list(by_k), [float(np.mean(errors)) for errors in by_k.values()], linewidth=1.6, **style)


def _orders(drawing: Drawing, ax: Axes, name: str, of: list[Outcome], style: dict[str, Any]) -> None:
    pairs = np.array([pair for one in of for pairs in one.by_count("swap").values() for pair in pairs])
    if not len(pairs):
        return
    taus, errors = pairs.T
    ax.plot(taus, errors, ".", color=style["color"], markersize=3, alpha=0.35)
    near = np.round(taus / _TAU)
    means = [(taus[near == step].mean(), errors[near == step].mean()) for step in np.unique(near)]
    ax.plot(*zip(*means, strict=True), linewidth=1.6, **style)
    for tau, error in means:
        drawing.points.append((ax, tau, error, f"{name}, tau about {tau:.2f}: {error:.1f} %"))
