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
    opset: Annotated[int | None, typer.Option("--opset", help="ONNX operators' version  [default: 18]")] = None,
    ir_version: Annotated[
        int | None, typer.Option("--ir-version", help="ONNX file's version, 8 for older runtimes  [default: 10]")
    ] = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="free height and width in an ONNX model, where the head averages")
    ] = False,
) -> None:
    """Write a network for other programs, checked against the original before anything is written."""
    if int8 and data is None:
        raise SpecError("--int8: needs --data, whose training images calibrate it and whose test images measure it")
    for option, value in (("--data", data), ("--images", images)):
        if value is not None and not int8:
            raise SpecError(f"{option}: is for --int8")
    from reslab.use.export import Int8
    from reslab.use.export import export as export_network
    from reslab.use.onnx import Onnx

    wanted = None
    if data is not None:
        wanted = Int8(data) if images is None else Int8(data, images)
    form = Onnx(opset or Onnx().opset, ir_version, any_size)
    done = export_network(file, file_format, out, wanted, device, form if opset or ir_version or any_size else None)
    say(done.note)
    if done.change:
        typer.echo(str(done.change))
    typer.echo(str(out))
