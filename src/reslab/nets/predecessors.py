"""The predecessors: LeNet-5, AlexNet, ZFNet, VGG. Each says where its paper leaves something open."""

from typing import Any, Literal

from reslab.nets.paths import Conv, Path, Pool, seq
from reslab.nets.staged import Head, Stage, Staged
from reslab.spec import replace

_RELU: dict[str, Any] = {"after": "relu", "bias": True}
_LRN: dict[str, Any] = {"after": "relu lrn", "bias": True}


def _staged(head: Head, size: int, *stages: tuple[Path, ...]) -> Staged:
    named = tuple(Stage(f"stage{index}", (seq(*parts),)) for index, parts in enumerate(stages, 1))
    return Staged(named, head, size=size)


def lenet5() -> Staged:
    """LeCun et al. 1998, Fig. 2, as it is built today: C3 sees all maps, pooling learns nothing, a linear output."""
    squash: dict[str, Any] = {"padding": "valid", "after": "squash", "bias": True}
    half = Pool("average", 2, 2, "valid")
    stages = ((Conv(6, 5, **squash), half), (Conv(16, 5, **squash), half), (Conv(120, 5, **squash),))
    return replace(_staged(Head("flatten", (84,), activation="squash"), 32, *stages), classes=10, channels=1)


def alexnet(towers: Literal[1, 2] = 2) -> Staged:
    """Krizhevsky et al. 2012, Fig. 2. Two towers, one for each of their GPUs, exchange maps in the third layer alone.

    227 pixels in place of the printed 224, from which its 55x55 maps do not follow.
    """
    pool = Pool("max", 3, 2, "valid")
    return _staged(
        Head("flatten", (4096, 4096), dropout=0.5),
        227,
        (Conv(96, 11, 4, "valid", **_LRN), pool),
        (Conv(256, 5, groups=towers, **_LRN), pool),
        (Conv(384, 3, **_RELU), Conv(384, 3, groups=towers, **_RELU), Conv(256, 3, groups=towers, **_RELU), pool),
    )


def alexnet_torchvision() -> Staged:
    """torchvision's AlexNet: the one tower of Krizhevsky 2014, arXiv 1404.5997, without normalisation."""
    pool = Pool("max", 3, 2, "valid")
    return _staged(
        Head("flatten", (4096, 4096), dropout=0.5),
        224,
        (Conv(64, 11, 4, 2, **_RELU), pool),
        (Conv(192, 5, **_RELU), pool),
        (Conv(384, 3, **_RELU), Conv(256, 3, **_RELU), Conv(256, 3, **_RELU), pool),
    )


def zfnet(widths: tuple[int, int, int] = (384, 384, 256)) -> Staged:
    """Zeiler and Fergus 2013, Fig. 3, arXiv 1311.2901; `widths` of layers 3 to 5, (512, 1024, 512) being its best.

    Its contrast normalisation is AlexNet's local response normalisation here; pooling rounds up, as its sizes ask.
    """
    pool = Pool("max", 3, 2, "valid", ceil=True)
    normed = Pool("max", 3, 2, "valid", ceil=True, after="lrn")
    return _staged(
        Head("flatten", (4096, 4096), dropout=0.5),
        224,
        (Conv(96, 7, 2, 1, **_RELU), normed),
        (Conv(256, 5, 2, "valid", **_RELU), normed),
        (*(Conv(width, 3, **_RELU) for width in widths), pool),
    )


VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions between two poolings, by depth. Simonyan and Zisserman 2014, arXiv 1409.1556, Table 1."""


def vgg(depth: Literal[11, 13, 16, 19], bn: bool = False) -> Staged:
    """Configurations A, B, D and E: 3x3 convolutions of 64 to 512 channels. With `bn`, BN after each, biases kept."""
    conv: dict[str, Any] = {"after": "bn relu" if bn else "relu", "bias": True}
    groups = zip(VGG[depth], (64, 128, 256, 512, 512), strict=True)
    pool = Pool("max", 2, 2, "valid")
    stages: list[tuple[Path, ...]] = [(*[Conv(width, 3, **conv)] * count, pool) for count, width in groups]
    return replace(_staged(Head("flatten", (4096, 4096), dropout=0.5), 224, *stages), bn_eps=1e-5)
