"""Networks written as paths: a stem, stages of blocks, a head. The Inception family, DenseNet, the predecessors."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Literal, assert_never

from pydantic import Field, NonNegativeFloat, PositiveFloat

from reslab.errors import SpecError, nearest
from reslab.nets.arrangements import Activations
from reslab.nets.buildable import Buildable
from reslab.nets.cost import Cost, Shape, total
from reslab.nets.leaves import Dropout, Flatten, GlobalPool, Linear, Node, activations
from reslab.nets.merges import Add, Merge, Probability
from reslab.nets.network import Classes, Size, check_units
from reslab.nets.paths import Activation, Cat, Chain, Conv, Path, Pool, Seq, Units, Width, seq
from reslab.nets.unit import Unit
from reslab.spec import kind, spec

_LARGEST = 1024  # pixels, the end of the search for a size that is large enough
_STAGE_NAME = re.compile(r"stem|last|(?!auxiliary)[a-z]+[0-9]+")  # no attribute of torch's modules has such a name


@spec
class Residual:
    """x + F(x), F being a path and a linear 1x1 convolution (with bias, without BN) to the width of x. B sec. 3.2.

    `merge` scales the residual, B sec. 3.3; `after` follows the sum.
    """

    path: Path
    merge: Merge = Add()
    after: Activations = "relu"
    kind: Literal["residual"] = kind("residual")


Block = Annotated[Conv | Pool | Activation | Seq | Cat | Residual, Field(discriminator="kind")]


@spec
class Stage:
    """Blocks one after another: unit1, unit2 ... of the stage, or the stage itself if it has one block."""

    name: str
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]

    @property
    def paths(self) -> list[str]:
        """The blocks' paths in the built network."""
        if len(self.blocks) == 1:
            return [self.name]
        return [f"{self.name}.unit{index}" for index in range(1, len(self.blocks) + 1)]


@spec
class Head:
    """From the last maps to the logits: averaged or flattened, linear layers of the `hidden` widths, the classifier.

    `dropout` follows the average and every hidden layer.
    """

    pool: Literal["average", "flatten"] = "average"
    hidden: tuple[Width, ...] = ()
    dropout: Probability = 0.0
    activation: Activations = "relu"

    def plan(self, classes: int) -> Chain:
        return Chain(tuple(self._parts(classes)))

    def _parts(self, classes: int) -> Iterator[tuple[str, Node]]:
        match self.pool:
            case "average":
                yield "pool", GlobalPool()
                yield from self._dropout(0)
            case "flatten":
                yield "flatten", Flatten()
            case _:
                assert_never(self.pool)
        for index, width in enumerate(self.hidden, 1):
            yield f"linear{index}", Linear(width)
            yield from activations(self.activation, index)
            yield from self._dropout(index)
        yield "linear", Linear(classes)

    def _dropout(self, index: int) -> Iterator[tuple[str, Node]]:
        if self.dropout:
            yield f"dropout{index}", Dropout(self.dropout)


@spec
class Auxiliary:
    """A classifier that reads the output of a block while training, and the weight of its loss."""

    after: str
    path: Seq
    head: Head
    weight: NonNegativeFloat = 0.3


@spec
class Staged(Buildable):
    """Stages and a head; `bn_eps` is the constant in every BN's root.

    size: height and width of the images. Networks that flatten their maps take no other; all refuse one too small.
    """

    stages: tuple[Stage, ...]
    head: Head
    auxiliary: tuple[Auxiliary, ...] = ()
    bn_eps: PositiveFloat = 1e-3
    classes: Classes = 1000
    channels: Width = 3
    size: Size = 299
    kind: Literal["staged"] = kind("staged")

    def __post_init__(self) -> None:
        check_units(sum(len(stage.blocks) for stage in self.stages))
        names = [stage.name for stage in self.stages]
        for name in names:
            if not _STAGE_NAME.fullmatch(name):
                raise SpecError(f"a stage cannot be called {name!r}; call it stem, last, or as stage1, pool1 ...")
            if names.count(name) > 1:
                raise SpecError(f"two stages are called {name!r}")
        known = [path for stage in self.stages for path in stage.paths]
        for auxiliary in self.auxiliary:
            if auxiliary.after not in known:
                raise SpecError(f"auxiliary after {auxiliary.after!r}: {nearest(auxiliary.after, known)}")
        try:
            self._shapes(self.size)
        except SpecError as error:
            raise SpecError(f"size {self.size}: {error}{self._smallest()}") from None

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages if stage.name not in ("stem", "last"))

    def plan(self) -> Chain:
        nodes = self._nodes(self.size)
        parts: list[tuple[str, Node]] = []
        for stage in self.stages:
            blocks = [node for _, node, _ in islice(nodes, len(stage.blocks))]
            units = Units(tuple((f"unit{index}", node) for index, node in enumerate(blocks, 1)))
            parts.append((stage.name, units if len(blocks) > 1 else blocks[0]))
        return Chain((*parts, ("head", self.head.plan(self.classes))))

    def _nodes(self, size: int) -> Iterator[tuple[str, Node, Shape]]:
        """Every block for images of a size: its module's path, its node, its output's shape."""
        shape = (self.channels, size, size)
        residuals, number = sum(isinstance(block, Residual) for stage in self.stages for block in stage.blocks), 0
        for stage in self.stages:
            for path, block in zip(stage.paths, stage.blocks, strict=True):
                number += isinstance(block, Residual)
                node = _node(block, shape[0], (number, residuals))
                out = node.out(shape)
                if isinstance(block, Residual) and out != shape:
                    raise SpecError(f"{path}: F gives maps of {out[1]}×{out[2]} where x has {shape[1]}×{shape[2]}")
                shape = out
                yield path, node, shape

    def auxiliaries(self) -> tuple[tuple[str, Shape, Chain], ...]:
        shapes = self._shapes(self.size)
        return tuple(
            (item.after, shapes[item.after], Chain((("path", item.path), ("head", item.head.plan(self.classes)))))
            for item in self.auxiliary
        )

    def auxiliary_cost(self) -> Cost:
        """The cost of the auxiliary classifiers, which only training uses and `cost` leaves out."""
        return total(layer for _, shape, chain in self.auxiliaries() for layer in chain.layers(shape))

    def _shapes(self, size: int) -> dict[str, Shape]:
        """The output's shape of every block for images of a size, by its module's path.

        Raises SpecError where a block or an auxiliary classifier cannot read its input.
        """
        shapes = {path: shape for path, _, shape in self._nodes(size)}
        for auxiliary in self.auxiliary:
            try:
                auxiliary.path.out(shapes[auxiliary.after])
            except SpecError as error:
                classifier = f"the auxiliary classifier after {auxiliary.after}, which auxiliary=() leaves out"
                raise SpecError(f"{error} in {classifier}") from None
        return shapes

    def _smallest(self) -> str:
        """The end of an error message: the next larger size that all parts can read, where there is one."""
        for size in range(self.size + 1, _LARGEST):
            try:
                self._shapes(size)
            except SpecError:
                continue
            return f"; the smallest is {size}"
        return ""


def _node(block: Block, width: int, position: tuple[int, int]) -> Node:
    """The node of a block for maps of a number of channels; `position` is a residual's number and their count."""
    match block:
        case Residual(path=path, merge=merge, after=after):
            linear = Conv(width, 1, after="", bias=True)
            return Unit(seq(path, linear), Seq(()), merge.at(*position), Chain(()), Chain(tuple(activations(after, 0))))
        case Conv() | Pool() | Activation():
            return seq(block)
        case Seq() | Cat():
            return block
        case _:
            assert_never(block)
