"""A figure with what its caption says and what its points tell, as a file and as an element of a page."""

import io
import re
from dataclasses import dataclass, field
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")  # Okabe and Ito's, told apart by all
DASHES = ("-", "--", ":", "-.")  # for more rows than colours
FORMATS = ("png", "svg", "pdf")

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "reslab",  # the same figure gives the same file
}


def line(index: int) -> dict[str, Any]:
    """The colour and dashes of the index-th of several lines."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
    }


def scale(ax: Axes, values: NDArray[np.float64]) -> None:
    """Make an axis of values logarithmic, where they are over more than a power of ten, or else begin at zero.

    Those that are not finite or not positive are not shown, and do not count.
    """
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:
        return
    low, high = shown.min(), shown.max()
    if high <= 10 * low:
        ax.set_ylim(bottom=0)
        return
    ax.set_yscale("log")
    if high < 1000 * low:
        ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
            formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@dataclass
class Drawing:
    """A figure, what its caption says, and the points that tell their values to a person who looks at them closely."""

    figure: Figure
    caption: str
    points: list[tuple[Axes, float, float, str]] = field(default_factory=list)


def drawn(figure: Figure, file_format: str) -> bytes:
    """A figure as the bytes of a file, the same bytes for the same figure."""
    dateless = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format=file_format, dpi=150, metadata=dateless[file_format])
    return buffer.getvalue()


def inline(drawing: Drawing, svg: bytes, prefix: str) -> str:
    """An SVG file as an element of a page: no addresses, names that no other figure's can meet, and its points.

    To be called when the SVG is the last that was drawn of the figure, so that the points are where it has them.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = text.replace('xlink:href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    head, rest = text.split(">", 1)
    rest = rest.replace("</svg>", f'<g class="points">{_circles(drawing)}</g></svg>')
    return re.sub(r'\s(width|height)="[^"]*"', "", head) + ">" + rest


def _circles(drawing: Drawing) -> str:
    """An invisible circle on each point that is within its axes, with what it tells."""
    figure = drawing.figure
    width, height = figure.get_size_inches() * 72  # SVG's unit is a point
    circles = []
    for ax, x, y, told in drawing.points:
        across, up = figure.transFigure.inverted().transform(ax.transData.transform((x, y)))
        if -0.01 <= ax.transAxes.inverted().transform(ax.transData.transform((x, y)))[1] <= 1.01:
            place = f'cx="{across * width:.1f}" cy="{(1 - up) * height:.1f}"'
            circles.append(f'<circle {place} r="5"><title>{escape(told)}</title></circle>')
    return "".join(circles)
