"""Layouts of foreign weights: the names of modules elsewhere, and which of our networks computes the same."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from reslab.data.crops import EvalCrop
from reslab.data.names import imagenet
from reslab.data.normalise import MeanStd
from reslab.nets.cost import Layer
from reslab.nets.network import NetworkSpec
from reslab.weights.file import State

Pairs = list[tuple[str, str]]


class Layout(NamedTuple):
    """The names of modules in another library, for some of our networks.

    networks: names of those with the same computation
    pairs: (path of our module, path of their module) for each module that has tensors
    normalise, classes, crop: as these weights were trained; `classes` for as many classes as it has. See `Weights`
    adjust: reorders channels that stand in another order there, by our keys; None if none do
    """

    name: str
    networks: tuple[str, ...]
    pairs: Callable[[NetworkSpec], Pairs]
    normalise: MeanStd
    adjust: Callable[[NetworkSpec, State], State] | None = None
    classes: tuple[str, ...] = tuple(imagenet())
    crop: EvalCrop = "center"


def layers_with_weights(network: NetworkSpec) -> list[Layer]:
    """The layers of a network that have tensors, auxiliary classifiers last."""
    layers = list(network.layers())
    for index, (_, shape, chain) in enumerate(network.auxiliaries(), 1):
        layers += chain.layers(shape, f"auxiliary{index}")
    return [layer for layer in layers if layer.parameters]


def conv_pairs(network: NetworkSpec, blocks: Iterable[tuple[str, str]]) -> Pairs:
    """Pairs for blocks of convolutions with .conv and .bn inside: (our block, their paths in our order).

    The paths are divided by blanks; one that ends in "!" is a bare convolution.
    """
    layers = layers_with_weights(network)
    pairs: Pairs = []
    for block, names in blocks:
        ours = [layer.name for layer in layers if layer.kind == "conv" and layer.name.startswith(f"{block}.")]
        for path, theirs in zip(ours, names.split(), strict=True):
            if theirs.endswith("!"):
                pairs.append((path, theirs[:-1]))
                continue
            parent, _, name = path.rpartition(".")
            pairs += [(path, f"{theirs}.conv"), (f"{parent}.{name.replace('conv', 'bn')}", f"{theirs}.bn")]
    return pairs


def prefix(parent: str, names: str) -> str:
    """Names divided by blanks, each with a parent's path before it."""
    return " ".join(f"{parent}.{name}" for name in names.split())
