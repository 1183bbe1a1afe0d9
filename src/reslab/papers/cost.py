"""What the papers' networks cost, counted: no training."""

from reslab.nets import network
from reslab.papers.claims import Claim, Published, Row, Scale, Study, row_names

_PARAMETERS = {
    20: (0.27, "A Table 6"),
    32: (0.46, "A Table 6"),
    44: (0.66, "A Table 6"),
    56: (0.85, "A Table 6"),
    110: (1.7, "A Table 6"),
    1202: (19.4, "A Table 6"),
    164: (1.7, "C Table 4"),
    1001: (10.2, "C Table 4"),
}
_MULTIPLY_ADDS = {18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3}

_ROWS = (
    *(
        Row(
            f"ResNet-{depth}, CIFAR",
            network(f"{'preact' if depth in (164, 1001) else 'resnet'}{depth}-cifar"),
            "CIFAR",
            published=Published(source, {"parameters": millions}),
        )
        for depth, (millions, source) in _PARAMETERS.items()
    ),
    *(
        Row(
            f"ResNet-{depth}",
            network(f"resnet{depth}"),
            "residual",
            published=Published("A Table 1", {"multiply_adds": billions}),
        )
        for depth, billions in _MULTIPLY_ADDS.items()
    ),
    Row("ResNet-200, pre-activation", network("preact200"), "residual"),
    Row("VGG-16", network("vgg16"), "before", published=Published("A sec. 4.1", {"multiply_adds": 15.3})),
    Row("VGG-19", network("vgg19"), "before", published=Published("A sec. 3.3", {"multiply_adds": 19.6})),
    Row("LeNet-5", network("lenet5"), "before"),
    Row("AlexNet", network("alexnet"), "before", published=Published("AlexNet sec. 3", {"parameters": 60.0})),
    Row("ZF Net", network("zfnet"), "before"),
    Row("GoogLeNet", network("googlenet"), "before", published=Published("GoogLeNet Table 1", {"multiply_adds": 1.5})),
    Row(
        "BN-Inception",
        network("bn-inception"),
        "before",
        published=Published("BN-Inception sec. 4.2", {"parameters": 13.6}),
    ),
    *(
        Row(title, network(name), "Inception")
        for title, name in (
            ("Inception-v3", "inception-v3"),
            ("Inception-v4", "inception-v4"),
            ("Inception-ResNet-v1", "inception-resnet-v1"),
            ("Inception-ResNet-v2", "inception-resnet-v2"),
            ("Inception-ResNet-v2 of the public weights", "inception-resnet-v2-slim"),
        )
    ),
)
_ALEXNET = network("alexnet").cost().parameters / 1e6
_ALL = Scale({}, seeds=0, rows=row_names(_ROWS), note="Counted, not trained: the same at every scale.")

COST = Study(
    name="cost",
    title="What the networks cost",
    source="A Table 1, Table 6, sec. 3.3 and 4.1; B sec. 3.2; C Table 4",
    question="Do the networks cost what the papers say?",
    rows=_ROWS,
    claims=(
        Claim("ResNet-34 costs less than a fifth of VGG-19", "ResNet-34", 19.6 / 5, "multiply_adds", "A sec. 3.3"),
        Claim("ResNet-152 still costs less than VGG-16", "ResNet-152", "VGG-16", "multiply_adds", "A sec. 4.1"),
        Claim(
            "Inception-ResNet-v1 costs about what Inception-v3 does (at most a fifth more)",
            "Inception-ResNet-v1",
            "Inception-v3",
            "multiply_adds",
            "B sec. 3.2",
            margin=1.1,
            key="inception-cost",
        ),
        Claim(
            "Inception-ResNet-v2 as printed costs as much as Inception-v4 (less than a tenth below)",
            "Inception-v4",
            "Inception-ResNet-v2",
            "multiply_adds",
            "B sec. 3.2",
            margin=1.2,
            key="inception-cost",
        ),
        Claim(
            "Inception-v3 costs less than half of VGG-16",
            "Inception-v3",
            15.3 / 2,
            "multiply_adds",
            "the review's sec. 3.1; VGG-16 as A sec. 4.1 has it",
            key="inception-v3-cheap",
        ),
        Claim(
            "GoogLeNet has less than 7 % of AlexNet's parameters",
            "GoogLeNet",
            0.07 * _ALEXNET,
            "parameters",
            "the review's sec. 1.1",
            key="googlenet-7",
        ),
        Claim(
            "GoogLeNet has 12 times fewer parameters than AlexNet",
            "GoogLeNet",
            _ALEXNET / 12,
            "parameters",
            "GoogLeNet sec. 1",
        ),
        Claim(
            "AlexNet has more layers than LeNet-5", "LeNet-5", "AlexNet", "layers", "the review's sec. 1.1", key="lenet"
        ),
        Claim(
            "ZF Net has more layers than AlexNet",
            "AlexNet",
            "ZF Net",
            "layers",
            "the review's sec. 1.1",
            key="zf",
        ),
        Claim(
            "VGG-16 has 16 layers with weights",
            "VGG-16",
            16.0,
            "layers",
            "the review's sec. 1.1",
            margin=0.5,
            key="vgg",
            relation="about",
        ),
        Claim(
            "Bottlenecks of 50 layers cost about what 34 basic layers do (within a seventh)",
            "ResNet-50",
            "ResNet-34",
            "multiply_adds",
            "A sec. 4.1, Table 1",
            margin=3.6 / 7,
            key="bottleneck",
            relation="about",
        ),
    ),
    scales={"demo": _ALL, "brief": _ALL, "short": _ALL, "paper": _ALL},
    deviations=(
        "Parameters include BN's scales and shifts; C's 10.2 million for 1001 layers leave them out, A's 19.4 million "
        "for 1202 layers do not.",
        "BN-Inception's table contradicts itself: rows 4c and 4d give 608 channels and 4e 1056, which is counted here.",
        "GoogLeNet is counted without its auxiliary classifiers.",
        "Inception-ResNet-v2 with the 5, 10 and 5 blocks that are printed does not have the cost that the paper gives; "
        "the 10, 20 and 10 of the public weights have.",
    ),
    metrics=("parameters", "multiply_adds", "layers"),
    second="cost",
)
