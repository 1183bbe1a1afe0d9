"""A network as a sequence of blocks."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from reslab.nets.cost import Shape
from reslab.nets.leaves import Node
from reslab.nets.modules import Network, ResidualUnit
from reslab.nets.paths import Chain

HEAD = "head"


class Block(NamedTuple):
    """The stem, a unit, an undivided stage, or the head: its path, its spec, its module, and one image's shapes."""

    name: str
    node: Node
    module: nn.Module
    in_shape: Shape
    out_shape: Shape

    @property
    def is_unit(self) -> bool:
        """Whether it is one of several blocks of a stage."""
        return "." in self.name

    @property
    def removable(self) -> bool:
        """Whether the network runs without it: a residual unit, whose shortcut stays, or a unit of unchanged shape."""
        return isinstance(self.module, ResidualUnit) or (self.is_unit and self.in_shape == self.out_shape)


def blocks(network: Network) -> tuple[Block, ...]:
    """The blocks of a network in order: `apply` to them computes what the network does."""
    rows, shape = [], network.spec.input
    for part, node in network.spec.plan().parts:
        inner = isinstance(node, Chain) and part != HEAD
        for name, block in ((f"{part}.{unit}", value) for unit, value in node.parts) if inner else ((part, node),):  # type: ignore[attr-defined]
            out_shape = block.out(shape)
            rows.append(Block(name, block, network.get_submodule(name), shape, out_shape))
            shape = out_shape
    return tuple(rows)


def apply(some: Iterable[Block], x: Tensor) -> Tensor:
    """Apply blocks in order."""
    for block in some:
        x = block.module(x)
    return x


def kept_bytes(some: Sequence[Block]) -> int:
    """The bytes of the inputs of blocks, for one image, in float32."""
    return 4 * sum(int(np.prod(block.in_shape)) for block in some)
