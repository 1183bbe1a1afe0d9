"""The options and habits that commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from reslab.errors import SpecError

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

RUNS = Path("runs")
REPORTS = Path("reports")

NetworkName = Annotated[str, typer.Argument(metavar="NETWORK", help="a name from `reslab networks`")]
RunOrFile = Annotated[Path, typer.Argument(metavar="RUN|FILE", help="a run directory, or weights that reslab wrote")]
DataName = Annotated[str, typer.Option("--data", metavar="D", help="a name from `reslab data list`, or folder:PATH")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: cuda where there is one")]
EngineName = Annotated[str, typer.Option("--engine", help="torch, openvino or onnxruntime")]
OnBad = Annotated[str, typer.Option("--on-bad", help="error, or skip pictures that cannot be read")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="change a field, e.g. merge=dropped or merge.p=0.3")
]
AsJson = Annotated[bool, typer.Option("--json", help="for a program to read")]


def pairs(assignments: list[str] | None) -> dict[str, str]:
    """What --set says, by key. Raises SpecError for a word without "="."""
    found = {}
    for text in assignments or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SpecError(f"--set {text}: write key=value, for example --set steps=400")
        found[key] = value
    return found


def console() -> "Console":
    """Where messages go."""
    from rich.console import Console

    return Console(stderr=True)


def say(text: str) -> None:
    """A message, as it is."""
    console().print(text, highlight=False, soft_wrap=True, markup=False)


def tell_skipped(skipped: Mapping[str, str]) -> None:
    """Name the files that could not be read, and why."""
    for file, reason in skipped.items():
        say(f"skipped: {file}: {reason}")


def one_of(option: str, value: T, choices: tuple[T, ...]) -> T:
    """The value of an option, where it is one of the choices. Raises SpecError naming them."""
    if value not in choices:
        raise SpecError(f"{option} {value}: choose from {', '.join(map(str, choices))}")
    return value
