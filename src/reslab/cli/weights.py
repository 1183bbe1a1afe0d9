"""The command that converts others' weights."""

from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import message


def weights(
    file: Annotated[Path, typer.Argument(help="others' weights: .pth, .th, .pt or .safetensors")],
    name: Annotated[str, typer.Option("--as", metavar="NETWORK", help="the network that they are weights of")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Convert others' pretrained weights: check them against a network, write a file that reslab loads."""
    for note in api.convert_weights(file, name, out):
        message(note)
    typer.echo(str(out))
