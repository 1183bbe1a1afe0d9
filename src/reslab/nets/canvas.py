"""Boxes and lines of a network's picture, laid out in inches: parts stand below each other along their flow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from reslab.drawing import Drawing, style

GAP = 0.13  # from a box to the next
RADIUS = 0.09  # of the sign of an addition
_HEIGHT = 0.2  # of a box
_INK = "#3c4148"
_CORNER = 0.07  # radius of a line's bends
_BETWEEN = 0.35  # from a part to the one beside it
_LETTER = 0.078  # width of a title's letter, about
_TITLE_LINE = 0.165
_EDGE = 0.08


@dataclass(frozen=True)
class Box:
    """A layer; x is its middle, y its top."""

    x: float
    y: float
    text: str
    colour: str
    width: float


@dataclass(frozen=True)
class Line:
    """A line along points with round bends."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = True
    dotted: bool = False


@dataclass(frozen=True)
class Plus:
    """The sign of an addition."""

    x: float
    y: float


@dataclass(frozen=True)
class Rule:
    """A bracket that is open to the left, from a top to a bottom."""

    x: float
    y: float
    bottom: float


@dataclass(frozen=True)
class Label:
    """Text, at the middle of its height."""

    x: float
    y: float
    text: str
    size: float = 8
    align: Literal["left", "center", "right"] = "center"
    bold: bool = False
    italic: bool = False


Mark = Box | Line | Plus | Rule | Label


@dataclass(frozen=True)
class Part:
    """Marks whose flow comes in at (0, 0) and goes out at (0, -height); they reach `left` and `right` of it."""

    height: float
    left: float
    right: float
    marks: tuple[Mark, ...] = ()

    def moved(self, dx: float, dy: float) -> list[Mark]:
        """The marks at another place."""
        return [_moved(mark, dx, dy) for mark in self.marks]


def _moved(mark: Mark, dx: float, dy: float) -> Mark:
    match mark:
        case Line():
            return replace(mark, points=tuple((x + dx, y + dy) for x, y in mark.points))
        case Rule():
            return replace(mark, x=mark.x + dx, y=mark.y + dy, bottom=mark.bottom + dy)
        case Box() | Plus() | Label():
            return replace(mark, x=mark.x + dx, y=mark.y + dy)
        case _:
            assert_never(mark)


def box(text: str, colour: str) -> Part:
    """A box with the arrow that leads to it."""
    width = max(1.15, 0.072 * len(text) + 0.12)
    marks = (Line(((0, 0), (0, -GAP))), Box(0, -GAP, text, colour, width))
    return Part(GAP + _HEIGHT, width / 2, width / 2, marks)


def stacked(parts: Sequence[Part]) -> Part:
    """Parts one below the other."""
    marks: list[Mark] = []
    down = 0.0
    for part in parts:
        marks += part.moved(0, -down)
        down += part.height
    left, right = (max((getattr(part, side) for part in parts), default=0.0) for side in ("left", "right"))
    return Part(down, left, right, tuple(marks))


def titled(title: str, part: Part) -> Part:
    """A part below its title, which may have several lines."""
    lines = title.split("\n")
    down = _TITLE_LINE * len(lines) + 0.06
    labels = [
        Label(0, -0.09 - _TITLE_LINE * index, text, size=9 if index == 0 else 7.5, bold=index == 0)
        for index, text in enumerate(lines)
    ]
    first, *others = (_LETTER * len(text) for text in lines)
    half = max(first / 2, *(0.8 * width / 2 for width in others), 0.3)
    return Part(part.height + down, max(part.left, half), max(part.right, half), (*labels, *part.moved(0, -down)))


def beside(parts: Sequence[Part]) -> Part:
    """Parts side by side, their tops at one height."""
    width = sum(part.left + part.right for part in parts) + _BETWEEN * (len(parts) - 1)
    marks: list[Mark] = []
    across = -width / 2
    for part in parts:
        marks += part.moved(across + part.left, 0)
        across += part.left + part.right + _BETWEEN
    return Part(max(part.height for part in parts), width / 2, width / 2, tuple(marks))


def arranged(parts: Sequence[Part], widest: float = 16.0) -> Part:
    """Parts side by side, short ones below each other, in as many lines of a width in inches as it takes."""
    columns: list[Part] = []
    tallest = max(part.height for part in parts)
    for part in parts:
        if columns and columns[-1].height + _BETWEEN + part.height <= tallest:
            columns[-1] = stacked([columns[-1], Part(_BETWEEN, 0, 0), part])
        else:
            columns.append(part)
    count = math.ceil((sum(part.left + part.right + _BETWEEN for part in columns) - _BETWEEN) / widest)
    size = math.ceil(len(columns) / count)
    lines = [beside(columns[first : first + size]) for first in range(0, len(columns), size)]
    return stacked([piece for line in lines for piece in (line, Part(_BETWEEN, 0, 0))][:-1])


def drawing(part: Part, caption: str) -> Drawing:
    """A part as a figure of its size."""
    width, height = part.left + part.right + 2 * _EDGE, part.height + 2 * _EDGE
    with style():
        figure = Figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, width), ylim=(-height, 0))
        ax.set_axis_off()
        for mark in part.moved(part.left + _EDGE, -_EDGE):
            _draw(ax, mark)
    return Drawing(figure, caption)


def _draw(ax: Axes, mark: Mark) -> None:
    match mark:
        case Box(x, y, text, colour, width):
            shape = FancyBboxPatch(
                (x - width / 2 + 0.03, y - _HEIGHT + 0.03),
                width - 0.06,
                _HEIGHT - 0.06,
                boxstyle="round,pad=0.03",
                facecolor=colour,
                edgecolor=_INK,
                linewidth=0.7,
            )
            ax.add_patch(shape)
            ax.text(x, y - _HEIGHT / 2 - 0.005, text, ha="center", va="center", fontsize=7.5, color="#16181b")
        case Line(points, arrow, dotted):
            head = "-|>,head_length=2.6,head_width=1.4" if arrow else "-"
            dots = (0, (2, 1.6)) if dotted else "-"
            ax.add_patch(
                FancyArrowPatch(
                    path=_rounded(points),
                    arrowstyle=head,
                    linestyle=dots,
                    color=_INK,
                    linewidth=0.9,
                    mutation_scale=1,
                    shrinkA=0,
                    shrinkB=0,
                )
            )
        case Plus(x, y):
            ax.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=_INK, linewidth=0.9))
            for end in ((0.05, 0), (0, 0.05)):
                ax.plot([x - end[0], x + end[0]], [y - end[1], y + end[1]], color=_INK, linewidth=1)
        case Rule(x, y, bottom):
            ax.plot([x - 0.06, x, x, x - 0.06], [y, y, bottom, bottom], color=_INK, linewidth=0.9)
        case Label(x, y, text, size, align, bold, italic):
            weight, slant = "bold" if bold else "normal", "italic" if italic else "normal"
            ax.text(x, y, text, ha=align, va="center", fontsize=size, weight=weight, style=slant, color=_INK)
        case _:
            assert_never(mark)


def _rounded(points: Sequence[tuple[float, float]]) -> Path:
    """A path along points whose bends are round."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, bend, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(bend, before), bend, _towards(bend, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _towards(point: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    dx, dy = other[0] - point[0], other[1] - point[1]
    share = min(0.5, _CORNER / max((dx * dx + dy * dy) ** 0.5, 1e-9))
    return point[0] + share * dx, point[1] + share * dy
