"""A network as the blocks that its activations pass one after another."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn

from reslab.nets.cost import Shape
from reslab.nets.leaves import Node
from reslab.nets.modules import Network, ResidualUnit
from reslab.nets.paths import Chain

HEAD = "head"


class Block(NamedTuple):
    """The stem, a unit, an undivided part, or the head: its path, its value, its module, and the shapes of one
    image's map in front of it and behind it."""

    name: str
    node: Node
    module: nn.Module
    before: Shape
    behind: Shape

    @property
    def is_unit(self) -> bool:
        """Whether it is one of several blocks of a stage."""
        return "." in self.name

    @property
    def removable(self) -> bool:
        """Whether the rest can do without it: a residual unit, whose shortcut stays, or a unit that keeps the shape."""
        return isinstance(self.module, ResidualUnit) or (self.is_unit and self.before == self.behind)


def trunk(network: Network) -> tuple[Block, ...]:
    """The blocks of a network, whose modules, one after another, compute what it does."""
    found, shape = [], network.spec.input
    for part, node in network.spec.plan().parts:
        inner = isinstance(node, Chain) and part != HEAD
        for name, block in ((f"{part}.{unit}", value) for unit, value in node.parts) if inner else ((part, node),):  # type: ignore[attr-defined]
            behind = block.out(shape)
            found.append(Block(name, block, network.get_submodule(name), shape, behind))
            shape = behind
    return tuple(found)


def through(blocks: Iterable[Block], x: Tensor) -> Tensor:
    """What comes out behind some blocks."""
    for block in blocks:
        x = block.module(x)
    return x
