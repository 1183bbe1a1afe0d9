"""What a network is."""

from reslab.nets.merges import Add, Dropped, Gated, Scaled
from reslab.nets.names import NAMED, AnyNetwork, Named, name_of, network, networks
from reslab.nets.paths import Cat, Conv, Pool, Seq, cat, seq
from reslab.nets.resnet import ResNet, cifar_resnet, resnet
from reslab.nets.staged import Auxiliary, Head, Residual, Stage, Staged
from reslab.nets.variants import parse_network, to_string

__all__ = [
    "NAMED",
    "Add",
    "AnyNetwork",
    "Auxiliary",
    "Cat",
    "Conv",
    "Dropped",
    "Gated",
    "Head",
    "Named",
    "Pool",
    "ResNet",
    "Residual",
    "Scaled",
    "Seq",
    "Stage",
    "Staged",
    "cat",
    "cifar_resnet",
    "name_of",
    "network",
    "networks",
    "parse_network",
    "resnet",
    "seq",
    "to_string",
]
