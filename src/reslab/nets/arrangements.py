"""The arrangements of a residual unit's activations: the five of C Fig. 4, PyramidNet's, and Fixup's without BN."""

from typing import Annotated, Literal, NamedTuple

from reslab.spec import one_of

Activations = Literal[
    "", "bn", "relu", "bn relu", "lrn", "relu lrn", "squash", "bias", "bias relu", "bias relu bias", "scale bias"
]
"""The activations after a weight layer: BN, ReLU, AlexNet's local response normalisation, LeNet's squashing; Fixup's
bias and scale, one learned number each."""


class Arrangement(NamedTuple):
    """The activations of a unit by position; a weight layer is a convolution.

        before - weight - between - weight - ... - weight - last - (addition) - after

    The activations `before` the first unit's weights move to the stem's end, before the split, and `end` follows the
    last addition, before the head's pooling. C appendix.
    """

    before: Activations
    between: Activations
    last: Activations
    after: Activations
    end: Activations


ARRANGEMENTS = {
    #                                        before     between    last       after      end
    "original":                  Arrangement("",        "bn relu", "bn",      "relu",    ""),         # C Fig. 4 a
    "bn-after-addition":         Arrangement("",        "bn relu", "",        "bn relu", ""),         # C Fig. 4 b
    "relu-before-addition":      Arrangement("",        "bn relu", "bn relu", "",        ""),         # C Fig. 4 c
    "relu-only-preactivation":   Arrangement("relu",    "bn relu", "bn",      "",        "relu"),     # C Fig. 4 d
    "full-preactivation":        Arrangement("bn relu", "bn relu", "",        "",        "bn relu"),  # C Fig. 4 e
    # Han et al. 2017, Deep Pyramidal Residual Networks, arXiv 1610.02915, Fig. 6 b, c and d
    "without-first-relu":        Arrangement("bn",      "bn relu", "",        "",        "bn relu"),
    "bn-last":                   Arrangement("bn relu", "bn relu", "bn",      "",        "bn relu"),
    "pyramidnet":                Arrangement("bn",      "bn relu", "bn",      "",        "bn relu"),
    # Zhang et al. 2019, Fixup Initialization, arXiv 1901.09321, Fig. 1 right
    "fixup":                     Arrangement("bias", "bias relu bias", "scale bias", "relu", "bias"),
}  # fmt: skip

ArrangementName = Annotated[str, one_of(lambda: list(ARRANGEMENTS))]
