"""What a network is."""

from reslab.nets.merges import Add, Dropped, Gated, Scaled
from reslab.nets.names import NAMED, Named, name_of, network, networks
from reslab.nets.paths import Cat, Conv, Pool, Seq, cat, seq
from reslab.nets.resnet import ResNet, cifar_resnet

__all__ = [
    "NAMED",
    "Add",
    "Cat",
    "Conv",
    "Dropped",
    "Gated",
    "Named",
    "Pool",
    "ResNet",
    "Scaled",
    "Seq",
    "cat",
    "cifar_resnet",
    "name_of",
    "network",
    "networks",
    "seq",
]
