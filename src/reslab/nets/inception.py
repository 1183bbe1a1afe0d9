"""Inception-v4, Inception-ResNet-v1 and -v2 as the figures of paper B draw them, and Inception-v3.

A block is a concatenation of branches; every convolution has BN and ReLU after it unless `after` says otherwise. The
order of branches along the channels is that of TF-slim, which all public weights have; the figures give none.
"""

from typing import Any

from reslab.nets.merges import Scaled
from reslab.nets.paths import Cat, Conv, Pool, Seq, cat, seq
from reslab.nets.staged import Auxiliary, Head, Residual, Stage, Staged

HALVED: dict[str, Any] = {"stride": 2, "padding": "valid"}  # the figures' "stride 2 V"
V: dict[str, Any] = {"padding": "valid"}


def max_pool() -> Pool:
    return Pool("max", 3, **HALVED)


def averaged(width: int, counts_padding: bool = False) -> Seq:
    """The pooling branch: 3x3 average, then a 1x1 convolution."""
    return seq(Pool("average", 3, counts_padding=counts_padding), Conv(width, 1))


def stages(stem: Seq, *parts: tuple[str, Any]) -> tuple[Stage, ...]:
    """A stem and the parts after it: a list of blocks is a stage, a single block a reduction."""
    named = [(name, part if isinstance(part, list) else [part]) for name, part in (("stem", stem), *parts)]
    return tuple(Stage(name, tuple(blocks)) for name, blocks in named)


def stem_v4(slim: bool = False) -> Seq:
    """The stem of Inception-v4 and Inception-ResNet-v2. B Fig. 3; slim has 1x7 before 7x1."""
    tall, wide = ((1, 7), (7, 1)) if slim else ((7, 1), (1, 7))
    return seq(
        Conv(32, 3, **HALVED),
        Conv(32, 3, **V),
        Conv(64, 3),
        cat(max_pool(), Conv(96, 3, **HALVED)),
        cat(
            seq(Conv(64, 1), Conv(96, 3, **V)),
            seq(Conv(64, 1), Conv(64, tall), Conv(64, wide), Conv(96, 3, **V)),
        ),
        cat(Conv(192, 3, **HALVED), max_pool()),
    )


def stem_v3(*last: Conv | Pool | Cat) -> Seq:
    """299 to 71 pixels, 192 channels, as in TF-slim's Inception-v3 and Inception-ResNet-v1 (B Fig. 14)."""
    return seq(
        Conv(32, 3, **HALVED), Conv(32, 3, **V), Conv(64, 3), max_pool(), Conv(80, 1), Conv(192, 3, **V), *last
    )  # fmt: skip


def reduction_a(k: int, l: int, m: int, n: int) -> Cat:  # noqa: E741, the paper's letters
    """35x35 to 17x17. B Fig. 7, with the k, l, m, n of its Table 1."""
    return cat(Conv(n, 3, **HALVED), seq(Conv(k, 1), Conv(l, 3), Conv(m, 3, **HALVED)), max_pool())


def inception_v4(slim: bool = False) -> Staged:
    """B Figs. 3 to 9. `slim` has 1x7 and 7x1, 1x3 and 3x1 in the order of TF-slim and its weights."""
    first, second = ((7, 1), (1, 7)) if slim else ((1, 7), (7, 1))
    low, high = ((3, 1), (1, 3)) if slim else ((1, 3), (3, 1))
    block_a = cat(
        Conv(96, 1), seq(Conv(64, 1), Conv(96, 3)), seq(Conv(64, 1), Conv(96, 3), Conv(96, 3)), averaged(96)
    )  # fmt: skip
    block_b = cat(
        Conv(384, 1),
        seq(Conv(192, 1), Conv(224, (1, 7)), Conv(256, (7, 1))),
        seq(Conv(192, 1), Conv(192, first), Conv(224, second), Conv(224, first), Conv(256, second)),
        averaged(128),
    )
    reduction_b = cat(
        seq(Conv(192, 1), Conv(192, 3, **HALVED)),
        seq(Conv(256, 1), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, **HALVED)),
        max_pool(),
    )
    block_c = cat(
        Conv(256, 1),
        seq(Conv(384, 1), cat(Conv(256, (1, 3)), Conv(256, (3, 1)))),
        seq(Conv(384, 1), Conv(448, low), Conv(512, high), cat(Conv(256, (1, 3)), Conv(256, (3, 1)))),
        averaged(256),
    )
    return Staged(
        stages(
            stem_v4(slim),
            ("stage1", [block_a] * 4),
            ("reduction1", reduction_a(192, 224, 256, 384)),
            ("stage2", [block_b] * 7),
            ("reduction2", reduction_b),
            ("stage3", [block_c] * 3),
        ),
        Head(dropout=0.2),
    )


def inception_resnet_v1(scale: float = 0.1) -> Staged:
    """B Figs. 10 to 15, at about the cost of Inception-v3. `scale` multiplies every residual, B sec. 3.3."""
    scaled = Scaled(1.0, scale)
    block_a = cat(Conv(32, 1), seq(Conv(32, 1), Conv(32, 3)), seq(Conv(32, 1), Conv(32, 3), Conv(32, 3)))
    block_b = cat(Conv(128, 1), seq(Conv(128, 1), Conv(128, (1, 7)), Conv(128, (7, 1))))
    reduction_b = cat(
        seq(Conv(256, 1), Conv(384, 3, **HALVED)),
        seq(Conv(256, 1), Conv(256, 3, **HALVED)),
        seq(Conv(256, 1), Conv(256, 3), Conv(256, 3, **HALVED)),
        max_pool(),
    )
    block_c = cat(Conv(192, 1), seq(Conv(192, 1), Conv(192, (1, 3)), Conv(192, (3, 1))))
    return Staged(
        stages(
            stem_v3(Conv(256, 3, **HALVED)),
            ("stage1", [Residual(block_a, scaled)] * 5),
            ("reduction1", reduction_a(192, 192, 256, 384)),
            ("stage2", [Residual(block_b, scaled)] * 10),
            ("reduction2", reduction_b),
            ("stage3", [Residual(block_c, scaled)] * 5),
        ),
        Head(dropout=0.2),
    )


_V2_A = cat(Conv(32, 1), seq(Conv(32, 1), Conv(32, 3)), seq(Conv(32, 1), Conv(48, 3), Conv(64, 3)))
_V2_B = cat(Conv(192, 1), seq(Conv(128, 1), Conv(160, (1, 7)), Conv(192, (7, 1))))
_V2_REDUCTION_B = cat(
    seq(Conv(256, 1), Conv(384, 3, **HALVED)),
    seq(Conv(256, 1), Conv(288, 3, **HALVED)),
    seq(Conv(256, 1), Conv(288, 3), Conv(320, 3, **HALVED)),
    max_pool(),
)
_V2_C = cat(Conv(192, 1), seq(Conv(192, 1), Conv(224, (1, 3)), Conv(256, (3, 1))))


def inception_resnet_v2(counts: tuple[int, int, int] = (5, 10, 5), scale: float = 0.1) -> Staged:
    """B Figs. 3, 15 to 19: the stem of Inception-v4 and `counts` blocks on the 35x35, 17x17 and 8x8 maps."""
    scaled = Scaled(1.0, scale)
    return Staged(
        stages(
            stem_v4(),
            ("stage1", [Residual(_V2_A, scaled)] * counts[0]),
            ("reduction1", reduction_a(256, 256, 384, 384)),
            ("stage2", [Residual(_V2_B, scaled)] * counts[1]),
            ("reduction2", _V2_REDUCTION_B),
            ("stage3", [Residual(_V2_C, scaled)] * counts[2]),
        ),
        Head(dropout=0.2),
    )


def inception_resnet_v2_slim(scales: tuple[float, float, float] = (0.17, 0.1, 0.2)) -> Staged:
    """Inception-ResNet-v2 as in TF-slim and all public weights: another stem, 10/20/10 blocks, a last 1x1.

    `scales` are those of the residuals on the three map sizes; the last block has neither a scale nor a ReLU.
    """
    mixed = cat(
        Conv(96, 1),
        seq(Conv(48, 1), Conv(64, 5)),
        seq(Conv(64, 1), Conv(96, 3), Conv(96, 3)),
        averaged(64),
    )
    a, b, c = (Scaled(1.0, scale) for scale in scales)
    return Staged(
        stages(
            stem_v3(max_pool(), mixed),
            ("stage1", [Residual(_V2_A, a)] * 10),
            ("reduction1", reduction_a(256, 256, 384, 384)),
            ("stage2", [Residual(_V2_B, b)] * 20),
            ("reduction2", _V2_REDUCTION_B),
            ("stage3", [Residual(_V2_C, c)] * 9 + [Residual(_V2_C, after="")]),
            ("last", Conv(1536, 1)),
        ),
        Head(dropout=0.2),
    )


def inception_v3(counts_padding: bool = False) -> Staged:
    """Inception-v3 as its released code has it, with an auxiliary classifier. Szegedy et al. 2015, arXiv 1512.00567.

    `counts_padding` averages as torchvision does, zeros of the padding included.
    """

    def mixed_5(pooled: int) -> Cat:
        return cat(
            Conv(64, 1),
            seq(Conv(48, 1), Conv(64, 5)),
            seq(Conv(64, 1), Conv(96, 3), Conv(96, 3)),
            averaged(pooled, counts_padding),
        )

    def mixed_6(width: int) -> Cat:
        tall, wide = (7, 1), (1, 7)
        return cat(
            Conv(192, 1),
            seq(Conv(width, 1), Conv(width, wide), Conv(192, tall)),
            seq(Conv(width, 1), Conv(width, tall), Conv(width, wide), Conv(width, tall), Conv(192, wide)),
            averaged(192, counts_padding),
        )

    mixed_7 = cat(
        Conv(320, 1),
        seq(Conv(384, 1), cat(Conv(384, (1, 3)), Conv(384, (3, 1)))),
        seq(Conv(448, 1), Conv(384, 3), cat(Conv(384, (1, 3)), Conv(384, (3, 1)))),
        averaged(192, counts_padding),
    )
    reduction_1 = cat(Conv(384, 3, **HALVED), seq(Conv(64, 1), Conv(96, 3), Conv(96, 3, **HALVED)), max_pool())
    reduction_2 = cat(
        seq(Conv(192, 1), Conv(320, 3, **HALVED)),
        seq(Conv(192, 1), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, **HALVED)),
        max_pool(),
    )
    auxiliary = seq(Pool("average", 5, 3, "valid"), Conv(128, 1), Conv(768, 5, **V))
    return Staged(
        stages(
            stem_v3(max_pool()),
            ("stage1", [mixed_5(pooled) for pooled in (32, 64, 64)]),
            ("reduction1", reduction_1),
            ("stage2", [mixed_6(width) for width in (128, 160, 160, 192)]),
            ("reduction2", reduction_2),
            ("stage3", [mixed_7] * 2),
        ),
        Head(dropout=0.5 if counts_padding else 0.2),
        auxiliary=(Auxiliary("stage2.unit4", auxiliary, Head(), weight=0.4),),
    )
