"""The command line. Every command imports what it needs when it runs, so that help is quick."""

import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from reslab.cli import (
    analyse,
    bench,
    data,
    export,
    networks,
    predict,
    study,
    train,
    weights,
)
from reslab.errors import DataError, ReslabError

app = typer.Typer(
    name="reslab",
    help="A laboratory for residual networks: every network of the papers, their recipes, tables and figures.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    study.demo,
    networks.networks,
    networks.show,
    train.train,
    train.evaluate,
    predict.predict,
    weights.weights,
    export.export,
    bench.bench,
):
    app.command()(command)
app.add_typer(analyse.app, name="analyse")
app.add_typer(data.app, name="data")
app.add_typer(study.app, name="study")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"reslab {version('reslab')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="show it")] = False,
) -> None:
    """Options of every command; `main` takes --debug out of the words, and it is declared here for --help."""


def _stop(signal_number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _told(error: Exception) -> str:
    """One or two lines for an error; those that no one has foreseen say how to see more."""
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        return text if text.startswith("Usage:") else f"reslab: {text}"
    if isinstance(error, ReslabError):
        return f"reslab: {error}"
    if isinstance(error, OSError):
        return f"reslab: {error.filename}: {error.strerror}" if error.filename else f"reslab: {error}"
    return f"reslab: {type(error).__name__}: {error}\nthis should not happen; --debug shows where it comes from"


def _without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words without --debug, wherever it stands in front of a lone --, and whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return [*kept, *words[end:]], len(kept) < end


def main(words: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 2 wrong words, 3 bad data, 4 diverged, 75 stopped with its state saved."""
    words, debug = _without_debug(sys.argv[1:] if words is None else words)
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = app(words, prog_name="reslab", standalone_mode=False) or 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        code = getattr(error, "exit_code", DataError.exit_code if isinstance(error, OSError) else 1)
        print(_told(error), file=sys.stderr)
    sys.exit(code)
