"""Paper C: He, Zhang, Ren, Sun. Identity Mappings in Deep Residual Networks. arXiv 1603.05027, ECCV 2016."""

import dataclasses

from reslab.nets import AnyNetwork, Conv, Dropped, Gated, Scaled, cifar_resnet, network
from reslab.papers.claims import (
    FAILED,
    FAILS_ABOVE,
    PICTURES,
    Claim,
    Other,
    Published,
    Row,
    Scale,
    Setting,
    Study,
    Value,
    row_names,
)
from reslab.papers.he2016a import (
    BN_NOTE,
    BRIEF_CIFAR,
    BRIEF_NOTE,
    CIFAR_SPREAD,
    CROPS_NOTE,
    DECAY_NOTE,
    DIGITS,
    DIGITS_NOTE,
    SGD_NOTE,
    SHORT_CIFAR,
    SHORT_NOTE,
)
from reslab.recipes.named import demo, paper_a_cifar, paper_c_cifar, paper_c_imagenet
from reslab.recipes.schedule import Drops
from reslab.spec import replace

_PAPER = replace(paper_c_cifar(), log_every=40)
_SHORT = replace(SHORT_CIFAR, schedule=Drops(at=(8_000, 12_000), warmup=400))
_BRIEF = replace(BRIEF_CIFAR, schedule=Drops(at=(800, 1200), warmup=50))
_SHORT_NOTE = f"{SHORT_NOTE}, after 400 steps of warm-up as printed."
_DEVIATIONS = (BN_NOTE, SGD_NOTE, DECAY_NOTE)


def _scales(
    rows: tuple[Row, ...],
    demo: tuple[str, dict[str, AnyNetwork]],
    short: tuple[str, dict[str, AnyNetwork]],
    top: float,
) -> dict[str, Scale]:
    """The scales of a study on CIFAR-10, each of the smaller ones with its networks and a note on them."""
    (small, small_networks), (medium, medium_networks), names = demo, short, row_names(rows)
    brief, whole = {"cifar": Setting("cifar10", BRIEF_CIFAR)}, {"cifar": Setting("cifar10", _SHORT)}
    brief_note = f"{medium}; {BRIEF_NOTE}; no warm-up, as paper A has it at 56 layers."
    return {
        "demo": Scale({"cifar": DIGITS}, 4, names, f"{small}; {DIGITS_NOTE}", small_networks),
        "brief": Scale(brief, 3, names, brief_note, medium_networks, ends=False),
        "short": Scale(whole, 3, names, f"{medium}; {_SHORT_NOTE}", medium_networks, top=top),
        "paper": Scale({"cifar": Setting("cifar10", _PAPER)}, 5, names, "The recipe as printed.", top=top),
    }


def _shortcut(depth: int) -> dict[str, AnyNetwork]:
    """C Table 1 with networks of a depth."""
    return {
        "original": cifar_resnet(depth),
        "scaling 0, 1 (plain)": cifar_resnet(depth, shortcut=None),
        "scaling 0.5, 1": cifar_resnet(depth, merge=Scaled(0.5, 1.0)),
        "scaling 0.5, 0.5": cifar_resnet(depth, merge=Scaled(0.5, 0.5)),
        "exclusive gating, b 0": cifar_resnet(depth, merge=Gated(bias=0.0, exclusive=True)),
        "exclusive gating, b −6": cifar_resnet(depth, merge=Gated(bias=-6.0, exclusive=True)),
        "exclusive gating, b −7": cifar_resnet(depth, merge=Gated(bias=-7.0, exclusive=True)),
        "shortcut-only gating, b 0": cifar_resnet(depth, merge=Gated(bias=0.0)),
        "shortcut-only gating, b −6": cifar_resnet(depth, merge=Gated(bias=-6.0)),
        "1×1 convolution": cifar_resnet(depth, shortcut="C"),
        "dropout 0.5": cifar_resnet(depth, merge=Dropped(0.5)),
    }


_TABLE_1: tuple[Value, ...] = (6.61, FAILED, FAILED, 12.35, FAILED, 8.70, 9.81, 12.86, 6.91, 12.22, FAILED)
_PANELS = ("scaling",) * 4 + ("gating",) * 5 + ("convolution and dropout",) * 2

_SHORTCUTS = tuple(
    Row(name, value, panel, published=Published("C Table 1", {"test_error": error}, n=5, of="median"))
    for (name, value), panel, error in zip(_shortcut(110).items(), _PANELS, _TABLE_1, strict=True)
)
DEEP_GATE, EQUAL = "exclusive gating, deep gate, b −6", "original with the deep gate's parameters"
_HIGHWAY = (
    "github.com/flukeskywalker/highway-resnet-comparison, by the Highway networks' first author, who disputes the 1×1 "
    "gate: 6.04 % against the original's 6.25 % in one run each"
)


def _gates(depth: int) -> dict[str, AnyNetwork]:
    """The deep gate, thinned as its author has it, and an original of as many parameters (2.65 millions at 110)."""
    thin = cifar_resnet(depth, merge=Gated(-6.0, exclusive=True, gate="deep"), widths=(14, 28, 56), stem=Conv(14, 3))
    return {DEEP_GATE: thin, EQUAL: cifar_resnet(depth, widths=(20, 40, 80), stem=Conv(20, 3))}


def _cold(name: str) -> str:
    return f"{name}, no warm-up"


_GATES = (
    *(Row(name, value, "deep gate") for name, value in _gates(110).items()),
    *(
        Row(_cold(name), value, "deep gate", "cifar-cold")
        for name, value in (("original", cifar_resnet(110)), *_gates(110).items())
    ),
)


def _with_gates(scales: dict[str, Scale]) -> dict[str, Scale]:
    """The scales with the deep gate's rows; the brief one has no warm-up in any of its rows."""
    colder = {
        "demo": Setting("digits", replace(demo(), schedule=Drops(at=(134,)))),
        "paper": Setting("cifar10", replace(paper_a_cifar(), log_every=40)),
    }
    smaller = {"demo": _gates(32), "brief": _gates(56), "short": _gates(56)}
    changed = {}
    for name, scale in scales.items():
        rows = [row for row in _GATES if name in colder or row.setting == "cifar"]
        settings = dict(scale.settings) | ({"cifar-cold": colder[name]} if name in colder else {})
        networks = dict(scale.networks)
        for row in rows if networks else ():
            known = networks | smaller[name]
            networks[row.name] = known[row.name.removesuffix(_cold(""))]
        changed[name] = dataclasses.replace(
            scale, settings=settings, rows=(*scale.rows, *row_names(tuple(rows))), networks=networks
        )
    return changed


SHORTCUTS = Study(
    name="shortcuts",
    title="Identity shortcuts are the best",
    source="C sec. 3, Table 1, Figs. 2 and 3; the review's Fig. 5",
    question="Is the identity a better shortcut than one that scales, gates, convolves or drops the signal?",
    rows=(*_SHORTCUTS, *_GATES),
    claims=(
        *(
            Claim(
                f"The identity is better than the deep gate{words}",
                _cold(identity) if cold else identity,
                _cold(DEEP_GATE) if cold else DEEP_GATE,
                "test_error",
                f"C sec. 3.1; disputed at {_HIGHWAY}",
                key="deep-gate",
            )
            for words, identity, cold in (
                ("", "original", False),
                (", with as many parameters", EQUAL, False),
                (", with as many parameters and no warm-up", EQUAL, True),
            )
        ),
        Claim(
            "The deep gate is better than the gate that paper C tried",
            DEEP_GATE,
            "exclusive gating, b −6",
            "test_error",
            _HIGHWAY,
            key="deep-gate",
        ),
        *(
            Claim(
                f"The identity is better than {row.name}",
                "original",
                row.name,
                "test_error",
                "C sec. 3.1, Table 1",
                key="identity-better",
            )
            for row in _SHORTCUTS[1:]
        ),
        *(
            Claim(
                f"The identity learns sooner than {row.name}",
                "original",
                row.name,
                "train_curve",
                "C sec. 3.1, Fig. 3",
                key="identity-sooner",
            )
            for row in _SHORTCUTS[1:]
        ),
        Claim(
            "A gate that is nearly closed (b −6) is better than one half open (b 0)",
            "shortcut-only gating, b −6",
            "shortcut-only gating, b 0",
            "test_error",
            "C sec. 3.1, shortcut-only gating",
        ),
        *(
            Claim(
                f"{row.name} fails: its test error is above {FAILS_ABOVE:g} %",
                FAILS_ABOVE,
                row.name,
                "test_error",
                "C Table 1",
                scales=("paper",),
            )
            for row, error in zip(_SHORTCUTS, _TABLE_1, strict=True)
            if error == FAILED
        ),
    ),
    scales=_with_gates(
        _scales(
            _SHORTCUTS,
            demo=("32 layers in place of 110", _shortcut(32)),
            short=("56 layers in place of 110", _shortcut(56)),
            top=60.0,
        )
    ),
    deviations=(
        *_DEVIATIONS,
        "Where the shape changes, the paper does not say what a gate does; here the shortcut is first brought to the "
        "output's shape and then gated.",
        "The paper prints one row for exclusive gates with b from 0 to −5, all of which fail; here b is 0.",
        "The deep gate is not the paper's. Its author's network has no ReLU after the addition; here it has, so that "
        "the gate alone differs.",
    ),
    metrics=("train_error", "test_error", "steps_to_10", "train_curve"),
    medians=True,
    losses=True,
    baseline="original",
    spread=CIFAR_SPREAD,
)

_TABLE_2: dict[str, tuple[str, dict[int, float]]] = {  # errors by layers
    "original": ("original", {110: 6.61, 164: 5.93}),
    "BN after addition": ("bn-after-addition", {110: 8.17, 164: 6.50}),
    "ReLU before addition": ("relu-before-addition", {110: 7.84, 164: 6.14}),
    "ReLU-only pre-activation": ("relu-only-preactivation", {110: 6.71, 164: 5.91}),
    "full pre-activation": ("full-preactivation", {110: 6.37, 164: 5.46}),
}
_BEYOND = {  # Han et al. 2017, Fig. 6
    "without the first ReLU": "without-first-relu",
    "BN last": "bn-last",
    "both (PyramidNet's)": "pyramidnet",
}
_ARRANGED = {name: arrangement for name, (arrangement, _) in _TABLE_2.items()} | _BEYOND
_KERNELS: dict[int, tuple[int, ...]] = {110: (3, 3), 164: (1, 3, 1)}


def _arranged(basic: int, bottleneck: int) -> dict[str, AnyNetwork]:
    """C Table 2's networks by row name, with these depths in place of 110 and 164 layers."""
    return {
        f"{name}, {layers}": cifar_resnet(depth, kernels=kernels, arrangement=arrangement)
        for (layers, kernels), depth in zip(_KERNELS.items(), (basic, bottleneck), strict=True)
        for name, arrangement in _ARRANGED.items()
    }


_ACTIVATIONS = tuple(
    Row(
        f"{name}, {layers}",
        cifar_resnet(layers, kernels=kernels, arrangement=arrangement),
        f"{layers} layers",
        published=Published("C Table 2", {"test_error": _TABLE_2[name][1][layers]}, n=5, of="median")
        if name in _TABLE_2
        else None,
    )
    for names in (_TABLE_2, _BEYOND)
    for layers, kernels in _KERNELS.items()
    for name, arrangement in _ARRANGED.items()
    if name in names
)

ACTIVATIONS = Study(
    name="activations",
    title="Where BN and ReLU belong",
    source="C sec. 4, Table 2, Figs. 4 and 6; the review's Fig. 6",
    question="Do BN and ReLU belong before the convolutions, in place of after them or after the addition?",
    rows=_ACTIVATIONS,
    claims=(
        *(
            Claim(
                f"At {depth} layers, full pre-activation is better than {name}",
                f"full pre-activation, {depth}",
                f"{name}, {depth}",
                "test_error",
                "C sec. 4.1, Table 2",
                key="full-preactivation",
            )
            for depth in _KERNELS
            for name in _TABLE_2
            if name != "full pre-activation"
        ),
        *(
            Claim(
                f"At {depth} layers, the original is better than {name}",
                f"original, {depth}",
                f"{name}, {depth}",
                "test_error",
                "C sec. 4.1, Table 2",
                key=_TABLE_2[name][0],
            )
            for depth in _KERNELS
            for name in ("BN after addition", "ReLU before addition")
        ),
        *(
            Claim(
                f"At {depth} layers, pre-activation is better {words}",
                f"{name}, {depth}",
                f"full pre-activation, {depth}",
                "test_error",
                "Han et al. 2017, sec. 4.2; hysts' runs at 56 layers",
                key="beyond",
            )
            for depth in _KERNELS
            for name, words in (
                ("without the first ReLU", "without its first ReLU"),
                ("BN last", "with a BN at its end"),
                ("both (PyramidNet's)", "with both, PyramidNet's"),
            )
        ),
        *(
            Claim(
                f"At {depth} layers, BN after the addition makes it learn later",
                f"original, {depth}",
                f"BN after addition, {depth}",
                "train_curve",
                "C sec. 4.1, Fig. 6 left",
                key="bn-after-addition-sooner",
            )
            for depth in _KERNELS
        ),
        Claim(
            "At 164 layers, full pre-activation ends with the higher training loss",
            "original, 164",
            "full pre-activation, 164",
            "train_loss",
            "C sec. 4.2, Fig. 6 right",
            key="regularises",
        ),
    ),
    scales=_scales(
        _ACTIVATIONS,
        demo=("32 layers in place of 110, 29 of bottlenecks in place of 164", _arranged(32, 29)),
        short=("56 layers in place of 110, 56 of bottlenecks in place of 164", _arranged(56, 56)),
        top=30.0,
    ),
    deviations=_DEVIATIONS,
    metrics=("train_error", "train_loss", "test_error", "steps_to_10", "train_curve"),
    medians=True,
    losses=True,
    spread=CIFAR_SPREAD,
    others=(
        Other("ResNet-101, original", Published("C sec. 4.1, ImageNet", {"test_error": 23.6, "top5_error": 7.1})),
        Other(
            "ResNet-101, BN after addition", Published("C sec. 4.1, ImageNet", {"test_error": 24.6, "top5_error": 7.5})
        ),
    ),
)

_TABLE_3 = {
    "ResNet-110, one-layer skips": ("{}110-cifar-1layer", 110, "cifar", 9.90, 8.91),
    "ResNet-110": ("{}110-cifar", 110, "cifar", 6.61, 6.37),
    "ResNet-164": ("{}164-cifar", 164, "cifar", 5.93, 5.46),
    "ResNet-1001": ("{}1001-cifar", 1001, "cifar", 7.61, 4.92),
    "ResNet-164, CIFAR-100": ("{}164-cifar", 164, "cifar100", 25.16, 24.33),
    "ResNet-1001, CIFAR-100": ("{}1001-cifar", 1001, "cifar100", 27.82, 22.71),
}
_SPREADS = {  # C Table 4
    "ResNet-1001, pre-activation": (4.89, 0.14),
    "ResNet-1001, CIFAR-100, pre-activation": (22.68, 0.22),
}
_TABLE_5 = {  # the other rows are of crops of 320
    "ResNet-152, ImageNet, original": Published("C Table 5, one crop", {"test_error": 23.0, "top5_error": 6.7})
}
_IMAGENET_LAYERS = (152, 200)
_SMALL_BATCHES = "ResNet-1001, pre-activation, batches of 64"
_KINDS = {"original": "resnet", "pre-activation": "preact"}


def _both() -> tuple[Row, ...]:
    rows = []
    for name, (pattern, _, setting, *errors) in _TABLE_3.items():
        panel = {"cifar": "CIFAR-10", "cifar100": "CIFAR-100"}[setting]
        for (kind, family), error in zip(_KINDS.items(), errors, strict=True):
            spread = _SPREADS.get(f"{name}, {kind}")
            published = Published("C Table 3", {"test_error": error}, n=5, of="median", spread=spread)
            rows.append(Row(f"{name}, {kind}", network(pattern.format(family)), panel, setting, published))
    rows.append(
        Row(
            _SMALL_BATCHES,
            network("preact1001-cifar"),
            "CIFAR-10",
            "cifar-64",
            Published("C Table 4", {"test_error": 4.62}, n=5, of="median", spread=(4.69, 0.20)),
        )
    )
    for depth in _IMAGENET_LAYERS:
        for kind, family in _KINDS.items():
            name = f"ResNet-{depth}, ImageNet, {kind}"
            rows.append(Row(name, network(f"{family}{depth}"), "ImageNet", "imagenet", _TABLE_5.get(name)))
    return tuple(rows)


_PREACTIVATION = _both()
_DEMO = {
    f"{name}, {kind}": cifar_resnet(depth, kernels=kernels, arrangement=arrangement)
    for name, depth, kernels in (
        ("ResNet-110, one-layer skips", 32, (3,)),
        ("ResNet-110", 32, (3, 3)),
        ("ResNet-164", 29, (1, 3, 1)),
        ("ResNet-1001", 83, (1, 3, 1)),
    )
    for kind, arrangement in (("original", "original"), ("pre-activation", "full-preactivation"))
}

_CIFAR_10_OTHERS = (
    ("NIN", 8.81),
    ("DSN", 8.22),
    ("FitNet", 8.39),
    ("Highway", 7.72),
    ("All-CNN", 7.25),
    ("ELU, no augmentation", 6.55),
    ("FitResNet, LSUV", 5.84),
)
_CIFAR_100_OTHERS = (
    ("NIN", 35.68),
    ("DSN", 34.57),
    ("FitNet", 35.04),
    ("Highway", 32.39),
    ("All-CNN", 33.71),
    ("ELU, no augmentation", 24.28),
    ("FitNet, LSUV", 27.66),
)
_BELOW_1001 = tuple(f"{name}, {kind}" for name, (_, layers, *_) in _TABLE_3.items() if layers < 1001 for kind in _KINDS)

PREACTIVATION = Study(
    name="preactivation",
    title="Pre-activation, from 110 to 1001 layers",
    source="C sec. 4.1 and 4.2, Tables 3 and 5, Fig. 1",
    question="Is full pre-activation better than the original unit at every depth, from 110 to 1001 layers?",
    rows=_PREACTIVATION,
    claims=(
        *(
            Claim(
                f"Pre-activation is better: {name}",
                f"{name}, pre-activation",
                f"{name}, original",
                "test_error",
                source,
                key="preactivation-better",
            )
            for name, source in (
                *((name, "C Table 3") for name in _TABLE_3),
                *((f"ResNet-{layers}, ImageNet", "C Table 5") for layers in _IMAGENET_LAYERS),
            )
        ),
        *(
            Claim(
                f"Pre-activation learns sooner: {name}",
                f"{name}, pre-activation",
                f"{name}, original",
                "train_curve",
                "C sec. 4.2, Fig. 1",
                key="preactivation-sooner",
            )
            for name in ("ResNet-1001", "ResNet-1001, CIFAR-100")
        ),
        Claim(
            "Batches of 64 are better than of 128 with 1001 layers",
            _SMALL_BATCHES,
            "ResNet-1001, pre-activation",
            "test_error",
            "C Table 4",
        ),
    ),
    scales={
        "demo": Scale(
            {"cifar": DIGITS},
            seeds=3,
            rows=tuple(_DEMO),
            note=f"32 layers in place of 110, bottlenecks of 29 and 83 in place of 164 and 1001; {DIGITS_NOTE}",
            networks=_DEMO,
        ),
        "brief": Scale(
            {"cifar": Setting("cifar10", _BRIEF), "cifar100": Setting("cifar100", _BRIEF)},
            seeds=3,
            rows=_BELOW_1001,
            note=f"{BRIEF_NOTE}; 50 steps of warm-up in place of 400.",
            top=60.0,
            ends=False,
        ),
        "short": Scale(
            {"cifar": Setting("cifar10", _SHORT), "cifar100": Setting("cifar100", _SHORT)},
            seeds=3,
            rows=_BELOW_1001,
            note=_SHORT_NOTE,
            top=60.0,
        ),
        "paper": Scale(
            {
                "cifar": Setting("cifar10", _PAPER),
                "cifar100": Setting("cifar100", _PAPER),
                "cifar-64": Setting("cifar10", replace(_PAPER, batch=64)),
                "imagenet": Setting(PICTURES, paper_c_imagenet()),
            },
            seeds=5,
            rows=row_names(_PREACTIVATION),
            note="The recipes as printed.",
            top=60.0,
        ),
    },
    deviations=(
        *_DEVIATIONS,
        CROPS_NOTE,
        "C Table 5's errors are of crops of 320 pixels, but for the original ResNet-152's; here crops are of 224, and "
        "no other published value of ImageNet's stands beside.",
        "With batches of 64 the paper does not say how many steps it takes: as many as with 128 here.",
    ),
    metrics=("train_error", "test_error", "steps_to_10", "train_curve"),
    medians=True,
    losses=True,
    spread=CIFAR_SPREAD,
    others=(
        *(Other(name, Published("C Table 4, CIFAR-10", {"test_error": error})) for name, error in _CIFAR_10_OTHERS),
        *(Other(name, Published("C Table 4, CIFAR-100", {"test_error": error})) for name, error in _CIFAR_100_OTHERS),
        *(
            Other(name, Published("C Table 5, one crop of 320", {"test_error": top1, "top5_error": top5}))
            for name, top1, top5 in (
                ("ResNet-152, original", 21.3, 5.5),
                ("ResNet-152, pre-activation", 21.1, 5.5),
                ("ResNet-200, original", 21.8, 6.0),
                ("ResNet-200, pre-activation", 20.7, 5.3),
                ("ResNet-200, pre-activation, crops of any aspect", 20.1, 4.8),
            )
        ),
        Other("Inception-v3", Published("C Table 5, one crop of 299", {"test_error": 21.2, "top5_error": 5.6})),
    ),
)
