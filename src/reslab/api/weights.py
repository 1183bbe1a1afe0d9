"""Weights of others in, and networks out for other programs."""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reslab.api.choices import Format
from reslab.errors import DataError, SpecError

if TYPE_CHECKING:
    from reslab.data.normalise import MeanStd
    from reslab.use.export import Exported


Channels = tuple[float, float, float]


def convert_weights(
    file: Path | str,
    network: str,
    out: Path | str,
    *,
    key: str | None = None,
    classes: Path | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> list[str]:
    """Write others' weights (.pth, .th, .pt, .ckpt, .bin, .safetensors) as a file that reslab loads; -> notes.

    The weights are checked against the named network; the notes name what was changed or assumed.
    key: which of several state_dicts in the file
    classes: a file with the names of the classes in the order of the outputs, one a line
    mean, std: of the images in 0..1, in training
    See reslab.weights.convert.convert for the errors.
    """
    from reslab.weights.convert import Known, convert
    from reslab.weights.file import must_end, save_weights

    must_end(Path(out))
    known = Known(key, () if classes is None else _names(classes), _normalise(mean, std))
    converted, notes = convert(Path(file), network, known)
    save_weights(converted, Path(out))
    return notes


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


def _normalise(mean: Channels | None, std: Channels | None) -> "MeanStd | None":
    from reslab.data.normalise import MeanStd

    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise SpecError("--mean and --std: give both or neither")
    for option, channels, above in (("--mean", mean, -math.inf), ("--std", std, 0.0)):
        if not all(math.isfinite(value) and value > above for value in channels):
            given = ",".join(f"{value:g}" for value in channels)
            raise SpecError(f"{option} {given}: give finite numbers{', more than 0' if above == 0 else ''}")
    return MeanStd(mean, std)


def export_network(
    path: Path | str,
    file_format: Format,
    out: Path | str | None = None,
    int8: str | None = None,
    *,
    images: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    opset: int | None = None,
    ir_version: int | None = None,
    any_size: bool = False,
) -> "Exported":
    """Write a network that `load` reads for other programs, checked against it.

    file_format: huggingface and tensorboard write a folder
    out: the file or folder; None is `export_path`
    int8: the data set that calibrates an onnx model in 8-bit integers and measures it
    images: training images that calibrate it; None is 128
    device: where a pt2 file is to run
    opset, ir_version, any_size: the form of an onnx model: its operators' version, its file's version, free height and
    width
    See reslab.use.export.export for the errors.
    """
    from reslab.use.export import Int8, export
    from reslab.use.onnx import Onnx

    calibration = None
    if int8 is not None:
        calibration = Int8(int8) if images is None else Int8(int8, images)
    form = Onnx(opset or Onnx().opset, ir_version, any_size) if opset or ir_version or any_size else None
    place = export_path(path, file_format, int8 is not None) if out is None else Path(out)
    return export(Path(path), file_format, place, calibration, device, form)


def export_path(path: Path | str, file_format: Format, int8: bool = False) -> Path:
    """The file or folder beside a run or file where its export goes unless another is named.

    Raises SpecError if it is there already: only a file that is named is written over.
    """
    from reslab.use.export import FORMATS

    source = Path(path)
    name = source.resolve().name if source.is_dir() else source.stem
    named = file_format in ("torchvision", "huggingface", "tensorboard") or source.suffix == FORMATS[file_format]
    place = source.parent / f"{name}{'-int8' * int8}{f'-{file_format}' * named}{FORMATS[file_format]}"
    if place.exists():
        raise SpecError(f"{place}: is there already; --out names another place, or writes over a file")
    return place
