"""A laboratory for residual networks: `network("resnet20-cifar")` is a value to look at, change, count and build."""

from reslab.nets import Add, Dropped, Gated, ResNet, Scaled, cifar_resnet, network, networks
from reslab.spec import from_json, replace, to_json

__all__ = [
    "Add",
    "Dropped",
    "Gated",
    "ResNet",
    "Scaled",
    "cifar_resnet",
    "from_json",
    "network",
    "networks",
    "replace",
    "to_json",
]
