"""Others' weights in, and ours out again in others' layout."""

from pathlib import Path

import torch

from reslab.errors import SpecError
from reslab.nets import NAMED, name_of, network
from reslab.nets.names import architecture_fields
from reslab.nets.network import NetworkSpec
from reslab.nets.staged import Staged
from reslab.spec import replace
from reslab.weights import cifar, timm, torchvision
from reslab.weights.file import State, Weights, check, empty, read_state
from reslab.weights.layout import Layout

LAYOUTS: tuple[Layout, ...] = (*torchvision.LAYOUTS, *timm.LAYOUTS, *cifar.LAYOUTS)
_COUNTER = ".num_batches_tracked"


def convert(path: Path, name: str) -> tuple[Weights, list[str]]:
    """The weights of a foreign file as those of a named network, and what there is to say about them.

    The network takes the file's number of classes, channels come into our order, and the first of 1001 classes,
    TensorFlow's background, is left out. Raises SpecError where the weights were trained for another network than the
    named one, though its keys may fit, naming that one; DataError where keys or shapes fit none.
    """
    value: NetworkSpec = network(name)
    state = {key: tensor for key, tensor in read_state(path).items() if not key.endswith(_COUNTER)}
    layout, value = _find(path, state, name, value)
    notes = [f"{layout.name}, as {name}"]
    if isinstance(value, Staged) and not value.auxiliary and NAMED[name].network != value:
        notes.append("the file has no auxiliary classifiers, and so the network has none")
    state = _in_float32(state, notes)
    value, state = _with_classes(value, layout, state, notes)
    ours = _renamed(path, value, layout, state)
    if layout.adjust is not None:
        ours = layout.adjust(value, ours)
        notes.append("its channels are brought into the paper's order, x's own first")
    names = layout.classes if len(layout.classes) == value.classes else ()
    return Weights(value, ours, layout.normalise, names, layout.whole), notes


def export(weights: Weights) -> State:
    """Our weights under the keys that others give them.

    Raises SpecError where there is no such layout that ours can be written in.
    """
    layouts = {name: layout for layout in LAYOUTS if layout.adjust is None for name in layout.networks}
    mine = architecture_fields(weights.network)
    for name, layout in layouts.items():
        if any(architecture_fields(form) == mine for form in _forms(network(name))):
            return {theirs: weights.state[ours] for ours, theirs in _keys(weights.network, layout).items()}
    told = f"{name_of(weights.network)} cannot be written in others' names"
    raise SpecError(f"{told}; there are layouts for {', '.join(layouts)}")


def _keys(value: NetworkSpec, layout: Layout) -> dict[str, str]:
    """Our key of every tensor of a network, and theirs."""
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
    return {key for key in _keys(value, layout).values() if not key.endswith(_COUNTER)} == set(state)


def _find(path: Path, state: State, name: str, value: NetworkSpec) -> tuple[Layout, NetworkSpec]:
    """The layout that a file has, and the form of the network that it has the tensors of."""
    mine = [layout for layout in LAYOUTS if name in layout.networks]
    for layout in mine:
        for form in _forms(value):
            if _fits(form, layout, state):
                return layout, form
    for layout in LAYOUTS:
        for other in layout.networks:
            if other != name and any(_fits(form, layout, state) for form in _forms(network(other))):
                told = NAMED[other].deviation
                raise SpecError(
                    f"{path}: {layout.name}, which computes {other} and not {name}: use --as {other}"
                    + (f"\n{told}" if told else "")
                )
    if not mine:
        known = ", ".join(other for layout in LAYOUTS for other in layout.networks)
        raise SpecError(f"no layout of weights is known for {name}; there are layouts for {known}")
    check(state, _shapes(value, mine[0]), f"{path} as {name}")
    raise AssertionError("keys that do not fit were not told")


def _shapes(value: NetworkSpec, layout: Layout) -> dict[str, torch.Size]:
    """The shape of every tensor of a network by their keys, BN's counters left out."""
    tensors = empty(value).state_dict()
    keys = _keys(value, layout).items()
    return {theirs: tensors[ours].shape for ours, theirs in keys if not theirs.endswith(_COUNTER)}


def _in_float32(state: State, notes: list[str]) -> State:
    others = {str(tensor.dtype).removeprefix("torch.") for tensor in state.values()} - {"float32"}
    if others:
        notes.append(f"its {' and '.join(sorted(others))} tensors are brought to float32")
    return {key: tensor.float() for key, tensor in state.items()}


def _with_classes(value: NetworkSpec, layout: Layout, state: State, notes: list[str]) -> tuple[NetworkSpec, State]:
    classifiers = [theirs for ours, theirs in layout.pairs(value) if ours.endswith("head.linear")]
    classes = len(state[f"{classifiers[-1]}.weight"])
    if classes == 1001 and value.classes == 1000:
        notes.append("the first of 1001 classes, the background, is left out")
        keys = {f"{theirs}.{tensor}" for theirs in classifiers for tensor in ("weight", "bias")}
        return value, {key: tensor[1:] if key in keys else tensor for key, tensor in state.items()}
    if classes != value.classes:
        notes.append(f"the file has {classes} classes, and so has the network")
        value = replace(value, classes=classes)
    return value, state


def _renamed(path: Path, value: NetworkSpec, layout: Layout, state: State) -> State:
    shapes = _shapes(value, layout)
    flat = {  # timm writes its classifier as a 1x1 convolution
        key: tensor.flatten(1) if tensor.shape == (*shapes[key], 1, 1) else tensor for key, tensor in state.items()
    }
    check(flat, shapes, str(path))
    return {
        ours: flat[theirs] if theirs in flat else torch.zeros((), dtype=torch.int64)  # BN's count of batches
        for ours, theirs in _keys(value, layout).items()
    }
