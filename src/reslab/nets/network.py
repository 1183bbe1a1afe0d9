"""A network is a value: it builds its module, prints as its table, counts its own cost, goes to JSON and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reslab.errors import SpecError
from reslab.nets.cost import Cost, Layer, Shape, total
from reslab.nets.paths import Chain

if TYPE_CHECKING:
    from reslab.nets.modules import Network


class NetworkSpec:
    """What every network's spec can do. A spec adds the fields and says in `plan` what stands where."""

    classes: int
    channels: int
    size: int
    bn_eps = 1e-5

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

    def build(self) -> Network:
        """The torch module with fresh He weights drawn from torch's global generator. (N, C, H, W) -> (N, classes)."""
        from reslab.nets.build import build_network

        return build_network(self)

    def __str__(self) -> str:
        from reslab.nets.table import table_text

        return table_text(self)
