"""Options and messages that commands share."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from reslab.api import choices
from reslab.errors import SpecError

NetworkName = Annotated[str, typer.Argument(metavar="NETWORK", help="a name from `reslab networks`")]
RunOrFile = Annotated[Path, typer.Argument(metavar="RUN|FILE", help="a run directory, or weights that reslab wrote")]
DataName = Annotated[str, typer.Option("--data", metavar="D", help="a name from `reslab data list`, or folder:PATH")]
DeviceName = Annotated[choices.Device, typer.Option("--device", help="auto: cuda where there is one")]
EngineName = Annotated[choices.Engine, typer.Option("--engine", help="runtime that computes the outputs")]
Compile = Annotated[choices.OnOff, typer.Option("--compile", help="compile the network, for --engine torch")]
OnBadPicture = Annotated[choices.OnBad, typer.Option("--on-bad", help="end at unreadable pictures, or skip them")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="change a field, e.g. merge=dropped or merge.p=0.3")
]
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


def message(text: str) -> None:
    """Print a message on stderr, as it is."""
    typer.echo(text, err=True)


def print_skipped(skipped: Mapping[str, str]) -> None:
    """Name the files that cannot be read, with the reason."""
    for file, reason in skipped.items():
        message(f"skipped: {file}: {reason}")
