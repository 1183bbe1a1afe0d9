"""Paper B: Szegedy, Ioffe, Vanhoucke, Alemi. Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning. arXiv 1602.07261, AAAI 2017."""

from reslab.nets import Conv, Residual, Seq, Stage, Staged, network, seq
from reslab.nets.paths import Cat, Path, Pool
from reslab.papers.claims import PICTURES, Claim, Published, Row, Scale, Setting, Study, row_names
from reslab.papers.he2016a import DIGITS, SHORT_PICTURES
from reslab.recipes.named import paper_b_imagenet
from reslab.spec import replace

_TABLE_2 = {
    "Inception-v3": ("inception-v3", "v3", 21.2, 5.6),
    "Inception-ResNet-v1": ("inception-resnet-v1", "v3", 21.3, 5.5),
    "Inception-v4": ("inception-v4", "v4", 20.0, 5.0),
    "Inception-ResNet-v2": ("inception-resnet-v2", "v4", 19.9, 4.9),
}
_PAIRS = (("Inception-ResNet-v1", "Inception-v3"), ("Inception-ResNet-v2", "Inception-v4"))

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


def thinned(value: Staged, share: int, blocks: int, stem: Seq) -> Staged:
    """A network of the same form for small images: another stem, at most some blocks in each stage, convolutions of a
    `share`-th of the width, no auxiliary classifier."""

    def thin(node: Path) -> Path:
        match node:
            case Conv():
                return replace(node, width=max(4, node.width // share))
            case Seq():
                return replace(node, parts=tuple(map(thin, node.parts)))
            case Cat():
                return replace(node, branches=tuple(map(thin, node.branches)))
            case Pool():
                return node

    stages = [Stage("stem", (stem,))]
    for stage in value.stages[1:]:
        kept = [
            replace(block, path=thin(block.path)) if isinstance(block, Residual) else thin(block)
            for block in stage.blocks[:blocks]
        ]
        stages.append(Stage(stage.name, tuple(kept)))
    return replace(value, stages=tuple(stages), auxiliary=(), head=replace(value.head, dropout=0.0), size=8)


_DEMO = {row.name: thinned(row.network, 8, 2, seq(Conv(24, 3))) for row in _ROWS if isinstance(row.network, Staged)}

INCEPTION = Study(
    name="inception",
    title="Residual connections in Inception networks",
    source="B sec. 5, Table 2, Figs. 21 to 26; sec. 3.3; the review's Fig. 4",
    question="Do residual connections make Inception networks converge sooner, and end with about the same error?",
    rows=_ROWS,
    claims=(
        *(
            claim
            for residual, plain in _PAIRS
            for claim in (
                Claim(
                    f"{residual} converges sooner than {plain}",
                    residual,
                    plain,
                    "curve",
                    "B sec. 5, Figs. 21 and 23",
                    key="residual-sooner",
                ),
                Claim(
                    f"{residual} ends with about the same error as {plain} (not worse by 1 point or more)",
                    residual,
                    plain,
                    "test_error",
                    "B sec. 5, Table 2",
                    margin=1.0,
                    key="residual-as-accurate",
                ),
            )
        ),
        Claim(
            "Wide residuals that are not scaled end worse, as the network dies early",
            "Inception-ResNet-v2",
            "Inception-ResNet-v2, not scaled",
            "test_error",
            "B sec. 3.3",
            scales=("short", "paper"),
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
        "short": Scale(
            {"pictures": Setting(PICTURES, SHORT_PICTURES)},
            seeds=2,
            rows=row_names(_ROWS),
            note="any folder of pictures in place of ImageNet, seen at 96 pixels, 6,000 steps of 64 by paper A's rule; "
            "Inception-v3 without its auxiliary classifier, for which 96 pixels are too few.",
            networks={"Inception-v3": replace(network("inception-v3"), auxiliary=())},
            size=96,
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
        "The paper scales residuals by 0.1 to 0.3 without saying where; here all are scaled by 0.1.",
    ),
    metrics=("train_error", "test_error", "top5_error", "curve"),
)
