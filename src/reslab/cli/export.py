"""The command that writes networks for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reslab import api
from reslab.api.choices import Format
from reslab.cli.options import RunOrFile, message
from reslab.errors import SpecError

Out = Annotated[
    Path | None,
    typer.Option("--out", help="the file, for huggingface and tensorboard a folder  [default: beside RUN|FILE]"),
]


def export(
    file: RunOrFile,
    file_format: Annotated[Format, typer.Option("--format", help="tensorboard is for a run")],
    out: Out = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit integers, for --format onnx; needs --data")] = False,
    data: Annotated[str | None, typer.Option("--data", metavar="D", help="calibrates --int8 and measures it")] = None,
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="training images that calibrate --int8  [default: 128]")
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="where a pt2 file is to run")] = "cpu",
    opset: Annotated[int | None, typer.Option("--opset", help="ONNX operators' version  [default: 18]")] = None,
    ir_version: Annotated[
        int | None, typer.Option("--ir-version", help="ONNX file's version, 8 for older runtimes  [default: 10]")
    ] = None,
    any_size: Annotated[
        bool, typer.Option("--any-size", help="free height and width in an ONNX model, where the head averages")
    ] = False,
) -> None:
    """Write a network for other programs, checked; one that differs from it is not written."""
    if int8 and data is None:
        raise SpecError("--int8: needs --data, whose training images calibrate it and whose test images measure it")
    for option, value in (("--data", data), ("--images", images)):
        if value is not None and not int8:
            raise SpecError(f"{option}: is for --int8")
    place = out or api.export_path(file, file_format, int8)
    exported = api.export_network(
        file,
        file_format,
        place,
        data,
        images=images,
        device=device,
        opset=opset,
        ir_version=ir_version,
        any_size=any_size,
    )
    message(exported.note)
    if exported.change:
        typer.echo(str(exported.change))
    typer.echo(str(place))
