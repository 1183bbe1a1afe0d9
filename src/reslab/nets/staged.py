"""Networks written as paths: a stem, stages of blocks, a head. The Inception family and the predecessors."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from reslab.errors import SpecError, nearest
from reslab.nets.arrangements import Activations
from reslab.nets.cost import Cost, Shape, total
from reslab.nets.leaves import Dropout, Flatten, GlobalPool, Linear, Node, activations
from reslab.nets.merges import Add, Merge, Probability
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Cat, Chain, Conv, Path, Pool, Seq, seq
from reslab.nets.unit import Unit
from reslab.spec import kind, spec

_LARGEST = 1024  # no network here needs a larger image
_STAGE_NAME = re.compile(r"stem|last|(?!auxiliary)[a-z]+[0-9]+")  # no other attribute of a module is called so


@spec
class Residual:
    """x + F(x), F being a path and a linear 1x1 convolution (with bias, without BN) to the width of x. B sec. 3.2.

    `merge` scales the residual, B sec. 3.3; `after` follows the sum.
    """

    path: Path
    merge: Merge = Add()
    after: Activations = "relu"
    kind: Literal["residual"] = kind("residual")


Block = Annotated[Conv | Pool | Seq | Cat | Residual, Field(discriminator="kind")]


@spec
class Stage:
    """Blocks one after another: unit1, unit2 ... of their stage; a single block stands for itself."""

    name: str
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]

    @property
    def paths(self) -> list[str]:
        """Where the built network has the blocks."""
        if len(self.blocks) == 1:
            return [self.name]
        return [f"{self.name}.unit{index}" for index in range(1, len(self.blocks) + 1)]


@spec
class Head:
    """From the last maps to the logits: averaged or flattened, linear layers of the `hidden` widths, the classifier.

    `dropout` follows the average and every hidden layer.
    """

    pool: Literal["average", "flatten"] = "average"
    hidden: tuple[PositiveInt, ...] = ()
    dropout: Probability = 0.0
    activation: Activations = "relu"

    def plan(self, classes: int) -> Chain:
        return Chain(tuple(self._parts(classes)))

    def _parts(self, classes: int) -> Iterator[tuple[str, Node]]:
        if self.pool == "average":
            yield "pool", GlobalPool()
            yield from self._dropout(0)
        else:
            yield "flatten", Flatten()
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
    """A classifier that reads the output of a block while training, and how its loss is weighted."""

    after: str
    path: Seq
    head: Head
    weight: NonNegativeFloat = 0.3


@spec
class Staged(NetworkSpec):
    """Stages and a head; `bn_eps` is the constant in every BN's root.

    size: height and width of the images. Networks that flatten their maps take no other; all refuse one too small.
    """

    stages: tuple[Stage, ...]
    head: Head
    auxiliary: tuple[Auxiliary, ...] = ()
    bn_eps: PositiveFloat = 1e-3
    classes: PositiveInt = 1000
    channels: PositiveInt = 3
    size: PositiveInt = 299
    kind: Literal["staged"] = kind("staged")

    def __post_init__(self) -> None:
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
        stages: dict[str, list[tuple[str, Node]]] = {}
        for path, node, _ in self._nodes(self.size):
            stage, _, unit = path.partition(".")
            stages.setdefault(stage, []).append((unit, node))
        parts = [(stage, Chain(tuple(units)) if units[0][0] else units[0][1]) for stage, units in stages.items()]
        return Chain((*parts, ("head", self.head.plan(self.classes))))

    def _nodes(self, size: int) -> Iterator[tuple[str, Node, Shape]]:
        """Every block for images of a size: its module's path, what it is, the shape that it gives."""
        shape = (self.channels, size, size)
        for stage in self.stages:
            for path, block in zip(stage.paths, stage.blocks, strict=True):
                node = _node(block, shape[0])
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
        """The cost of the auxiliary classifiers, which `cost` leaves out as they serve training alone."""
        return total(layer for _, shape, chain in self.auxiliaries() for layer in chain.layers(shape))

    def _shapes(self, size: int) -> dict[str, Shape]:
        """The shape that every block gives for images of a size, by its module's path.

        Raises SpecError where a block or an auxiliary classifier cannot read what reaches it.
        """
        shapes = {path: shape for path, _, shape in self._nodes(size)}
        for auxiliary in self.auxiliary:
            try:
                auxiliary.path.out(shapes[auxiliary.after])
            except SpecError as error:
                told = f"{error} in the auxiliary classifier after {auxiliary.after}, which auxiliary=() leaves out"
                raise SpecError(told) from None
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


def _node(block: Block, width: int) -> Node:
    match block:
        case Residual(path=path, merge=merge, after=after):
            linear = Conv(width, 1, after="", bias=True)
            return Unit(seq(path, linear), Seq(()), merge, Chain(()), Chain(tuple(activations(after, 0))))
        case Conv() | Pool():
            return seq(block)
    return block
