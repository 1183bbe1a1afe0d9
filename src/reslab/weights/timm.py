"""timm's names for pre-activation ResNets, Inception-v4 and Inception-ResNet-v2."""

import re

from reslab.data.normalise import HALF, IMAGENET
from reslab.nets.network import NetworkSpec
from reslab.weights.layout import Layout, Pairs, conv_pairs, layers_with_weights, prefix
from reslab.weights.torchvision import resnet


def resnetv2(network: NetworkSpec) -> Pairs:
    """stem.conv, stages.0.blocks.0.norm1, stages.0.blocks.0.downsample.conv ..., norm, head.fc."""
    pairs = []
    for layer in layers_with_weights(network):
        theirs = re.sub(
            r"^stage(\d+)\.unit(\d+)", lambda m: f"stages.{int(m[1]) - 1}.blocks.{int(m[2]) - 1}", layer.name
        )
        theirs = re.sub(r"(residual|shared)\.bn(\d+)", lambda m: f"norm{int(m[2]) + 1}", theirs)
        theirs = theirs.replace("residual.", "").replace("shortcut.conv1", "downsample.conv")
        theirs = theirs.replace("stem.conv1", "stem.conv").replace("head.bn0", "norm").replace("head.linear", "head.fc")
        pairs.append((layer.name, theirs))
    return pairs


_DEEP_STEM = {
    "stem.conv1": "conv1.0",
    "stem.bn1": "conv1.1",
    "stem.conv2": "conv1.3",
    "stem.bn2": "conv1.4",
    "stem.conv3": "conv1.6",
    "stem.bn3": "bn1",
}


def resnetd(network: NetworkSpec) -> Pairs:
    """conv1.0, conv1.1, conv1.3 ..., and downsample.1 and .2 after the pool, or after an identity without one."""
    pairs = []
    for ours, theirs in resnet(network):
        if ".shortcut." in ours:
            theirs = theirs.partition(".shortcut.")[0].partition(".downsample.")[0]
            theirs += ".downsample.2" if ".bn" in ours else ".downsample.1"
        pairs.append((ours, _DEEP_STEM.get(ours, theirs)))
    return pairs


def seresnet(network: NetworkSpec) -> Pairs:
    return [(ours, re.sub(r"excitation\.factors\.conv", "se.fc", theirs)) for ours, theirs in resnet(network)]


_V4_C = "branch0 branch1_0 branch1_1a branch1_1b branch2_0 branch2_1 branch2_2 branch2_3a branch2_3b branch3.1"


def _branches(*counts: int) -> str:
    """branch0, branch1.0, branch1.1 ...: a branch of one convolution has no number."""
    return " ".join(
        f"branch{branch}" if count == 1 else f"branch{branch}.{index}"
        for branch, count in enumerate(counts)
        for index in range(count)
    )


def inception_v4(network: NetworkSpec) -> Pairs:
    a, b = f"{_branches(1, 2, 3)} branch3.1", f"{_branches(1, 3, 5)} branch3.1"
    stem = f"0 1 2 3.conv {prefix('4', _branches(2, 4))} 5.conv"
    blocks = [
        ("stem", stem),
        ("reduction1", prefix("10", _branches(1, 3))),
        ("reduction2", prefix("18", _branches(2, 4))),
    ]
    for stage, first, count, names in (("stage1", 6, 4, a), ("stage2", 11, 7, b), ("stage3", 19, 3, _V4_C)):
        blocks += [(f"{stage}.unit{index + 1}", prefix(str(first + index), names)) for index in range(count)]
    pairs = conv_pairs(network, [(block, prefix("features", names)) for block, names in blocks])
    return [*pairs, ("head.linear", "last_linear")]


def inception_resnet_v2(network: NetworkSpec) -> Pairs:
    stem = "conv2d_1a conv2d_2a conv2d_2b conv2d_3b conv2d_4a " + prefix("mixed_5b", f"{_branches(1, 2, 3)} branch3.1")
    blocks = [
        ("stem", stem),
        ("reduction1", prefix("mixed_6a", _branches(1, 3))),
        ("reduction2", prefix("mixed_7a", _branches(2, 2, 3))),
        ("last", "conv2d_7b"),
        ("stage3.unit10", prefix("block8", f"{_branches(1, 3)} conv2d!")),
    ]
    repeats = (
        ("stage1", "repeat", 10, (1, 2, 3)),
        ("stage2", "repeat_1", 20, (1, 3)),
        ("stage3", "repeat_2", 9, (1, 3)),
    )
    for stage, repeat, count, branches in repeats:
        names = f"{_branches(*branches)} conv2d!"
        blocks += [(f"{stage}.unit{index + 1}", prefix(f"{repeat}.{index}", names)) for index in range(count)]
    return [*conv_pairs(network, blocks), ("head.linear", "classif")]


LAYOUTS = (
    Layout("timm's ResNetV2", tuple(f"preact{depth}-timm" for depth in (18, 34, 50, 101, 152, 200)), resnetv2, HALF),
    Layout("timm's ResNet-D", ("resnet50d",), resnetd, IMAGENET),
    Layout("timm's SE-ResNet", ("se-resnet50",), seresnet, IMAGENET),
    Layout("timm's Inception-v4", ("inception-v4-slim",), inception_v4, HALF),
    Layout("timm's Inception-ResNet-v2", ("inception-resnet-v2-slim",), inception_resnet_v2, HALF),
)
