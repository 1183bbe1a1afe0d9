"""Files of weights: others' are read without running anything, ours hold the network's spec beside its tensors."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from reslab.data.normalise import MeanImage, MeanStd, Normalise
from reslab.disk import write_whole
from reslab.errors import DataError, SpecError
from reslab.nets import AnyNetwork
from reslab.nets.build import build_network
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.spec import from_json, plain, replace
from reslab.weights.manifest import newest

State = dict[str, Tensor]

_MEAN = "images.mean"  # the mean image, among the tensors
MODEL = "model.safetensors"  # the weights in a checkpoint, and in a folder as Hugging Face has it
CONFIG = "config.json"  # beside them there
BESIDE = "reslab"  # its entry that says what the weights are
_ANOTHERS = "{0}: another's weights; `reslab weights {0} --as NETWORK --out FILE` takes them in"

PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put in front of every key


class Weights(NamedTuple):
    """A network with its tensors, and what using it takes.

    normalise: how it wants its images; None where the file does not say
    classes: their names in the order of the logits; none where the file does not say
    whole: whether it was trained on images held whole, and not on crops of pictures; None where the file does not say
    """

    network: NetworkSpec
    state: State
    normalise: Normalise | None = None
    classes: tuple[str, ...] = ()
    whole: bool | None = None


def read_state(path: Path) -> State:
    """The tensors of a .pth, .th, .pt or .safetensors file by their keys, prefixes and wrappings taken off.

    Raises DataError where the file is missing, damaged, or holds anything but tensors and plain values; nothing in it
    is run, as torch reads it with weights_only=True.
    """
    _must_be_file(path)
    if path.suffix == ".safetensors":
        with _safetensors(path) as file:
            state: Any = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from None
        except Exception as error:  # a damaged or hostile file fails in many ways
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise DataError(
                f"{path}: not a whole file of tensors alone, nothing of it was used\n{reason[:200]}"
            ) from None
    return _bare(path, state)


def _bare(path: Path, state: Any) -> State:
    """The table of tensors inside what a training saved around it."""
    for wrapping in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapping), dict):
            state = state[wrapping]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: holds no table of tensors by name")
    for prefix in PREFIXES * 2:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def save_weights(weights: Weights, path: Path) -> None:
    """Write a .safetensors file that `load` reads: the tensors, and as its metadata the spec, how images are
    normalised and the names of the classes."""
    state = weights.state
    if isinstance(weights.normalise, MeanImage):
        state = {**state, _MEAN: torch.from_numpy(weights.normalise.mean)}
    metadata = {"reslab": json.dumps(described(weights))}  # one entry, as safetensors writes several in any order
    save_state(state, path, metadata)


def described(weights: Weights) -> dict[str, Any]:
    """What weights say beside their tensors, as plain JSON types. A mean image is one of the tensors."""
    normalise = weights.normalise
    return {
        "network": plain(weights.network),
        "normalise": plain(normalise) if isinstance(normalise, MeanStd) else None,
        "classes": list(weights.classes),
        "whole": weights.whole,
    }


def must_end(path: Path, ending: str = ".safetensors") -> None:
    """Raises SpecError for a file to write that has another ending."""
    if path.suffix != ending:
        raise SpecError(f"--out {path}: give it the ending {ending}")


def save_state(state: State, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as a safetensors file, which replaces its forerunner whole."""
    write_whole(path, save({key: value.contiguous() for key, value in state.items()}, metadata))


def weights_file(path: Path) -> Path:
    """The file that `read_weights` reads. Raises DataError where there is none."""
    if (path / "run.json").is_file():
        folder = newest(path)
        if folder is None:
            raise DataError(f"{path}: a run without a whole checkpoint")
        path = folder / MODEL
    elif (path / CONFIG).is_file():
        path = path / MODEL
    _must_be_file(path)
    return path


def read_weights(path: Path) -> Weights:
    """The weights of a file that reslab wrote, of a run's last checkpoint, or of a folder as Hugging Face has it.

    Raises DataError where it is missing, damaged or another's, or where its tensors are not those of its network.
    """
    path = weights_file(path)
    if path.suffix in (".th", ".pth", ".pt"):
        raise DataError(_ANOTHERS.format(path))
    with _safetensors(path) as file:
        told = _description(path, (file.metadata() or {}).get("reslab"))
        network, normalise, classes, whole = _told(told, str(path))
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no dict
    if (mean := state.pop(_MEAN, None)) is not None:
        _must_fit(mean, network, path)
        normalise = MeanImage(mean.numpy())
    tensors = empty(network).state_dict()
    check(state, {key: value.shape for key, value in tensors.items()}, str(path))
    if other := [key for key, value in tensors.items() if state[key].dtype != value.dtype]:
        told = f"{other[0]} is {state[other[0]].dtype}, expected {tensors[other[0]].dtype}"
        raise DataError(f"{path}: {len(other)} tensors of another type, nothing was loaded\n{told}")
    return Weights(network, state, normalise, classes, whole)


def _must_fit(mean: Tensor, network: NetworkSpec, path: Path) -> None:
    if mean.shape != (wanted := (network.channels, network.size, network.size)) or mean.dtype != torch.float32:
        raise DataError(f"{path}: its mean image is {_size(mean.shape)} {mean.dtype}, expected {_size(wanted)}")


def _description(path: Path, inside: str | None) -> str:
    """What weights say about themselves, in their file or in the config.json beside it, which agree where both do."""
    beside = _beside(path.with_name(CONFIG)) if path.name == MODEL else None
    if inside is not None and beside is not None and not _says(inside, beside):
        raise DataError(f"{path.with_name(CONFIG)}: says something else than {MODEL} beside it; nothing was loaded")
    if inside is None and beside is None:
        raise DataError(_ANOTHERS.format(path))
    return inside or json.dumps(beside)


def _says(text: str, expected: Any) -> bool:
    try:
        return bool(json.loads(text) == expected)
    except ValueError:
        return False


def _beside(config: Path) -> Any:
    """What a config.json says of weights; None where there is none, or another's."""
    try:
        told = json.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{config}: not JSON ({error})") from None
    return told.get(BESIDE) if isinstance(told, dict) else None


def _told(text: str, where: str) -> tuple[NetworkSpec, Normalise | None, tuple[str, ...], bool | None]:
    try:
        told = json.loads(text)
        network = from_json(AnyNetwork, json.dumps(told["network"]), where)
        normalise = told["normalise"] and from_json(MeanStd, json.dumps(told["normalise"]), where)
        classes = tuple(map(str, told.get("classes", ())))
        if (whole := told.get("whole")) not in (None, True, False):
            raise ValueError(f"whole {whole!r}")
    except (ValueError, KeyError, TypeError, SpecError) as error:
        raise DataError(f"{where}: its description is damaged: {error}") from None
    if classes and len(classes) != network.classes:
        raise DataError(f"{where}: its description is damaged: {len(classes)} names of {network.classes} classes")
    return network, normalise, classes, whole


def load(path: Path | str, classes: int | None = None) -> Network:
    """The network of a file that reslab wrote, with its weights, in evaluation mode.

    With another number of `classes` than the file has, the body keeps its weights, every classifier is made anew, and
    a warning says so. Raises DataError naming what is wrong with the file.
    """
    weights = read_weights(Path(path))
    if classes is None or classes == weights.network.classes:
        return built(weights)
    warnings.warn(f"{path}: {weights.network.classes} classes there, {classes} here; the head is new", stacklevel=2)
    value = replace(weights.network, classes=classes)
    network = build_network(value)
    shapes = network.state_dict()
    network.load_state_dict(
        {key: tensor for key, tensor in weights.state.items() if tensor.shape == shapes[key].shape}, strict=False
    )
    return network.eval()


def built(weights: Weights) -> Network:
    """The network of weights that were read, in evaluation mode."""
    network = empty(weights.network)
    network.load_state_dict(weights.state, assign=True)
    return network.eval()


def empty(network: NetworkSpec) -> Network:
    """A built network without values, whose tensors wait to be assigned."""
    with torch.device("meta"):
        return build_network(network)


def check(state: State, shapes: dict[str, torch.Size], where: str) -> None:
    """Hold tensors against the shapes that a network has; all of them fit, or DataError lists those that do not."""
    missing = [key for key in shapes if key not in state]
    extra = [key for key in state if key not in shapes]
    other = [
        f"{key} ({_size(state[key].shape)}, expected {_size(shape)})"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    told = [
        f"{len(keys)} {what}: {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}"
        for what, keys in (("missing", missing), ("unknown", extra), ("of another shape", other))
        if keys
    ]
    if told:
        raise DataError(f"{where}: the tensors do not fit, nothing was loaded\n{'; '.join(told)}")


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(length) for length in shape) or "scalar"


def _must_be_file(path: Path) -> None:
    if not path.is_file():
        told = "a folder, and no run" if path.is_dir() else "not a file" if path.exists() else "no such file"
        raise DataError(f"{path}: {told}")


def _safetensors(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from None
