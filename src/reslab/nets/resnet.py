"""Residual, plain and pre-activation networks. A sec. 3 and 4.2, C appendix."""

from collections.abc import Iterator
from itertools import accumulate, repeat
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field

from reslab.errors import SpecError
from reslab.nets.arrangements import ARRANGEMENTS, Arrangement, ArrangementName
from reslab.nets.buildable import Buildable
from reslab.nets.leaves import Dropout, GlobalPool, Linear, Node, ZeroPad, activations
from reslab.nets.merges import Add, Merge, Probability, Weighted
from reslab.nets.network import Classes, Initialisation, Size, UnitCount, check_depth, check_units, units_by_depth
from reslab.nets.paths import Chain, Conv, Excitation, Path, Pool, Seq, Units, Width, seq
from reslab.nets.unit import Unit
from reslab.spec import added, kind, replace, spec

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
class ResNet(Buildable):
    """A stem, stages of units, and a head; every stage but the first halves the map in its first unit.

    units: units in each stage; widths: the width of each stage, or of each unit as in PyramidNet; a bottleneck's output
        is 4 times as wide
    kernels: (3, 3) basic, (1, 3, 1) bottleneck
    shortcut: "A" zero padding, "B" projection where the shape changes, "C" projection always, None a plain network
    stride_at: the convolution of a unit that has its stride, counted from 0; A strides in the first
    entrance: the place of the first unit's pre-activation, the stem as in C or the unit as in timm; "residual" leaves
        every unit's to its residual, and the shortcut x itself, as in PyramidNet
    size: height and width of the images that costs are counted for; the module takes any
    widening, groups: a unit's inner convolutions are `widening` times the stage's width, its 3x3 in `groups`. ResNeXt,
        Xie et al. 2017
    dropout: after the activations before a unit's last convolution. WideResNet, Zagoruyko and Komodakis 2016
    zero_last_bn: the scale of the last BN in every residual starts at 0. Goyal et al. 2017, sec. 5.1
    pooled_shortcut: where the map is halved the shortcut averages 2x2 pixels in place of leaving out three of four.
        PyramidNet with A; ResNet-D with B, He et al. 2019, arXiv 1812.01187, Fig. 2 c
    squeeze: squeeze-and-excitation at the residual's end, its inner width smaller by this factor. Hu et al. 2018
    initialisation: "he", or "fixup", whose residuals start at 0 and need no BN. Zhang et al. 2019, sec. 3.2
    """

    units: tuple[UnitCount, ...]
    widths: tuple[Width, ...] = (16, 32, 64)
    kernels: Kernels = (3, 3)
    arrangement: ArrangementName = "original"
    shortcut: Literal["A", "B", "C"] | None = "A"
    merge: Merge = Add()
    stem: Path = Conv(16, 3)
    stride_at: int = 0
    entrance: Literal["stem", "unit", "residual"] = "stem"
    classes: Classes = 10
    channels: Width = 3
    size: Size = 32
    widening: Annotated[int, Field(gt=0, le=64)] = added(1)
    groups: Width = added(1)
    dropout: Probability = added(0.0)
    zero_last_bn: bool = added(False)
    pooled_shortcut: bool = added(False)
    squeeze: Width | None = added(None)
    initialisation: Initialisation = added("he")
    kind: Literal["resnet"] = kind("resnet")

    def __post_init__(self) -> None:
        check_units(sum(self.units))
        if len(self.widths) not in (len(self.units), sum(self.units)) or not self.units:
            raise SpecError(
                f"units {self.units} and widths {self.widths}: each stage needs one of both, or each unit its own width"
            )
        if not 0 <= self.stride_at < len(self.kernels):
            last = len(self.kernels) - 1
            raise SpecError(f"stride_at {self.stride_at}: kernels {self.kernels} allow 0 to {last}, for example {last}")
        if self.shortcut is None and self.merge != Add():
            raise SpecError(
                f"merge {self.merge.kind}: a plain network (shortcut None) has nothing to merge; "
                "use merge add, or shortcut A, B or C"
            )
        if self.shortcut is None and self.pooled_shortcut:
            raise SpecError("pooled_shortcut: a plain network has no shortcut; use pooled_shortcut false")
        self._check_residual()
        self._check_initialisation()
        if self.shortcut == "A" and list(self.unit_outputs) != sorted(self.unit_outputs):
            raise SpecError(f"shortcut A pads channels and cannot take them away, outputs {self.outputs}: use B")

    def _check_residual(self) -> None:
        inner = [width * self.widening for width in self.widths]
        if self.groups > 1 and (len(self.kernels) < 3 or any(width % self.groups for width in inner)):
            raise SpecError(f"groups {self.groups}: kernels (1, 3, 1) and inner widths {inner} that they divide")
        one_layer = len(self.kernels) == 1
        if one_layer and (self.dropout or self.widening > 1):
            raise SpecError("dropout and widening stand between a unit's convolutions: use kernels (3, 3) or (1, 3, 1)")
        narrowest = min(self.unit_outputs)
        if self.squeeze and narrowest < self.squeeze:
            raise SpecError(f"squeeze {self.squeeze}: leaves nothing of {narrowest} channels, at most {narrowest}")

    def _check_initialisation(self) -> None:
        row = ARRANGEMENTS[self.arrangement]
        after = row.last if len(self.kernels) == 1 else f"{row.between} {row.last}"
        if self.zero_last_bn and "bn" not in after:
            raise SpecError("zero_last_bn: the residual has no BN after its convolutions; use arrangement original")
        starts_at_0 = self.zero_last_bn or self.initialisation == "fixup"
        if starts_at_0 and self.shortcut is None:
            field = "zero_last_bn" if self.zero_last_bn else "initialisation fixup"
            raise SpecError(f"{field}: a plain network would start, and stay, at 0; use shortcut A, B or C")
        if starts_at_0 and isinstance(self.merge, Weighted) and self.merge.start == 0:
            raise SpecError("merge weighted: a factor and a residual that both start at 0 learn nothing; start at 1")

    @property
    def depth(self) -> int:
        """Weight layers from the image to the classifier, projections not counted. A Table 1."""
        return 2 + len(self.kernels) * sum(self.units)

    @property
    def unit_widths(self) -> tuple[int, ...]:
        """The width of every unit."""
        if len(self.widths) == sum(self.units):
            return self.widths
        pairs = zip(self.widths, self.units, strict=True)
        return tuple(width for stage in pairs for width in repeat(*stage))

    @property
    def unit_outputs(self) -> tuple[int, ...]:
        """The output channels of the stem and of every unit."""
        stem = seq(self.stem).out(self.input)[0]
        return (stem, *(width * EXPANSION[self.kernels] for width in self.unit_widths))

    @property
    def outputs(self) -> tuple[int, ...]:
        """The output channels of the stem and of every stage."""
        outputs = self.unit_outputs
        return tuple(outputs[last] for last in accumulate(self.units, initial=0))

    @property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(f"stage{stage}" for stage in range(1, len(self.units) + 1))

    def plan(self) -> Chain:
        row, widths, outputs = ARRANGEMENTS[self.arrangement], self.unit_widths, self.unit_outputs
        stages: list[tuple[str, Node]] = []
        for stage, count in enumerate(self.units, 1):
            units = []
            for unit in range(1, count + 1):
                number = sum(self.units[: stage - 1]) + unit
                stride = 2 if stage > 1 and unit == 1 else 1
                before, width, output = outputs[number - 1], widths[number - 1], outputs[number]
                units.append((f"unit{unit}", self._unit(row, number, stride, before, width, output)))
            stages.append((f"stage{stage}", Units(tuple(units))))
        head = Chain((*activations(row.end, 0), ("pool", GlobalPool()), ("linear", Linear(self.classes))))
        return Chain((("stem", seq(self.stem)), *stages, ("head", head)))

    def _unit(self, row: Arrangement, number: int, stride: int, before: int, width: int, output: int) -> Unit:
        """A unit, counted from 1 in the whole network, from `before` to `output` channels."""
        reshapes = stride > 1 or before != output
        entrance = number == 1 and self.entrance == "stem"  # its pre-activation is the stem's
        shares = reshapes and not entrance and self.entrance != "residual"
        leading = "" if shares or entrance else row.before
        return Unit(
            residual=Chain((*activations(leading, 0), *self._residual(row, width, output, stride))),
            shortcut=self._shortcut(row, output, stride, reshapes),
            merge=self.merge.at(number, sum(self.units)),
            shared=Chain(tuple(activations(row.before if shares else "", 0))),
            after=Chain(tuple(activations(row.after, 0))),
            stride=stride,
            zero_last_bn=self.zero_last_bn,
        )

    def _residual(self, row: Arrangement, width: int, output: int, stride: int) -> Iterator[tuple[str, Node]]:
        for index, kernel in enumerate(self.kernels, 1):
            last = index == len(self.kernels)
            if self.dropout and last:
                yield f"dropout{index - 1}", Dropout(self.dropout)
            conv = Conv(
                width=output if last else width * self.widening,
                kernel=kernel,
                stride=stride if index == self.stride_at + 1 else 1,
                after=row.last if last else row.between,
                groups=self.groups if kernel == 3 else 1,
            )
            yield from conv.named(index)
        if self.squeeze:
            yield "excitation", Excitation(self.squeeze)

    def _shortcut(self, row: Arrangement, output: int, stride: int, reshapes: bool) -> Node | None:
        """A projection is normalised where the residual's last convolution is. C appendix: not in pre-activation."""
        pool: tuple[Pool, ...] = ()
        if self.pooled_shortcut and stride > 1:
            pool, stride = (Pool("average", stride, stride, "valid", ceil=True),), 1
        projection = seq(*pool, Conv(output, 1, stride, after="bn" if "bn" in row.last else ""))
        match self.shortcut:
            case None:
                return None
            case "A":
                return Chain((*seq(*pool).named(), ("pad", ZeroPad(output, stride)))) if reshapes else Seq(())
            case "B":
                return projection if reshapes else Seq(())
            case "C":
                return projection
            case _:
                assert_never(self.shortcut)


def cifar_resnet(depth: int, kernels: tuple[int, ...] = (3, 3), **fields: Any) -> ResNet:
    """The CIFAR network of a depth: 6n+2 with basic units (A sec. 4.2), 9n+2 with bottlenecks (C appendix).

    Shortcuts are A's where units are basic and B's where they are bottlenecks, as in the papers, unless given.
    Raises SpecError naming the nearest legal depths.
    """
    if kernels not in EXPANSION:
        raise SpecError(f"kernels {kernels}: choose from {', '.join(map(str, EXPANSION))}")
    unit = {1: "one-layer", 2: "basic", 3: "bottleneck"}[len(kernels)]
    count = units_by_depth(depth, 3 * len(kernels), 2, f"a CIFAR {unit} network")
    fields.setdefault("shortcut", "A" if EXPANSION[kernels] == 1 else "B")
    return ResNet(units=(count,) * 3, kernels=kernels, **fields)  # type: ignore[arg-type]


def resnet(depth: int, **fields: Any) -> ResNet:
    """The ImageNet network of a depth in A Table 1: 224x224 images, 1000 classes, shortcuts B unless given.

    A strides in the first 1x1 of a bottleneck; `stride_at=1` strides in the 3x3 ("v1.5").
    Raises SpecError naming the depths there are.
    """
    check_depth(depth, IMAGENET, "the papers have")
    kernels, units = IMAGENET[depth]
    stem = seq(Conv(64, 7, 2), Pool("max", 3, 2))
    fields = {"stem": stem, "shortcut": "B", "classes": 1000, "size": 224} | fields
    return ResNet(units, (64, 128, 256, 512), kernels, **fields)  # type: ignore[arg-type]


def wide_resnet(depth: int, factor: int, **fields: Any) -> ResNet:
    """WRN-depth-factor for CIFAR: full pre-activation, 6n+4 layers with the projections. arXiv 1605.07146, Table 1.

    Raises SpecError naming the nearest legal depths.
    """
    count = units_by_depth(depth, 6, 4, "a wide CIFAR network")
    fields = {"arrangement": "full-preactivation", "shortcut": "B"} | fields
    return ResNet((count,) * 3, (16 * factor, 32 * factor, 64 * factor), **fields)


def resnext(depth: int, groups: int, width: int, **fields: Any) -> ResNet:
    """ResNeXt for ImageNet: 3x3 convolutions in groups, each `width` wide in the first stage. arXiv 1611.05431."""
    return resnet(depth, groups=groups, widening=_widening(groups, width), stride_at=1, **fields)


def resnext_cifar(depth: int, groups: int, width: int, **fields: Any) -> ResNet:
    """ResNeXt for CIFAR: stages of 64, 128 and 256 channels, bottlenecks to four times as many. arXiv 1611.05431."""
    stages: dict[str, Any] = {"widths": (64, 128, 256), "stem": Conv(64, 3), "stride_at": 1}
    return cifar_resnet(depth, (1, 3, 1), groups=groups, widening=_widening(groups, width), **stages | fields)


def pyramidnet_cifar(depth: int, alpha: int, kernels: tuple[int, ...] = (3, 3), **fields: Any) -> ResNet:
    """PyramidNet for CIFAR: every unit is wider than the one before, 16 + `alpha` in the last. arXiv 1610.02915, eq. 2.

    Widths are rounded as in the authors' code; the paper takes their integer parts.
    """
    units = cifar_resnet(depth, kernels).units
    form: dict[str, Any] = {
        "arrangement": "pyramidnet",
        "shortcut": "A",
        "pooled_shortcut": True,
        "entrance": "residual",
    }
    form |= {"stem": Conv(16, 3, after="bn"), "stride_at": len(kernels) - 2}
    count = sum(units)
    widths = tuple(round(16 + alpha * unit / count) for unit in range(1, count + 1))
    return ResNet(units, widths, kernels, **form | fields)  # type: ignore[arg-type]


def fixup_cifar(depth: int, kernels: tuple[int, ...] = (3, 3), **fields: Any) -> ResNet:
    """Fixup's CIFAR network: no BN, a scale and scalar biases in each residual. arXiv 1901.09321, Fig. 1 right."""
    form: dict[str, Any] = {"arrangement": "fixup", "initialisation": "fixup", "entrance": "unit"}
    return cifar_resnet(depth, kernels, **form | {"stem": Conv(16, 3, after="bias relu")} | fields)


def resnet_d(depth: int, **fields: Any) -> ResNet:
    """ResNet-D: three 3x3 in the stem, the stride in a bottleneck's 3x3, pooled shortcuts. arXiv 1812.01187, sec. 4."""
    stem = seq(Conv(32, 3, 2), Conv(32, 3), Conv(64, 3), Pool("max", 3, 2))
    value = resnet(depth, stem=stem, pooled_shortcut=True, **fields)
    return replace(value, stride_at=len(value.kernels) - 2)


def _widening(groups: int, width: int) -> int:
    widening, rest = divmod(groups * width, 64)
    if rest:
        raise SpecError(f"{groups} groups of {width} channels: their product is a multiple of 64, for example 32 of 4")
    return widening
