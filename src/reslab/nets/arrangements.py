"""The five arrangements of a residual unit's activations. C Fig. 4."""

from typing import Annotated, Literal, NamedTuple

from reslab.spec import one_of

Activations = Literal["", "bn", "relu", "bn relu", "lrn", "relu lrn", "squash"]
"""The activations after a weight layer: BN, ReLU, AlexNet's local response normalisation, LeNet's squashing."""


class Arrangement(NamedTuple):
    """The activations of a unit by position; a weight layer is a convolution.

        before - weight - between - weight - ... - weight - last - (addition) - after

    The activations `before` the first unit's weights move to the stem's end, before the split, and a copy of them
    follows the last addition. C appendix.
    """

    before: Activations
    between: Activations
    last: Activations
    after: Activations


ARRANGEMENTS = {
    #                                        before     between    last       after
    "original":                  Arrangement("",        "bn relu", "bn",      "relu"),     # C Fig. 4 a
    "bn-after-addition":         Arrangement("",        "bn relu", "",        "bn relu"),  # C Fig. 4 b
    "relu-before-addition":      Arrangement("",        "bn relu", "bn relu", ""),         # C Fig. 4 c
    "relu-only-preactivation":   Arrangement("relu",    "bn relu", "bn",      ""),         # C Fig. 4 d
    "full-preactivation":        Arrangement("bn relu", "bn relu", "",        ""),         # C Fig. 4 e
}  # fmt: skip

ArrangementName = Annotated[str, one_of(lambda: list(ARRANGEMENTS))]
