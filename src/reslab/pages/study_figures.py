"""The figures of a study, as a person expects them in a paper."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.drawing import COLOURS, DASHES, Drawing, style
from reslab.nets import ResNet
from reslab.papers.claims import METRICS, Metric, Row
from reslab.runs.contents import Metrics
from reslab.study.plan import Plan, PlannedRun
from reslab.study.verdict import sample

_LONG = 20  # letters of a name that take half of a panel's width
_POINTS = 60  # points of a curve that show their values, at most
_MARKS = "so^Dv*"
_THIN = {False: "training", True: "training loss"}
"""Name of the thin curves, by whether they show losses."""
_CAPTION = {
    False: "Thin: running error of the training batches; bold: error on the whole {split} set, in evaluation mode.",
    True: "Thin, left axis: running loss of the training batches; bold, right axis: error on the whole {split} set, in "
    "evaluation mode.",
}


def drawings(plan: Plan) -> dict[str, Drawing]:
    """The figures of a plan by name: its curves, if it trains, and its second figure."""
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
    name = plan.label(row.name)
    return name if plan.runs_of(row.name) else f"{name}: not run"


def curves(plan: Plan) -> Drawing:
    """Learning curves over steps, one panel beside the other: training batches thin, the eval split's error bold.

    The thin curves are errors, as in A Figs. 4 and 6, or losses on a logarithmic axis, as in C Figs. 1, 3 and 6.
    """
    losses, split = plan.study.losses, plan.eval_split
    grouped = {
        panel: kept
        for panel, rows in panels(plan).items()
        if (kept := [row for row in rows if row.name not in plan.absent])
    }
    for rows in grouped.values():
        rows[:0] = [row for row in plan.rows if row.name == plan.study.baseline and row not in rows]
    columns = 1 if max(len(_label(plan, row)) for row in plan.rows) > _LONG else 2
    legend = max(-(-len(rows) // columns) for rows in grouped.values())
    with style():
        figure = Figure(figsize=(4.4 * len(grouped), 3.4 + 0.22 * legend), layout="constrained")
        axes = figure.subplots(1, len(grouped), sharey=True, squeeze=False)[0]
        drawing = Drawing(
            figure,
            f"{_CAPTION[losses].format(split=split)} Lines: means over the seeds; bands: minimum to maximum. "
            "The test set chooses nothing: the result is that of the last weights. "
            f"Early {split} errors also show how BN's running averages, which evaluation uses, lag the weights.",
        )
        errors = [ax.twinx() if losses else ax for ax in axes]
        for ax, bold, (panel, rows) in zip(axes, errors, grouped.items(), strict=True):
            for index, row in enumerate(rows):
                _curves_of(drawing, (ax, bold), plan, row, index)
            longest = max(run.recipe.steps for run in plan.runs if run.row in [row.name for row in rows])
            ax.set(title=panel, xlabel="step", xlim=(0, longest))
            bold.set_ylim(0, plan.scale.top)
            bold.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=columns, fontsize=9)
        if losses:
            _with_losses(axes, errors, split)
            axes[0].set_yscale("log" if drawing.points else "linear")  # shared by all; without runs there are no values
        else:
            axes[0].set_ylabel(f"error, %   (thin: training, bold: {split})")
    return drawing


def _curves_of(drawing: Drawing, axes: tuple[Axes, Axes], plan: Plan, row: Row, index: int) -> None:
    """A row's thin and bold curve, with the index-th colour and dashes."""
    split, losses, runs = plan.eval_split, plan.study.losses, plan.runs_of(row.name)
    colour, dashes = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS)]
    thin = (lambda line: line.train_loss, "{:.3g}") if losses else (lambda line: line.train_error, "{:.2f} %")
    lines: dict[str, Any] = {"color": colour, "linestyle": dashes}
    _curve(drawing, axes[0], runs, *thin, name=f"{row.name}, {_THIN[losses]}", linewidth=0.8, **lines)
    bold = (lambda line: line.error(split), "{:.2f} %")
    label = _label(plan, row)
    _curve(drawing, axes[1], runs, *bold, name=f"{row.name}, {split}", linewidth=2.2, label=label, **lines)


def _with_losses(axes: Sequence[Axes], errors: Sequence[Axes], split: str) -> None:
    """Losses at the left axis, named at the first panel; errors at the right axis, named at the last."""
    axes[0].set_ylabel("training loss   (thin)")
    for bold in errors:
        bold.grid(visible=False)
        bold.spines["right"].set_visible(True)
        bold.tick_params(labelright=bold is errors[-1])
    errors[-1].set_ylabel(f"{split} error, %   (bold)")


def _curve(
    drawing: Drawing,
    ax: Axes,
    runs: Sequence[PlannedRun],
    value: Callable[[Metrics], float | None],
    form: str,
    *,
    name: str,
    **line: Any,
) -> None:
    """The mean over some runs of a value of their metrics, and its range."""
    by_step: dict[int, list[float]] = {}
    for run in runs:
        for metrics in run.run.metrics:
            if (number := value(metrics)) is not None:
                by_step.setdefault(metrics.step, []).append(number)
    steps = sorted(by_step)
    means = [sum(by_step[step]) / len(by_step[step]) for step in steps]
    ax.plot(steps, means, **line)
    if len(runs) > 1:
        lows, highs = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
        ax.fill_between(steps, lows, highs, color=line["color"], alpha=0.12, linewidth=0)
    every = max(1, len(steps) // _POINTS)
    for step, mean in list(zip(steps, means, strict=True))[every - 1 :: every]:
        drawing.points.append((ax, step, mean, f"{name}, step {step:,}: {form.format(mean)}"))


def depths(plan: Plan) -> Drawing:
    """The final training error over the depth, a line for each panel's rows and a point for each run."""
    with style():
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        drawing = Drawing(
            figure,
            "Error of the last weights over the whole training set, in evaluation mode; a faint mark for each run, "
            "lines through the means.",
        )
        ax = figure.subplots()
        ticks = set()
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, _MARKS, strict=False):
            means = []
            for row in rows:
                network, errors = plan.network(row), sample(plan, row.name, "train_error")
                if isinstance(network, ResNet) and errors.mean is not None:
                    means.append((network.depth, errors.mean))
                    ax.plot(
                        [network.depth] * len(errors.values),
                        errors.values,
                        mark,
                        color=colour,
                        markersize=4,
                        alpha=0.45,
                    )
                    text = f"{row.name}: {errors} % (n = {errors.n})"
                    drawing.points.append((ax, network.depth, errors.mean, text))
            if means:
                ticks |= {depth for depth, _ in means}
                ax.plot(*zip(*means, strict=True), f"{mark}-", color=colour, linewidth=1.8, label=panel)
        ax.set(xlabel="depth, weight layers", ylabel="final training error, %", ylim=(-3, 100))
        if ticks:
            ax.set_xticks(sorted(ticks))
            ax.legend()
    return drawing


def finals(plan: Plan) -> Drawing:
    """The final test error of every row: a faint mark for each run, a strong one for the mean or the median."""
    rows = plan.rows
    kind = "median" if plan.study.medians else "mean"
    diamond = "; a diamond for the published value" if plan.beside_published else ""
    caption = f"Test error of the last weights: a faint mark for each run, a strong one for the {kind}{diamond}."
    with style():
        figure = Figure(figsize=(7.0, 0.8 + 0.34 * len(rows)), layout="constrained")
        drawing = Drawing(figure, caption)
        ax = figure.subplots()
        for place, row in enumerate(rows):
            errors = sample(plan, row.name, "test_error")
            middle = errors.median if plan.study.medians else errors.mean
            if middle is not None:
                ax.plot(errors.values, [place] * len(errors.values), "o", color=COLOURS[0], markersize=4, alpha=0.35)
                ax.plot([middle], [place], "o", color=COLOURS[0], markersize=7)
                text = f"{row.name}: {errors} % (n = {errors.n}), {kind} {middle:.2f} %"
                drawing.points.append((ax, middle, place, text))
            value = row.published.values.get("test_error") if row.published else None
            if plan.beside_published and isinstance(value, float):
                ax.plot([value], [place], "D", color=COLOURS[3], markersize=6, fillstyle="none")
                drawing.points.append((ax, value, place, f"{row.name}, published: {value:.2f} %"))
        ax.set_yticks(range(len(rows)), [_label(plan, row) for row in rows])
        ax.set(xlabel="final test error, %", ylim=(len(rows) - 0.5, -0.5))
        ax.set_xlim(left=0)
    return drawing


def costs(plan: Plan) -> Drawing:
    """Test error over multiply-adds, or parameters over multiply-adds for networks that are not trained."""
    metric: Metric = "test_error" if plan.runs else "parameters"
    title = str(METRICS[metric])
    with style():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        drawing = Drawing(figure, f"{title.capitalize()}, over multiply-adds, on a logarithmic scale.")
        ax = figure.subplots()
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, _MARKS, strict=False):
            places = []
            for row in rows:
                measured, cost = sample(plan, row.name, metric), sample(plan, row.name, "multiply_adds").mean
                if measured.mean is None or cost is None:
                    continue
                places.append((cost, measured.mean))
                ax.annotate(row.name, places[-1], xytext=(4, 4), textcoords="offset points", fontsize=7)
                text = f"{row.name}: {measured} {METRICS[metric].unit}, {cost:.3g} billion multiply-adds"
                drawing.points.append((ax, *places[-1], text))
            if places:
                ax.plot(*zip(*places, strict=True), mark, color=colour, label=panel)
        ax.set(xlabel=str(METRICS["multiply_adds"]), ylabel=title, xscale="log")
        if metric == "parameters":
            ax.set_yscale("log")
        if drawing.points:
            ax.legend()
    return drawing
