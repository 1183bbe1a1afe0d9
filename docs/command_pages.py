"""The generated page of the command line: the help of every command, as the program prints it."""

from collections.abc import Iterator
from typing import Any

import typer

from reslab.cli import app

WIDTH = 96


def page() -> str:
    """A section for each command."""
    text = (
        "# Command line\n\nEvery command as `reslab COMMAND --help` prints it. Results go to stdout, messages "
        "to stderr; `--json` is for programs. [Errors](../errors.md) has the exit codes.\n"
    )
    program = typer.main.get_command(app)
    return text + "".join(f"\n## {name}\n\n```text\n{help_}\n```\n" for name, help_ in _helps(program, "reslab", None))


def _helps(command: Any, name: str, above: Any) -> Iterator[tuple[str, str]]:
    """The names of a command's own commands, or its own, each with the help."""
    context = command.make_context(name.split()[-1], [], parent=above, resilient_parsing=True)
    context.terminal_width = WIDTH
    if isinstance(command, typer.core.TyperGroup):
        for each, inner in command.commands.items():
            yield from _helps(inner, f"{name} {each}", context)
    else:
        yield name, command.get_help(context)
