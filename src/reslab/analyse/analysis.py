"""What an analysis found, as plain values that a page, a table and a program can read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from reslab.drawing import Drawing
from reslab.stats import Judgement
from reslab.table import Column

Columns = dict[str, list[str | float | None]]
"""A plain table: by a column's title its cells, as many in each; numbers, text, or None for what there is not."""


@dataclass(frozen=True)
class Finding:
    """A published claim held against what was measured; `told` has the numbers with their n."""

    claim: str
    source: str
    judgement: Judgement
    told: str


@dataclass(frozen=True)
class Analysis:
    """One look inside one or several networks.

    kind: the word of the command line
    about: what was measured, how, and in which units, with the source
    facts: what it was measured on: networks, images, mode, device, seconds, each with its name
    notes: what a reader must know to read it right
    warnings: what is odd about these networks, said before the notes and by the command too
    tables: every value, where the table sums them up: "values", and others; docs/analyses.md says what they hold
    networks: what the user calls each that was looked into, with the name that it shares with others of its kind
    """

    kind: str
    title: str
    about: str
    table: list[Column]
    drawings: Mapping[str, Drawing]
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tables: Mapping[str, list[Column]] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)

    def columns(self, table: str = "values") -> Columns:
        """One of the tables as plain values."""
        return {
            column.title: [(float(cell) if cell else None) if column.numbers else cell for cell in column.cells]
            for column in self.tables[table]
        }


def cell(value: float, form: str = ".6g") -> str:
    """A number as a cell; empty where it is infinite or none."""
    return f"{value:{form}}" if math.isfinite(value) else ""
