"""A network as a value: its plan, its layers and its cost."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field

from reslab.errors import SpecError
from reslab.nets.cost import Cost, Layer, Shape, total
from reslab.nets.paths import Chain, Width

MOST_UNITS = 10_000
"""Units of a network in all; the deepest published one has 600, ResNet-1202."""
UnitCount = Annotated[int, Field(gt=0, le=MOST_UNITS)]
Classes = Annotated[int, Field(gt=0, le=1_000_000)]
Initialisation = Literal["he", "fixup"]
Size = Annotated[int, Field(gt=0, le=16_384)]
"""Height and width of an image in pixels."""


class NetworkSpec:
    """The base of every network's spec. A spec adds its fields and its `plan`; `Buildable` adds the module."""

    classes: Classes
    channels: Width
    size: Size
    bn_eps = 1e-5
    initialisation: Initialisation = "he"

    def plan(self) -> Chain:
        """The network as named parts: stem, stage1, stage2 ..., head."""
        raise NotImplementedError

    def auxiliaries(self) -> tuple[tuple[str, Shape, Chain], ...]:
        """Classifiers that read inner maps while training: the path of the block, its output's shape, their parts."""
        return ()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The parts between stem and head."""
        raise NotImplementedError

    @property
    def single_pixel_stage(self) -> str | None:
        """The stage, of all but the last, from which on maps are 1×1, as small images make them; None without one."""
        shape = self.input
        for name, part in self.plan().parts:
            shape = part.out(shape)
            if shape[1:] == (1, 1) and name in self.stage_names[:-1]:
                return name
        return None

    @property
    def input(self) -> Shape:
        """(channels, height, width) of one image."""
        return (self.channels, self.size, self.size)

    def layers(self) -> tuple[Layer, ...]:
        """Every layer in the order of the built network's modules. Raises SpecError where the input is too small."""
        try:
            return tuple(self.plan().layers(self.input))
        except SpecError as error:
            raise SpecError(f"input {self.size}×{self.size}: {error}") from None

    def cost(self) -> Cost:
        """Parameters and multiply-adds for one image of the spec's input size."""
        return total(self.layers())


def check_units(units: int) -> None:
    """Raise SpecError for more units than any network here may have."""
    if units > MOST_UNITS:
        raise SpecError(f"{units:,} units: at most {MOST_UNITS:,} in all")


def check_depth(depth: int, known: Collection[int], whose: str) -> None:
    """Raises SpecError naming the depths there are, and the nearest, for another one."""
    if depth not in known:
        near = min(known, key=lambda each: abs(each - depth))
        raise SpecError(f"depth {depth}: {whose} {', '.join(map(str, known))}; the nearest is {near}")


def units_by_depth(depth: int, step: int, rest: int, network: str) -> int:
    """The n of a network of step * n + rest layers. Raises SpecError naming the nearest legal depths."""
    units, left = divmod(depth - rest, step)
    if left or units < 1:
        lower = max(units, 1) * step + rest
        raise SpecError(f"depth {depth}: {network} has {step}n+{rest} layers, for example {lower} or {lower + step}")
    return units
