"""Trained networks for other programs: what is written is held against the network before it gets its name."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from reslab.data.batches import factors
from reslab.data.loader import load
from reslab.disk import write_whole
from reslab.errors import SpecError, nearest
from reslab.evaluate import must_fit
from reslab.machine import find_device
from reslab.nets import name_of
from reslab.spec import plain
from reslab.use.agree import must_agree
from reslab.use.huggingface import write_folder
from reslab.use.int8 import CALIBRATION, Change, change, quantised
from reslab.use.onnx import OPSET, Session, as_onnx
from reslab.use.pt2 import as_pt2, read_back
from reslab.use.tensorboard import write_events
from reslab.weights.convert import export as export_state
from reslab.weights.file import Weights, built, must_end, read_weights, save_state, save_weights
from reslab.weights.preprocessing import loader_for, preprocessing

FORMATS = {
    "onnx": ".onnx",
    "pt2": ".pt2",
    "safetensors": ".safetensors",
    "torchvision": ".safetensors",
    "huggingface": "",
    "tensorboard": "",
}
"""The formats and the endings of their files; those without one are folders."""


class Int8(NamedTuple):
    """The data set on whose training images an int8 model is calibrated, and how many of them are used."""

    data: str
    images: int = CALIBRATION


class Exported(NamedTuple):
    """What there is to say about an export: how it was checked, and what int8 costs."""

    note: str
    change: Change | None = None


def export(file: Path, file_format: str, out: Path, int8: Int8 | None = None, device: str = "cpu") -> Exported:
    """Write a run's last weights, or a file's, for other programs. The file or folder appears whole or not at all.

    onnx: any batch, BN folded into the convolutions, metadata that says how images are normalised; with `int8` in
    8-bit integers. pt2: torch.export's, for `device`. Both are checked against the network at batches 1, 2 and 7.
    safetensors: reslab's own file. torchvision: tensors under others' keys. huggingface: a folder with config.json,
    model.safetensors and a card. tensorboard: the metrics of a run as event files.
    Raises SpecError for what cannot be asked for, DataError for a damaged file or a class count that does not fit,
    ReslabError where what was exported computes something else.
    """
    _must_be_asked_well(file_format, out, int8, device)
    if file_format == "tensorboard":
        write_events(file, out)
        return Exported("scalars by step; `tensorboard --logdir` shows them")
    weights = read_weights(file)
    match file_format:
        case "onnx":
            return _onnx(file, weights, out, int8)
        case "pt2":
            return _pt2(weights, out, torch.device(find_device(device)))
        case "huggingface":
            write_folder(weights, file, out)
            return Exported("reslab.load reads it; its card leaves the licence to you")
        case "torchvision":
            save_state(export_state(weights), out)
            return Exported("tensors alone, under the keys that others give them")
    save_weights(weights, out)
    return Exported("reslab.load reads it")


def _must_be_asked_well(file_format: str, out: Path, int8: Int8 | None, device: str) -> None:
    if file_format not in FORMATS:
        raise SpecError(f"no format {file_format!r}: {nearest(file_format, FORMATS)}")
    if int8 and file_format != "onnx":
        raise SpecError(f"--int8: is for --format onnx, not {file_format}")
    if find_device(device) != "cpu" and file_format != "pt2":
        raise SpecError(f"--device {device}: is for --format pt2, not {file_format}")
    if ending := FORMATS[file_format]:
        must_end(out, ending)
        if out.is_dir():
            raise SpecError(f"--out {out}: is a folder")
    elif out.exists():
        raise SpecError(f"--out {out}: is there already; choose another, or remove it")


def described(weights: Weights) -> dict[str, Any]:
    """What one needs to use a network elsewhere, as plain JSON types: a model's metadata."""
    network = weights.network
    told: dict[str, Any] = {"name": name_of(network), "network": plain(network), "classes": list(weights.classes)}
    if weights.normalise is None:
        told["normalise"] = None
    else:
        mean, std = factors(weights.normalise)
        told["normalise"] = {"mean": mean.squeeze().tolist(), "std": std.squeeze().tolist()}
    colours = "red, green, blue" if network.channels == 3 else "grey"
    told["images"] = f"float32 (batch, {', '.join(map(str, network.input))}), {colours}, values in 0..1, "
    told["images"] += "then (x - mean) / std of normalise; preprocessing says how a picture comes to it"
    told["preprocessing"] = preprocessing(weights).metadata() if network.channels in (1, 3) else None
    return told


def _onnx(file: Path, weights: Weights, out: Path, int8: Int8 | None) -> Exported:
    network = built(weights)
    model = as_onnx(network)
    for key, value in described(weights).items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    whole = model.SerializeToString()
    session = Session(whole)
    found = must_agree(network, session, "the ONNX model")
    note = f"opset {OPSET}, any batch; differs by at most {found:.1e} of the largest output at batches 1, 2 and 7"
    changed = None
    if int8:
        data = load(int8.data)
        must_fit(weights.network, data, str(file), weights.classes)
        with loader_for(weights, data, torch.device("cpu")) as loader:
            whole = quantised(whole, loader, int8.images)
            changed = change(session, Session(whole), loader)
        note = f"opset {OPSET}, any batch; int8 by {int8.images:,} training images of {int8.data}"
    write_whole(out, whole)
    return Exported(note, changed)


def _pt2(weights: Weights, out: Path, place: torch.device) -> Exported:
    network = built(weights).to(place)
    whole = as_pt2(network, described(weights))
    found = must_agree(network, read_back(whole), "the .pt2 file")
    write_whole(out, whole)
    return Exported(
        f"any batch, on {place.type}; differs by at most {found:.1e} of the largest output at batches 1, 2 and 7\n"
        "torch unpickles a .pt2 file: load only those of people whom you trust"
    )
