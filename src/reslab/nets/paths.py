"""Paths: what a network is made of, as plain values.

Stems, branches and reductions are written with four nodes, Conv, Pool, Seq and Cat. Their channel counts flow through
when a path is counted or built, so nobody writes an input width. Every node lists its layers for one image of a given
shape; `modules.build` makes the same path in torch, and both take the names of parts from `Seq.named`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol, Union

import pydantic.dataclasses
from pydantic import Field, PositiveInt

from reslab.errors import SpecError
from reslab.nets.arrangements import Activations
from reslab.nets.cost import Layer, Shape
from reslab.spec import kind, spec

Kernel = PositiveInt | tuple[PositiveInt, PositiveInt]


class Node(Protocol):
    """Anything that a network's value is made of."""

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        """The layers that an input of `shape` goes through, the last one's output being the node's own."""

    def out(self, shape: Shape) -> Shape:
        """The shape that comes out for one image of `shape`."""


def _pair(size: Kernel) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@spec
class Conv:
    """A convolution without bias and what follows it, BN and ReLU unless said otherwise.

    (N, C, H, W) -> (N, width, H / stride, W / stride) with padding "same" ((kernel - 1) // 2 on each side);
    "valid" pads nothing.
    """

    width: PositiveInt
    kernel: Kernel
    stride: PositiveInt = 1
    padding: Literal["same", "valid"] = "same"
    after: Activations = "bn relu"
    bias: bool = False
    kind: Literal["conv"] = kind("conv")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield f"conv{index}", Convolution(self)
        yield from activations(self.after, index)


@spec
class Pool:
    """Max or average pooling over kernel x kernel. Averages leave the padding out of the count."""

    what: Literal["max", "average"]
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: Literal["same", "valid"] = "same"
    kind: Literal["pool"] = kind("pool")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield f"pool{index}", self

    def out(self, shape: Shape) -> Shape:
        return (shape[0], *_window(shape, (self.kernel, self.kernel), self.stride, self.padding))

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield Layer(name, "pool", f"{self.kernel}×{self.kernel} {self.what} pool{_by(self.stride)}", self.out(shape))


@spec
class Seq:
    """One part after another. Without parts it is the identity."""

    parts: tuple["Path", ...]
    kind: Literal["seq"] = kind("seq")

    def named(self, index: int = 0) -> Iterator[tuple[str, "Node"]]:
        """The parts with the names that their modules have: conv1, bn1, relu1, pool2 ..."""
        if index:
            yield f"seq{index}", self
            return
        for index, part in enumerate(self.parts, 1):
            yield from part.named(index)

    def out(self, shape: Shape) -> Shape:
        return flow(self.named(), shape)

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield from chained(self.named(), shape, name)


@spec
class Cat:
    """Branches that read the same input, their outputs side by side along the channels."""

    branches: tuple[Seq, ...]
    kind: Literal["cat"] = kind("cat")

    def named(self, index: int) -> Iterator[tuple[str, "Node"]]:
        yield f"cat{index}", self

    def out(self, shape: Shape) -> Shape:
        outs = [branch.out(shape) for branch in self.branches]
        if len({out[1:] for out in outs}) > 1:
            raise SpecError(f"the branches give maps of different sizes: {outs}")
        return (sum(out[0] for out in outs), *outs[0][1:])

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        for index, branch in enumerate(self.branches, 1):
            yield from branch.layers(shape, f"{name}.branch{index}")
        yield Layer(name, "cat", "concatenate", self.out(shape))


Path = Annotated[Union[Conv, Pool, Seq, Cat], Field(discriminator="kind")]  # noqa: UP007, the name stands in a string
for _cls in (Seq, Cat):
    pydantic.dataclasses.rebuild_dataclass(_cls)  # type: ignore[arg-type]


def seq(*parts: "Conv | Pool | Seq | Cat") -> Seq:
    """One part after another."""
    return Seq(parts)


def cat(*branches: "Conv | Pool | Seq | Cat") -> Cat:
    """Branches side by side; a branch of one part needs no `seq` around it."""
    return Cat(tuple(branch if isinstance(branch, Seq) else Seq((branch,)) for branch in branches))


class Leaf:
    """A node that is one layer: shape in, shape out, what it costs."""

    def out(self, shape: Shape) -> Shape:
        return shape

    def layer(self, shape: Shape, name: str) -> Layer:
        raise NotImplementedError

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield self.layer(shape, name)


@dataclass(frozen=True)
class Convolution(Leaf):
    """The weights of a Conv, without what follows them."""

    conv: Conv

    def out(self, shape: Shape) -> Shape:
        conv = self.conv
        return (conv.width, *_window(shape, _pair(conv.kernel), conv.stride, conv.padding))

    def layer(self, shape: Shape, name: str) -> Layer:
        conv, out = self.conv, self.out(shape)
        height, width = _pair(conv.kernel)
        weights = shape[0] * conv.width * height * width
        text = f"{height}×{width}, {conv.width}{_by(conv.stride)}"
        return Layer(name, "conv", text, out, weights + conv.bias * conv.width, weights, weights * out[1] * out[2])


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
class GlobalPool(Leaf):
    """The average over the whole map: (N, C, H, W) -> (N, C)."""

    def out(self, shape: Shape) -> Shape:
        return (shape[0], 1, 1)

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "pool", "global average pool", self.out(shape))


@dataclass(frozen=True)
class Linear(Leaf):
    """The classifier, with a bias: (N, C) -> (N, classes)."""

    classes: int

    def out(self, shape: Shape) -> Shape:
        return (self.classes, 1, 1)

    def layer(self, shape: Shape, name: str) -> Layer:
        weights = shape[0] * self.classes
        text = f"{self.classes}-way linear"
        return Layer(name, "linear", text, self.out(shape), weights + self.classes, weights, weights)


@dataclass(frozen=True)
class ZeroPad(Leaf):
    """Zero-padding shortcut, option A. (N, C, H, W) -> (N, width, H / stride, W / stride), no parameters. A sec. 3.3.

    Every stride-th row and column of x, with channels of zeros behind x's own.
    """

    width: int
    stride: int

    def out(self, shape: Shape) -> Shape:
        return (self.width, -(-shape[1] // self.stride), -(-shape[2] // self.stride))

    def layer(self, shape: Shape, name: str) -> Layer:
        return Layer(name, "pad", f"zero padding, {self.width}{_by(self.stride)}", self.out(shape))


@dataclass(frozen=True)
class Chain:
    """Named parts one after another: a stage of units, a network of stem, stages and head."""

    parts: tuple[tuple[str, Node], ...] = field(default=())

    def named(self) -> Iterator[tuple[str, Node]]:
        return iter(self.parts)

    def out(self, shape: Shape) -> Shape:
        return flow(self.parts, shape)

    def layers(self, shape: Shape, name: str = "") -> Iterator[Layer]:
        yield from chained(self.parts, shape, name)


def activations(words: Activations, index: int) -> Iterator[tuple[str, Node]]:
    """BN and ReLU nodes with their names, in the order that the words say."""
    for word in words.split():
        yield f"{word}{index}", {"bn": BN(), "relu": ReLU()}[word]


def flow(parts: "Iterator[tuple[str, Node]] | tuple[tuple[str, Node], ...]", shape: Shape) -> Shape:
    """The shape behind a series of parts."""
    for _, part in parts:
        shape = part.out(shape)
    return shape


def chained(
    parts: "Iterator[tuple[str, Node]] | tuple[tuple[str, Node], ...]", shape: Shape, name: str
) -> Iterator[Layer]:
    """The layers of a series of parts."""
    for part_name, part in parts:
        yield from part.layers(shape, f"{name}.{part_name}" if name else part_name)
        shape = part.out(shape)


def _window(shape: Shape, kernel: tuple[int, int], stride: int, padding: str) -> tuple[int, int]:
    sizes = []
    for size, length in zip(shape[1:], kernel, strict=True):
        reach = size - length + (2 * ((length - 1) // 2) if padding == "same" else 0)
        if reach < 0:
            raise SpecError(f"a map of {shape[1]}×{shape[2]} is too small for a kernel of {kernel[0]}×{kernel[1]}")
        sizes.append(reach // stride + 1)
    return sizes[0], sizes[1]


def _by(stride: int) -> str:
    return f", /{stride}" if stride > 1 else ""
