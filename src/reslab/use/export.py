"""Export of trained networks for other programs, each file checked against the network before it is written."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple, assert_never, get_args

import torch

from reslab.data.batches import factors
from reslab.data.loader import load
from reslab.data.normalise import MeanImage
from reslab.disk import write_whole
from reslab.errors import SpecError, nearest
from reslab.evaluate import must_fit
from reslab.machine import find_device
from reslab.nets import name_of
from reslab.spec import plain
from reslab.use.agree import must_agree
from reslab.use.huggingface import write_folder
from reslab.use.int8 import CALIBRATION, Change, change, quantised
from reslab.use.onnx import Onnx, Session, as_onnx
from reslab.use.pt2 import as_pt2, read_back
from reslab.use.tensorboard import write_events
from reslab.weights.convert import export as export_state
from reslab.weights.file import Weights, built, must_end, read_weights, save_state, save_weights
from reslab.weights.preprocessing import loader_for, preprocessing

Format = Literal["onnx", "pt2", "safetensors", "torchvision", "huggingface", "tensorboard"]
FORMATS: dict[Format, str] = dict(
    zip(get_args(Format), (".onnx", ".pt2", ".safetensors", ".safetensors", "", ""), strict=True)
)
"""The formats and the endings of their files; those without one are folders."""


class Int8(NamedTuple):
    """The data set whose training images calibrate an int8 model, and how many of them are used."""

    data: str
    images: int = CALIBRATION


class Exported(NamedTuple):
    """The result of an export: how it was checked, and the change of the error by int8."""

    note: str
    change: Change | None = None


def export(
    file: Path, file_format: str, out: Path, int8: Int8 | None = None, device: str = "cpu", onnx: Onnx | None = None
) -> Exported:
    """Write a run's last weights, or a file's, for other programs. The file or folder appears whole or not at all.

    onnx: any batch, BN folded into the convolutions, normalisation and preprocessing in its metadata; with `int8` in
    8-bit integers; its versions and sizes as in `onnx`. pt2: torch.export's, for `device`. Both are checked against
    the network at batches 1, 2 and 7. safetensors: reslab's own file. torchvision: a state_dict under foreign keys.
    huggingface: a folder with config.json, model.safetensors and a card. tensorboard: a run's metrics as event files.
    Raises SpecError for options that do not fit, DataError for a damaged file or a number of classes that does not
    fit, ReslabError if outputs differ from the network's.
    """
    _check_options(file_format, out, int8, device, onnx)
    chosen: Format = file_format  # type: ignore[assignment]
    if chosen == "tensorboard":
        write_events(file, out)
        return Exported("scalars by step; `tensorboard --logdir` shows them")
    weights = read_weights(file)
    match chosen:
        case "onnx":
            return _onnx(file, weights, out, int8, onnx or Onnx())
        case "pt2":
            return _pt2(weights, out, torch.device(find_device(device)))
        case "huggingface":
            write_folder(weights, file, out)
            return Exported("reslab.load reads it; its card leaves the licence to you")
        case "torchvision":
            save_state(export_state(weights), out)
            return Exported("tensors alone, under the keys that others give them")
        case "safetensors":
            save_weights(weights, out)
            return Exported("reslab.load reads it")
        case _:
            assert_never(chosen)


def _check_options(file_format: str, out: Path, int8: Int8 | None, device: str, onnx: Onnx | None) -> None:
    if file_format not in FORMATS:
        raise SpecError(f"no format {file_format!r}: {nearest(file_format, FORMATS)}")
    for option, given in (("--int8", int8), ("--opset, --ir-version, --any-size", onnx)):
        if given and file_format != "onnx":
            raise SpecError(f"{option}: is for --format onnx, not {file_format}")
    if find_device(device) != "cpu" and file_format != "pt2":
        raise SpecError(f"--device {device}: is for --format pt2, not {file_format}")
    if ending := FORMATS[file_format]:
        must_end(out, ending)
        if out.is_dir():
            raise SpecError(f"--out {out}: is a folder")
    elif out.exists():
        raise SpecError(f"--out {out}: is there already; choose another, or remove it")


def metadata(weights: Weights, size: str = "") -> dict[str, Any]:
    """The metadata of an exported model as plain JSON types. `size` replaces its height and width, if they are free."""
    network = weights.network
    normalise = None
    if weights.normalise is not None:
        mean, std = factors(weights.normalise)
        normalise = {"mean": mean.squeeze().tolist(), "std": std.squeeze().tolist()}
    colours = "red, green, blue" if network.channels == 3 else "grey"
    channels, *own = network.input
    shape = f"{channels}, {size or ', '.join(map(str, own))}"
    return {
        "name": name_of(network),
        "network": plain(network),
        "classes": list(weights.classes),
        "normalise": normalise,
        "images": f"float32 (batch, {shape}), {colours}, values in 0..1, "
        "then (x - mean) / std of normalise; preprocessing says how a picture comes to it",
        "preprocessing": preprocessing(weights).metadata() if network.channels in (1, 3) else None,
    }


def _onnx(file: Path, weights: Weights, out: Path, int8: Int8 | None, form: Onnx) -> Exported:
    if form.any_size and isinstance(weights.normalise, MeanImage):
        raise SpecError(f"--any-size: {file} was trained with a mean image, which fixes the size of its images")
    network = built(weights)
    model = as_onnx(network, form)
    for key, value in metadata(weights, "height, width" if form.any_size else "").items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value, allow_nan=False))
    content = model.SerializeToString()
    session = Session(content)
    height, width = network.spec.input[1:]
    other = [(height, width), (height + height // 2, 2 * width)] if form.any_size else []
    largest = must_agree(network, session, "the ONNX model", other)
    shapes = f"opset {form.opset}, any batch"
    if form.any_size:
        shapes += f", any height and width (checked at {' and '.join(f'{h}×{w}' for h, w in other)})"
    if int8 is None:
        write_whole(out, content)
        return Exported(f"{shapes}; differs by at most {largest:.1e} of the largest output at batches 1, 2 and 7")
    data = load(int8.data)
    must_fit(weights.network, data, str(file), weights.classes)
    with loader_for(weights, data, torch.device("cpu")) as loader:
        content = quantised(content, loader, int8.images)
        changed = change(session, Session(content), loader)
    write_whole(out, content)
    return Exported(f"{shapes}; int8 by {int8.images:,} training images of {int8.data}", changed)


def _pt2(weights: Weights, out: Path, device: torch.device) -> Exported:
    network = built(weights).to(device)
    content = as_pt2(network, metadata(weights))
    largest = must_agree(network, read_back(content), "the .pt2 file")
    write_whole(out, content)
    return Exported(
        f"any batch, on {device.type}; differs by at most {largest:.1e} of the largest output at batches 1, 2 and 7\n"
        "torch unpickles a .pt2 file: load only those of people whom you trust"
    )
