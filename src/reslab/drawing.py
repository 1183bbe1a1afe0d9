"""A figure with its caption and the values of its points: as a file, and as an element of a page."""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

FileFormat = Literal["png", "pdf", "svg"]

COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)  # Okabe and Ito, colour-blind safe
DASHES = ("-", "--", ":", "-.")  # for more rows than colours

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
_DATES: dict[FileFormat, str] = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}  # left out of each file
_drawing = threading.RLock()


@contextmanager
def style(**settings: Any) -> Iterator[None]:
    """Matplotlib's settings for our figures. They are the whole process's, so that one thread draws at a time."""
    both: dict[Any, Any] = {**STYLE, **settings}
    with _drawing, mpl.rc_context(both):
        yield


def line(index: int) -> dict[str, Any]:
    """The colour and dashes of the index-th of several lines."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
    }


def scale(ax: Axes, values: NDArray[np.float64]) -> None:
    """A logarithmic y axis for values over more than a power of ten, or else one from zero.

    Values that are not finite or not positive are not shown, and do not count.
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
    """A figure, its caption, and the points that show their values under a mouse pointer.

    points: each with its axes, x, y and text
    series: the name of the curve that a point's text belongs to; marks of a curve have the gid "series-NAME-..."
    as_text: an SVG keeps its letters as text, for names in scripts that matplotlib's font lacks
    """

    figure: Figure
    caption: str
    points: list[tuple[Axes, float, float, str]] = field(default_factory=list)
    as_text: bool = False
    series: dict[str, str] = field(default_factory=dict)

    def save(self, file_format: FileFormat) -> bytes:
        """The figure as the bytes of a file, the same bytes for the same figure."""
        buffer = io.BytesIO()
        with style(**{"svg.fonttype": "none" if self.as_text else "path"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            self.without_math()
            if not isinstance(self.figure.get_layout_engine(), PlaceHolderLayoutEngine):
                self.figure.savefig(io.BytesIO(), format="svg")
                self.figure.set_layout_engine("none")  # once: laid out again, a figure moves with every file
            self.figure.savefig(buffer, format=file_format, dpi=150, metadata={_DATES[file_format]: None})
        return buffer.getvalue()

    def without_math(self) -> None:
        """Draw names as they are, with their dollar signs; only the powers of ten at a logarithmic axis are math."""
        axes = [axis for ax in self.figure.axes for axis in (ax.xaxis, ax.yaxis)]
        powers = {text for axis in axes if axis.get_scale() == "log" for text in axis.get_ticklabels(which="both")}
        for text in self.figure.findobj(Text):
            if text not in powers:
                text.set_parse_math(False)

    def _repr_svg_(self) -> str:
        """The figure for notebooks."""
        svg = self.save("svg").decode()
        return svg[svg.index("<svg") :]

    def inline(self, svg: bytes, prefix: str) -> str:
        """An SVG file of the figure as an element of a page: no addresses, ids that begin with `prefix`, its points.

        The SVG must be the last file that was saved, so that the points are where it has them.
        """
        text = svg.decode()
        text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r"<\w[^>]*>", lambda tag: _prefixed(tag[0], prefix), text)
        head, rest = text.split(">", 1)
        rest = rest.replace("</svg>", f'<g class="points">{self._circles()}</g></svg>')
        return re.sub(r'\s(width|height)="[^"]*"', "", head) + ">" + rest

    def _circles(self) -> str:
        """An invisible circle on each point that is within its axes, with its text."""
        width, height = self.figure.get_size_inches() * 72  # SVG's unit is a point
        circles = []
        for ax, x, y, text in self.points:
            place = ax.transData.transform((x, y))
            across, up = self.figure.transFigure.inverted().transform(place)
            if -0.01 <= ax.transAxes.inverted().transform(place)[1] <= 1.01:
                centre = f'cx="{across * width:.1f}" cy="{(1 - up) * height:.1f}"'
                series = f' data-series="{escape(self.series[text])}"' if text in self.series else ""
                circles.append(f'<circle {centre} r="5"{series}><title>{escape(text)}</title></circle>')
        return "".join(circles)


def _prefixed(tag: str, prefix: str) -> str:
    """A tag without namespaces, whose ids, and references to ids, begin with a prefix."""
    tag = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", tag)
    tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
    return tag.replace('xlink:href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
