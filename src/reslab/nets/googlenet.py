"""GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842) and BN-Inception (Ioffe and Szegedy 2015, arXiv 1502.03167)."""

from functools import partial
from typing import Any, Literal

from reslab.nets.paths import Cat, Conv, Pool, cat, seq
from reslab.nets.staged import Auxiliary, Head, Stage, Staged

CEIL: dict[str, Any] = {"stride": 2, "padding": "valid", "ceil": True}  # Caffe's rounding: 112 to 56 without padding

# 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pooled; a group for each stage. GoogLeNet Table 1, 3a to 5b
GOOGLENET = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


def googlenet() -> Staged:
    """22 layers, biases and no BN, true 5x5 convolutions, two auxiliary classifiers. GoogLeNet Table 1, Fig. 3."""
    plain: dict[str, Any] = {"after": "relu", "bias": True}
    stem = seq(
        Conv(64, 7, 2, **plain),
        Pool("max", 3, **CEIL, after="lrn"),
        Conv(64, 1, **plain),
        Conv(192, 3, after="relu lrn", bias=True),
    )
    stages = _stages(stem, Pool("max", 3, **CEIL), Pool("max", 3, **CEIL), last_kernel=5, conv=plain)
    auxiliary = seq(Pool("average", 5, 3, "valid"), Conv(128, 1, **plain))
    return Staged(stages, Head(dropout=0.4), _both(auxiliary), size=224)


def googlenet_torchvision() -> Staged:
    """torchvision's GoogLeNet: BN, 3x3 in place of 5x5, a 2x2 last pool."""
    stem = seq(Conv(64, 7, 2), Pool("max", 3, **CEIL), Conv(64, 1), Conv(192, 3))
    stages = _stages(stem, Pool("max", 3, **CEIL), Pool("max", 2, **CEIL), last_kernel=3, conv={})
    auxiliary = seq(Pool("average", 5, 3, "valid"), Conv(128, 1))
    return Staged(stages, Head(dropout=0.2), _both(auxiliary), size=224)


def _both(path: Any) -> tuple[Auxiliary, ...]:
    head = Head("flatten", hidden=(1024,), dropout=0.7)
    return tuple(Auxiliary(block, path, head) for block in ("stage2.unit1", "stage2.unit4"))


def _stages(stem: Any, pool3: Pool, pool4: Pool, last_kernel: int, conv: dict[str, Any]) -> tuple[Stage, ...]:
    def module(one: int, three_reduced: int, three: int, five_reduced: int, five: int, pooled: int) -> Cat:
        return cat(
            Conv(one, 1, **conv),
            seq(Conv(three_reduced, 1, **conv), Conv(three, 3, **conv)),
            seq(Conv(five_reduced, 1, **conv), Conv(five, last_kernel, **conv)),
            seq(Pool("max", 3, ceil=last_kernel == 3), Conv(pooled, 1, **conv)),
        )

    groups = [tuple(module(*row) for row in group) for group in GOOGLENET]
    return (
        Stage("stem", (stem,)),
        Stage("pool1", (Pool("max", 3, **CEIL),)),
        Stage("stage1", groups[0]),
        Stage("pool2", (pool3,)),
        Stage("stage2", groups[1]),
        Stage("pool3", (pool4,)),
        Stage("stage3", groups[2]),
    )


# 1x1, 3x3 reduced, 3x3, double 3x3 reduced, double 3x3, pooling, pooled; a group for each stage.
# BN-Inception appendix, 3a to 5b
BN_INCEPTION: tuple[tuple[tuple[int, int, int, int, int, Literal["average", "max"], int], ...], ...] = (
    (
        (64, 64, 64, 64, 96, "average", 32),
        (64, 64, 96, 64, 96, "average", 64),
        (0, 128, 160, 64, 96, "max", 0),
    ),
    (
        (224, 64, 96, 96, 128, "average", 128),
        (192, 96, 128, 96, 128, "average", 128),
        (160, 128, 160, 128, 160, "average", 128),
        (96, 128, 192, 160, 192, "average", 128),
        (0, 128, 192, 192, 256, "max", 0),
    ),
    (
        (352, 192, 320, 160, 224, "average", 128),
        (352, 192, 320, 192, 224, "max", 128),
    ),
)


def bn_inception(caffe: bool = False) -> Staged:
    """Inception-v2 of paper B. Modules without a 1x1 branch halve the map and pass their pooled input through.

    As in the public weights, `caffe` puts a bias before every BN, counts the padding's zeros in averages and has
    another constant in BN's root.
    """
    conv = partial(Conv, bias=caffe)

    def module(row: tuple[int, int, int, int, int, Literal["average", "max"], int]) -> Cat:
        one, three_reduced, three, double_reduced, double, pooling, pooled = row
        stride = 1 if one else 2
        branches = [
            seq(conv(three_reduced, 1), conv(three, 3, stride)),
            seq(conv(double_reduced, 1), conv(double, 3), conv(double, 3, stride)),
        ]
        if not one:
            return cat(*branches, Pool("max", 3, **CEIL))
        pool = Pool(pooling, 3, counts_padding=caffe and pooling == "average")
        return cat(conv(one, 1), *branches, seq(pool, conv(pooled, 1)))

    stem = seq(conv(64, 7, 2), Pool("max", 3, **CEIL), conv(64, 1), conv(192, 3), Pool("max", 3, **CEIL))
    stages = [Stage(f"stage{index}", tuple(map(module, rows))) for index, rows in enumerate(BN_INCEPTION, 1)]
    return Staged((Stage("stem", (stem,)), *stages), Head(), bn_eps=1e-5 if caffe else 1e-3, size=224)
