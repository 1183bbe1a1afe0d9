"""DenseNet: every layer reads the maps of all layers before it. Huang et al. 2017, arXiv 1608.06993."""

from reslab.nets.network import check_depth, units_by_depth
from reslab.nets.paths import Activation, Conv, Path, Pool, cat, seq
from reslab.nets.staged import Head, Stage, Staged
from reslab.spec import replace

IMAGENET = {
    121: (32, (6, 12, 24, 16)),
    161: (48, (6, 12, 36, 24)),
    169: (32, (6, 12, 32, 32)),
    201: (32, (6, 12, 48, 32)),
}
"""Growth rate and layers of each block by depth. Table 1, and its sec. 4.3 for 161."""


def densenet(depth: int) -> Staged:
    """DenseNet-BC for ImageNet. Table 1. Raises SpecError naming the depths there are."""
    check_depth(depth, IMAGENET, "the paper has")
    growth, counts = IMAGENET[depth]
    return _dense(seq(Conv(2 * growth, 7, 2), Pool("max", 3, 2)), growth, counts)


def densenet_cifar(depth: int, growth: int) -> Staged:
    """DenseNet-BC for CIFAR: three blocks, 6n+4 layers. Sec. 3 and 4.2.

    Raises SpecError naming the nearest legal depths.
    """
    count = units_by_depth(depth, 6, 4, "a CIFAR DenseNet-BC")
    return replace(_dense(Conv(2 * growth, 3, after=""), growth, (count,) * 3), classes=10, size=32)


def _dense(stem: Path, growth: int, counts: tuple[int, ...]) -> Staged:
    """Blocks of bottleneck layers, between them transitions that halve the map and the channels. Sec. 3, Fig. 2."""
    composite = seq(Activation("bn relu"), Conv(4 * growth, 1), Conv(growth, 3, after=""))  # H, DenseNet-B
    layer = cat(seq(), composite)  # [x, H(x)], eq. 2
    stages, width = [Stage("stem", (stem,))], 2 * growth
    for index, count in enumerate(counts, 1):
        if index > 1:
            width //= 2
            transition = seq(Activation("bn relu"), Conv(width, 1, after=""), Pool("average", 2, 2, "valid"))
            stages.append(Stage(f"transition{index - 1}", (transition,)))
        stages.append(Stage(f"stage{index}", (layer,) * count))
        width += growth * count
    stages.append(Stage("last", (Activation("bn relu"),)))
    return Staged(tuple(stages), Head(), bn_eps=1e-5, size=224)
