"""The figures of a study, as a person expects them in a paper."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from reslab.drawing import COLOURS, Drawing, style
from reslab.nets import ResNet
from reslab.pages.study_curves import curves
from reslab.papers.claims import METRICS, Metric, Row
from reslab.study.plan import Plan
from reslab.study.verdict import sample

_MARKS = "so^Dv*"
_LETTER = 4.2  # width of a letter of a point's name, in points
_BARS: dict[str, Any] = {"elinewidth": 1.2, "capsize": 3, "linestyle": "none"}


def drawings(plan: Plan, live: bool = False) -> dict[str, Drawing]:
    """The figures of a plan by name: its curves, on a page that stays on a logarithmic axis too, those of top-5 errors,
    and its second figure.

    None of them is empty.
    """
    second = {"depth": depths, "rows": finals, "cost": costs}[plan.study.second]
    figures = {"curves": curves(plan), "curves-top5": curves(plan, top5=True), plan.study.second: second(plan)}
    if not plan.study.losses and not live:
        figures["curves-log"] = curves(plan, logarithmic=True)
    return {name: drawing for name, drawing in figures.items() if drawing is not None}


def panels(plan: Plan) -> dict[str, list[Row]]:
    """The plan's rows by panel, in the study's order."""
    grouped: dict[str, list[Row]] = {}
    for row in plan.rows:
        grouped.setdefault(row.panel, []).append(row)
    return grouped


def depths(plan: Plan) -> Drawing | None:
    """The final training error over the depth, a line for each panel's rows; None for a single depth."""
    with style():
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        drawing = Drawing(
            figure,
            "Error of the last weights over the whole training set, in evaluation mode; a faint mark for each run, "
            "lines through the means, bars of a standard deviation.",
        )
        ax = figure.subplots()
        ticks = set()
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, _MARKS, strict=False):
            means = []
            for row in rows:
                network, errors = plan.network(row), sample(plan, row.name, "train_error")
                if isinstance(network, ResNet) and errors.mean is not None:
                    means.append((network.depth, errors.mean))
                    ax.errorbar([network.depth], [errors.mean], yerr=errors.std or 0.0, color=colour, **_BARS)
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
        if len(ticks) < 2:
            return None
        ax.set_xticks(sorted(ticks))
        ax.legend()
    return drawing


def finals(plan: Plan) -> Drawing | None:
    """The final test error of every row with runs: a faint mark for each run, a strong one for the middle; or None."""
    rows = [row for row in plan.rows if plan.runs_of(row.name)]
    if not rows:
        return None
    kind = "median" if plan.study.medians else "mean"
    diamond = "; a diamond for the published value" if plan.beside_published else ""
    caption = (
        f"Test error of the last weights: a faint mark for each run, a strong one for the {kind}, bars of a standard "
        f"deviation{diamond}."
    )
    with style():
        figure = Figure(figsize=(7.0, 0.8 + 0.34 * len(rows)), layout="constrained")
        drawing = Drawing(figure, caption)
        ax = figure.subplots()
        for place, row in enumerate(rows):
            errors = sample(plan, row.name, "test_error")
            middle = errors.median if plan.study.medians else errors.mean
            if middle is not None:
                ax.plot(errors.values, [place] * len(errors.values), "o", color=COLOURS[0], markersize=4, alpha=0.35)
                ax.errorbar([errors.mean or 0.0], [place], xerr=errors.std or 0.0, color=COLOURS[0], **_BARS)
                ax.plot([middle], [place], "o", color=COLOURS[0], markersize=7)
                text = f"{row.name}: {errors} % (n = {errors.n}), {kind} {middle:.2f} %"
                drawing.points.append((ax, middle, place, text))
            value = row.published.values.get("test_error") if row.published else None
            if plan.beside_published and isinstance(value, float):
                ax.plot([value], [place], "D", color=COLOURS[3], markersize=6, fillstyle="none")
                drawing.points.append((ax, value, place, f"{row.name}, published: {value:.2f} %"))
        ax.set_yticks(range(len(rows)), [row.name for row in rows])
        ax.set(xlabel="final test error, %", ylim=(len(rows) - 0.5, -0.5))
        ax.set_xlim(left=0)
    return drawing


def costs(plan: Plan) -> Drawing | None:
    """Test error over multiply-adds, or parameters over them for networks that are not trained; None without a run."""
    metric: Metric = "test_error" if plan.runs else "parameters"
    title = str(METRICS[metric])
    with style():
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        drawing = Drawing(figure, f"{title.capitalize()}, over multiply-adds, on a logarithmic scale.")
        ax = figure.subplots()
        names = []
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, _MARKS, strict=False):
            places = []
            for row in rows:
                measured, cost = sample(plan, row.name, metric), sample(plan, row.name, "multiply_adds").mean
                if measured.mean is None or cost is None:
                    continue
                places.append((cost, measured.mean))
                names.append(row.name)
                text = f"{row.name}: {measured} {METRICS[metric].unit}, {cost:.3g} billion multiply-adds"
                drawing.points.append((ax, *places[-1], text))
            if places:
                ax.plot(*zip(*places, strict=True), mark, color=colour, label=panel)
        if not names:
            return None
        ax.set(xlabel=str(METRICS["multiply_adds"]), ylabel=title, xscale="log")
        if metric == "parameters":
            ax.set_yscale("log")
        ax.margins(x=0.15)
        ax.legend(loc="upper left")
        drawing.without_math()
        _name_points(ax, names, [(x, y) for _, x, y, _ in drawing.points])
    return drawing


def _name_points(ax: Axes, names: Sequence[str], places: Sequence[tuple[float, float]]) -> None:
    """Names beside points, each where it overlaps none before it; a name without room is left out."""
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    points = ax.transData.transform(places)
    taken = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    scale = ax.figure.dpi / 72
    for name, place, (x, y) in zip(names, places, points, strict=True):
        wide, high = _LETTER * len(name) * scale, 8 * scale
        for across, up, align in ((6, -3, "left"), (-6, -3, "right"), (0, 6, "center"), (0, -12, "center")):
            left = x + across * scale - {"left": 0.0, "right": wide, "center": wide / 2}[align]
            box = Bbox.from_bounds(left, y + up * scale, wide, high)
            if not box.count_overlaps(taken):
                taken.append(box)
                text = ax.annotate(name, place, xytext=(across, up), textcoords="offset points", fontsize=7, ha=align)
                text.set_in_layout(False)  # the points must stay where they are
                break
