"""Files of weights in reslab's own format: safetensors with the network's spec as metadata."""

import json
import stat
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from reslab.data.crops import EvalCrop
from reslab.data.normalise import MeanImage, MeanStd, Normalise
from reslab.data.picture import shown
from reslab.disk import write_whole
from reslab.errors import DataError, SpecError
from reslab.nets import NAMED, AnyNetwork, name_of
from reslab.nets.build import build_network
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.spec import from_json, plain, replace
from reslab.weights.manifest import newest

State = dict[str, Tensor]

MODEL = "model.safetensors"  # the weights in a checkpoint or a Hugging Face folder
CONFIG = "config.json"  # beside them in a Hugging Face folder
METADATA = "reslab"  # the key of the metadata in either file
CLASSIFIER = "head.linear"  # in the keys of every classifier's tensors, auxiliary ones and hidden layers included
_MEAN = "images.mean"  # the key of the mean image, among the tensors
_HALF = (torch.float16, torch.bfloat16)


class Weights(NamedTuple):
    """A network with its state_dict, and how to use it.

    normalise: of its images; None if the file does not say
    classes: names in the order of the logits; empty if the file does not say
    crop: of a picture: the center crop of A sec. 3.4 ("center"), or the largest square in the middle ("square"), for
    networks trained on whole images; None if the file does not say
    """

    network: NetworkSpec
    state: State
    normalise: Normalise | None = None
    classes: tuple[str, ...] = ()
    crop: EvalCrop | None = None

    @property
    def headless(self) -> bool:
        """Whether the classifier is missing, as in files of bodies for fine-tuning."""
        return f"{CLASSIFIER}.weight" not in self.state


def save_weights(weights: Weights, path: Path) -> None:
    """Write a .safetensors file that `load` reads: the tensors, and the metadata as JSON."""
    state = weights.state
    if isinstance(weights.normalise, MeanImage):
        state = {**state, _MEAN: torch.from_numpy(weights.normalise.mean)}
    save_state(
        state, path, {METADATA: json.dumps(metadata(weights), allow_nan=False)}
    )  # one entry: several have no fixed order


def metadata(weights: Weights) -> dict[str, Any]:
    """The metadata of weights as plain JSON types. A mean image is not in it but among the tensors."""
    normalise = weights.normalise
    return {
        "network": plain(weights.network),
        "normalise": plain(normalise) if isinstance(normalise, MeanStd) else None,
        "classes": list(weights.classes),
        "whole": None if weights.crop is None else weights.crop == "square",
    }


def must_end(path: Path, ending: str = ".safetensors") -> None:
    """Raise SpecError for an output file with another ending."""
    if path.suffix != ending:
        raise SpecError(f"--out {path}: give it the ending {ending}")


def save_state(state: State, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as a safetensors file, atomically."""
    write_whole(path, save({key: value.contiguous() for key, value in state.items()}, metadata))


def weights_file(path: Path) -> Path:
    """The file that `read_weights` reads. Raises DataError if there is none."""
    if (path / "run.json").is_file():
        folder = newest(path)
        if folder is None:
            raise DataError(f"{path}: a run without a whole checkpoint")
        path = folder / MODEL
    elif (path / CONFIG).is_file():
        path = path / MODEL
    if str(path) in NAMED and not path.exists():
        raise DataError(
            f"{path}: the name of a network, which has no weights; `reslab train {path} --data D` makes some\n"
            f"torchvision, timm and pytorch_resnet_cifar10 have files: `reslab weights FILE --as {path} --out FILE`"
        )
    must_be_file(path)
    return path


def read_weights(path: Path, headless: bool = False) -> Weights:
    """The weights of a file that reslab wrote, of a run's last checkpoint, or of a Hugging Face folder.

    headless: accept weights without a classifier
    Tensors stored in half precision are widened to float32. Raises DataError if the file is missing, damaged or
    foreign, or if its tensors are not those of its network or not finite.
    """
    path = weights_file(path)
    if not is_safetensors(path):
        raise _foreign(path)
    with open_safetensors(path) as file:
        weights = _parse(_metadata_text(path, (file.metadata() or {}).get(METADATA)), path)
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
    network, mean = weights.network, state.pop(_MEAN, None)
    if mean is not None:
        if mean.shape != (expected := (network.channels, network.size, network.size)) or mean.dtype != torch.float32:
            raise DataError(f"{path}: its mean image is {_size(mean.shape)} {mean.dtype}, expected {_size(expected)}")
        weights = weights._replace(normalise=MeanImage(mean.numpy()))
    weights = weights._replace(state=state)
    if weights.headless and not headless:
        way = f"train one: reslab train {name_of(network)} --weights {path} --recipe finetune --data D"
        raise DataError(f"{path}: weights without a classifier\n{way}")
    tensors = empty(network).state_dict()
    if weights.headless:
        tensors = {key: tensor for key, tensor in tensors.items() if key in state or CLASSIFIER not in key}
    check(state, {key: value.shape for key, value in tensors.items()}, str(path))
    for key, value in tensors.items():
        if value.dtype == torch.float32 and state[key].dtype in _HALF:
            state[key] = state[key].float()
    if other := [key for key, value in tensors.items() if state[key].dtype != value.dtype]:
        types = f"{other[0]} is {state[other[0]].dtype}, expected {tensors[other[0]].dtype}"
        raise DataError(f"{path}: {len(other)} tensors of another type, nothing was loaded\n{types}")
    if broken := not_finite(state):
        raise DataError(f"{path}: {len(broken)} tensors are not finite numbers, its weights are unusable: {broken[0]}")
    return weights


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors with values that are not finite numbers."""
    return [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]


def _foreign(path: Path) -> DataError:
    return DataError(f"{path}: another's weights; `reslab weights {path} --as NETWORK --out FILE` takes them in")


def _metadata_text(path: Path, inside: str | None) -> str:
    """The metadata of weights as JSON, from their file or from config.json beside it, which must agree."""
    config = path.with_name(CONFIG)
    beside = _config_entry(config) if path.name == MODEL else None
    if inside is None and beside is None:
        raise _foreign(path)
    try:
        differ = inside is not None and beside is not None and json.loads(inside) != beside
    except (ValueError, RecursionError):
        differ = True
    if differ:
        raise DataError(f"{config}: says something else than {MODEL} beside it; nothing was loaded")
    return inside or json.dumps(beside)


def _config_entry(config: Path) -> Any:
    """The metadata in a config.json; None if there is no such file, or it is a foreign one."""
    if not config.exists():
        return None
    must_be_file(config)
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{config}: not JSON ({error})") from None
    return content.get(METADATA) if isinstance(content, dict) else None


def _parse(text: str, path: Path) -> Weights:
    """The weights that a metadata text describes, without tensors. Raises DataError."""
    try:
        entries = json.loads(text)
        network = from_json(AnyNetwork, json.dumps(entries["network"]), str(path))
        normalise = entries["normalise"] and from_json(MeanStd, json.dumps(entries["normalise"]), str(path))
        classes = tuple(map(str, entries.get("classes", ())))
        if (whole := entries.get("whole")) not in (None, True, False):
            raise ValueError(f"whole {whole!r}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SpecError) as error:
        raise DataError(f"{path}: its description is damaged: {error}") from None
    if classes and len(classes) != network.classes:
        raise DataError(f"{path}: its description is damaged: {len(classes)} names of {network.classes} classes")
    return Weights(network, {}, normalise, classes, None if whole is None else "square" if whole else "center")


def load(path: Path | str, classes: int | None = None) -> Network:
    """The network of a file that reslab wrote, with its weights, in evaluation mode.

    With another number of `classes` than the file has, the body keeps its weights, every classifier is made anew, and
    a warning says so. Raises DataError naming the fault of the file.
    """
    weights = read_weights(Path(path), headless=classes is not None)
    if not weights.headless and classes in (None, weights.network.classes):
        return built(weights)
    there = "no classifier" if weights.headless else f"{weights.network.classes} classes"
    warnings.warn(f"{path}: {there} there, {classes} here; the head is new", stacklevel=2)
    network = build_network(replace(weights.network, classes=classes))
    shapes = network.state_dict()
    network.load_state_dict(
        {key: tensor for key, tensor in weights.state.items() if tensor.shape == shapes[key].shape}, strict=False
    )
    return network.eval()


def built(weights: Weights) -> Network:
    """The torch module of weights, in evaluation mode."""
    network = empty(weights.network)
    network.load_state_dict(weights.state, assign=True)
    return network.eval()


def empty(network: NetworkSpec) -> Network:
    """The torch module of a network on the meta device: shapes without values."""
    with torch.device("meta"):
        return build_network(network)


def check(state: State, shapes: dict[str, torch.Size], where: str) -> None:
    """Raise DataError listing the keys that are missing, unknown or of another shape."""
    missing = [key for key in shapes if key not in state]
    unknown = [shown(key)[:80] for key in state if key not in shapes]
    other = [
        f"{key} ({_size(state[key].shape)}, expected {_size(shape)})"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    faults = [
        f"{len(keys)} {fault}: {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}"
        for fault, keys in (("missing", missing), ("unknown", unknown), ("of another shape", other))
        if keys
    ]
    if faults:
        raise DataError(f"{where}: the tensors do not fit, nothing was loaded\n{'; '.join(faults)}")


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(length) for length in shape) or "scalar"


def must_be_file(path: Path) -> None:
    """Raise DataError for anything but a regular file: opening a pipe or a device could wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise DataError(f"{path}: {'no such file' if missing else error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: {'a folder, and no run' if stat.S_ISDIR(mode) else 'not a file'}")


def is_safetensors(path: Path) -> bool:
    """Whether a file's ending or its first bytes are those of safetensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return path.suffix == ".safetensors" or (file.read(1) == b"{" and length <= path.stat().st_size)


def open_safetensors(path: Path) -> Any:
    """A safetensors file to read tensors from. Raises DataError if it is damaged."""
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({shown(str(error))[:200]})") from None
