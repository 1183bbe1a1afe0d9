"""The command line: parse, call `reslab.api`, print."""

import atexit
import gc
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from reslab import api
from reslab.cli import (
    analyse,
    bench,
    compare,
    data,
    doctor,
    evaluate,
    export,
    networks,
    predict,
    recipes,
    runs,
    study,
    train,
    weights,
)
from reslab.cli.usage import HELP, teach
from reslab.errors import DataError, ReslabError

app = typer.Typer(
    name="reslab",
    help="A laboratory for residual networks: every network of the papers, their recipes, tables and figures.",
    context_settings=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    study.demo,
    study.review,
    networks.networks,
    networks.show,
    networks.draw,
    train.train,
    train.resume,
    runs.runs,
    compare.compare,
    compare.judge,
    recipes.recipes,
    train.report,
    evaluate.evaluate,
    predict.predict,
    weights.weights,
    export.export,
    bench.bench,
    doctor.doctor,
    doctor.version,
):
    app.command()(command)
app.add_typer(analyse.app, name="analyse")
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipe")
app.add_typer(study.app, name="study")
teach(app)
atexit.register(gc.freeze)  # nothing is collected at the exit, which takes half a second with torch


def _version(wanted: bool) -> None:
    if wanted:
        doctor.version()
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="show it")] = False,
) -> None:
    """Options of every command; `main` takes --debug out of the words, and it is declared here for --help."""


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory could not be allocated; for the processor torch raises a RuntimeError that only its text names."""
    torch = sys.modules.get("torch")
    on_gpu = torch is not None and isinstance(error, torch.OutOfMemoryError)
    return isinstance(error, MemoryError) or on_gpu or "DefaultCPUAllocator" in str(error)


def _error_text(error: Exception) -> str:
    """One or two lines for an error; those of unforeseen errors say how to see more."""
    if isinstance(error, typer.TyperException):
        text = error.format_message().replace("Value error, ", "")  # pydantic's, in front of typer's own message
        if text.startswith("Usage:"):
            return text
        context = getattr(error, "ctx", None)
        see = f"\nsee {context.command_path} -h" if context else ""
        return f"reslab: {' '.join(text.split())}{see}"  # choices have a line each
    if isinstance(error, ReslabError):
        return f"reslab: {error}"
    if _is_out_of_memory(error):
        return "reslab: out of memory; lower --batch, in training --set batch=N, or train with --recompute N"
    if isinstance(error, OSError):
        return f"reslab: {error.filename}: {error.strerror}" if error.filename else f"reslab: {error}"
    return f"reslab: {type(error).__name__}: {error}\nthis should not happen; --debug shows where it comes from"


def _exit_code(error: Exception) -> int:
    return int(getattr(error, "exit_code", DataError.exit_code if isinstance(error, OSError) else 1))


def _without_debug(words: Sequence[str]) -> tuple[list[str], bool]:
    """The words without --debug, wherever it stands before a lone --, and whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return [*kept, *words[end:]], len(kept) < end


def _flush() -> bool:
    """Write what stdout and stderr still hold; -> whether both took it.

    A stream that is full or closed leads to the null device from then on, or Python would complain at its exit.
    """
    whole = True
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed from the start
        try:
            stream.flush()
        except OSError:
            whole = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return whole


def main(words: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 1 other error, 2 wrong words, 3 bad data or file, 4 diverged, 75 stopped."""
    words, debug = _without_debug(sys.argv[1:] if words is None else words)
    interrupts = api.Interrupts()
    code = 1
    try:
        code = app(words, prog_name="reslab", standalone_mode=False) or 0
    except KeyboardInterrupt:  # outside of typer's own handler, as while the commands are built
        code = api.STOPPED
    except Exception as error:
        code = _exit_code(error)
        if not interrupts.received:
            with suppress(OSError):  # a stream that is full or closed
                if debug:
                    traceback.print_exc()
                typer.echo(_error_text(error), err=True)
    finally:
        if code and interrupts.received:
            code = api.STOPPED
        whole = _flush()
    sys.exit(code or (0 if whole else DataError.exit_code))
