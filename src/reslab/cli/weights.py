"""The command that converts foreign weights."""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from reslab.data.normalise import Channels, MeanStd


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
    """Take in others' weights: check them against a network, map their keys, write a file that reslab loads."""
    from reslab.weights.convert import Known, convert
    from reslab.weights.file import must_end, save_weights

    must_end(out)
    known = Known(key, () if classes is None else _names(classes), _normalise(mean, std))
    converted, notes = convert(file, name, known)
    save_weights(converted, out)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(str(out))


def _names(file: Path) -> tuple[str, ...]:
    from reslab.weights.file import must_be_file

    must_be_file(file)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"--classes {file}: not a text file in UTF-8") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"--classes {file}: the name {twice[0]!r} stands there twice")
    if not names:
        raise DataError(f"--classes {file}: has no names; write one a line")
    return names


def _normalise(mean: str | None, std: str | None) -> "MeanStd | None":
    from reslab.data.normalise import MeanStd

    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise SpecError("--mean and --std: give both or neither")
    return MeanStd(_channels("--mean", mean), _channels("--std", std, positive=True))


def _channels(option: str, text: str, positive: bool = False) -> "Channels":
    try:
        red, green, blue = (float(number) for number in text.split(","))
    except ValueError:
        raise SpecError(f"{option} {text}: give three numbers, for example 0.485,0.456,0.406") from None
    if not all(math.isfinite(value) and (value > 0 or not positive) for value in (red, green, blue)):
        raise SpecError(f"{option} {text}: give finite numbers{', more than 0' if positive else ''}")
    return red, green, blue
