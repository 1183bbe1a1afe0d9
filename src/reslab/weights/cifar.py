"""The CIFAR ResNets of the well-known pytorch_resnet_cifar10, whose option A pads zero channels on both sides."""

import torch

from reslab.data.normalise import IMAGENET
from reslab.nets import ResNet
from reslab.nets.network import NetworkSpec
from reslab.weights.file import State
from reslab.weights.layout import Layout, Pairs
from reslab.weights.torchvision import resnet

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # CIFAR-10
_BN = ("weight", "bias", "running_mean", "running_var")


def pairs(network: NetworkSpec) -> Pairs:
    return resnet(network, linear="linear")


def reorder(network: NetworkSpec, state: State) -> State:
    """The state_dict with the channels of every stage in the paper's order: the input's channels, then the zeros.

    There the input's channels are in the middle. The units of a stage add to one stream of channels: the last
    convolution and BN of each unit write in its order, and the first convolution of each unit reads in it.
    """
    assert isinstance(network, ResNet)
    order = torch.arange(network.outputs[0])  # order[i]: the index there of our channel i
    changed = dict(state)
    last = len(network.kernels)
    for stage, (units, width) in enumerate(zip(network.units, network.outputs[1:], strict=True), 1):
        for unit in range(1, units + 1):
            at = f"stage{stage}.unit{unit}.residual"
            changed[f"{at}.conv1.weight"] = changed[f"{at}.conv1.weight"][:, order]
            if width != len(order):
                before = (width - len(order)) // 2
                zeros = torch.cat([torch.arange(before), torch.arange(before + len(order), width)])
                order = torch.cat([order + before, zeros])
            for key in (f"conv{last}.weight", *(f"bn{last}.{name}" for name in _BN)):
                changed[f"{at}.{key}"] = changed[f"{at}.{key}"][order]
    if "head.linear.weight" in changed:
        changed["head.linear.weight"] = changed["head.linear.weight"][:, order]
    return changed


LAYOUTS = (
    Layout(
        "pytorch_resnet_cifar10's ResNet",
        tuple(f"resnet{depth}-cifar" for depth in (20, 32, 44, 56, 110, 1202)),
        pairs,
        IMAGENET,
        reorder,
        _CLASSES,
        crop="square",
    ),
)
