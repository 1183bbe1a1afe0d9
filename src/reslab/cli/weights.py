"""The command that takes others' weights in."""

from pathlib import Path
from typing import Annotated

import typer


def weights(
    file: Annotated[Path, typer.Argument(help="others' weights: .pth, .th, .pt or .safetensors")],
    name: Annotated[str, typer.Option("--as", metavar="NETWORK", help="the network that they are weights of")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Take in others' weights: check them against a network, map their keys, write a file that reslab loads."""
    from reslab.weights.convert import convert
    from reslab.weights.file import must_end, save_weights

    must_end(out)
    converted, notes = convert(file, name)
    save_weights(converted, out)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(str(out))
