"""Paper B: Szegedy, Ioffe, Vanhoucke, Alemi. Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning. arXiv 1602.07261, AAAI 2017."""

from collections.abc import Callable, Iterable
from typing import Any

from reslab.nets import Conv, Residual, Seq, Stage, Staged, network, seq
from reslab.nets.paths import Activation, Cat, Path, Pool
from reslab.papers.claims import PICTURES, Claim, Other, Published, Row, Scale, Setting, Study, row_names
from reslab.papers.he2016a import DIGITS, IMAGENET_SPREAD, SMALL_PICTURES, TOO_SHORT_NOTE
from reslab.recipes.named import paper_b_imagenet
from reslab.spec import replace

_TABLE_2 = {
    "Inception-v3": ("inception-v3", "v3", 21.2, 5.6),
    "Inception-ResNet-v1": ("inception-resnet-v1", "v3", 21.3, 5.5),
    "Inception-v4": ("inception-v4", "v4", 20.0, 5.0),
    "Inception-ResNet-v2": ("inception-resnet-v2", "v4", 19.9, 4.9),
}
_PAIRS = (("Inception-ResNet-v1", "Inception-v3"), ("Inception-ResNet-v2", "Inception-v4"))

_MORE_CROPS = {
    "B arXiv Table 3, 12 crops": {
        "Inception-v3": (19.8, 4.6),
        "Inception-ResNet-v1": (19.8, 4.6),
        "Inception-v4": (18.7, 4.2),
        "Inception-ResNet-v2": (18.7, 4.1),
    },
    "B arXiv Table 4, 144 crops": {
        "Inception-v3": (18.9, 4.3),
        "Inception-ResNet-v1": (18.8, 4.3),
        "Inception-v4": (17.7, 3.8),
        "Inception-ResNet-v2": (17.8, 3.7),
    },
}

_ROWS = (
    *(
        Row(
            name,
            network(network_name),
            f"the size of {size}",
            "pictures",
            Published("B arXiv Table 2, one crop", {"test_error": top1, "top5_error": top5}),
        )
        for name, (network_name, size, top1, top5) in _TABLE_2.items()
    ),
    Row("Inception-ResNet-v1, not scaled", network("inception-resnet-v1-unscaled"), "the size of v3", "pictures"),
    Row("Inception-ResNet-v2, not scaled", network("inception-resnet-v2-unscaled"), "the size of v4", "pictures"),
)


def _claims(residual: str, plain: str) -> tuple[Claim, ...]:
    """What B and the review say of an Inception-ResNet beside the Inception network of about its cost."""
    unscaled = f"{residual}, not scaled"

    def sooner(lower: str, higher: str, source: str, key: str) -> Claim:
        return Claim(f"{lower} learns sooner than {higher}", lower, higher, "train_curve", source, key=key)

    return (
        Claim(
            f"{residual} converges sooner than {plain}",
            residual,
            plain,
            "steps_to_other",
            "B sec. 5, Figs. 21 and 23",
            key="residual-sooner",
        ),
        sooner(unscaled, plain, "B sec. 5, without the scaling of sec. 3.3", "unscaled-sooner"),
        sooner(residual, unscaled, "B sec. 3.3", "scaled-sooner"),
        Claim(
            f"{residual} ends with about the same error as {plain} (within half a point)",
            residual,
            plain,
            "test_error",
            "B sec. 5, Table 2",
            margin=0.5,
            key="residual-alike",
            relation="about",
        ),
        Claim(
            f"{residual} is more accurate than {plain}",
            residual,
            plain,
            "test_error",
            "the review's sec. 3.3",
            key="residual-more-accurate",
        ),
        Claim(
            f"Without residual connections {plain} trains as well as {residual} (not worse by 1 point or more)",
            plain,
            residual,
            "train_error",
            "B sec. 1",
            margin=1.0,
            key="trains-without",
        ),
    )


_Change = Callable[[Conv | Pool], Path]


def _changed(block: Path | Residual, change: _Change) -> Any:
    """A block with each of its convolutions and poolings changed."""
    match block:
        case Conv() | Pool():
            return change(block)
        case Seq():
            return replace(block, parts=tuple(_changed(part, change) for part in block.parts))
        case Cat():
            return replace(block, branches=tuple(_changed(branch, change) for branch in block.branches))
        case Residual():
            return replace(block, path=_changed(block.path, change))
        case Activation():
            return block


def _narrow(node: Conv | Pool, share: int) -> Conv | Pool:
    return replace(node, width=max(4, node.width // share)) if isinstance(node, Conv) else node


def _each(stages: Iterable[Stage], change: _Change) -> tuple[Stage, ...]:
    return tuple(Stage(stage.name, tuple(_changed(block, change) for block in stage.blocks)) for stage in stages)


def thinned(value: Staged, share: int, blocks: int, stem: Seq) -> Staged:
    """A network of the same form for small images: another stem, at most some blocks in each stage, convolutions of a
    `share`-th of the width, no auxiliary classifier."""
    kept = [Stage(stage.name, stage.blocks[:blocks]) for stage in value.stages[1:]]
    stages = (Stage("stem", (stem,)), *_each(kept, lambda node: _narrow(node, share)))
    return replace(value, stages=stages, auxiliary=(), head=replace(value.head, dropout=0.0), size=8)


def padded(value: Staged, share: int) -> Staged:
    """A network for pictures of 64 pixels: every convolution and pooling padded, so that the grids of 35, 17 and 8
    pixels are 8, 4 and 2; convolutions of a `share`-th of the width, no auxiliary classifier."""
    stages = _each(value.stages, lambda node: replace(_narrow(node, share), padding="same"))
    return replace(value, stages=stages, auxiliary=(), size=64)


_STAGED = {row.name: row.network for row in _ROWS if isinstance(row.network, Staged)}
_DEMO = {name: thinned(value, 8, 2, seq(Conv(24, 3))) for name, value in _STAGED.items()}
_SMALL = {name: padded(value, 2) for name, value in _STAGED.items()}

INCEPTION = Study(
    name="inception",
    title="Residual connections in Inception networks",
    source="B sec. 5, Table 2, Figs. 21 to 26; sec. 3.3; the review's Fig. 4",
    question="Do residual connections make Inception networks converge sooner, and end with about the same error?",
    rows=_ROWS,
    claims=(
        *(claim for pair in _PAIRS for claim in _claims(*pair)),
        Claim(
            "Inception-v4 is better than Inception-v3",
            "Inception-v4",
            "Inception-v3",
            "test_error",
            "B sec. 5, Table 2",
            key="v4-better",
        ),
        Claim(
            "Wide residuals that are not scaled end worse, as the network dies early",
            "Inception-ResNet-v2",
            "Inception-ResNet-v2, not scaled",
            "test_error",
            "B sec. 3.3",
            scales=("small", "paper"),
        ),
    ),
    scales={
        "demo": Scale(
            {"pictures": DIGITS},
            seeds=3,
            rows=row_names(_ROWS),
            note="8×8 digits in place of 299×299 pictures, one 3×3 convolution for a stem, at most two blocks in a "
            "stage, an eighth of the width, 168 steps of SGD.",
            networks=_DEMO,
        ),
        "small": Scale(
            {"pictures": Setting(PICTURES, SMALL_PICTURES)},
            seeds=3,
            rows=row_names(_ROWS),
            note="Any folder of pictures in place of ImageNet, seen at 64 pixels; every convolution and pooling "
            "padded, so that the grids of 35, 17 and 8 pixels are 8, 4 and 2; half the width, no auxiliary classifier; "
            f"4,000 steps of 64 by paper A's rule; {TOO_SHORT_NOTE}.",
            networks=_SMALL,
            ends=False,
        ),
        "paper": Scale(
            {"pictures": Setting(PICTURES, paper_b_imagenet())},
            seeds=1,
            rows=row_names(_ROWS),
            note="The recipe as printed where it is, one run of each as in the paper.",
            top=60.0,
        ),
    },
    deviations=(
        "The paper trains 20 replicas that do not wait for each other; here a step is the batch of 32 of one of them.",
        "The paper's errors leave out about 1,700 of the 50,000 validation pictures, which makes them about 0.3 points "
        "better; here all count.",
        "Studies evaluate one crop. `reslab evaluate RUN --crops 144` evaluates 144, and of several runs the ensemble; "
        "the 12 crops of B Table 3 are not described.",
        "The paper scales residuals by 0.1 to 0.3 without saying where; here all are scaled by 0.1.",
    ),
    metrics=("train_error", "test_error", "top5_error", "train_curve"),
    spread=IMAGENET_SPREAD,
    others=(
        Other("BN-Inception", Published("B arXiv Table 2, one crop", {"test_error": 25.2, "top5_error": 7.8})),
        *(
            Other(name, Published(source, {"test_error": top1, "top5_error": top5}))
            for source, values in _MORE_CROPS.items()
            for name, (top1, top5) in values.items()
        ),
        Other(
            "ResNet, 10 crops: BN-Inception's values", Published("B Table 3", {"test_error": 25.2, "top5_error": 7.8})
        ),
        Other("ResNet-151, dense", Published("B arXiv Table 4", {"test_error": 19.4, "top5_error": 4.5})),
        Other("6 ResNets", Published("B arXiv Table 5, 144 crops or dense", {"top5_error": 3.6})),
        Other("4 Inception-v3", Published("B arXiv Table 5, 144 crops", {"test_error": 17.3, "top5_error": 3.6})),
        Other(
            "Inception-v4 and 3 Inception-ResNet-v2",
            Published("B arXiv Table 5, 144 crops", {"test_error": 16.4, "top5_error": 3.1}),
        ),
        Other("the same, on the 100,000 test pictures", Published("B sec. 5", {"top5_error": 3.08})),
    ),
)
