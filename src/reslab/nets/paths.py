"""Paths: what a network is made of, as plain values.

Stems, branches and reductions are written with four nodes, Conv, Pool, Seq and Cat. Their channel counts flow through
when a path is counted or built, so nobody writes an input width. Every node lists its layers for one image of a given
shape; `build` makes the same path in torch, and both take the names of parts from `Seq.named`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, Union

import pydantic.dataclasses
from pydantic import Field, NonNegativeInt, PositiveInt

from reslab.errors import SpecError
from reslab.nets.arrangements import Activations
from reslab.nets.cost import Layer, Shape
from reslab.nets.leaves import Leaf, Node, activations, by
from reslab.spec import kind, spec

Kernel = PositiveInt | tuple[PositiveInt, PositiveInt]
Padding = Literal["same", "valid"] | NonNegativeInt
"""Rows and columns of padding on each side: (kernel - 1) // 2, none, or as many as said."""


def _pair(size: Kernel) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@spec
class Conv:
    """A convolution without bias and what follows it, BN and ReLU unless said otherwise.

    (N, C, H, W) -> (N, width, H / stride, W / stride) with padding "same". A kernel of two numbers is height, width.
    """

    width: PositiveInt
    kernel: Kernel
    stride: PositiveInt = 1
    padding: Padding = "same"
    after: Activations = "bn relu"
    bias: bool = False
    groups: PositiveInt = 1
    kind: Literal["conv"] = kind("conv")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield f"conv{index}", Convolution(self)
        yield from activations(self.after, index)


@spec
class Pool:
    """Max or average pooling over kernel x kernel.

    `ceil` keeps a last window that reaches over the edge, as Caffe does; averages leave the padding out of their
    count unless it `counts_padding`, as torchvision does.
    """

    what: Literal["max", "average"]
    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: Padding = "same"
    ceil: bool = False
    counts_padding: bool = False
    after: Literal["", "lrn"] = ""
    kind: Literal["pool"] = kind("pool")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield f"pool{index}", Pooling(self)
        yield from activations(self.after, index)


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

    branches: Annotated[tuple[Seq, ...], Field(min_length=1)]
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
    """One part after another; the parts of a Seq among them join the others."""
    return Seq(tuple(inner for part in parts for inner in (part.parts if isinstance(part, Seq) else (part,))))


def cat(*branches: "Conv | Pool | Seq | Cat") -> Cat:
    """Branches side by side; a branch of one part needs no `seq` around it."""
    return Cat(tuple(branch if isinstance(branch, Seq) else Seq((branch,)) for branch in branches))


@dataclass(frozen=True)
class Pooling(Leaf):
    """A Pool without what follows it."""

    pool: Pool

    def out(self, shape: Shape) -> Shape:
        pool = self.pool
        return (shape[0], *_window(shape, (pool.kernel, pool.kernel), pool.stride, pool.padding, pool.ceil))

    def layer(self, shape: Shape, name: str) -> Layer:
        pool = self.pool
        return Layer(name, "pool", f"{pool.kernel}×{pool.kernel} {pool.what}{by(pool.stride)}", self.out(shape))


@dataclass(frozen=True)
class Convolution(Leaf):
    """The weights of a Conv, without what follows them."""

    conv: Conv

    def out(self, shape: Shape) -> Shape:
        conv = self.conv
        if shape[0] % conv.groups or conv.width % conv.groups:
            raise SpecError(f"{conv.groups} groups do not divide {shape[0]} and {conv.width} channels")
        return (conv.width, *_window(shape, _pair(conv.kernel), conv.stride, conv.padding))

    def layer(self, shape: Shape, name: str) -> Layer:
        conv, out = self.conv, self.out(shape)
        kernel = height, width = _pair(conv.kernel)
        weights = shape[0] // conv.groups * conv.width * height * width
        text = f"{height}×{width}, {conv.width}{by(conv.stride)}"
        multiply_adds = weights * out[1] * out[2]
        return Layer(name, "conv", text, out, weights + conv.bias * conv.width, weights, multiply_adds, kernel)


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


def padded(kernel: int, padding: Padding) -> int:
    """Rows or columns of padding on each side."""
    if isinstance(padding, int):
        return padding
    return (kernel - 1) // 2 if padding == "same" else 0


def _window(
    shape: Shape, kernel: tuple[int, int], stride: int, padding: Padding, ceil: bool = False
) -> tuple[int, int]:
    sizes = []
    for size, length in zip(shape[1:], kernel, strict=True):
        pad = padded(length, padding)
        reach = size - length + 2 * pad
        if reach < 0:
            raise SpecError(f"a map of {shape[1]}×{shape[2]} is too small for a kernel of {kernel[0]}×{kernel[1]}")
        count = reach // stride + 1
        if ceil and reach % stride and count * stride < size + pad:  # torch drops a window that starts in the padding
            count += 1
        sizes.append(count)
    return sizes[0], sizes[1]
