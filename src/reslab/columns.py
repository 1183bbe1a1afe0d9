"""Rows of cells as text in columns, within the width of a terminal if that is asked for."""

import re
from collections.abc import Sequence
from itertools import zip_longest

_GAP = 2
_JOINED = re.compile(r"(?<=\S) (?=[±=%])|(?<= [±=]) (?=\S)")
"""The spaces of "7.2 ± 0.3", "n = 5" and "95 %", where no line ends."""
Cells = Sequence[tuple[str, ...]]


def aligned(cells: Cells, right: tuple[int, ...] = (), width: int | None = None) -> str:
    """Rows of cells, which may have several lines, as text in columns; those in `right` are aligned to the right.

    width: the most characters of a line; cells are wrapped between words, never within a word or a number, and where
    that is not enough, further columns follow below, after the first ones of text again. A no-break space joins words.
    """
    if width is None:
        return _block(cells, right, [_longest(cells, place) for place in range(len(cells[0]))])
    cells = [tuple(_JOINED.sub("\xa0", cell) for cell in row) for row in cells]
    blocks = [
        _block(
            [tuple(row[place] for place in group) for row in cells],
            tuple(index for index, place in enumerate(group) if place in right),
            _fitted(cells, group, width),
        )
        for group in _groups(cells, right, width)
    ]
    return "\n\n".join(blocks)


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 step", "1,000 steps"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def fits(cells: Cells, width: int | None) -> bool:
    """Whether all columns of rows fit beside each other."""
    return width is None or len(_groups(cells, (), width)) == 1


def wrapped(text: str, width: int | None, indent: str = "") -> str:
    """A paragraph whose lines have at most `width` characters, those after the first indented."""
    import textwrap

    if width is None:
        return text
    form = textwrap.TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(form.fill(_JOINED.sub("\xa0", line)).replace("\xa0", " ") for line in text.split("\n"))


def _groups(cells: Cells, right: tuple[int, ...], width: int) -> list[list[int]]:
    """The columns of each block: as many as fit when every cell is wrapped at each space.

    Each begins with the columns of text before the first number, as far as they take no more than half of a line.
    """
    least = [_least(cells, place) + _GAP for place in range(len(cells[0]))]
    first = [0]
    while len(first) < min(right, default=1) and sum(least[: len(first) + 1]) <= width / 2:
        first.append(len(first))
    groups = [list(first)]
    for place in range(len(first), len(least)):
        if sum(least[index] for index in [*groups[-1], place]) - _GAP > width and groups[-1] != first:
            groups.append(list(first))
        groups[-1].append(place)
    return groups


def _fitted(cells: Cells, group: list[int], width: int) -> list[int]:
    """The widths of a block's columns, the widest narrowed until all fit."""
    widths, least = ([measure(cells, place) for place in group] for measure in (_longest, _least))
    while sum(widths) + _GAP * (len(group) - 1) > width:
        wide = [index for index in range(len(group)) if widths[index] > least[index]]
        if not wide:
            break
        widths[max(wide, key=lambda index: widths[index])] -= 1
    return widths


def _longest(cells: Cells, place: int) -> int:
    return max(len(line) for row in cells for line in row[place].split("\n"))


def _least(cells: Cells, place: int) -> int:
    return max((len(word) for row in cells for word in row[place].replace("\n", " ").split(" ")), default=0)


def _block(cells: Cells, right: tuple[int, ...], widths: list[int]) -> str:
    lines = []
    for row in cells:
        fitted = [cell if _fits(cell, width) else wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in zip_longest(*(cell.split("\n") for cell in fitted), fillvalue=""):
            padded = [
                cell.rjust(width) if place in right else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append((" " * _GAP).join(padded).rstrip())
    return "\n".join(lines).replace("\xa0", " ")


def _fits(cell: str, width: int) -> bool:
    return all(len(line) <= width for line in cell.split("\n"))
