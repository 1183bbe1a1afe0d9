"""Layouts of weights: how others name the modules of a network, and which of our networks computes the same."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from reslab.data.names import imagenet
from reslab.data.normalise import MeanStd
from reslab.nets.cost import Layer
from reslab.nets.network import NetworkSpec
from reslab.weights.file import State

Pairs = list[tuple[str, str]]


class Layout(NamedTuple):
    """Someone's names for the modules of some of our networks.

    `networks` are the names of those that compute what the weights were trained for; `pairs` gives (our module's
    path, their module's path) for each module that has tensors. `adjust` changes tensors, by our keys, that stand in
    another order in their files; None where none do. `classes` are the names that they have where there are so many,
    and `whole` says whether they were trained on whole images, see `Weights`.
    """

    name: str
    networks: tuple[str, ...]
    pairs: Callable[[NetworkSpec], Pairs]
    normalise: MeanStd
    adjust: Callable[[NetworkSpec, State], State] | None = None
    classes: tuple[str, ...] = tuple(imagenet())
    whole: bool = False


def weighty(network: NetworkSpec) -> list[Layer]:
    """The layers of a network that have tensors, auxiliary classifiers last."""
    layers = list(network.layers())
    for index, (_, shape, chain) in enumerate(network.auxiliaries(), 1):
        layers += chain.layers(shape, f"auxiliary{index}")
    return [layer for layer in layers if layer.parameters]


def conv_pairs(network: NetworkSpec, blocks: Iterable[tuple[str, str]]) -> Pairs:
    """Pairs for blocks whose convolutions have .conv and .bn inside: (our block, their names in our order).

    A name that ends in "!" is a bare convolution. The words of `blocks` are their paths, divided by blanks.
    """
    layers = weighty(network)
    pairs: Pairs = []
    for block, words in blocks:
        ours = [layer.name for layer in layers if layer.kind == "conv" and layer.name.startswith(f"{block}.")]
        for path, word in zip(ours, words.split(), strict=True):
            if word.endswith("!"):
                pairs.append((path, word[:-1]))
                continue
            parent, _, name = path.rpartition(".")
            pairs += [(path, f"{word}.conv"), (f"{parent}.{name.replace('conv', 'bn')}", f"{word}.bn")]
    return pairs


def under(parent: str, words: str) -> str:
    """The words with a path in front of each."""
    return " ".join(f"{parent}.{word}" for word in words.split())
