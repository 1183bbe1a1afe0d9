"""The five arrangements of a residual unit's activations. C Fig. 4."""

from typing import Annotated, Literal, NamedTuple

from reslab.spec import one_of

Activations = Literal["", "bn", "relu", "bn relu", "lrn", "relu lrn", "squash"]
"""What follows a weight layer: BN, ReLU, AlexNet's local response normalisation, LeNet's squashing function."""


class Arrangement(NamedTuple):
    """Which activations stand where in a unit; a weight layer is a convolution.

        before - weight - between - weight - ... - weight - last - (addition) - after

    What stands before the first unit's addition is moved: its leading activations sit after the stem, before the
    split, and one more copy of them follows the last addition. C appendix.
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
