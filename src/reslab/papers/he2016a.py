"""Paper A: He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. arXiv 1512.03385, CVPR 2016."""

from reslab.data.crops import PadCropFlip
from reslab.nets import cifar_resnet
from reslab.papers.claims import Claim, Published, Row, Scale, Study
from reslab.spec import replace
from reslab.train.recipe import Recipe
from reslab.train.recipes import demo, paper_a_cifar
from reslab.train.schedule import Drops

_DEPTHS = (20, 32, 44, 56)
_TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97}


def _rows(*depths: int) -> tuple[str, ...]:
    return tuple(f"{family}-{depth}" for family in ("plain", "ResNet") for depth in depths)


DEGRADATION = Study(
    name="degradation",
    title="The degradation problem",
    source="A sec. 4.2, Figs. 1 and 6, Table 6; A sec. 4.1, Fig. 4",
    question=(
        "A deeper network can do whatever a shallower one does, and yet plain networks train worse when they get "
        "deeper. Do networks with identity shortcuts?"
    ),
    rows=(
        *(Row(f"plain-{depth}", cifar_resnet(depth, shortcut=None), "plain") for depth in _DEPTHS),
        *(
            Row(f"ResNet-{depth}", cifar_resnet(depth), "residual", Published(error, "A Table 6"))
            for depth, error in _TABLE_6.items()
        ),
    ),
    claims=(
        Claim(
            text="A deeper plain network is worse in training error",
            lower="plain-20",
            higher="plain-56",
            metric="train_error",
            source="A sec. 1, Fig. 1; sec. 4.2, Fig. 6 left",
        ),
        Claim(
            text="A deeper residual network is not worse in training error (by 1 point or more)",
            lower="ResNet-56",
            higher="ResNet-20",
            metric="train_error",
            source="A sec. 4.2, Fig. 6 middle",
            margin=1.0,
        ),
        Claim(
            text="At the larger depth the residual network has the lower test error",
            lower="ResNet-56",
            higher="plain-56",
            metric="test_error",
            source="A sec. 4.2, Fig. 6",
        ),
        Claim(
            text="At the smaller depth, where both train well, the residual network converges sooner",
            lower="ResNet-20",
            higher="plain-20",
            metric="steps_to_10",
            source="A sec. 4.1, on 18 layers",
        ),
    ),
    scales={
        "demo": Scale(
            data="digits",
            recipe=demo(),
            seeds=4,
            rows=_rows(20, 32, 56),
            note="8×8 digits in place of 32×32 photographs (the last maps are 2×2), 168 steps in place of 64,000, "
            "20 of them a warm-up at 0.01, no augmentation.",
        ),
        "short": Scale(
            data="cifar10",
            recipe=Recipe(
                steps=8000, schedule=Drops(at=(4000, 6000)), augment=PadCropFlip(), evaluate_every=400, log_every=40
            ),
            seeds=3,
            rows=_rows(20, 56),
            note="8,000 steps in place of 64,000, the rate dropping at the same shares of them.",
        ),
        "paper": Scale(
            data="cifar10",
            recipe=replace(paper_a_cifar(), log_every=40),
            seeds=5,
            rows=_rows(*_DEPTHS),
            note="The recipe as printed.",
        ),
    },
    deviations=(
        "BN sees the whole batch of 128 images; the paper's two GPUs saw 64 each.",
        "The learning rate stands outside the momentum's velocity, as in torch; the paper's Caffe has it inside. "
        "They differ for a few steps behind each drop of the rate.",
        "Weight decay acts on convolutions and the classifier, not on BN and biases; the paper does not say.",
    ),
)
