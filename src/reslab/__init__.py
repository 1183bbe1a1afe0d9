"""A laboratory for residual networks: `network("resnet20-cifar")` is a value to look at, change, count and build."""

from reslab.api import (
    analyse_networks,
    evaluate_network,
    export_network,
    load,
    predict_pictures,
    recipe,
    train_network,
)
from reslab.machine import tune_openmp
from reslab.nets import Add, Dropped, Gated, ResNet, Scaled, cifar_resnet, network, networks, resnet
from reslab.spec import from_json, replace, to_json

__all__ = [
    "Add",
    "Dropped",
    "Gated",
    "ResNet",
    "Scaled",
    "analyse_networks",
    "cifar_resnet",
    "evaluate_network",
    "export_network",
    "from_json",
    "load",
    "network",
    "networks",
    "predict_pictures",
    "recipe",
    "replace",
    "resnet",
    "to_json",
    "train_network",
]

tune_openmp()
