"""Networks as values: the grammar, the papers' networks, counts and tables."""

from reslab.nets.merges import Add, Dropped, Gated, Scaled, StochasticDepth, Weighted
from reslab.nets.names import NAMED, AnyNetwork, Named, find_name, name_of, network, networks, parse_network, to_string
from reslab.nets.paths import Activation, Cat, Conv, Pool, Seq, cat, seq
from reslab.nets.resnet import (
    ResNet,
    cifar_resnet,
    fixup_cifar,
    pyramidnet_cifar,
    resnet,
    resnet_d,
    resnext,
    resnext_cifar,
    wide_resnet,
)
from reslab.nets.staged import Auxiliary, Head, Residual, Stage, Staged

__all__ = [
    "NAMED",
    "Activation",
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
    "StochasticDepth",
    "Weighted",
    "cat",
    "cifar_resnet",
    "find_name",
    "fixup_cifar",
    "name_of",
    "network",
    "networks",
    "parse_network",
    "pyramidnet_cifar",
    "resnet",
    "resnet_d",
    "resnext",
    "resnext_cifar",
    "seq",
    "to_string",
    "wide_resnet",
]
