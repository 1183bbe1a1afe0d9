"""The command that converts others' weights."""

from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import message
from reslab.errors import SpecError


def weights(
    file: Annotated[Path, typer.Argument(help="others' weights: .pth, .th, .pt, .ckpt, .bin or .safetensors")],
    name: Annotated[str, typer.Option("--as", metavar="NETWORK", help="the network that they are weights of")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
    key: Annotated[str | None, typer.Option("--key", help="which of several state_dicts: model_ema ...")] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", metavar="FILE", help="names in the order of the outputs, one a line")
    ] = None,
    mean: Annotated[str | None, typer.Option("--mean", metavar="R,G,B", help="of the images, in 0..1")] = None,
    std: Annotated[str | None, typer.Option("--std", metavar="R,G,B", help="of the images, in 0..1")] = None,
) -> None:
    """Convert others' pretrained weights: check them against a network, write a file that reslab loads."""
    channels = [_channels("--mean", mean), _channels("--std", std)]
    for note in api.convert_weights(file, name, out, key=key, classes=classes, mean=channels[0], std=channels[1]):
        message(note)
    typer.echo(str(out))


def _channels(option: str, text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        red, green, blue = (float(number) for number in text.split(","))
    except ValueError:
        raise SpecError(f"{option} {text}: give three numbers, for example 0.485,0.456,0.406") from None
    return red, green, blue
