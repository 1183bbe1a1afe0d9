"""The review, sentence by sentence: B. Shin, Residual Networks and its Variations.

Every statement of it with what the papers say, the claims of the studies that decide it, and, where the review slips,
what is right.
"""

from typing import NamedTuple

from reslab.nets import AnyNetwork, ResNet, Scaled
from reslab.papers.claims import Claim, Study
from reslab.papers.cost import COST
from reslab.papers.he2016a import DEGRADATION, DEPTH, SHORTCUT_OPTIONS
from reslab.papers.he2016b import ACTIVATIONS, PREACTIVATION, SHORTCUTS
from reslab.papers.szegedy2017 import INCEPTION


class AnalysisClaims(NamedTuple):
    """The claims of an analysis that decide a statement: those with a key; and the command that tests them."""

    key: str
    command: str


class Statement(NamedTuple):
    """A statement of the review and its section.

    papers: what the papers say of it, with the place
    study, keys: the claims of a study that decide it: those with one of these keys; None where none does
    slip: where the review is wrong or loose: what is right
    here: what reslab has of it where no claim is tested: a command, or why nothing can be
    counted: a number that is counted of a study's rows, and the one that the review says; None where it says none
    analysed: the claims of an analysis that decide it; None where none do
    """

    text: str
    source: str
    papers: str
    study: Study | None = None
    keys: tuple[str, ...] = ()
    slip: str = ""
    here: str = ""
    counted: tuple[int, int] | None = None
    analysed: AnalysisClaims | None = None

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.study.claims if claim.key in self.keys) if self.study else ()


def _kind_of_shortcut(network: AnyNetwork) -> tuple[object, ...]:
    """What makes a shortcut another type in C Fig. 2; the plain network is the constant scaling by 0."""
    assert isinstance(network, ResNet)
    if network.shortcut is None:
        return Scaled, None, False
    return type(network.merge), getattr(network.merge, "exclusive", None), network.shortcut == "C"


_SHORTCUT_TYPES = {_kind_of_shortcut(row.network) for row in SHORTCUTS.rows if row.published}
_ARRANGEMENTS = {
    row.network.arrangement for row in ACTIVATIONS.rows if row.published and isinstance(row.network, ResNet)
}
_DATA = {
    setting.data
    for study in (DEGRADATION, SHORTCUTS, PREACTIVATION)
    for setting in study.scales["paper"].settings.values()
}

_HEALTHY = AnalysisClaims("plain-gradient", "reslab analyse gradients plain20-cifar plain56-cifar --data cifar10")

_BEFORE = (
    Statement(
        "Deep networks lead in detection, segmentation, pose, video, tracking, super-resolution and sentiment analysis",
        "sec. 1",
        "A Tables 7 and 8 have detection alone: with ResNet-101 in the place of VGG-16, 76.4 against 73.2 % mAP on VOC "
        "2007 and 27.2 against 21.2 % on COCO.",
        here="Out of scope: reslab classifies images.",
    ),
    Statement(
        "AlexNet revived convolutional networks: a top-5 error of 16 % against 26 % of the runner-up",
        "sec. 1.1",
        "Krizhevsky et al. 2012: 16.4 % with 5 networks, 15.3 % with 7 and more data, against 26.2 %.",
        slip="16 % is neither of the two published values.",
        here="`reslab show alexnet`: the network and its cost; the contest is not run again.",
    ),
    Statement(
        "AlexNet is basically LeNet, but deeper",
        "sec. 1.1",
        "LeCun et al. 1998 and Krizhevsky et al. 2012.",
        COST,
        ("lenet",),
        slip="AlexNet also adds ReLU, response normalisation, dropout, overlapping pools, two towers and colour "
        "augmentation. LeNet-5 as built everywhere is of 1998, not 1995.",
    ),
    Statement(
        "ZF Net tweaks the number of hidden layers, the stride and the filter size",
        "sec. 1.1",
        "Zeiler and Fergus 2014, Fig. 3: 7×7 filters of stride 2 in the first layer, dense middle layers.",
        COST,
        ("zf",),
        slip="The depth is AlexNet's; stride, filters and width change. The winner of 2013 was Clarifai's entry; ZF "
        "Net's own value is 14.8 %, of six networks.",
    ),
    Statement(
        "GoogLeNet has less than 7 % of the size",
        "sec. 1.1",
        "Szegedy et al. 2015, sec. 1: 12 times fewer parameters than AlexNet.",
        COST,
        ("googlenet-7",),
        slip="Counted it is 11.5 % of AlexNet's parameters, and 5 % of VGG-16's.",
    ),
    Statement(
        "VGG stacks 16 homogeneous components of convolution and pooling; depth is critical",
        "sec. 1.1",
        "Simonyan and Zisserman 2015, Tables 1 and 3: 29.6 % with 11 layers, 27.0 % with 16, 27.3 % with 19.",
        COST,
        ("vgg",),
        slip="The 16 layers are 13 convolutions and 3 linear ones; the pools, five of them, are not counted.",
    ),
    Statement(
        "VGG suffers from the degradation problem",
        "sec. 1.1",
        "VGG Table 3: the error stops falling at 19 layers (27.0 and 27.3 %).",
        slip="He et al. 2016a show degradation on plain networks of their own, 18 against 34 layers and 20 to 110; "
        "nobody has shown a higher training error of a deeper VGG.",
        here="`reslab study run degradation`: plain networks of 20 and 56 layers.",
    ),
    Statement(
        "ResNet won the competition in 2015, with skip connections and much batch normalization",
        "sec. 1.1",
        "A Table 5: 3.57 % top-5 error on the test pictures, by six networks together.",
        here="The test pictures' labels are not public, and ensembles are not trained here.",
    ),
)

_RESIDUAL = (
    Statement(
        "Vanishing and exploding gradients keep deep networks from converging; normalization relieves this",
        "sec. 2.1",
        "A sec. 1 and 4.1: solved by initialization and BN; the backward gradients of plain networks with BN have "
        "healthy norms.",
        slip="Degradation is another problem, which remains with BN.",
        here="With BN the gradients of plain networks do not vanish at first (statement 14); they grow backward "
        "instead: `reslab analyse signals`. Networks without BN are not trained for this.",
    ),
    Statement(
        "Overfitting is not the reason of degradation",
        "sec. 2.1",
        "A sec. 1, Fig. 1: the training error is higher too.",
        DEGRADATION,
        ("plain-degrades",),
    ),
    Statement(
        "A residual block fits H(x) − x; if the identity is best, its weights go to zero",
        "sec. 2.2",
        "A sec. 3.1, eq. 1.",
        slip="The block is y = ReLU(F(x) + x), with BN, and W x where the shape changes; the review leaves these out.",
        here="`reslab show resnet20-cifar` draws the unit; with F at zero it is the identity, as a test shows.",
    ),
    Statement(
        "ImageNet has 1.28 million training and 50,000 validation images; performance is measured on 100,000 test ones",
        "sec. 2.3",
        "A sec. 4.1.",
        slip="All comparisons are on the 50,000 validation images; only the ensemble's 3.57 % is of the test set.",
        here="`reslab evaluate RUN --data imagenet:PATH` evaluates the validation images.",
    ),
    Statement(
        "Plain networks of 34 layers have higher errors than of 18, in training and validation (Fig. 1)",
        "sec. 2.3",
        "A Table 2: 28.54 against 27.94 %; Fig. 4 left. On CIFAR-10 Fig. 6 left.",
        DEGRADATION,
        ("plain-degrades", "plain-degrades-test"),
    ),
    Statement(
        "The authors looked at forward signals and backward gradients and did not find the reason",
        "sec. 2.3",
        "A sec. 4.1: BN keeps the variances of the signals and the norms of the gradients healthy.",
        slip="They rule out vanishing signals, conjecture exponentially low convergence rates, and note that three "
        "times as many iterations do not help.",
        here="`reslab analyse gradients` and `reslab analyse responses` look at both; the reason is not among them.",
        analysed=_HEALTHY,
    ),
    Statement(
        "Residual networks do not degrade: 34 layers are better than 18 (Fig. 2)",
        "sec. 2.3",
        "A Table 2: 25.03 against 27.88 %. On CIFAR-10 Table 6: 6.97 % with 56 layers, 8.75 % with 20.",
        DEGRADATION,
        ("residual-keeps", "residual-gains"),
    ),
    Statement(
        "Thin curves are training errors, bold ones validation errors",
        "Figs. 1 and 2",
        "A Fig. 4.",
        here="The curves of every study's report are drawn so.",
    ),
    Statement(
        "Residual networks are more accurate: 3.5 points of top-1 error",
        "sec. 2.3",
        "A Table 2: 25.03 against 28.54 % with 34 layers, ten crops: 3.51 points.",
        DEGRADATION,
        ("residual-better", "residual-3.5-points"),
        slip="With 18 layers the two are equally accurate, 27.88 and 27.94 %.",
    ),
    Statement(
        "Residual networks converge faster than plain ones",
        "sec. 2.3",
        "A sec. 4.1, on 18 layers: faster at the early stage.",
        DEGRADATION,
        ("residual-sooner",),
        slip='"Speed" is that of convergence; the multiply-adds of both are the same.',
    ),
    Statement(
        "They compare identity with projection shortcuts",
        "sec. 2.3",
        "A Table 3: options A, B and C, 25.03, 24.52 and 24.19 %; all better than plain, and about the same.",
        SHORTCUT_OPTIONS,
        ("option-better", "options-alike"),
    ),
    Statement(
        "They compare bottleneck and other architectures",
        "sec. 2.3",
        "A sec. 4.1: 50 layers of bottlenecks, 3.8 billion multiply-adds, in the place of 34 of pairs, 3.6 billion.",
        COST,
        ("bottleneck",),
    ),
    Statement(
        "Deeper residual networks, up to 152 layers, are better",
        "sec. 2.3",
        "A Table 3: 24.52, 22.85, 21.75 and 21.43 % with 34, 50, 101 and 152 layers.",
        DEPTH,
        ("deeper-better",),
    ),
    Statement(
        "They outperform VGG, GoogLeNet and BN-Inception",
        "sec. 2.3",
        "A Tables 3 and 4: 24.52 against 28.07 % (VGG-16), 7.46 against 9.15 % top-5 (GoogLeNet), 4.49 against 5.81 % "
        "top-5 (BN-Inception).",
        DEPTH,
        ("better-than-others",),
    ),
)

_INCEPTION = (
    Statement(
        "Inception-v3 is cheap; Inception-v4 is designed by taking advantage of TensorFlow",
        "sec. 3.1",
        "B sec. 1 and 3.1: without the need to partition a model over replicas, blocks could be chosen uniform.",
        COST,
        ("inception-v3-cheap",),
        slip="TensorFlow only lifted that constraint.",
        here="`reslab show inception-v4`.",
    ),
    Statement(
        "A filter-expansion layer compensates for the reduced dimensions",
        "sec. 3.2",
        "B sec. 3.2.",
        slip="Right, but this 1×1 convolution is linear, and wide networks need their residuals scaled by 0.1 to 0.3.",
        here="`reslab show inception-resnet-v1`: the layer stands in every block; no network without it is trained.",
    ),
    Statement(
        "Figure 3: a module of Inception-ResNet-v2",
        "Fig. 3",
        "One of B arXiv Figs. 16, 17 and 19.",
        here="`reslab show inception-resnet-v2`.",
    ),
    Statement(
        "Inception-ResNet-v1 is designed after Inception-v3, v2 matches Inception-v4",
        "sec. 3.2",
        "B sec. 3.2: in cost.",
        COST,
        ("inception-cost",),
        slip="It is the computational cost that matches; and v2 with the 5, 10 and 5 blocks that are printed does not "
        "reach it, the public weights' 10, 20 and 10 do.",
    ),
    Statement(
        "Residual connections speed up the training of Inception (Fig. 4)",
        "sec. 3.3",
        "B sec. 5, Figs. 21, 23 and 26.",
        INCEPTION,
        ("residual-sooner", "unscaled-sooner"),
        slip="Figure 4 is of single crops, on the 48,000 validation images that were not blacklisted: not comparable "
        "with He et al. 2016a.",
    ),
    Statement(
        "The combined models are more accurate",
        "sec. 3.3",
        "B Table 2: 21.3 against 21.2 % (v1 and v3), 19.9 against 20.0 % (v2 and v4); with 144 crops 17.8 and 17.7 %.",
        INCEPTION,
        ("residual-more-accurate",),
        slip="By thin margins and not always; the paper claims faster training, and accuracy that follows size.",
    ),
    Statement(
        "An Inception variant without residual connections, v4, outperforms v3",
        "sec. 3.3",
        "B Table 2: 20.0 against 21.2 %.",
        INCEPTION,
        ("v4-better",),
    ),
    Statement(
        "Against He et al., residual connections are not necessary for very deep networks to converge",
        "sec. 3.4",
        "B sec. 1: competitive very deep networks train without them.",
        INCEPTION,
        ("trains-without",),
    ),
)

_IDENTITY = (
    Statement(
        "A unit is y = h(x) + F(x), x' = f(y), with various h and activation functions F",
        "sec. 4.2",
        "C eqs. 1 and 2.",
        slip="F is the residual function; the activation after the addition is f.",
        here="The grammar of reslab's networks: `reslab show preact110-cifar`.",
    ),
    Statement(
        "Figure 5: six types of shortcuts",
        "Fig. 5",
        "C Fig. 2.",
        here="`reslab study show shortcuts` has them all.",
        counted=(len(_SHORTCUT_TYPES), 6),
    ),
    Statement(
        "The identity shows the best performance",
        "sec. 4.2.1",
        "C Table 1: 6.61 % against 6.91 % and more.",
        SHORTCUTS,
        ("identity-better",),
        slip="On CIFAR-10 with 110 layers; a shortcut-only gate that begins closed is near (6.91 %), and on ImageNet "
        "with 34 layers 1×1 convolutions are the best (option C, A Table 3).",
    ),
    Statement(
        "and good convergence, as other shortcuts hamper propagation and make optimization hard",
        "sec. 4.2.1",
        "C sec. 3.1 and 3.2, Fig. 3: higher training errors.",
        SHORTCUTS,
        ("identity-sooner",),
        here="The product of 27 factors of 0.5 is arithmetic and not counted as measured.",
    ),
    Statement(
        "Figure 6: five arrangements of BN, ReLU and weights",
        "Fig. 6",
        "C Fig. 4.",
        slip="Right, but entrance and exit of a pre-activated network need their own treatment.",
        here="`reslab study show activations` has them all.",
        counted=(len(_ARRANGEMENTS), 5),
    ),
    Statement(
        "BN followed by the addition interferes with the propagation through the shortcut",
        "sec. 4.2.2",
        "C Table 2: 8.17 against 6.61 % with 110 layers, 6.50 against 5.93 % with 164.",
        ACTIVATIONS,
        ("bn-after-addition",),
        slip="The reverse: the addition followed by BN. BN before the addition is the original unit.",
    ),
    Statement(
        "Full pre-activation is the best",
        "sec. 4.2.2",
        "C Table 2: 6.37 against 6.61 to 8.17 % with 110 layers, 5.46 against 5.91 to 6.50 % with 164.",
        ACTIVATIONS,
        ("full-preactivation",),
    ),
    Statement(
        "Pre-activation makes the optimization easy",
        "sec. 4.2.2",
        "C sec. 4.2, Fig. 1: with 1001 layers the training loss falls sooner; with 164 there is little difference.",
        PREACTIVATION,
        ("preactivation-sooner",),
    ),
    Statement(
        "and with BN it regularizes",
        "sec. 4.2.2",
        "C Fig. 6 right: at 164 layers a slightly higher training loss at the end, and a lower test error.",
        ACTIVATIONS,
        ("regularises",),
    ),
    Statement(
        "The full pre-activation should be used: it is better at every depth",
        "sec. 4.3",
        "C Table 3: in all six pairs, from 110 to 1001 layers; Table 5 on ImageNet.",
        PREACTIVATION,
        ("preactivation-better",),
    ),
    Statement(
        "We investigate experimental results with CIFAR-10/100 and ImageNet",
        "abstract",
        "All three papers have both, or one of them.",
        slip="The review has one number of ImageNet's, 3.5 %, and none of CIFAR's; its references leave out two of the "
        "three papers that it reviews.",
        here="Every study's report says on what it was trained. Counted are the data sets of the papers' rows.",
        counted=(len(_DATA), 3),
    ),
)

REVIEW = (*_BEFORE, *_RESIDUAL, *_INCEPTION, *_IDENTITY)
