"""The learning curves of a study: training batches thin, the evaluated split bold, published values dotted."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from reslab.drawing import COLOURS, DASHES, Drawing, style
from reslab.papers.claims import Row
from reslab.runs.contents import Metrics
from reslab.study.plan import Plan

_LONG = 20  # letters of a name that take half of a panel's width
_POINTS = 60  # points of a curve that show their values, at most
_EARLY = 0.5  # share of the steps whose errors may reach above the axis
_LOWEST = 0.1  # end of a logarithmic axis, in percent
_CAPTION = {
    False: "Thin: running error of the training batches; bold: error on the whole {split} set, in evaluation mode.",
    True: "Thin, left axis: running loss of the training batches; bold, right axis: error on the whole {split} set, in "
    "evaluation mode.",
}
_TOP5_CAPTION = "Top-5 error on the whole {split} set, in evaluation mode."
_RunMetrics = Sequence[tuple[Metrics, ...]]


@dataclass
class _Curves:
    """The curves that are drawn, with what all of them share. top5: they are of top-5 errors, without thin ones."""

    plan: Plan
    drawing: Drawing
    metrics: Mapping[str, _RunMetrics]
    top5: bool
    marks: "count[int]" = field(default_factory=count)

    @property
    def losses(self) -> bool:
        return self.plan.study.losses and not self.top5

    def error(self, line: Metrics) -> float | None:
        return _error(line, self.plan, self.top5)

    def series(self, row: Row) -> str:
        return str(self.plan.rows.index(row))

    def gid(self, row: Row) -> str:
        """A name for a mark of a row's curves that no other mark has."""
        return f"series-{self.series(row)}-{next(self.marks)}"


def curves(plan: Plan, logarithmic: bool = False, top5: bool = False) -> Drawing | None:
    """Learning curves over steps, one panel beside the other; None if no run has begun.

    The thin curves are errors, as in A Figs. 4 and 6, or losses on a logarithmic axis, as in C Figs. 1, 3 and 6.
    A row without finished runs is drawn to where its runs stand, and one without runs is left out.
    top5: curves of the evaluations' top-5 errors alone, as in B Figs. 22, 24 and 25; None if no run has them
    """
    metrics = {row.name: _metrics(plan, row.name, top5) for row in plan.rows}
    grouped = _panels(plan, [row for row in plan.rows if metrics[row.name]])
    if not grouped:
        return None
    labels = {row.name: _label(plan, row.name) for rows in grouped.values() for row in rows}
    columns = 1 if max(map(len, labels.values())) > _LONG else 2
    legend = max(-(-len(rows) // columns) for rows in grouped.values())
    with style():
        figure = Figure(figsize=(4.6 * max(len(grouped), 1.8), 3.2 + 0.22 * legend), layout="constrained")
        axes = figure.subplots(1, len(grouped), sharey=True, squeeze=False)[0]
        shown = _Curves(plan, Drawing(figure, _caption(plan, metrics, top5)), metrics, top5)
        errors = [ax.twinx() if shown.losses else ax for ax in axes]
        for ax, bold, (panel, rows) in zip(axes, errors, grouped.items(), strict=True):
            longest = max(run.recipe.steps for run in plan.runs if run.row in [row.name for row in rows])
            for index, row in enumerate(rows):
                lines = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS) % 4]}
                _curves_of(shown, (ax, bold), row, lines, labels[row.name])
                _published(shown, bold, row, str(lines["color"]))
            ax.set(title=f"{panel} (n = {_seeds(rows, metrics)})", xlabel="step", xlim=(0, longest))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
            bold.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns, fontsize=9)
        _scale(errors, logarithmic, *_ends(shown))
        if shown.losses:
            _with_losses(axes, errors, plan.eval_split)
        elif top5:
            axes[0].set_ylabel(f"top-5 error, %   ({plan.eval_split})")
        else:
            axes[0].set_ylabel(f"error, %   (thin: training, bold: {plan.eval_split})")
    return shown.drawing


class Switch(NamedTuple):
    """A row's curves, to be shown or not: the name of their series, the row's name and its colour."""

    series: str
    name: str
    colour: str


def switches(plan: Plan) -> list[Switch]:
    """The rows whose curves are drawn."""
    drawn = [row for row in plan.rows if _metrics(plan, row.name)]
    colours = {
        row.name: COLOURS[at % len(COLOURS)] for rows in _panels(plan, drawn).values() for at, row in enumerate(rows)
    }
    return [Switch(str(plan.rows.index(row)), row.name, colours[row.name]) for row in drawn]


def _metrics(plan: Plan, row: str, top5: bool = False) -> _RunMetrics:
    """The metrics of a row's finished runs, or else of those that have begun; with `top5` if they have such errors."""
    known = [run.run.metrics for run in plan.runs_of(row) or plan.begun_of(row) if run.run.metrics]
    return [lines for lines in known if not top5 or any(_error(line, plan, top5) is not None for line in lines)]


def _seeds(rows: Sequence[Row], metrics: Mapping[str, _RunMetrics]) -> str:
    """How many runs the rows have: 3, or 2 to 4."""
    counts = [len(metrics[row.name]) for row in rows]
    return " to ".join(map(str, sorted({min(counts), max(counts)})))


def _error(line: Metrics, plan: Plan, top5: bool) -> float | None:
    return line.top5_error(plan.eval_split) if top5 else line.error(plan.eval_split)


def _panels(plan: Plan, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows that are drawn by panel, in the study's order, with the baseline first in each."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.panel, []).append(row)
    for drawn in grouped.values():
        drawn[:0] = [row for row in rows if row.name == plan.study.baseline and row not in drawn]
    return grouped


def _label(plan: Plan, row: str) -> str:
    if plan.runs_of(row) or not (begun := plan.begun_of(row)):
        return row
    return f"{row}, to step {max(run.run.metrics[-1].step for run in begun):,}"


def _caption(plan: Plan, metrics: Mapping[str, _RunMetrics], top5: bool) -> str:
    split = plan.eval_split
    first = _TOP5_CAPTION if top5 else _CAPTION[plan.study.losses]
    several = any(len(runs) > 1 for runs in metrics.values())
    seeds = " Lines: means over the seeds; bands: minimum to maximum." if several else ""
    dotted = plan.beside_published and any(_published_error(row, top5) is not None for row in plan.rows)
    return (
        f"{first.format(split=split)}{seeds}"
        + (" Dotted: the published final test error." if dotted else "")
        + f" The test set chooses nothing: the result is that of the last weights. Early {split} errors also show how "
        "BN's running averages, which evaluation uses, lag the weights."
    )


def _published_error(row: Row, top5: bool) -> float | None:
    value = row.published.values.get("top5_error" if top5 else "test_error") if row.published else None
    return value if isinstance(value, float) else None


def _published(shown: _Curves, ax: Axes, row: Row, colour: str) -> None:
    """A dotted line with its value, where the row's scale allows a comparison."""
    error = _published_error(row, shown.top5)
    if not shown.plan.beside_published or error is None:
        return
    ax.axhline(error, color=colour, linestyle=":", linewidth=1.3, gid=shown.gid(row))
    inside = shown.losses  # the right axis has its own numbers there
    place, align = (0.99, "right") if inside else (1.01, "left")
    style: dict[str, Any] = {"fontsize": 7.5, "va": "bottom" if inside else "center", "ha": align, "color": colour}
    text = ax.text(place, error, f"{error:g} published", transform=ax.get_yaxis_transform(), **style)
    text.set_gid(shown.gid(row))


def _curves_of(shown: _Curves, axes: tuple[Axes, Axes], row: Row, lines: dict[str, Any], label: str) -> None:
    """A row's thin and bold curve."""
    split = f"{shown.plan.eval_split}{', top-5' if shown.top5 else ''}"
    if shown.losses:
        _curve(shown, axes[0], row, ("training loss", "{:.3g}", lambda line: line.train_loss), linewidth=0.8, **lines)
    elif not shown.top5:
        _curve(shown, axes[0], row, ("training", "{:.2f} %", lambda line: line.train_error), linewidth=0.8, **lines)
    bold = (split, "{:.2f} %", shown.error)
    _curve(shown, axes[1], row, bold, linewidth=2.2, label=label, **lines)


def _curve(
    shown: _Curves, ax: Axes, row: Row, what: tuple[str, str, Callable[[Metrics], float | None]], **line: Any
) -> None:
    """The mean over a row's runs of a value of their metrics, and its range; `what` is its name, form and value."""
    name, form, value = what
    by_step: dict[int, list[float]] = {}
    for run in shown.metrics[row.name]:
        for metrics in run:
            if (number := value(metrics)) is not None:
                by_step.setdefault(metrics.step, []).append(number)
    steps = sorted(by_step)
    means = [sum(by_step[step]) / len(by_step[step]) for step in steps]
    ax.plot(steps, means, gid=shown.gid(row), **line)
    if len(shown.metrics[row.name]) > 1:
        lows, highs = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
        band = ax.fill_between(steps, lows, highs, color=line["color"], alpha=0.12, linewidth=0)
        band.set_gid(shown.gid(row))
    every = max(1, len(steps) // _POINTS)
    for step, mean in list(zip(steps, means, strict=True))[every - 1 :: every]:
        text = f"{row.name}, {name}, step {step:,}: {form.format(mean)}"
        shown.drawing.points.append((ax, step, mean, text))
        shown.drawing.series[text] = shown.series(row)


def _ends(shown: _Curves) -> tuple[float, float]:
    """The ends of the error axis: above every evaluation but the early ones, as in A Fig. 6; below, 0 unless
    nothing is drawn in the lower half."""
    steps = max(run.recipe.steps for run in shown.plan.runs)
    lines = [line for runs in shown.metrics.values() for run in runs for line in run]
    late = [error for line in lines if line.step >= _EARLY * steps and (error := shown.error(line)) is not None]
    thin = [] if shown.losses or shown.top5 else [line.train_error for line in lines]
    top = min(shown.plan.scale.top, 5 * math.ceil(1.05 * max(late) / 5)) if late else shown.plan.scale.top
    low = 5 * math.floor(0.95 * min(late + thin) / 5) if late else 0.0
    return (low if low > top / 2 and not shown.plan.beside_published else 0.0), top


def _scale(axes: Sequence[Axes], logarithmic: bool, bottom: float, top: float) -> None:
    for ax in axes:
        if logarithmic:
            _logarithmic(ax)
            ax.set_ylim(_LOWEST, max(top, 10 * _LOWEST))
        else:
            ax.set_ylim(bottom, top)


def _logarithmic(ax: Axes) -> None:
    """A logarithmic axis with its numbers written out."""
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    for formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _with_losses(axes: Sequence[Axes], errors: Sequence[Axes], split: str) -> None:
    """Losses at the left axis, named at the first panel; errors at the right axis, named at the last."""
    axes[0].set_ylabel("training loss   (thin)")
    for ax in axes:
        _logarithmic(ax)
    for bold in errors:
        bold.grid(visible=False)
        bold.spines["right"].set_visible(True)
        bold.tick_params(labelright=bold is errors[-1])
    errors[-1].set_ylabel(f"{split} error, %   (bold)")
