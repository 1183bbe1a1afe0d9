"""A laboratory for residual networks: `network("resnet20-cifar")` is a value to look at, change, count and build."""

from pathlib import Path
from typing import TYPE_CHECKING

from reslab.nets import Add, Dropped, Gated, ResNet, Scaled, cifar_resnet, network, networks, resnet
from reslab.spec import from_json, replace, to_json

if TYPE_CHECKING:
    from reslab.nets.modules import Network

__all__ = [
    "Add",
    "Dropped",
    "Gated",
    "ResNet",
    "Scaled",
    "cifar_resnet",
    "from_json",
    "load",
    "network",
    "networks",
    "replace",
    "resnet",
    "to_json",
]


def load(path: Path | str, classes: int | None = None) -> "Network":
    """The network of a weights file that reslab wrote. See reslab.weights.file.load; torch is imported here."""
    from reslab.weights.file import load

    return load(path, classes)
