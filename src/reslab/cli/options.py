"""Options and messages that commands share."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.api import choices
from reslab.errors import SpecError

NetworkName = Annotated[str, typer.Argument(metavar="NETWORK", help="a name from `reslab networks`, or FILE.json")]
RunOrFile = Annotated[Path, typer.Argument(metavar="RUN|FILE", help="a run directory, or weights that reslab wrote")]
DataName = Annotated[str, typer.Option("--data", metavar="D", help="a name from `reslab data list`, or folder:PATH")]
DeviceName = Annotated[choices.Device, typer.Option("--device", help="auto: cuda where there is one")]
EngineName = Annotated[choices.Engine, typer.Option("--engine", help="runtime that computes the outputs")]
Compile = Annotated[choices.OnOff, typer.Option("--compile", help="compile the network, for --engine torch")]
OnBadPicture = Annotated[choices.OnBad, typer.Option("--on-bad", help="end at unreadable pictures, or skip them")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="change a field, e.g. merge=dropped or merge.p=0.3")
]
_VERDICT = 15  # characters

AsJson = Annotated[bool, typer.Option("--json", help="for a program to read")]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(text: str) -> float:
    """The seconds of a time such as 90, 90s, 13m or 1.5h."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        raise SpecError(f"--stop-after {text}: write a time such as 90s, 13m or 1.5h")
    return seconds


StopAfter = Annotated[
    float | None,
    typer.Option("--stop-after", metavar="TIME", parser=_seconds, help="stop then, saved: 90s, 13m or 1.5h"),
]


def pairs(assignments: list[str] | None) -> dict[str, str]:
    """The assignments of --set by key. Raises SpecError for a word without "="."""
    values = {}
    for text in assignments or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SpecError(f"--set {text}: write key=value, for example --set steps=400")
        values[key] = value
    return values


def terminal_width() -> int | None:
    """The characters of a line on stdout; None where it is no terminal, whose readers want lines whole."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()  # None where it was closed from the start
    return shutil.get_terminal_size().columns if on_terminal else None


def print_table(cells: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> None:
    """Print rows of cells in columns that fit the terminal; those in `right` are aligned to the right."""
    typer.echo(api.aligned(cells, right, terminal_width()))


def print_text(text: str, indent: str = "") -> None:
    """Print a paragraph, on a terminal wrapped between words."""
    typer.echo(api.wrapped(text, terminal_width(), indent))


_COLOURS = {"holds": "green", "does not hold": "red", "not decided": "yellow"}


def print_verdict(judgement: str, lines: Sequence[str]) -> None:
    """Print a verdict before the first of some lines, in colour on a terminal unless NO_COLOR is set."""
    indent = " " * (_VERDICT + 1)
    first, *rest = (api.wrapped(indent + line, terminal_width(), indent).removeprefix(indent) for line in lines)
    word = f"{judgement:{_VERDICT}}"
    if not os.environ.get("NO_COLOR"):
        word = typer.style(word, fg=_COLOURS.get(judgement))
    typer.echo("\n".join([f"{word} {first}", *(indent + line for line in rest)]))


def message(text: str) -> None:
    """Print a message on stderr, as it is."""
    typer.echo(text, err=True)


def print_skipped(skipped: Mapping[str, str]) -> None:
    """Name the files that cannot be read, with the reason."""
    for file, reason in skipped.items():
        message(f"skipped: {file}: {reason}")
