"""What an analysis found, as plain values that a page, a table and a program can read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reslab.report.drawing import Drawing
from reslab.report.table import Column
from reslab.sample import Judgement


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
    values: every value, where the table sums them up
    """

    kind: str
    title: str
    about: str
    table: list[Column]
    drawings: Mapping[str, Drawing]
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    values: list[Column] = field(default_factory=list)
