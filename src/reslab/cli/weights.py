"""Commands that take weights in and out."""

from pathlib import Path
from typing import Annotated

import typer

from reslab.cli.words import RunOrFile
from reslab.errors import SpecError


def weights(
    file: Annotated[Path, typer.Argument(help="others' weights: .pth, .th, .pt or .safetensors")],
    name: Annotated[str, typer.Option("--as", metavar="NETWORK", help="the network that they are weights of")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Take in others' weights: check them against a network, map their keys, write a file that reslab loads."""
    from reslab.weights.convert import convert
    from reslab.weights.file import must_be_safetensors, save_weights

    must_be_safetensors(out)
    converted, notes = convert(file, name)
    save_weights(converted, out)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(str(out))


def export(
    file: RunOrFile,
    layout: Annotated[str, typer.Option("--format", help="torchvision: the keys that others give the tensors")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Write weights for others' code."""
    if layout != "torchvision":
        raise SpecError(f"no format {layout!r}: choose from torchvision")
    from reslab.weights.convert import export as export_state
    from reslab.weights.file import must_be_safetensors, read_weights, save_state

    must_be_safetensors(out)
    save_state(export_state(read_weights(file)), out)
    typer.echo(str(out))
