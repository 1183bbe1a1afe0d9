"""Residual, plain and pre-activation networks. A sec. 3 and 4.2, C appendix."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import PositiveInt

from reslab.errors import SpecError
from reslab.nets.arrangements import ARRANGEMENTS, Arrangement, ArrangementName
from reslab.nets.leaves import GlobalPool, Linear, Node, ZeroPad, activations
from reslab.nets.merges import Add, Merge
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Chain, Conv, Path, Pool, Seq, seq
from reslab.nets.unit import Unit
from reslab.spec import kind, spec

EXPANSION = {(3, 3): 1, (1, 3, 1): 4, (3,): 1}
"""The kernels of a unit's residual, and how many times the stage's width its last convolution has.

Basic and bottleneck are A Fig. 5; the single 3x3 is the one-layer skip of C sec. 4.1.
"""

IMAGENET = {
    18: ((3, 3), (2, 2, 2, 2)),
    34: ((3, 3), (3, 4, 6, 3)),
    50: ((1, 3, 1), (3, 4, 6, 3)),
    101: ((1, 3, 1), (3, 4, 23, 3)),
    152: ((1, 3, 1), (3, 8, 36, 3)),
    200: ((1, 3, 1), (3, 24, 36, 3)),
}
"""Kernels and units of each stage by depth. A Table 1; 200 from C footnote 3."""

Kernels = tuple[Literal[3], Literal[3]] | tuple[Literal[1], Literal[3], Literal[1]] | tuple[Literal[3]]


@spec
class ResNet(NetworkSpec):
    """A stem, stages of like units, and a head; every stage but the first halves the map in its first unit.

    units: units in each stage; widths: the width of each stage, whose outputs are 4 times as wide in a bottleneck
    kernels: (3, 3) basic, (1, 3, 1) bottleneck
    shortcut: "A" zero padding, "B" projection where the shape changes, "C" projection always, None a plain network
    stride_at: which of a unit's convolutions has its stride, counted from 0; A strides in the first
    entrance: where the first unit's pre-activation stands, in the stem as in C or in the unit as in timm
    size: height and width of the images that costs are counted for; the module takes any
    """

    units: tuple[PositiveInt, ...]
    widths: tuple[PositiveInt, ...] = (16, 32, 64)
    kernels: Kernels = (3, 3)
    arrangement: ArrangementName = "original"
    shortcut: Literal["A", "B", "C"] | None = "A"
    merge: Merge = Add()
    stem: Path = Conv(16, 3)
    stride_at: int = 0
    entrance: Literal["stem", "unit"] = "stem"
    classes: PositiveInt = 10
    channels: PositiveInt = 3
    size: PositiveInt = 32
    kind: Literal["resnet"] = kind("resnet")

    def __post_init__(self) -> None:
        if len(self.units) != len(self.widths) or not self.units:
            raise SpecError(f"units {self.units} and widths {self.widths}: each stage needs one of both")
        if not 0 <= self.stride_at < len(self.kernels):
            last = len(self.kernels) - 1
            raise SpecError(f"stride_at {self.stride_at}: kernels {self.kernels} allow 0 to {last}, for example {last}")
        if self.shortcut is None and self.merge != Add():
            raise SpecError(
                f"merge {self.merge.kind}: a plain network (shortcut None) has no second way to merge; "
                "use merge add, or shortcut A, B or C"
            )
        if self.shortcut == "A" and list(self.outputs) != sorted(self.outputs):
            raise SpecError(f"shortcut A pads channels and cannot take them away, outputs {self.outputs}: use B")

    @property
    def depth(self) -> int:
        """Weight layers from the image to the classifier, projections not counted. A Table 1."""
        return 2 + len(self.kernels) * sum(self.units)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The channels that come into the first stage and that every stage gives."""
        stem = seq(self.stem).out(self.input)[0]
        return (stem, *(width * EXPANSION[self.kernels] for width in self.widths))

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(f"stage{stage}" for stage in range(1, len(self.units) + 1))

    def plan(self) -> Chain:
        row = ARRANGEMENTS[self.arrangement]
        stages: list[tuple[str, Node]] = []
        for stage, count in enumerate(self.units, 1):
            units = [(f"unit{unit}", self._unit(row, stage, unit)) for unit in range(1, count + 1)]
            stages.append((f"stage{stage}", Chain(tuple(units))))
        head = Chain((*activations(row.before, 0), ("pool", GlobalPool()), ("linear", Linear(self.classes))))
        return Chain((("stem", seq(self.stem)), *stages, ("head", head)))

    def _unit(self, row: Arrangement, stage: int, unit: int) -> Unit:
        before, width, output = self.outputs[stage - 1], self.widths[stage - 1], self.outputs[stage]
        stride = 2 if stage > 1 and unit == 1 else 1
        reshapes = unit == 1 and (stride > 1 or before != output)
        entrance = stage == unit == 1 and self.entrance == "stem"  # its pre-activation is the stem's
        shares = reshapes and not entrance
        leading = "" if shares or entrance else row.before
        return Unit(
            residual=Chain((*activations(leading, 0), *self._residual(row, width, output, stride))),
            shortcut=self._shortcut(row, output, stride, reshapes),
            merge=self.merge,
            shared=Chain(tuple(activations(row.before if shares else "", 0))),
            after=Chain(tuple(activations(row.after, 0))),
            stride=stride,
        )

    def _residual(self, row: Arrangement, width: int, output: int, stride: int) -> Iterator[tuple[str, Node]]:
        for index, kernel in enumerate(self.kernels, 1):
            last = index == len(self.kernels)
            conv = Conv(
                width=output if last else width,
                kernel=kernel,
                stride=stride if index == self.stride_at + 1 else 1,
                after=row.last if last else row.between,
            )
            yield from conv.named(index)

    def _shortcut(self, row: Arrangement, output: int, stride: int, reshapes: bool) -> Node | None:
        """A projection is normalised where the residual's last convolution is. C appendix: not in pre-activation."""
        if self.shortcut is None:
            return None
        if self.shortcut == "C" or (self.shortcut == "B" and reshapes):
            return seq(Conv(output, 1, stride, after="bn" if "bn" in row.last else ""))
        if reshapes:
            return Chain((("pad", ZeroPad(output, stride)),))
        return Seq(())


def cifar_resnet(depth: int, kernels: tuple[int, ...] = (3, 3), **fields: Any) -> ResNet:
    """The CIFAR network of a depth: 6n+2 with basic units (A sec. 4.2), 9n+2 with bottlenecks (C appendix).

    Shortcuts are A's where units are basic and B's where they are bottlenecks, as in the papers, unless given.
    Raises SpecError naming the nearest legal depths.
    """
    if kernels not in EXPANSION:
        raise SpecError(f"kernels {kernels}: choose from {', '.join(map(str, EXPANSION))}")
    step = 3 * len(kernels)
    count, rest = divmod(depth - 2, step)
    if rest or count < 1:
        lower = max(count, 1) * step + 2
        unit = {3: "one-layer", 6: "basic", 9: "bottleneck"}[step]
        raise SpecError(
            f"depth {depth}: a CIFAR {unit} network has {step}n+2 layers, for example {lower} or {lower + step}"
        )
    fields.setdefault("shortcut", "A" if EXPANSION[kernels] == 1 else "B")
    return ResNet(units=(count,) * 3, kernels=kernels, **fields)  # type: ignore[arg-type]


def resnet(depth: int, **fields: Any) -> ResNet:
    """The ImageNet network of a depth in A Table 1: 224x224 images, 1000 classes, shortcuts B unless given.

    A strides in the first 1x1 of a bottleneck; `stride_at=1` strides in the 3x3 ("v1.5").
    Raises SpecError naming the depths there are.
    """
    if depth not in IMAGENET:
        near = min(IMAGENET, key=lambda known: abs(known - depth))
        raise SpecError(f"depth {depth}: the papers have {', '.join(map(str, IMAGENET))}; the nearest is {near}")
    kernels, units = IMAGENET[depth]
    stem = seq(Conv(64, 7, 2), Pool("max", 3, 2))
    fields = {"stem": stem, "shortcut": "B", "classes": 1000, "size": 224} | fields
    return ResNet(units, (64, 128, 256, 512), kernels, **fields)  # type: ignore[arg-type]
