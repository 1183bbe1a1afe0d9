"""Leaves: the layers of a path, each with its output shape and its cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from reslab.nets.arrangements import Activations
from reslab.nets.cost import Layer, Shape


class Node(Protocol):
    """A part of a network's value."""

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        """The node's layers for an input of `shape`; the last layer's output is the node's own."""

    def out(self, shape: Shape) -> Shape:
        """The output's shape for one image of `shape`."""


class Leaf:
    """A node of one layer. Its shape stays unless it has an `out` of its own."""

    def out(self, shape: Shape) -> Shape:
        return shape

    def layer(self, shape: Shape, name: str) -> Layer:
        raise NotImplementedError

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield self.layer(shape, name)


@dataclass(frozen=True)
class BN(Leaf):
    """Batch normalisation with a learned scale and shift for each channel."""

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "bn", "BN", shape, parameters=2 * shape[0])


@dataclass(frozen=True)
class ReLU(Leaf):
    """max(x, 0)."""

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "relu", "ReLU", shape)


@dataclass(frozen=True)
class LRN(Leaf):
    """Local response normalisation over 5 channels. AlexNet sec. 3.3."""

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "lrn", "LRN", shape)


@dataclass(frozen=True)
class Squash(Leaf):
    """1.7159 tanh(2 x / 3). LeNet-5, LeCun et al. 1998 appendix A."""

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "squash", "squash", shape)


@dataclass(frozen=True)
class Bias(Leaf):
    """x + b, one learned number for the whole map, from 0. Fixup, Zhang et al. 2019, sec. 3.2."""

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "bias", "+ b", shape, parameters=1)


@dataclass(frozen=True)
class Scale(Leaf):
    """w * x, one learned number for the whole map, from 1. Fixup, Zhang et al. 2019, sec. 3.2."""

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "scale", "· w", shape, parameters=1)


@dataclass(frozen=True)
class Dropout(Leaf):
    """Zero with probability p while training, the rest scaled by 1 / (1 - p)."""

    p: float

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "dropout", f"dropout {self.p:g}", shape)


@dataclass(frozen=True)
class Flatten(Leaf):
    """(N, C, H, W) -> (N, C * H * W)."""

    def out(self, shape: Shape) -> Shape:
        return (shape[0] * shape[1] * shape[2], 1, 1)

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "flatten", "flatten", self.out(shape))


@dataclass(frozen=True)
class GlobalPool(Leaf):
    """The average over the whole map: (N, C, H, W) -> (N, C)."""

    def out(self, shape: Shape) -> Shape:
        return (shape[0], 1, 1)

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "pool", "global average pool", self.out(shape))


@dataclass(frozen=True)
class Linear(Leaf):
    """A linear layer with a bias, a network's last one its classifier: (N, C) -> (N, width)."""

    width: int

    def out(self, shape: Shape) -> Shape:
        return (self.width, 1, 1)

    def layer(self, shape: Shape, name: str) -> Layer:
        weights = shape[0] * self.width
        text = f"{self.width}-way linear"
        return Layer(name, "linear", text, self.out(shape), weights + self.width, weights, weights)


@dataclass(frozen=True)
class ZeroPad(Leaf):
    """Zero-padding shortcut, option A. (N, C, H, W) -> (N, width, H / stride, W / stride), no parameters. A sec. 3.3.

    Every stride-th row and column of x, then channels of zeros after x's own.
    """

    width: int
    stride: int

    def out(self, shape: Shape) -> Shape:
        return (self.width, -(-shape[1] // self.stride), -(-shape[2] // self.stride))

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "pad", f"zero padding, {self.width}{by(self.stride)}", self.out(shape))


AnyLeaf = BN | ReLU | LRN | Squash | Bias | Scale | Dropout | Flatten | GlobalPool | Linear | ZeroPad
_ACTIVATIONS: dict[str, Leaf] = {
    "bn": BN(),
    "relu": ReLU(),
    "lrn": LRN(),
    "squash": Squash(),
    "bias": Bias(),
    "scale": Scale(),
}


def activations(words: Activations, index: int) -> Iterator[tuple[str, Node]]:
    """The activations after a weight layer, in the order of the words, with their names: bn1, relu1.

    A word's second activation has a letter: bias1, relu1, bias1b.
    """
    each = words.split()
    for place, word in enumerate(each):
        yield f"{word}{index}" + "b" * (word in each[:place]), _ACTIVATIONS[word]


def by(stride: int) -> str:
    return f", /{stride}" if stride > 1 else ""
