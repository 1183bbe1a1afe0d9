"""What an analysis is, and the report that it makes: plain values for a page, a table and a program."""

import re
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch

from reslab.analyse import ANALYSES, REPORTS
from reslab.analyse.claims import ClaimResult
from reslab.analyse.inputs import Inputs, Named, read_subjects
from reslab.analyse.preserve import Progress, silent
from reslab.data.loader import load
from reslab.drawing import Drawing
from reslab.errors import SpecError, nearest
from reslab.machine import find_device, processor
from reslab.nets import to_string
from reslab.nets.network import NetworkSpec
from reslab.spec import digest
from reslab.table import Column, columns, to_dict, to_html

M = TypeVar("M")
Columns = dict[str, list[str | int | float | None]]
"""A table by its titles: numbers, text, or None for a missing value."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The results of an analysis of one or several networks.

    about: what was measured, how, in which units, with the source
    facts: networks, images, machine, seconds ..., by their names
    notes: how to read it; warnings: what is odd about these networks, also printed by the command
    tables: every value: "values", and others; docs/analyses.md describes them
    networks: the label of each subject with its architecture
    skipped: files that could not be read, each with the reason
    command: the command that makes it again; folder: the directory of its page
    """

    kind: str
    title: str
    about: str
    table: list[Column]
    drawings: Mapping[str, Drawing]
    claims: tuple[ClaimResult, ...]
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: Mapping[str, list[Column]]
    networks: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    folder: Path = REPORTS

    def columns(self, table: str = "values") -> Columns:
        """One of the tables as plain values."""
        return to_dict(self.tables[table])

    def _repr_html_(self) -> str:
        """Table, claims and figures, for notebooks."""
        lines = [(claim.judgement, f"{claim.claim} ({claim.source})", claim.evidence) for claim in self.claims]
        claims = to_html(columns(("judgement", "claim", "measured"), lines, text=3)) if lines else ""
        figures = "".join(drawing._repr_svg_() for drawing in self.drawings.values())
        return to_html(self.table, self.title) + claims + figures


class Analysis(ABC, Generic[M]):
    """One kind of analysis; its fields are its own options, M is what it measures.

    title: may name the {data}; about and reading: how it measures, and how to read its page
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    reading: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def measure(self, inputs: Inputs, progress: Progress) -> M:
        """Measure the subjects. Raises SpecError naming a network that cannot be analysed."""

    @abstractmethod
    def table(self, inputs: Inputs, measured: M) -> list[Column]:
        """The summary, a line for each architecture or network."""

    @abstractmethod
    def tables(self, measured: M) -> dict[str, list[Column]]:
        """Every value, by the name of its table."""

    @abstractmethod
    def drawings(self, inputs: Inputs, measured: M) -> dict[str, Drawing]:
        """The figures by name."""

    def claims(self, inputs: Inputs, measured: M) -> list[ClaimResult]:
        """Published claims, tested."""
        return []

    def facts(self, inputs: Inputs, measured: M) -> dict[str, str]:
        """Facts beside networks, images, machine and time, or in their place."""
        return {}

    def notes(self, measured: M) -> tuple[str, ...]:
        return self.reading

    def warnings(self, inputs: Inputs, measured: M) -> tuple[str, ...]:
        return ()

    def settled(self, inputs: Inputs) -> dict[str, Any]:
        """The values of options that were left open, such as "auto"; the report's command names them."""
        return {}

    def run(self, inputs: Inputs, progress: Progress = silent) -> Report:
        """Measure and report."""
        began = time.monotonic()
        measured = self.measure(inputs, progress)
        return self.report(inputs, measured, time.monotonic() - began)

    def report(self, inputs: Inputs, measured: M, seconds: float = 0.0) -> Report:
        """The report of what was measured in some seconds."""
        gpu = f"{torch.cuda.get_device_name()}, " if inputs.device == "cuda" else ""
        facts = {"networks": ", ".join(f"{subject.label} ({subject.kind})" for subject in inputs.subjects)}
        facts |= {"images": inputs.count_text()} if inputs.data else {}
        facts |= {
            "machine": f"{gpu}{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
            "time": f"{seconds:.0f} s",
        }
        return Report(
            kind=self.kind,
            title=self.title.format(data=inputs.data_name),
            about=self.about,
            table=self.table(inputs, measured),
            drawings=self.drawings(inputs, measured),
            claims=tuple(self.claims(inputs, measured)),
            facts=facts | self.facts(inputs, measured),
            notes=self.notes(measured),
            warnings=self.warnings(inputs, measured),
            tables=self.tables(measured),
            networks={subject.label: subject.kind for subject in inputs.subjects},
            skipped=inputs.skipped,
        )


def analyse(
    kind: str,
    networks: Sequence[Named],
    options: Mapping[str, Any],
    device: str = "auto",
    out: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Run an analysis of the registry on networks by their names; options left out have their defaults.

    out: the report's directory, None for one in reports/ by name; only a landscape writes to it here, its points
    Raises SpecError for an unknown analysis, option or network, DataError for a file that cannot be read.
    """
    if kind not in ANALYSES:
        raise SpecError(f"no analysis {kind!r}: {nearest(kind, ANALYSES)}")
    row = ANALYSES[kind]
    chosen = row.choose(options)
    analysis, device = row.build(chosen), find_device(device)
    wants_data = any(option.name == "data" for option in row.options)
    if wants_data and chosen["data"] is None:
        raise SpecError(f"analysis {kind}: give data, for example digits")
    data = load(chosen["data"]) if wants_data else None
    subjects = read_subjects(networks, data, chosen["seed"], device, chosen.get("seeds", 1))
    names = [one.kind for one in subjects] if data else [_word(network) for network in networks]
    folder = out or REPORTS / folder_name(kind, names, data.name if data else "")
    seen = {name: chosen[name] for name in ("images", "seed", "on_bad") if name in chosen}
    inputs = Inputs(subjects, data, device=device, folder=folder, **seen)
    report = analysis.run(inputs, progress)
    command = _command(kind, networks, chosen | analysis.settled(inputs), out)
    return replace(report, command=command, folder=folder)


def _word(network: Named) -> str:
    return to_string(network) if isinstance(network, NetworkSpec) else str(network)


def _command(kind: str, networks: Sequence[Named], options: Mapping[str, Any], out: Path | None) -> str:
    """The command that makes a report again."""
    words = [_word(network) for network in networks]
    for option in ANALYSES[kind].options:
        value = options[option.name]
        if value is not None and (option.repeated or value != option.default):
            words += [option.flag, str(value)]
    return shlex.join(["reslab", "analyse", kind, *words, *(["--out", str(out)] if out else [])])


def folder_name(kind: str, names: Sequence[str], data: str = "") -> str:
    """The name of a report's directory: the analysis, its networks and data, short enough for any file system."""
    files = [Path(name).name.removesuffix(".safetensors") for name in dict.fromkeys(names)]
    plain = list(dict.fromkeys(re.sub(r"[^\w.+-]", "_", name.partition(" ")[0]) for name in files))
    text = "-".join(plain[:4]) + (f"-and-{len(plain) - 4}-more" if len(plain) > 4 else "")
    text += f"-{digest(*files)}" * any(" " in name for name in files)  # changed fields would make it too long
    return f"{kind}-{text}" + (f"-{data.replace(':', '-').replace('/', '_')}" if data else "")
