"""Options and messages that commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

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
AsJson = Annotated[bool, typer.Option("--json", help="for a program to read")]


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
