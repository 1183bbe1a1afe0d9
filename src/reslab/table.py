"""Tables of values, and the forms in which people paste them elsewhere: CSV, LaTeX, Markdown."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import chain, repeat

from reslab.stats import Sample

Value = str | int | float | Sample | None
"""What a table holds: text, a number, a metric over seeds, or None for what there is not."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}
_MARKDOWN = str.maketrans({"\n": " "} | {letter: f"\\{letter}" for letter in "\\`*<|[$"})


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, its values, and how its numbers are written (`form`, a format specification).

    numbers: whether it is aligned as numbers are; text may stand in such a column ("2 (1 diverged)")
    empty: what stands for None and for numbers that are not finite
    """

    title: str
    values: Sequence[Value]
    numbers: bool = True
    form: str = ""
    empty: str = ""

    @cached_property
    def cells(self) -> list[str]:
        """The values as text, with the plain minus signs that programs read."""
        return [self._cell(value) for value in self.values]

    @cached_property
    def typeset(self) -> list[str]:
        """The values as text for a page, with the minus signs of typography."""
        return [cell if isinstance(value, str) else cell.replace("-", "−") for cell, value in self._pairs()]

    @property
    def formula_free(self) -> list[str]:
        """The values as text for a spreadsheet, which takes no name for a formula."""
        return [_quoted(cell) if isinstance(value, str) and not self.numbers else cell for cell, value in self._pairs()]

    def _pairs(self) -> Iterator[tuple[str, Value]]:
        return zip(self.cells, self.values, strict=True)

    def _cell(self, value: Value) -> str:
        if value is None or _is_empty(value):
            return self.empty
        return str(value) if isinstance(value, str) else format(value, self.form)

    def data(self) -> list[str | int | float | None]:
        """The values as a program reads them, at their full precision: of a metric over seeds its mean."""
        return [_plain(value) for value in self.values]


def _plain(value: Value) -> str | int | float | None:
    if _is_empty(value):
        return None
    return value.mean if isinstance(value, Sample) else value


def _is_empty(value: Value) -> bool:
    number = value.mean if isinstance(value, Sample) else value
    return isinstance(number, float) and not math.isfinite(number)


def _quoted(text: str) -> str:
    """A text, after an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def columns(titles: Sequence[str], lines: Sequence[Sequence[Value]], text: int = 1, form: str = "") -> list[Column]:
    """A table from its lines; its first `text` columns hold text, the others numbers in one form."""
    values = zip(*lines, strict=True) if lines else ((),) * len(titles)
    return [
        Column(title, list(column), place >= text, form)
        for place, (title, column) in enumerate(zip(titles, values, strict=True))
    ]


def to_dict(table: Sequence[Column]) -> dict[str, list[str | int | float | None]]:
    """A table as plain values by its titles, as pandas.DataFrame takes it."""
    return {column.title: column.data() for column in table}


def to_html(table: Sequence[Column], title: str = "") -> str:
    """A table as HTML, with its title: what notebooks show."""
    align = ["right" if column.numbers else "left" for column in table]
    head, *rest = [
        "<tr>"
        + "".join(
            f'<{tag} style="text-align:{side};white-space:pre-line">{escape(cell)}</{tag}>'
            for side, cell in zip(align, line, strict=True)
        )
        + "</tr>"
        for tag, line in zip(chain(["th"], repeat("td")), _lines(table), strict=False)
    ]
    caption = f"<p><b>{escape(title)}</b></p>" if title else ""
    return f"{caption}<table><thead>{head}</thead><tbody>{''.join(rest)}</tbody></table>"


def _csv(table: Sequence[Column]) -> str:
    buffer = io.StringIO()
    lines = zip(*([_quoted(column.title), *column.formula_free] for column in table), strict=True)
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


def _markdown(table: Sequence[Column]) -> str:
    lines = [[cell.translate(_MARKDOWN) for cell in line] for line in _lines(table)]
    lines.insert(1, ["---:" if column.numbers else "---" for column in table])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _latex(table: Sequence[Column]) -> str:
    head, *rest = ["  " + " & ".join(map(_escaped, line)) + r" \\" for line in _lines(table)]
    alignment = "".join("r" if column.numbers else "l" for column in table)
    body = "\n".join(rest)
    return f"\\begin{{tabular}}{{{alignment}}}\n  \\hline\n{head}\n  \\hline\n{body}\n  \\hline\n\\end{{tabular}}\n"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _lines(table: Sequence[Column]) -> list[list[str]]:
    return [[column.title for column in table], *map(list, zip(*(column.typeset for column in table), strict=True))]


FORMATS = {"csv": _csv, "tex": _latex, "md": _markdown}
