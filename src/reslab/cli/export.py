"""The command that writes networks for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from reslab.cli.options import RunOrFile, say
from reslab.errors import SpecError


def export(
    file: RunOrFile,
    file_format: Annotated[
        str,
        typer.Option("--format", help="onnx, pt2, safetensors, torchvision, huggingface, or tensorboard for a run"),
    ],
    out: Annotated[Path, typer.Option("--out", help="the file to write; a folder for huggingface and tensorboard")],
    int8: Annotated[bool, typer.Option("--int8", help="8-bit integers, for --format onnx; needs --data")] = False,
    data: Annotated[str | None, typer.Option("--data", metavar="D", help="calibrates --int8 and measures it")] = None,
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="training images that calibrate --int8  [default: 128]")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="where a pt2 file is to run: cpu or cuda")] = "cpu",
) -> None:
    """Write a network for other programs, checked; what differs from it is not written."""
    if int8 and data is None:
        raise SpecError("--int8: needs --data, whose training images calibrate it and whose test images measure it")
    for option, value in (("--data", data), ("--images", images)):
        if value is not None and not int8:
            raise SpecError(f"{option}: is for --int8")
    from reslab.use.export import Int8
    from reslab.use.export import export as export_network

    wanted = None
    if data is not None:
        wanted = Int8(data) if images is None else Int8(data, images)
    done = export_network(file, file_format, out, wanted, device)
    say(done.note)
    if done.change:
        typer.echo(str(done.change))
    typer.echo(str(out))
