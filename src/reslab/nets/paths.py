"""Paths: the parts of a network as plain values.

Stems, branches and reductions are written with five nodes, Conv, Pool, Activation, Seq and Cat. Input widths are never
written: they follow from the parts before. Every node lists its layers for one image of a given shape; `build` makes
the same path in torch, and both take the names of parts from `Seq.named`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, Union

from pydantic import Field

from reslab.errors import SpecError
from reslab.nets.arrangements import Activations
from reslab.nets.cost import Layer, Shape
from reslab.nets.leaves import Leaf, Node, activations, by
from reslab.spec import kind, rebuild, spec

Width = Annotated[int, Field(gt=0, le=65_536)]
"""Channels or features of a layer; no published residual network has a quarter of the limit."""
Length = Annotated[int, Field(gt=0, le=1_024)]
"""Pixels of a kernel or a stride."""
Kernel = Length | tuple[Length, Length]
Padding = Literal["same", "valid"] | Annotated[int, Field(ge=0, le=1_024)]
"""Rows and columns of padding on each side: (kernel - 1) // 2, none, or a number."""


def _pair(size: Kernel) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@spec
class Conv:
    """A convolution without bias and the activations after it, BN and ReLU by default.

    (N, C, H, W) -> (N, width, H / stride, W / stride) with padding "same". A kernel of two numbers is height, width.
    """

    width: Width
    kernel: Kernel
    stride: Length = 1
    padding: Padding = "same"
    after: Activations = "bn relu"
    bias: bool = False
    groups: Width = 1
    kind: Literal["conv"] = kind("conv")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield f"conv{index}", Convolution(self)
        yield from activations(self.after, index)


@spec
class Pool:
    """Max or average pooling over kernel x kernel.

    `ceil` keeps a last window that reaches over the edge, as Caffe does. With `counts_padding` averages count the
    padding, as torchvision's do.
    """

    what: Literal["max", "average"]
    kernel: Length
    stride: Length = 1
    padding: Padding = "same"
    ceil: bool = False
    counts_padding: bool = False
    after: Literal["", "lrn"] = ""
    kind: Literal["pool"] = kind("pool")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield f"pool{index}", Pooling(self)
        yield from activations(self.after, index)


@spec
class Activation:
    """BN, ReLU or both that no convolution is before: a pre-activation."""

    what: Activations
    kind: Literal["activation"] = kind("activation")

    def named(self, index: int) -> Iterator[tuple[str, Node]]:
        yield from activations(self.what, index)


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


Path = Annotated[Union[Conv, Pool, Activation, Seq, Cat], Field(discriminator="kind")]  # noqa: UP007, the name stands in a string
rebuild(Seq)
rebuild(Cat)


def seq(*parts: "Conv | Pool | Activation | Seq | Cat") -> Seq:
    """One part after another; the parts of a Seq among them join the others."""
    return Seq(tuple(inner for part in parts for inner in (part.parts if isinstance(part, Seq) else (part,))))


def cat(*branches: "Conv | Pool | Activation | Seq | Cat") -> Cat:
    """Branches side by side; a branch of one part needs no `seq` around it."""
    return Cat(tuple(branch if isinstance(branch, Seq) else Seq((branch,)) for branch in branches))


@dataclass(frozen=True)
class Pooling(Leaf):
    """A Pool without the activations after it."""

    pool: Pool

    def out(self, shape: Shape) -> Shape:
        pool = self.pool
        return (shape[0], *_window(shape, (pool.kernel, pool.kernel), pool.stride, pool.padding, pool.ceil))

    def layer(self, shape: Shape, name: str) -> Layer:
        pool = self.pool
        return Layer(name, "pool", f"{pool.kernel}×{pool.kernel} {pool.what}{by(pool.stride)}", self.out(shape))


@dataclass(frozen=True)
class Convolution(Leaf):
    """A Conv without the activations after it."""

    conv: Conv

    def out(self, shape: Shape) -> Shape:
        conv = self.conv
        if shape[0] % conv.groups or conv.width % conv.groups:
            raise SpecError(f"{conv.groups} groups do not divide {shape[0]} and {conv.width} channels")
        return (conv.width, *_window(shape, _pair(conv.kernel), conv.stride, conv.padding))

    def layer(self, shape: Shape, name: str) -> Layer:
        conv, out = self.conv, self.out(shape)
        height, width = _pair(conv.kernel)
        weights = shape[0] // conv.groups * conv.width * height * width
        text = f"{height}×{width}, {conv.width}{by(conv.stride)}"
        parameters = weights + conv.bias * conv.width
        return Layer(name, "conv", text, out, parameters, weights, weights * out[1] * out[2], (height, width))


@dataclass(frozen=True)
class Chain:
    """Named parts one after another, such as a network of stem, stages and head."""

    parts: tuple[tuple[str, Node], ...] = field(default=())

    def named(self) -> Iterator[tuple[str, Node]]:
        return iter(self.parts)

    def out(self, shape: Shape) -> Shape:
        return flow(self.parts, shape)

    def layers(self, shape: Shape, name: str = "") -> Iterator[Layer]:
        yield from chained(self.parts, shape, name)


@dataclass(frozen=True)
class Units(Chain):
    """A stage: units one after another."""


@dataclass(frozen=True)
class Excitation:
    """x times a factor for each channel, sigmoid(1x1(ReLU(1x1(the mean of x over the map)))). Hu et al. 2018, Fig. 3.

    The inner width is that of x divided by `reduction`.
    """

    reduction: int

    def out(self, shape: Shape) -> Shape:
        return shape

    def factors(self, width: int) -> Seq:
        """The layers of the mean before the sigmoid."""
        return seq(Conv(width // self.reduction, 1, after="relu", bias=True), Conv(width, 1, after="", bias=True))

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield from self.factors(shape[0]).layers((shape[0], 1, 1), f"{name}.factors")
        yield Layer(name, "excitation", "squeeze-and-excitation", shape)


def flow(parts: "Iterator[tuple[str, Node]] | tuple[tuple[str, Node], ...]", shape: Shape) -> Shape:
    """The output's shape of a series of parts."""
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
