"""The figures of a study, as a person expects them in a paper."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.drawing import COLOURS, DASHES, STYLE, Drawing
from reslab.nets import ResNet
from reslab.papers.claims import METRICS, Metric, Row
from reslab.runs.record import read_metrics
from reslab.study.plan import Plan, PlannedRun
from reslab.study.verdict import sample

_LONG = 20  # letters of a name that take half of a panel's width
_TOLD = 60  # points of a curve, at most, that tell their values
_THIN = {False: ("train_error", "training"), True: ("train_loss", "training loss")}
"""What a thin curve is, by whether it shows losses: in metrics.jsonl, and in words."""
_CAPTION = {
    False: "Thin: error of the training batches between two readings; bold: error on the whole {part} set, in "
    "evaluation mode.",
    True: "Thin, on the left: loss of the training batches between two readings; bold, on the right: error on the "
    "whole {part} set, in evaluation mode.",
}


def drawings(plan: Plan) -> dict[str, Drawing]:
    """The figures of a plan by name: its curves, where it trains, and its second figure."""
    second = {"depth": depths, "rows": finals, "cost": costs}[plan.study.second]
    trained = {"curves": curves(plan)} if plan.runs else {}
    return trained | {plan.study.second: second(plan)}


def panels(plan: Plan) -> dict[str, list[Row]]:
    """The plan's rows by panel, in the study's order."""
    grouped: dict[str, list[Row]] = {}
    for row in plan.rows:
        grouped.setdefault(row.panel, []).append(row)
    return grouped


def _label(plan: Plan, row: Row) -> str:
    return row.name if plan.runs_of(row.name) else f"{row.name}: not run"


def curves(plan: Plan) -> Drawing:
    """What is learnt over steps, a panel beside the other: thin the training batches, bold the error on the test set,
    or on the validation set where there is one.

    The thin curves are errors, as in A Figs. 4 and 6, or losses on a logarithmic axis, as in C Figs. 1, 3 and 6.
    """
    losses = plan.study.losses
    thin, told = _THIN[losses]
    part = plan.eval_split
    grouped = {
        panel: kept
        for panel, rows in panels(plan).items()
        if (kept := [row for row in rows if row.name not in plan.absent])
    }
    for rows in grouped.values():
        rows[:0] = [row for row in plan.rows if row.name == plan.study.baseline and row not in rows]
    columns = 1 if max(len(_label(plan, row)) for row in plan.rows) > _LONG else 2
    legend = max(-(-len(rows) // columns) for rows in grouped.values())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * len(grouped), 3.4 + 0.22 * legend), layout="constrained")
        axes = figure.subplots(1, len(grouped), sharey=True, squeeze=False)[0]
        drawing = Drawing(
            figure,
            f"{_CAPTION[losses].format(part=part)} Lines are means over the seeds, bands reach from the least to the "
            "greatest. The test set chooses nothing: the last weights are the result. "
            f"Early {part} errors also show how BN's running averages, which evaluation uses, lag behind the weights.",
        )
        errors = [ax.twinx() if losses else ax for ax in axes]
        for ax, bold, (panel, rows) in zip(axes, errors, grouped.items(), strict=True):
            for index, row in enumerate(rows):
                runs = plan.runs_of(row.name)
                look = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS)]}
                _curve(drawing, ax, runs, thin, f"{row.name}, {told}", linewidth=0.8, **look)
                label = _label(plan, row)
                _curve(drawing, bold, runs, f"{part}_error", f"{row.name}, {part}", linewidth=2.2, label=label, **look)
            longest = max(run.recipe.steps for run in plan.runs if run.row in [row.name for row in rows])
            ax.set(title=panel, xlabel="step", xlim=(0, longest))
            bold.set_ylim(0, plan.scale.top)
            bold.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=columns, fontsize=9)
        if losses:
            _with_losses(axes, errors, part)
            axes[0].set_yscale("log" if drawing.points else "linear")  # of all; without a run there is nothing to scale
        else:
            axes[0].set_ylabel(f"error, %   (thin: training, bold: {part})")
    return drawing


def _with_losses(axes: Sequence[Axes], errors: Sequence[Axes], part: str) -> None:
    """Losses on the left, told at the first panel; errors on the right, told at the last."""
    axes[0].set_ylabel("training loss   (thin)")
    for bold in errors:
        bold.grid(visible=False)
        bold.spines["right"].set_visible(True)
        bold.tick_params(labelright=bold is errors[-1])
    errors[-1].set_ylabel(f"{part} error, %   (bold)")


def _curve(drawing: Drawing, ax: Axes, runs: list[PlannedRun], key: str, told: str, **look: Any) -> None:
    at: dict[int, list[float]] = {}
    for run in runs:
        for line in read_metrics(run.out):
            if key in line:
                at.setdefault(line["step"], []).append(line[key])
    steps = sorted(at)
    means = [sum(at[step]) / len(at[step]) for step in steps]
    ax.plot(steps, means, **look)
    if len(runs) > 1:
        lows, highs = [min(at[step]) for step in steps], [max(at[step]) for step in steps]
        ax.fill_between(steps, lows, highs, color=look["color"], alpha=0.12, linewidth=0)
    every = max(1, len(steps) // _TOLD)
    for step, value in list(zip(steps, means, strict=True))[every - 1 :: every]:
        found = f"{value:.3g}" if key == "train_loss" else f"{value:.2f} %"
        drawing.points.append((ax, step, value, f"{told}, step {step:,}: {found}"))


def depths(plan: Plan) -> Drawing:
    """The final training error over the depth, a line for each panel's rows and a point for each run."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        drawing = Drawing(
            figure,
            "Error of the last weights over the whole training set, in evaluation mode; a faint mark for each run, "
            "lines through the means.",
        )
        ax = figure.subplots()
        known_depths = set()
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, "so^Dv*", strict=False):
            known = []
            for row in rows:
                network, found = plan.network(row), sample(plan, row.name, "train_error")
                if isinstance(network, ResNet) and found.mean is not None:
                    known.append((network.depth, found.mean))
                    ax.plot([network.depth] * found.n, found.values, mark, color=colour, markersize=4, alpha=0.45)
                    told = f"{row.name}: {found} % (n = {found.n})"
                    drawing.points.append((ax, network.depth, found.mean, told))
            if known:
                known_depths |= {depth for depth, _ in known}
                ax.plot(*zip(*known, strict=True), f"{mark}-", color=colour, linewidth=1.8, label=panel)
        ax.set(xlabel="depth, weight layers", ylabel="final training error, %", ylim=(-3, 100))
        if known_depths:
            ax.set_xticks(sorted(known_depths))
            ax.legend()
    return drawing


def finals(plan: Plan) -> Drawing:
    """The final test error of every row: a faint mark for each run, a strong one for the mean or the median."""
    rows = plan.rows
    paper = plan.beside_published
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.8 + 0.34 * len(rows)), layout="constrained")
        kind = "median" if plan.study.medians else "mean"
        published = "; a diamond for the published value" if paper else ""
        drawing = Drawing(
            figure,
            f"Test error of the last weights: a faint mark for each run, a strong one for the {kind}{published}.",
        )
        ax = figure.subplots()
        for place, row in enumerate(rows):
            found = sample(plan, row.name, "test_error")
            middle = found.median if plan.study.medians else found.mean
            if middle is not None:
                ax.plot(found.values, [place] * found.n, "o", color=COLOURS[0], markersize=4, alpha=0.35)
                ax.plot([middle], [place], "o", color=COLOURS[0], markersize=7)
                drawing.points.append(
                    (ax, middle, place, f"{row.name}: {found} % (n = {found.n}), {kind} {middle:.2f} %")
                )
            value = row.published.values.get("test_error") if row.published else None
            if paper and isinstance(value, float):
                ax.plot([value], [place], "D", color=COLOURS[3], markersize=6, fillstyle="none")
                drawing.points.append((ax, value, place, f"{row.name}, published: {value:.2f} %"))
        ax.set_yticks(range(len(rows)), [_label(plan, row) for row in rows])
        ax.set(xlabel="final test error, %", ylim=(len(rows) - 0.5, -0.5))
        ax.set_xlim(left=0)
    return drawing


def costs(plan: Plan) -> Drawing:
    """Test error over multiply-adds where networks are trained, parameters over multiply-adds where they are not."""
    metric: Metric = "test_error" if plan.runs else "parameters"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        drawing = Drawing(figure, f"{METRICS[metric].capitalize()}, over multiply-adds, on a logarithmic scale.")
        ax = figure.subplots()
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, "so^Dv*", strict=False):
            places = []
            for row in rows:
                found, cost = sample(plan, row.name, metric), sample(plan, row.name, "multiply_adds").mean
                if found.mean is None or cost is None:
                    continue
                places.append((cost, found.mean))
                ax.annotate(row.name, places[-1], xytext=(4, 4), textcoords="offset points", fontsize=7)
                told = f"{row.name}: {found} {METRICS[metric].rpartition(', ')[2]}, {cost:.3g} billion multiply-adds"
                drawing.points.append((ax, *places[-1], told))
            if places:
                ax.plot(*zip(*places, strict=True), mark, color=colour, label=panel)
        ax.set(xlabel=METRICS["multiply_adds"], ylabel=METRICS[metric], xscale="log")
        if metric == "parameters":
            ax.set_yscale("log")
        if drawing.points:
            ax.legend()
    return drawing
