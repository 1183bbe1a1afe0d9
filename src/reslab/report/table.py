"""A table as plain text in the forms that people paste elsewhere."""

import csv
import io
import math
from typing import NamedTuple

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
_MARKDOWN = str.maketrans({"\n": " "} | {letter: f"\\{letter}" for letter in "\\`*<|["})


class Column(NamedTuple):
    """A column of the table: its title, its cells, and whether it holds numbers."""

    title: str
    cells: list[str]
    numbers: bool = True

    def values(self) -> list[str | float | None]:
        """The cells as a program reads them: numbers where the column holds such and nothing but, None where empty."""
        return [(float(cell) if cell else None) if self.numbers else cell for cell in self.cells]


def cell(value: float, form: str = ".6g") -> str:
    """A number as a cell; empty where it is infinite or none."""
    return f"{value:{form}}" if math.isfinite(value) else ""


def _csv(table: list[Column]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(_lines(table))
    return buffer.getvalue()


def _markdown(table: list[Column]) -> str:
    lines = [[cell.translate(_MARKDOWN) for cell in line] for line in _lines(table)]
    lines.insert(1, ["---:" if column.numbers else "---" for column in table])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _latex(table: list[Column]) -> str:
    head, *rest = ["  " + " & ".join(map(_escaped, line)) + r" \\" for line in _lines(table)]
    form = "".join("r" if column.numbers else "l" for column in table)
    body = "\n".join(rest)
    return f"\\begin{{tabular}}{{{form}}}\n  \\hline\n{head}\n  \\hline\n{body}\n  \\hline\n\\end{{tabular}}\n"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _lines(table: list[Column]) -> list[list[str]]:
    return [[column.title for column in table], *map(list, zip(*(column.cells for column in table), strict=True))]


FORMATS = {"csv": _csv, "tex": _latex, "md": _markdown}
