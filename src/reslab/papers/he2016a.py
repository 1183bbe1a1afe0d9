"""Paper A: He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. arXiv 1512.03385, CVPR 2016."""

from collections.abc import Mapping
from itertools import pairwise

from reslab.data.crops import PadCropFlip
from reslab.nets import AnyNetwork, cifar_resnet, network
from reslab.papers.claims import PICTURES, Claim, Metric, Other, Published, Row, Scale, Setting, Study, row_names
from reslab.recipes.named import demo, paper_a_cifar, paper_a_cifar_warmup, paper_a_imagenet
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops, Exponential
from reslab.spec import replace

BRIEF_CIFAR = Recipe(
    steps=1600,
    schedule=Drops(at=(800, 1200)),
    augment=PadCropFlip(),
    evaluate_every=200,
    log_every=20,
    checkpoint_every=250,
)
SHORT_CIFAR = replace(
    BRIEF_CIFAR,
    steps=16_000,
    schedule=Drops(at=(8_000, 12_000)),
    evaluate_every=800,
    log_every=80,
    checkpoint_every=1_000,
)
"""A quarter of paper A's steps. At rate 0.1 a ResNet-56 has the higher training error than a ResNet-20 for some 5,000
steps and the lower one ever after; the first drop must come after that."""
SMALL_PICTURES = replace(
    paper_a_imagenet(),
    steps=4000,
    batch=64,
    schedule=Drops(at=(2000, 3000), warmup=100),
    crops=1,
    evaluate_every=500,
    log_every=50,
    checkpoint_every=250,
)
_SMALL_WITHOUT_BN = replace(SMALL_PICTURES, schedule=Drops(rate=0.01, at=(2000, 3000)))
DIGITS = Setting("digits", demo())
DIGITS_NOTE = (
    "8×8 digits in place of 32×32 photographs (the last maps are 2×2), 168 steps in place of 64,000, 20 of them a "
    "warm-up at 0.01, no augmentation."
)
SHORT_NOTE = "16,000 steps in place of 64,000, the rate dropping at the same shares of them"
TOO_SHORT_NOTE = (
    "so short a run says how soon a network learns, not where it ends, and claims on final errors are not judged"
)
BRIEF_NOTE = f"1,600 steps in place of 64,000, the rate dropping at the same shares of them; {TOO_SHORT_NOTE}"
PICTURES_NOTE = (
    "Any folder of pictures in place of ImageNet, seen at 64 pixels with the stem as it is, so that the last maps are "
    "2×2; 4,000 steps of 64 in place of 600,000 of 256, one crop in place of ten; "
    f"{TOO_SHORT_NOTE}."
)
SGD_NOTE = (
    "The learning rate stands outside the momentum's velocity, as in torch; the paper's Caffe has it inside. "
    "They differ for a few steps after each drop of the rate."
)
BN_NOTE = (
    "BN sees the whole batch of 128 images; the paper's two GPUs saw 64 each. It evaluates with its running averages; "
    "the authors' released weights have averages over many images, computed after training."
)
DECAY_NOTE = "Weight decay acts on convolutions and the classifier, not on BN and biases; the paper does not say."
PLATEAU_NOTE = (
    "The paper drops the rate when the error plateaus and does not say where: here from steps 150,000, 300,000 and "
    "450,000 on."
)
CROPS_NOTE = "The colours' mean and deviation normalise the pictures; the paper subtracts the mean pixel image."

CIFAR_SPREAD = (0.16, "A Table 6, ResNet-110, n = 5")
IMAGENET_SPREAD = (0.12, "Goyal et al. 2017, arXiv 1706.02677, ResNet-50, n = 5")

_DEPTHS = (20, 32, 44, 56)
_TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97}


def _rows(*depths: int) -> tuple[str, ...]:
    return tuple(f"{family}-{depth}" for family in ("plain", "ResNet") for depth in depths)


_IMAGENET = tuple(f"{family}-{depth}, ImageNet" for family in ("plain", "ResNet") for depth in (18, 34))

_BOTTLENECKS = (29, 56)  # 9n + 2 layers
_LONGER = "plain-34, ImageNet, three times the steps"
_COLD = "ResNet-110, no warm-up"
_FOOTNOTES = (
    *(
        Row(f"plain-{depth}, bottlenecks", cifar_resnet(depth, kernels=(1, 3, 1), shortcut=None), "plain, bottlenecks")
        for depth in _BOTTLENECKS
    ),
    Row(_COLD, cifar_resnet(110), "residual"),
    Row(_LONGER, network("plain34"), "plain, ImageNet", "imagenet-longer"),
)
"""What A says in footnotes, without numbers."""

_PLAIN_IMAGENET: tuple[tuple[str, Metric, str], ...] = (
    ("On ImageNet too a deeper plain network is worse in training error", "train_error", "plain-degrades"),
    ("On ImageNet too a deeper plain network is worse in test error", "test_error", "plain-degrades-test"),
)

DEGRADATION = Study(
    name="degradation",
    title="The degradation problem",
    source="A sec. 4.2, Figs. 1 and 6, Table 6; A sec. 4.1, Fig. 4, Table 2; the review's Figs. 1 and 2",
    question="Plain networks train worse when they get deeper. Do identity shortcuts cure that?",
    rows=(
        *(Row(f"plain-{depth}", cifar_resnet(depth, shortcut=None), "plain") for depth in _DEPTHS),
        Row("plain-110", cifar_resnet(110, shortcut=None), "plain", "cifar-warmup"),
        *(
            Row(
                f"ResNet-{depth}",
                cifar_resnet(depth),
                "residual",
                published=Published("A Table 6", {"test_error": error}),
            )
            for depth, error in _TABLE_6.items()
        ),
        Row(
            "ResNet-110",
            cifar_resnet(110),
            "residual",
            "cifar-warmup",
            Published("A Table 6", {"test_error": 6.61}, n=5, of="mean", spread=(6.61, 0.16)),
        ),
        Row(
            "ResNet-1202",
            cifar_resnet(1202),
            "residual",
            "cifar-warmup",
            Published("A Table 6", {"test_error": 7.93}),
        ),
        *(
            Row(
                f"{family}-{depth}, ImageNet",
                network(pattern.format(depth)),
                f"{panel}, ImageNet",
                "imagenet",
                Published("A Table 2, 10 crops", {"test_error": error}),
            )
            for family, panel, pattern, errors in (
                ("plain", "plain", "plain{}", {18: 27.94, 34: 28.54}),
                ("ResNet", "residual", "resnet{}-a", {18: 27.88, 34: 25.03}),
            )
            for depth, error in errors.items()
        ),
        *_FOOTNOTES,
    ),
    claims=(
        Claim(
            text="A deeper plain network is worse in training error",
            lower="plain-20",
            higher="plain-56",
            metric="train_error",
            source="A sec. 1, Fig. 1; sec. 4.2, Fig. 6 left",
            key="plain-degrades",
        ),
        Claim(
            text="A deeper plain network is worse in test error",
            lower="plain-20",
            higher="plain-56",
            metric="test_error",
            source="A sec. 1, Fig. 1; sec. 4.2, Fig. 6 left",
            key="plain-degrades-test",
        ),
        Claim(
            text="A deeper residual network is not worse in training error (by 1 point or more)",
            lower="ResNet-56",
            higher="ResNet-20",
            metric="train_error",
            source="A sec. 4.2, Fig. 6 middle",
            margin=1.0,
            key="residual-keeps",
        ),
        Claim(
            text="A deeper residual network is better in test error",
            lower="ResNet-56",
            higher="ResNet-20",
            metric="test_error",
            source="A sec. 4.2, Table 6",
            key="residual-gains",
        ),
        Claim(
            text="At the larger depth the residual network has the lower test error",
            lower="ResNet-56",
            higher="plain-56",
            metric="test_error",
            source="A sec. 4.2, Fig. 6",
            key="residual-better",
        ),
        *(
            Claim(
                text=text,
                lower=f"ResNet-{rest}",
                higher=f"plain-{rest}",
                metric="steps_to_other",
                source="A sec. 4.1, on 18 layers",
                key="residual-sooner",
            )
            for rest, text in (
                ("20", "At the smaller depth, where both train well, the residual network converges sooner"),
                ("18, ImageNet", "On ImageNet too, with 18 layers, the residual network converges sooner"),
            )
        ),
        Claim(
            text="At 110 layers a plain network fails: its test error is above 60 %",
            lower=60.0,
            higher="plain-110",
            metric="test_error",
            source="A sec. 4.2, Fig. 6",
        ),
        *(
            Claim(
                text=text,
                lower="plain-18, ImageNet",
                higher="plain-34, ImageNet",
                metric=metric,
                source="A sec. 4.1, Fig. 4 left, Table 2",
                key=key,
            )
            for text, metric, key in _PLAIN_IMAGENET
        ),
        Claim(
            text="On ImageNet a deeper residual network is better in test error",
            lower="ResNet-34, ImageNet",
            higher="ResNet-18, ImageNet",
            metric="test_error",
            source="A sec. 4.1, Table 2, Fig. 4 right",
            key="residual-gains",
        ),
        Claim(
            text="With 18 layers the plain and the residual network end alike (within half a point)",
            lower="ResNet-18, ImageNet",
            higher="plain-18, ImageNet",
            metric="test_error",
            source="A sec. 4.1, Table 2",
            margin=0.5,
            relation="about",
        ),
        Claim(
            text="With 34 layers the residual network is better by 3 points and more",
            lower="ResNet-34, ImageNet",
            higher="plain-34, ImageNet",
            metric="test_error",
            source="A sec. 4.1, Table 2",
            least=3.0,
            key="residual-3.5-points",
        ),
        Claim(
            text="A deeper plain network of bottlenecks is worse in training error too",
            lower="plain-29, bottlenecks",
            higher="plain-56, bottlenecks",
            metric="train_error",
            source="A sec. 4.1, footnote",
        ),
        Claim(
            text="Three times as many steps do not cure it",
            lower="plain-18, ImageNet",
            higher=_LONGER,
            metric="train_error",
            source="A sec. 4.1, footnote",
        ),
        Claim(
            text="Without the warm-up 110 layers end about alike (within half a point)",
            lower=_COLD,
            higher="ResNet-110",
            metric="test_error",
            source="A sec. 4.2, footnote",
            margin=0.5,
            relation="about",
        ),
    ),
    scales={
        "demo": Scale({"cifar": DIGITS}, seeds=4, rows=_rows(20, 32, 56), note=DIGITS_NOTE),
        "brief": Scale(
            {"cifar": Setting("cifar10", BRIEF_CIFAR)},
            seeds=3,
            rows=_rows(20, 56),
            note=f"{BRIEF_NOTE}.",
            ends=False,
        ),
        "short": Scale(
            {"cifar": Setting("cifar10", SHORT_CIFAR)}, seeds=3, rows=_rows(20, 56), note=f"{SHORT_NOTE}.", top=60.0
        ),
        "small": Scale(
            {"imagenet": Setting(PICTURES, SMALL_PICTURES)},
            seeds=3,
            rows=_IMAGENET,
            note=PICTURES_NOTE,
            size=64,
            ends=False,
        ),
        "paper": Scale(
            {
                "cifar": Setting("cifar10", replace(paper_a_cifar(), log_every=40)),
                "cifar-warmup": Setting("cifar10", replace(paper_a_cifar_warmup(), log_every=40)),
                "imagenet": Setting(PICTURES, paper_a_imagenet()),
                "imagenet-longer": Setting(
                    PICTURES,
                    replace(paper_a_imagenet(), steps=1_800_000, schedule=Drops(at=(450_000, 900_000, 1_350_000))),
                ),
            },
            seeds=5,
            rows=(*_rows(*_DEPTHS, 110), "ResNet-1202", *_IMAGENET, *row_names(_FOOTNOTES)),
            note="The recipes as printed.",
            top=60.0,
        ),
    },
    deviations=(
        BN_NOTE,
        SGD_NOTE,
        DECAY_NOTE,
        "At 110 and 1202 layers 400 steps at 0.01 come first; the paper warms up until the training error is below "
        "80 %, about 400 steps.",
        PLATEAU_NOTE,
        CROPS_NOTE,
    ),
    second="depth",
    metrics=("train_error", "test_error", "steps_to_10", "train_curve"),
    spread=CIFAR_SPREAD,
    others=(
        Other(
            "ResNet-110, the best run",
            Published("A Table 6", {"test_error": 6.43}, n=5, of="best", spread=(6.61, 0.16)),
        ),
        Other("Maxout", Published("A Table 6", {"test_error": 9.38})),
        Other("NIN", Published("A Table 6", {"test_error": 8.81})),
        Other("DSN", Published("A Table 6", {"test_error": 8.22})),
        Other("FitNet, 19 layers", Published("A Table 6", {"test_error": 8.39})),
        Other("Highway, 19 layers", Published("A Table 6", {"test_error": 7.54}, n=5, of="best", spread=(7.72, 0.16))),
        Other("Highway, 32 layers", Published("A Table 6", {"test_error": 8.80})),
    ),
)

_TABLE_3 = {
    "VGG-16": ("vgg16", 28.07, 9.33),
    "plain-34": ("plain34", 28.54, 10.02),
    "ResNet-34 A": ("resnet34-a", 25.03, 7.76),
    "ResNet-34 B": ("resnet34", 24.52, 7.46),
    "ResNet-34 C": ("resnet34-c", 24.19, 7.40),
    "ResNet-50": ("resnet50", 22.85, 6.71),
    "ResNet-101": ("resnet101", 21.75, 6.05),
    "ResNet-152": ("resnet152", 21.43, 5.71),
}


def _table_3(panel: str, setting: str, *names: str) -> tuple[Row, ...]:
    rows = []
    for name in names:
        network_name, top1, top5 = _TABLE_3[name]
        published = Published("A Table 3, 10 crops", {"test_error": top1, "top5_error": top5})
        rows.append(Row(name, network(network_name), panel, setting, published))
    return tuple(rows)


_OPTIONS = _table_3("34 layers", "imagenet", "plain-34", "ResNet-34 A", "ResNet-34 B", "ResNet-34 C")


def _pictures(
    seeds: int,
    rows: tuple[Row, ...],
    note: str = PICTURES_NOTE,
    networks: Mapping[str, AnyNetwork] | None = None,
    **more: Setting,
) -> dict[str, Scale]:
    """The small scale on any folder, with its note and networks, and the paper's scale on ImageNet.

    `more`: settings of networks without BN at the paper's scale; at the small scale they begin at a rate of 0.01.
    """
    small = {"imagenet": Setting(PICTURES, SMALL_PICTURES)} | {
        name: Setting(PICTURES, _SMALL_WITHOUT_BN) for name in more
    }
    return {
        "small": Scale(
            small, seeds=seeds, rows=row_names(rows), note=note, networks=networks or {}, size=64, ends=False
        ),
        "paper": Scale(
            {"imagenet": Setting(PICTURES, paper_a_imagenet()), **more},
            seeds=1,
            rows=row_names(rows),
            note="The recipe as printed, one run of each as in the paper.",
            top=60.0,
        ),
    }


SHORTCUT_OPTIONS = Study(
    name="shortcut-options",
    title="Identity against projection shortcuts",
    source="A sec. 4.1, Table 3",
    question=(
        "Are shortcuts that pad with zeros (A), project where the shape changes (B) or always project (C) all better "
        "than none, and each a little better than the one before?"
    ),
    rows=_OPTIONS,
    claims=(
        *(
            Claim(
                f"Option {option} is better than the plain network",
                f"ResNet-34 {option}",
                "plain-34",
                "test_error",
                "A sec. 4.1",
                key="option-better",
            )
            for option in "ABC"
        ),
        *(
            Claim(
                f"{one} and {other} are about the same (within 1 point)",
                f"ResNet-34 {one}",
                f"ResNet-34 {other}",
                "test_error",
                "A sec. 4.1, Table 3",
                margin=1.0,
                key="options-alike",
                relation="about",
            )
            for one, other in ("AB", "BC", "AC")
        ),
        Claim("B is slightly better than A", "ResNet-34 B", "ResNet-34 A", "test_error", "A sec. 4.1"),
        Claim("C is marginally better than B", "ResNet-34 C", "ResNet-34 B", "test_error", "A sec. 4.1"),
    ),
    scales={
        "demo": Scale(
            {"imagenet": DIGITS},
            seeds=4,
            rows=row_names(_OPTIONS),
            note=f"CIFAR networks of 56 layers in place of ImageNet's of 34; {DIGITS_NOTE}",
            networks={
                row.name: cifar_resnet(56, shortcut=shortcut)
                for row, shortcut in zip(_OPTIONS, (None, "A", "B", "C"), strict=True)
            },
        ),
        **_pictures(3, _OPTIONS),
    },
    deviations=(SGD_NOTE, DECAY_NOTE, PLATEAU_NOTE, CROPS_NOTE),
    metrics=("train_error", "test_error", "top5_error", "steps_to_10"),
    spread=IMAGENET_SPREAD,
)

_DEPTH = (
    Row(
        "VGG-16",
        network("vgg16"),
        "before",
        "vgg",
        Published("A Table 3, 10 crops", {"test_error": 28.07, "top5_error": 9.33}),
    ),
    Row(
        "GoogLeNet", network("googlenet"), "before", "googlenet", Published("A Table 3, 10 crops", {"top5_error": 9.15})
    ),
    Row("BN-Inception", network("bn-inception"), "before", "imagenet"),
    Row("ResNet-18", network("resnet18"), "residual", "imagenet"),
    *_table_3("residual", "imagenet", "ResNet-34 B", "ResNet-50", "ResNet-101", "ResNet-152"),
)
_DEPTH_DEMO = {
    "ResNet-18": cifar_resnet(20),
    "ResNet-34 B": cifar_resnet(32),
    "ResNet-50": cifar_resnet(47, kernels=(1, 3, 1)),  # 15 units, as the 32 layers of basic ones
    "ResNet-101": cifar_resnet(74, kernels=(1, 3, 1)),
    "ResNet-152": cifar_resnet(101, kernels=(1, 3, 1)),
}
_EPOCH = 1_281_167 // 256

DEPTH = Study(
    name="depth",
    title="Deeper is better, up to 152 layers",
    source="A sec. 4.1, Tables 3 and 4",
    question="Do residual networks gain from depth, up to 152 layers?",
    rows=_DEPTH,
    claims=(
        *(
            Claim(
                f"{deeper} is better than {other}",
                deeper,
                other,
                "test_error",
                "A sec. 4.1, Table 3",
                key="deeper-better",
            )
            for other, deeper in pairwise(("ResNet-34 B", "ResNet-50", "ResNet-101", "ResNet-152"))
        ),
        Claim(
            "ResNet-34 B is better than VGG-16",
            "ResNet-34 B",
            "VGG-16",
            "test_error",
            "A sec. 4.1, Table 3",
            key="better-than-others",
        ),
        Claim(
            "ResNet-34 B is better than GoogLeNet",
            "ResNet-34 B",
            "GoogLeNet",
            "top5_error",
            "A sec. 4.1, Table 3",
            key="better-than-others",
        ),
        Claim(
            "ResNet-152 is better than BN-Inception",
            "ResNet-152",
            "BN-Inception",
            "top5_error",
            "A sec. 4.1, Table 4",
            key="better-than-others",
        ),
        Claim(
            "With 152 layers a residual network still costs less than VGG-16",
            "ResNet-152",
            "VGG-16",
            "multiply_adds",
            "A sec. 4.1",
            scales=("small", "paper"),
        ),
    ),
    scales={
        "demo": Scale(
            {"imagenet": DIGITS},
            seeds=3,
            rows=tuple(_DEPTH_DEMO),
            note="CIFAR networks of 20, 32 layers (basic), 47, 74 and 101 (bottlenecks; 47 are as many units as 32 of "
            f"basic ones); {DIGITS_NOTE}",
            networks=_DEPTH_DEMO,
        ),
        **_pictures(
            3,
            _DEPTH,
            note=f"{PICTURES_NOTE} VGG-16 and GoogLeNet, which have no BN, begin at a rate of 0.01, GoogLeNet without "
            "its auxiliary classifiers, for which 64 pixels are too few.",
            networks={"GoogLeNet": replace(network("googlenet"), auxiliary=())},
            vgg=Setting(
                PICTURES,
                replace(
                    paper_a_imagenet(),
                    steps=370_000,
                    schedule=Drops(rate=0.01, at=(120_000, 240_000, 320_000)),
                    weight_decay=5e-4,
                ),
            ),
            googlenet=Setting(
                PICTURES,
                replace(
                    paper_a_imagenet(),
                    steps=60 * _EPOCH,
                    schedule=Exponential(every=8 * _EPOCH, rate=0.01, factor=0.96),
                ),
            ),
        ),
    },
    deviations=(
        SGD_NOTE,
        DECAY_NOTE,
        PLATEAU_NOTE,
        CROPS_NOTE,
        "VGG-16 learns by its own paper's 370,000 steps from 0.01 with three drops, whose places are not published; "
        "GoogLeNet by its 4 % less every eight epochs, from a rate and for a length that are not.",
        "A Table 4's errors are of fully convolutional networks at several sizes, which is not done here; BN-Inception "
        "has no value in Table 3.",
        "A Table 5's errors are of the test pictures, whose labels are not public. `reslab evaluate RUN RUN` averages "
        "the probabilities of several networks on the validation pictures.",
    ),
    metrics=("multiply_adds", "train_error", "test_error", "top5_error"),
    second="cost",
    spread=IMAGENET_SPREAD,
    others=(
        Other("PReLU-net", Published("A Table 3, 10 crops", {"test_error": 24.27, "top5_error": 7.38})),
        *(
            Other(name, Published("A Table 4, one network, several sizes", {"test_error": top1, "top5_error": top5}))
            for name, top1, top5 in (
                ("VGG (v5)", 24.4, 7.1),
                ("PReLU-net", 21.59, 5.71),
                ("BN-Inception", 21.99, 5.81),
                ("ResNet-34 B", 21.84, 5.71),
                ("ResNet-34 C", 21.53, 5.60),
                ("ResNet-50", 20.74, 5.25),
                ("ResNet-101", 19.87, 4.60),
                ("ResNet-152", 19.38, 4.49),
            )
        ),
        Other("VGG, 2014", Published("A Table 4, on the 100,000 test pictures", {"top5_error": 8.43})),
        Other("GoogLeNet, 2014", Published("A Table 4, one network", {"top5_error": 7.89})),
        *(
            Other(name, Published("the authors' repository, one crop", {"test_error": top1, "top5_error": top5}))
            for name, top1, top5 in (
                ("VGG-16", 28.5, 9.9),
                ("ResNet-50", 24.7, 7.8),
                ("ResNet-101", 23.6, 7.1),
                ("ResNet-152", 23.0, 6.7),
            )
        ),
        *(
            Other(name, Published("A Table 5, several networks, on the 100,000 test pictures", {"top5_error": top5}))
            for name, top5 in (
                ("VGG, 2014", 7.32),
                ("GoogLeNet, 2014", 6.66),
                ("VGG (v5)", 6.8),
                ("PReLU-net", 4.94),
                ("BN-Inception", 4.82),
                ("ResNet, 2015", 3.57),
            )
        ),
    ),
)
