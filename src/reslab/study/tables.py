"""A study's table as plain text in the forms that people paste elsewhere."""

import csv
import io
from typing import Any, NamedTuple

from reslab.papers.claims import COUNTED, METRICS, Metric
from reslab.study.plan import Plan

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
}
_LATEX |= {"−": r"$-$"} | {letter: f"\\{letter}" for letter in "&%$#_{}"}


class Column(NamedTuple):
    """A column of the table: its title, its cells, and whether it holds numbers."""

    title: str
    cells: list[str]
    numbers: bool = True


def columns(plan: Plan, rows: list[dict[str, Any]]) -> list[Column]:
    """The table of a study's results, `rows` being those of `results`."""
    found = [Column("network", [row["row"] for row in rows], numbers=False)]
    for metric in (metric for metric in COUNTED if metric not in plan.study.metrics):
        found.append(
            Column(METRICS[metric].partition(",")[0].partition(" for")[0], [f"{row[metric]:,}" for row in rows])
        )
    if plan.runs or plan.absent:
        found.append(Column("n", [_count(row) for row in rows]))
    for metric in plan.study.metrics:
        found.append(Column(METRICS[metric], [row["measured"][metric]["text"] for row in rows]))
        if plan.study.medians and metric == "test_error":
            found.append(Column("its median", [_number(row["measured"][metric]["median"]) for row in rows]))
        if any(row["published"] and metric in row["published"]["values"] for row in rows):
            found.append(Column("published", [_published(row, metric) for row in rows]))
    if any(row["published"] for row in rows):
        sources = [row["published"]["source"] if row["published"] else "" for row in rows]
        found.append(Column("source", sources, numbers=False))
    return found


def _count(row: dict[str, Any]) -> str:
    if row["absent"]:
        return str(row["absent"])
    return f"{row['n']}" + (f" ({row['diverged']} diverged)" if row["diverged"] else "")


def _number(value: float | None) -> str:
    return "not run" if value is None else f"{value:.2f}"


def _published(row: dict[str, Any], metric: Metric) -> str:
    value = row["published"]["values"].get(metric, "–") if row["published"] else "–"
    if isinstance(value, str):
        return value
    return f"{value:g}" if metric in COUNTED else f"{value:.2f}"


def _csv(table: list[Column]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(_lines(table))
    return buffer.getvalue()


def _markdown(table: list[Column]) -> str:
    lines = [[cell.replace("|", "\\|") for cell in line] for line in _lines(table)]
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
