"""torchvision's names. Its ResNets stride in the 3x3, its Inception-v3 averages padding, its GoogLeNet is another."""

import re
from functools import partial

from reslab.data.normalise import HALF, IMAGENET
from reslab.nets.network import NetworkSpec
from reslab.weights.layout import Layout, Pairs, conv_pairs, layers_with_weights, prefix


def resnet(network: NetworkSpec, linear: str = "fc") -> Pairs:
    """conv1, layer1.0.conv1, layer1.0.downsample.0 ..."""
    pairs = []
    for layer in layers_with_weights(network):
        theirs = re.sub(r"^stem\.", "", layer.name)
        theirs = re.sub(r"^stage(\d+)\.unit(\d+)", lambda m: f"layer{m[1]}.{int(m[2]) - 1}", theirs)
        theirs = theirs.replace("residual.", "").replace("shortcut.conv1", "downsample.0")
        theirs = theirs.replace("shortcut.bn1", "downsample.1").replace("head.linear", linear)
        pairs.append((layer.name, theirs))
    return pairs


def _numbered(first_linear: int, network: NetworkSpec) -> Pairs:
    """features.0, features.3 ... counting every layer, and classifier.N at every third place."""
    pairs, place, linear = [], 0, first_linear
    for layer in network.layers():
        if layer.kind == "linear":
            pairs.append((layer.name, f"classifier.{linear}"))
            linear += 3
        elif not layer.name.startswith("head."):
            if layer.parameters:
                pairs.append((layer.name, f"features.{place}"))
            place += 1
    return pairs


def vgg(network: NetworkSpec) -> Pairs:
    return _numbered(0, network)


def alexnet(network: NetworkSpec) -> Pairs:
    # dropout precedes the hidden layers there, and the last two linear layers are two places apart
    renumbered = {"classifier.7": "classifier.6"}
    return [(ours, renumbered.get(theirs, theirs)) for ours, theirs in _numbered(1, network)]


def googlenet(network: NetworkSpec) -> Pairs:
    module = "branch1 branch2.0 branch2.1 branch3.0 branch3.1 branch4.1"
    names = {"stage1": "3a 3b", "stage2": "4a 4b 4c 4d 4e", "stage3": "5a 5b"}
    blocks = [("stem", "conv1 conv2 conv3")]
    for stage, modules in names.items():
        for index, name in enumerate(modules.split(), 1):
            blocks.append((f"{stage}.unit{index}", prefix(f"inception{name}", module)))
    pairs = []
    for index in range(1, len(network.auxiliaries()) + 1):
        ours, theirs = f"auxiliary{index}", f"aux{index}"
        blocks.append((ours, f"{theirs}.conv"))
        pairs += [(f"{ours}.head.linear1", f"{theirs}.fc1"), (f"{ours}.head.linear", f"{theirs}.fc2")]
    return [*conv_pairs(network, blocks), *pairs, ("head.linear", "fc")]


_A = "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool"
_B = "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"
_C = (
    "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 "
    "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool"
)
_D = "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4"
_E = (
    "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b "
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a branch3x3dbl_3b branch_pool"
)


def inception_v3(network: NetworkSpec) -> Pairs:
    stem = "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3"
    blocks = [("stem", stem), ("reduction1", prefix("Mixed_6a", _B)), ("reduction2", prefix("Mixed_7a", _D))]
    for stage, letters, names in (("stage1", "5b 5c 5d", _A), ("stage2", "6b 6c 6d 6e", _C), ("stage3", "7b 7c", _E)):
        for index, letter in enumerate(letters.split(), 1):
            blocks.append((f"{stage}.unit{index}", prefix(f"Mixed_{letter}", names)))
    pairs = [("head.linear", "fc")]
    if network.auxiliaries():
        blocks.append(("auxiliary1", prefix("AuxLogits", "conv0 conv1")))
        pairs.append(("auxiliary1.head.linear", "AuxLogits.fc"))
    return [*conv_pairs(network, blocks), *pairs]


def densenet(network: NetworkSpec, point: str = "") -> Pairs:
    """features.denseblock1.denselayer1.norm1 ...; `point` stands before a layer's number in the published files."""
    pairs = []
    for layer in layers_with_weights(network):
        theirs = re.sub(
            r"^stage(\d+)\.unit(\d+)\.branch2\.(\w+?)(\d)",
            lambda m: f"denseblock{m[1]}.denselayer{m[2]}.{m[3]}{point}{int(m[4]) - (m[3] == 'conv')}",
            layer.name,
        )
        theirs = re.sub(r"^(transition\d+\.\w+)\d", r"\1", theirs).replace("last.bn1", "norm5").replace("bn", "norm")
        theirs = theirs.replace("stem.conv1", "conv0").replace("stem.norm1", "norm0")
        pairs.append((layer.name, "classifier" if layer.kind == "linear" else f"features.{theirs}"))
    return pairs


_DENSENETS = tuple(f"densenet{depth}" for depth in (121, 161, 169, 201))

LAYOUTS = (
    Layout(
        "torchvision's and timm's ResNet",
        (
            *("resnet18", "resnet34", *(f"resnet{depth}-v1.5" for depth in (50, 101, 152, 200))),
            *("resnext50-32x4d", "resnext101-32x8d", "wrn-50-2", "wrn-101-2"),
        ),
        resnet,
        IMAGENET,
    ),
    Layout("torchvision's VGG", ("vgg11", "vgg13", "vgg16", "vgg19", "vgg16-bn", "vgg19-bn"), vgg, IMAGENET),
    Layout("torchvision's AlexNet", ("alexnet-torchvision",), alexnet, IMAGENET),
    Layout("torchvision's DenseNet, as published", _DENSENETS, partial(densenet, point="."), IMAGENET),
    Layout("torchvision's and timm's DenseNet", _DENSENETS, densenet, IMAGENET),
    # ported from TensorFlow: torchvision turns ImageNet's normalisation into this one inside the network
    Layout("torchvision's GoogLeNet", ("googlenet-torchvision",), googlenet, HALF),
    Layout("torchvision's and timm's Inception-v3", ("inception-v3-torchvision",), inception_v3, HALF),
)
