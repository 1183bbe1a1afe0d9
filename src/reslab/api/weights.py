"""Weights of others in, and networks out for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reslab.api.choices import Format

if TYPE_CHECKING:
    from reslab.use.export import Exported


def convert_weights(file: Path | str, network: str, out: Path | str) -> list[str]:
    """Write others' weights (.pth, .th, .pt, .safetensors) as a file that reslab loads; -> notes on what was changed.

    The weights are checked against the named network. See reslab.weights.convert.convert for the errors.
    """
    from reslab.weights.convert import convert
    from reslab.weights.file import must_end, save_weights

    must_end(Path(out))
    converted, notes = convert(Path(file), network)
    save_weights(converted, Path(out))
    return notes


def export_network(
    path: Path | str,
    file_format: Format,
    out: Path | str,
    int8: str | None = None,
    *,
    images: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> "Exported":
    """Write a network that `load` reads for other programs, checked against it.

    file_format: huggingface and tensorboard write a folder
    int8: the data set that calibrates an onnx model in 8-bit integers and measures it
    images: training images that calibrate it; None is 128
    device: where a pt2 file is to run
    See reslab.use.export.export for the errors.
    """
    from reslab.use.export import Int8, export

    calibration = None
    if int8 is not None:
        calibration = Int8(int8) if images is None else Int8(int8, images)
    return export(Path(path), file_format, Path(out), calibration, device)
