"""The figures of a study, as a person expects them in a paper."""

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.papers.claims import Row
from reslab.study.plan import Plan, Run
from reslab.study.verdict import sample
from reslab.train.record import read_metrics

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")  # Okabe and Ito's, told apart by all
FORMATS = ("png", "svg", "pdf")

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "reslab",  # the same figure gives the same file
}


def panels(plan: Plan) -> dict[str, list[Row]]:
    """The plan's rows by panel, in the study's order."""
    grouped: dict[str, list[Row]] = {}
    for row in plan.rows:
        grouped.setdefault(row.panel, []).append(row)
    return grouped


def curves(plan: Plan) -> Figure:
    """Error over steps, a panel beside the other: thin the training batches, bold the test set. A Figs. 4 and 6.

    Lines are means over the seeds, bands reach from the least to the greatest of them.
    """
    grouped = panels(plan)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6 * len(grouped), 3.8), layout="constrained")
        axes = figure.subplots(1, len(grouped), sharey=True, squeeze=False)[0]
        for ax, (panel, rows) in zip(axes, grouped.items(), strict=True):
            for row, colour in zip(rows, COLOURS, strict=False):
                runs = plan.runs_of(row.name)
                _curve(ax, runs, "train_error", colour=colour, width=0.8)
                _curve(ax, runs, "test_error", colour=colour, width=2.2, label=row.name)
            ax.set(title=panel, xlabel="step", xlim=(0, plan.scale.recipe.steps), ylim=(0, 100))
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=min(4, len(rows)), fontsize=9)
        axes[0].set_ylabel("error, %   (thin: training, bold: test)")
    return figure


def _curve(ax: Axes, runs: list[Run], key: str, *, colour: str, width: float, label: str | None = None) -> None:
    at: dict[int, list[float]] = {}
    for run in runs:
        for line in read_metrics(run.out):
            if key in line:
                at.setdefault(line["step"], []).append(line[key])
    steps = sorted(at)
    means = [sum(at[step]) / len(at[step]) for step in steps]
    ax.plot(steps, means, color=colour, linewidth=width, label=label)
    if len(runs) > 1:
        lows, highs = [min(at[step]) for step in steps], [max(at[step]) for step in steps]
        ax.fill_between(steps, lows, highs, color=colour, alpha=0.12, linewidth=0)


def depths(plan: Plan) -> Figure:
    """The final training error over the depth, a line for each panel's rows and a point for each run."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        ax = figure.subplots()
        for (panel, rows), colour, mark in zip(panels(plan).items(), COLOURS, "so^Dv*", strict=False):
            samples = [(row.network.depth, sample(plan, row.name, "train_error")) for row in rows]
            known = [(depth, found) for depth, found in samples if found.n]
            for depth, found in known:
                ax.plot([depth] * found.n, found.values, mark, color=colour, markersize=4, alpha=0.45, linewidth=0)
            means = [found.mean or 0.0 for _, found in known]
            ax.plot([depth for depth, _ in known], means, f"{mark}-", color=colour, linewidth=1.8, label=panel)
        ax.set(xlabel="depth, weight layers", ylabel="final training error, %", ylim=(-3, 100))
        ax.set_xticks(sorted({row.network.depth for row in plan.rows}))
        ax.legend()
    return figure


def drawn(figure: Figure, file_format: str) -> bytes:
    """A figure as the bytes of a file, the same bytes for the same figure."""
    dateless = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format=file_format, dpi=150, metadata=dateless[file_format])
    return buffer.getvalue()


def inline(svg: bytes, prefix: str) -> str:
    """An SVG file as an element of a page: no addresses, and names that no other figure's can meet."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = text.replace('xlink:href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    head, rest = text.split(">", 1)
    return re.sub(r'\s(width|height)="[^"]*"', "", head) + ">" + rest
