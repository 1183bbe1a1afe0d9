"""Network specs that build their torch module and print as their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reslab.nets.network import NetworkSpec
from reslab.nets.table import columns, table_text
from reslab.table import to_html

if TYPE_CHECKING:
    from reslab.nets.modules import Network


class Buildable(NetworkSpec):
    """The top of the specs' base classes; it alone imports torch, and only to build."""

    def build(self) -> Network:
        """The torch module with fresh He weights drawn from torch's global generator. (N, C, H, W) -> (N, classes)."""
        from reslab.nets.build import build_network

        return build_network(self)

    def __str__(self) -> str:
        return table_text(self)

    def _repr_html_(self) -> str:
        """The table of the network's stages, for notebooks."""
        return to_html(columns(self), f"{self.cost().parameters:,} parameters")

    def _repr_svg_(self) -> str:
        """The picture that a notebook shows."""
        from reslab.nets.picture import column

        return column((f"{self.cost().parameters:,} parameters", self)).save("svg").decode()
