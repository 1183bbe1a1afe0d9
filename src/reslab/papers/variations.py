"""Residual networks' variations after paper C: how loud the residual begins, how wide it is, whether it is there."""

import math
from typing import Any

from reslab.data.crops import PadCropFlip
from reslab.nets import (
    AnyNetwork,
    Scaled,
    StochasticDepth,
    Weighted,
    cifar_resnet,
    fixup_cifar,
    network,
    pyramidnet_cifar,
    resnext_cifar,
    wide_resnet,
)
from reslab.nets.densenet import densenet_cifar
from reslab.papers.claims import Claim, Published, Row, Scale, Setting, Study, row_names
from reslab.papers.he2016a import BN_NOTE, DECAY_NOTE, DIGITS, DIGITS_NOTE, SGD_NOTE, SHORT_CIFAR, SHORT_NOTE
from reslab.recipes.named import demo, paper_a_cifar, paper_a_cifar_warmup, paper_c_cifar
from reslab.recipes.recipe import SGD, Recipe
from reslab.recipes.schedule import Drops
from reslab.spec import replace

_STARTS: dict[str, dict[str, Any]] = {
    "1": {},
    "0.1": {"merge": Scaled(1.0, 0.1)},
    "SkipInit 0": {"merge": Weighted(0.0)},
    "zero γ": {"zero_last_bn": True},
}
_WARMTH = {"cold": "no warm-up", "warm": "warm-up"}
_COLD_DIGITS = Setting("digits", replace(demo(), schedule=Drops(at=(134,))))
_WARM_SHORT = Setting("cifar10", replace(SHORT_CIFAR, schedule=Drops(at=(8_000, 12_000), warmup=400)))


def _loud(start: str, depth: int, setting: str = "warm") -> str:
    return f"{start}, {depth} layers, {_WARMTH[setting]}"


_LOUDNESS = tuple(
    Row(
        _loud(start, depth, setting),
        cifar_resnet(depth, **fields),
        _WARMTH[setting],
        setting,
        Published("A Table 6", {"test_error": 6.97}) if (start, depth, setting) == ("1", 56, "cold") else None,
    )
    for depth in (20, 56, 110)
    for setting in _WARMTH
    for start, fields in _STARTS.items()
)

LOUDNESS = Study(
    name="loudness",
    title="How loud the residual begins",
    source="Szegedy et al. 2017, sec. 3.3; Goyal et al. 2017, sec. 5.1; De and Smith 2020",
    question=(
        "After BN every residual begins as loud as the first, so that a deep sum begins loud. Does training begin "
        "better, with less need of a warm-up, where the residuals begin at a tenth or at nothing?"
    ),
    rows=_LOUDNESS,
    claims=(
        *(
            Claim(
                f"The deeper a network is, the higher is its first loss: {words}",
                _loud("1", 20, setting),
                _loud("1", 56, setting),
                "initial_loss",
                "De and Smith 2020, sec. 2: the variance of the sum grows with the depth",
            )
            for setting, words in _WARMTH.items()
        ),
        *(
            Claim(
                f"A residual that begins at {start} begins with a lower loss than one that begins at 1: {words}",
                _loud(start, 56, setting),
                _loud("1", 56, setting),
                "initial_loss",
                source,
            )
            for setting, words in _WARMTH.items()
            for start, source in (
                ("0.1", "Szegedy et al. 2017, sec. 3.3"),
                ("SkipInit 0", "De and Smith 2020, sec. 3"),
                ("zero γ", "Goyal et al. 2017, sec. 5.1"),
            )
        ),
        *(
            Claim(
                f"Without a warm-up a residual that begins at {start} trains better than one that begins at 1",
                _loud(start, 56, "cold"),
                _loud("1", 56, "cold"),
                "train_error",
                source,
            )
            for start, source in (
                ("0.1", "Szegedy et al. 2017, sec. 3.3: scaling stabilises the training"),
                ("zero γ", "Goyal et al. 2017, sec. 5.1: it eases the start"),
            )
        ),
        Claim(
            "A network of 110 layers trains better with a warm-up",
            _loud("1", 110),
            _loud("1", 110, "cold"),
            "train_error",
            "A sec. 4.2",
        ),
    ),
    scales={
        "demo": Scale(
            {"warm": DIGITS, "cold": _COLD_DIGITS},
            seeds=3,
            rows=(_loud("1", 20), *(_loud(start, 56, setting) for setting in _WARMTH for start in _STARTS)),
            note=f"56 layers, and 20 beside; {DIGITS_NOTE} Rows without warm-up have none.",
        ),
        "short": Scale(
            {"warm": _WARM_SHORT, "cold": Setting("cifar10", SHORT_CIFAR)},
            seeds=3,
            rows=tuple(_loud(start, depth, setting) for depth in (20, 56) for setting in _WARMTH for start in _STARTS),
            note=SHORT_NOTE,
        ),
        "paper": Scale(
            {"warm": Setting("cifar10", paper_a_cifar_warmup()), "cold": Setting("cifar10", paper_a_cifar())},
            seeds=5,
            rows=row_names(_LOUDNESS),
            note="The recipe as printed; with warm-up, as A prints it for 110 layers.",
            top=60.0,
        ),
    },
    deviations=(
        BN_NOTE,
        SGD_NOTE,
        DECAY_NOTE,
        "Szegedy et al. scale Inception's residuals, Goyal et al. train ResNet-50, De and Smith wide networks without "
        "BN; here each start is put into A's CIFAR networks, whose residuals end in BN.",
    ),
    metrics=("initial_loss", "train_error", "test_error"),
    losses=True,
)


def _nesterov(
    epochs: int, drops: tuple[int, ...], weight_decay: float, factor: float = 0.1, batch: int = 128
) -> Setting:
    """A recipe of rate 0.1 that drops at some epochs, with Nesterov's momentum."""
    epoch = math.ceil(50_000 / batch)  # steps
    schedule = Drops(at=tuple(epoch * drop for drop in drops), factor=factor)
    form: dict[str, Any] = {"optimizer": SGD(nesterov=True), "weight_decay": weight_decay, "augment": PadCropFlip()}
    return Setting("cifar10", Recipe(steps=epoch * epochs, batch=batch, schedule=schedule, **form))


_DROPOUT_WIDE = replace(network("wrn-28-10"), dropout=0.3)
_VARIATIONS = (
    Row(
        "ResNet-110",
        network("resnet110-cifar"),
        "as deep, another unit",
        published=Published("C Table 1", {"test_error": 6.61}, n=5, of="median"),
    ),
    Row(
        "pre-activation 164",
        network("preact164-cifar"),
        "as deep, another unit",
        published=Published("C Table 3", {"test_error": 5.46}, n=5, of="median"),
    ),
    Row(
        "ResNet-110, stochastic depth",
        cifar_resnet(110, merge=StochasticDepth(0.5)),
        "as deep, another unit",
        "stochastic-depth",
        Published("Huang et al. 2016, Table 1", {"test_error": 5.25}),
    ),
    Row(
        "WRN-28-10",
        network("wrn-28-10"),
        "wide or in groups",
        "wide",
        Published("Zagoruyko and Komodakis 2016, Table 5", {"test_error": 4.00}, n=5, of="median"),
    ),
    Row(
        "WRN-28-10, dropout",
        _DROPOUT_WIDE,
        "wide or in groups",
        "wide",
        Published("Zagoruyko and Komodakis 2016, Table 6", {"test_error": 3.89}, n=5, of="median"),
    ),
    Row(
        "ResNeXt-29, 8×64d",
        network("resnext29-8x64d-cifar"),
        "wide or in groups",
        "groups",
        Published("Xie et al. 2017, Table 7", {"test_error": 3.65}, n=10, of="mean"),
    ),
    *(
        Row(
            f"PyramidNet-{depth}, α {alpha}",
            network(f"pyramidnet{depth}-a{alpha}-cifar"),
            "ever wider or concatenated",
            "pyramid",
            Published(f"Han et al. 2017, Table 4, ± {spread}", {"test_error": error}),
        )
        for depth, alpha, error, spread in ((110, 84, 4.26, 0.23), (110, 270, 3.73, 0.04), (164, 270, 3.48, 0.20))
    ),
    Row(
        "DenseNet-BC-100, k 12",
        network("densenet-bc-100-12"),
        "ever wider or concatenated",
        "dense",
        Published("Huang et al. 2017, Table 2", {"test_error": 4.51}),
    ),
    Row(
        "ResNet-110, Fixup",
        network("fixup110-cifar"),
        "as deep, another unit",
        "fixup",
    ),
)
_SMALL: dict[str, AnyNetwork] = {
    "ResNet-110": cifar_resnet(20),
    "pre-activation 164": cifar_resnet(20, (1, 3, 1), arrangement="full-preactivation"),
    "ResNet-110, stochastic depth": cifar_resnet(20, merge=StochasticDepth(0.5)),
    "WRN-28-10": wide_resnet(16, 2),
    "WRN-28-10, dropout": wide_resnet(16, 2, dropout=0.3),
    "ResNeXt-29, 8×64d": resnext_cifar(11, 8, 8),
    "PyramidNet-110, α 84": pyramidnet_cifar(20, 84),
    "PyramidNet-110, α 270": pyramidnet_cifar(20, 135),
    "PyramidNet-164, α 270": pyramidnet_cifar(20, 84, (1, 3, 1)),
    "DenseNet-BC-100, k 12": densenet_cifar(22, 12),
    "ResNet-110, Fixup": fixup_cifar(20),
}
_SMALL_NOTE = (
    "20 layers in place of 110 and 164, WRN-16-2, ResNeXt-11 8×8d, PyramidNets of 20 layers of α 84 and 135, "
    "DenseNet-BC-22"
)
_SETTINGS = ("cifar", "wide", "groups", "pyramid", "stochastic-depth", "dense", "fixup")

VARIATIONS = Study(
    name="variations",
    title="Residual networks and their variations",
    source=(
        "Huang et al. 2016; Zagoruyko and Komodakis 2016; Xie et al. 2017; Han et al. 2017; Huang et al. 2017; "
        "Zhang et al. 2019"
    ),
    question=(
        "After papers A and C the residual was made wide, cut into groups, widened from unit to unit, left out at "
        "random, concatenated in place of added, or freed of BN. What does each gain over the original?"
    ),
    rows=_VARIATIONS,
    claims=(
        *(
            Claim(f"{name} is better than ResNet-110", name, "ResNet-110", "test_error", source)
            for name, source in (
                ("ResNet-110, stochastic depth", "Huang et al. 2016, Table 1"),
                ("WRN-28-10", "Zagoruyko and Komodakis 2016, Table 5"),
                ("ResNeXt-29, 8×64d", "Xie et al. 2017, Table 7"),
                ("PyramidNet-110, α 84", "Han et al. 2017, Table 4"),
                ("DenseNet-BC-100, k 12", "Huang et al. 2017, Table 2"),
            )
        ),
        Claim(
            "Dropout inside the residual makes a wide network better",
            "WRN-28-10, dropout",
            "WRN-28-10",
            "test_error",
            "Zagoruyko and Komodakis 2016, sec. 3.4, Table 6",
        ),
        Claim(
            "A wider PyramidNet is better",
            "PyramidNet-110, α 270",
            "PyramidNet-110, α 84",
            "test_error",
            "Han et al. 2017, Table 4",
        ),
        Claim(
            "Fixup without BN is no worse than BN (by 1 point or more)",
            "ResNet-110, Fixup",
            "ResNet-110",
            "test_error",
            "Zhang et al. 2019, on CIFAR-10",
            margin=1.0,
        ),
    ),
    scales={
        "demo": Scale(
            dict.fromkeys(_SETTINGS, DIGITS),
            seeds=3,
            rows=row_names(_VARIATIONS),
            note=f"{_SMALL_NOTE}; {DIGITS_NOTE}",
            networks=_SMALL,
        ),
        "short": Scale(
            dict.fromkeys(_SETTINGS, _WARM_SHORT),
            seeds=3,
            rows=row_names(_VARIATIONS),
            note=f"{_SMALL_NOTE}; {SHORT_NOTE}",
            networks=_SMALL,
        ),
        "paper": Scale(
            {
                "cifar": Setting("cifar10", paper_c_cifar()),
                "wide": _nesterov(200, (60, 120, 160), 5e-4, factor=0.2),
                "groups": _nesterov(300, (150, 225), 5e-4),
                "pyramid": _nesterov(300, (150, 225), 1e-4),
                "stochastic-depth": _nesterov(500, (250, 375), 1e-4),
                "dense": _nesterov(300, (150, 225), 1e-4, batch=64),
                "fixup": _nesterov(200, (100, 150), 1e-4),
            },
            seeds=5,
            rows=row_names(_VARIATIONS),
            note="Each by the recipe of its paper.",
            top=30.0,
        ),
    },
    deviations=(
        SGD_NOTE,
        DECAY_NOTE,
        "Each variation came with a longer recipe of its own, so that what it gains over ResNet-110 is not the "
        "network's alone; at the smaller scales all have one recipe.",
        "WRN pads with reflections, here with zeros. Stochastic depth held out 5,000 images and chose by them; here "
        "all are trained on and the last weights count.",
        "The authors of Fixup learn its scalars at a tenth of the rate, without Nesterov's momentum; here all learn at "
        "one rate, with it.",
    ),
    medians=True,
)
