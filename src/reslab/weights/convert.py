"""Conversion of foreign weights into ours, and of ours into foreign layouts."""

from pathlib import Path
from typing import NamedTuple

import torch

from reslab.data.names import class_names
from reslab.data.normalise import MeanStd
from reslab.errors import DataError, SpecError
from reslab.nets import NAMED, name_of, network
from reslab.nets.names import architecture_fields
from reslab.nets.network import NetworkSpec
from reslab.nets.staged import Staged
from reslab.spec import replace
from reslab.weights import cifar, timm, torchvision
from reslab.weights.file import CLASSIFIER, State, Weights, check, empty
from reslab.weights.foreign import read_state
from reslab.weights.layout import Layout

LAYOUTS: tuple[Layout, ...] = (*torchvision.LAYOUTS, *timm.LAYOUTS, *cifar.LAYOUTS)
_COUNTER = ".num_batches_tracked"


class Known(NamedTuple):
    """Facts about a foreign file that are not in it.

    key: the dotted key of the state_dict, for a file with several
    classes: names in the order of the outputs
    normalise: of the images in training
    """

    key: str | None = None
    classes: tuple[str, ...] = ()
    normalise: MeanStd | None = None


def convert(path: Path, name: str, known: Known = Known()) -> tuple[Weights, list[str]]:  # noqa: B008, it is frozen
    """The weights in a foreign file for a named network, and notes on changes and assumptions.

    The network takes the file's number of classes and input channels, channels are brought into our order, and the
    first of 1001 classes, TensorFlow's background, is left out. A file without a classifier gives headless weights.
    Raises SpecError if the weights belong to another network, though the keys may fit, naming it; DataError if keys,
    shapes or values fit none.
    """
    value: NetworkSpec = network(name)
    state, notes = read_state(path, known.key)
    state = {key: tensor for key, tensor in state.items() if not key.endswith(_COUNTER)}
    layout, value = _match(path, state, name, value)
    notes.insert(0, f"{layout.name}, as {name}")
    if isinstance(value, Staged) and not value.auxiliary and NAMED[name].network != value:
        notes.append("the file has no auxiliary classifiers, and so the network has none")
    value = _with_channels(path, value, layout, state, notes)
    value, state = _with_classes(value, layout, state, notes)
    ours = _renamed(path, value, layout, state, notes)
    if layout.adjust is not None:
        ours = layout.adjust(value, ours)
        notes.append("its channels are brought into the paper's order, x's own first")
    return _described(path, Weights(value, ours, crop=layout.crop), layout, known, notes), notes


def export(weights: Weights) -> State:
    """The state_dict under the keys of a foreign layout. Raises SpecError if no layout fits the network."""
    layouts = {name: layout for layout in LAYOUTS if layout.adjust is None for name in layout.networks}
    fields = architecture_fields(weights.network)
    for name, layout in layouts.items():
        if any(architecture_fields(form) == fields for form in _forms(network(name))):
            return {theirs: weights.state[ours] for ours, theirs in _keys(weights.network, layout).items()}
    refused = f"{name_of(weights.network)} cannot be written in others' names"
    raise SpecError(f"{refused}; there are layouts for {', '.join(layouts)}")


def _keys(value: NetworkSpec, layout: Layout) -> dict[str, str]:
    """The foreign key of each of our tensors."""
    modules = dict(layout.pairs(value))
    keys = {}
    for ours in empty(value).state_dict():
        module, _, tensor = ours.rpartition(".")
        keys[ours] = f"{modules[module]}.{tensor}"
    return keys


def _forms(value: NetworkSpec) -> list[NetworkSpec]:
    """A network as it is, and without its auxiliary classifiers, which many files leave out."""
    if isinstance(value, Staged) and value.auxiliary:
        return [value, replace(value, auxiliary=())]
    return [value]


def _fits(value: NetworkSpec, layout: Layout, state: State) -> bool:
    """Whether a state_dict has all keys of a network, or all but those of its classifier, and its body's shapes."""
    if not {key.rpartition(".")[0] for key in state} <= {theirs for _, theirs in layout.pairs(value)}:
        return False  # without building the network
    keys = {ours: theirs for ours, theirs in _keys(value, layout).items() if not ours.endswith(_COUNTER)}
    missing = [ours for ours, theirs in keys.items() if theirs not in state]
    if len(state) != len(keys) - len(missing) or not _has_body(value, layout, state):
        return False
    return not missing or (f"{CLASSIFIER}.weight" in missing and all(CLASSIFIER in ours for ours in missing))


def _has_body(value: NetworkSpec, layout: Layout, state: State) -> bool:
    """Whether the tensors of a state_dict have a network's shapes, but for its input channels and its classes."""
    pairs = layout.pairs(value)
    free = {pairs[0][1], *(theirs for ours, theirs in pairs if ours.endswith(CLASSIFIER))}
    shapes = {key: shape for key, shape in _shapes(value, layout).items() if key.rpartition(".")[0] not in free}
    return all(state[key].shape == shape for key, shape in shapes.items() if key in state)


def _match(path: Path, state: State, name: str, value: NetworkSpec) -> tuple[Layout, NetworkSpec]:
    """The layout of a file, and the form of the network whose tensors it has."""
    layouts = [layout for layout in LAYOUTS if name in layout.networks]
    for layout in layouts:
        for form in _forms(value):
            if _fits(form, layout, state):
                return layout, form
    for layout in LAYOUTS:
        for other in layout.networks:
            if other != name and any(_fits(form, layout, state) for form in _forms(network(other))):
                deviation = NAMED[other].deviation
                raise SpecError(
                    f"{path}: {layout.name}, which computes {other} and not {name}: use --as {other}"
                    + (f"\n{deviation}" if deviation else "")
                )
    names = ", ".join(other for layout in LAYOUTS for other in layout.networks)
    if not layouts:
        raise SpecError(f"no layout of weights is known for {name}; there are layouts for {names}")
    check(state, _shapes(value, layouts[0]), f"{path} as {name}")
    raise DataError(f"{path}: its keys are neither those of {name} nor of a network with a layout: {names}")


def _shapes(value: NetworkSpec, layout: Layout) -> dict[str, torch.Size]:
    """The shape of every tensor of a network by foreign keys, without BN's counters."""
    tensors = empty(value).state_dict()
    keys = _keys(value, layout).items()
    return {theirs: tensors[ours].shape for ours, theirs in keys if not theirs.endswith(_COUNTER)}


def _with_channels(path: Path, value: NetworkSpec, layout: Layout, state: State, notes: list[str]) -> NetworkSpec:
    """The network with the input channels of a file's first layer."""
    key = f"{layout.pairs(value)[0][1]}.weight"
    if key not in state or state[key].dim() != 4 or (channels := state[key].shape[1]) == value.channels:
        return value
    if channels not in (1, 3):
        raise DataError(
            f"{path}: its first layer {key} reads {channels} channels, and pictures have 3, or 1 in grey\n"
            f"keep three of them, for example {key}[:, :3], and give that file"
        )
    notes.append(
        f"the file's first layer {key} reads {channels} channel in place of {value.channels}: so does the network"
    )
    return replace(value, channels=channels)


def _with_classes(value: NetworkSpec, layout: Layout, state: State, notes: list[str]) -> tuple[NetworkSpec, State]:
    """The network with a file's number of classes, and the state_dict without a background class."""
    classifiers = [theirs for ours, theirs in layout.pairs(value) if ours.endswith(CLASSIFIER)]
    weight = state.get(f"{classifiers[-1]}.weight")
    if weight is None:
        notes.append("the file has no classifier; a training that begins with it makes one (--recipe finetune)")
        return value, state
    classes = weight.shape[0] if weight.dim() else value.classes
    if classes == 1001 and value.classes == 1000:
        notes.append("the first of 1001 classes, the background, is left out")
        keys = {f"{theirs}.{tensor}" for theirs in classifiers for tensor in ("weight", "bias")}
        return value, {key: tensor[1:] if key in keys and tensor.dim() else tensor for key, tensor in state.items()}
    if classes != value.classes:
        notes.append(f"the file has {classes} classes, and so has the network")
        value = replace(value, classes=classes)
    return value, state


def _renamed(path: Path, value: NetworkSpec, layout: Layout, state: State, notes: list[str]) -> State:
    """The state_dict under our keys, in float32; shapes and values are checked first."""
    shapes = {key: shape for key, shape in _shapes(value, layout).items() if key in state}
    flat = {  # timm writes its classifier as a 1x1 convolution
        key: tensor.flatten(1) if tensor.shape == (*shapes[key], 1, 1) else tensor for key, tensor in state.items()
    }
    check(flat, shapes, str(path))
    if bad := [key for key, tensor in flat.items() if not tensor.is_floating_point() or not tensor.isfinite().all()]:
        fault = (
            "values that are not finite" if flat[bad[0]].is_floating_point() else f"values of type {flat[bad[0]].dtype}"
        )
        raise DataError(f"{path}: {len(bad)} tensors cannot be weights, nothing was loaded\n{bad[0]} has {fault}")
    if others := {str(tensor.dtype).removeprefix("torch.") for tensor in flat.values()} - {"float32"}:
        notes.append(f"its {' and '.join(sorted(others))} tensors are brought to float32")
    return {  # copies, as tensors of a foreign file can share memory
        ours: flat[theirs].to(torch.float32, copy=True) if theirs in flat else torch.zeros((), dtype=torch.int64)
        for ours, theirs in _keys(value, layout).items()
        if theirs in flat or theirs.endswith(_COUNTER)
    }


def _described(path: Path, weights: Weights, layout: Layout, known: Known, notes: list[str]) -> Weights:
    """Weights with the names of classes and the normalisation that are known; notes say which are assumed."""
    value, assumed = weights.network, []
    classes, normalise = known.classes, known.normalise
    if classes and len(classes) != value.classes:
        raise SpecError(f"--classes: {len(classes)} names, but {path} has {value.classes} classes")
    if normalise is not None and value.channels != 3:
        raise SpecError(f"--mean and --std: are for 3 channels, and {path} has {value.channels}")
    if weights.headless:
        classes = ()
    elif not classes and len(layout.classes) == value.classes:
        classes = layout.classes
        first, second = class_names(classes, value.classes)[:2]
        assumed.append(f"the order of the classes, {first}, {second} ... (--classes)")
    elif not classes:
        notes.append(
            "its classes have no names; --classes FILE gives them in the order of the outputs "
            "(a folder's are often sorted as text: 1, 10, 2)"
        )
    if normalise is None and value.channels == 3:
        normalise = layout.normalise
        assumed.append(f"mean {_numbers(normalise.mean)} and std {_numbers(normalise.std)} (--mean, --std)")
    assumed.append(f"images of {value.size}×{value.size}")
    notes.append(f"not in the file but assumed: {'; '.join(assumed)}")
    return weights._replace(classes=classes, normalise=normalise)


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
