"""Merges of a unit's shortcut and residual: y = merge(x, h(x), F(x)). C sec. 3.1, Fig. 2, Table 1; B sec. 3.3.

Each has its `formula`, as the papers write it, and a case in `build`, which makes its module.
"""

from typing import Annotated, Literal

from pydantic import Field

from reslab.nets.leaves import Node
from reslab.nets.paths import Conv, Convolution
from reslab.spec import kind, spec

Probability = Annotated[float, Field(ge=0, lt=1)]


class MergeSpec:
    """The base of every merge."""

    def parts(self, width: int, stride: int) -> tuple[tuple[str, Node], ...]:
        """The merge's own layers, which read x, for a unit of an output width and a stride."""
        return ()


@spec
class Add(MergeSpec):
    """h(x) + F(x). A eq. 1."""

    kind: Literal["add"] = kind("add")

    formula = "h(x) + F(x)"


@spec
class Scaled(MergeSpec):
    """shortcut * h(x) + residual * F(x), both factors fixed. C Fig. 2 b; B sec. 3.3 with shortcut = 1, residual = 0.1.

    The output of F is scaled, after its last BN, which would undo a factor on F's input.
    """

    shortcut: float = 1.0
    residual: float = 1.0
    kind: Literal["scaled"] = kind("scaled")

    @property
    def formula(self) -> str:
        terms = ((self.shortcut, "h(x)"), (self.residual, "F(x)"))
        return " + ".join(term if factor == 1 else f"{factor:g}·{term}" for factor, term in terms)


@spec
class Gated(MergeSpec):
    """(1 - g) * h(x) + F(x), or exclusively (1 - g) * h(x) + g * F(x), with g = sigmoid(1x1 convolution of x + bias).

    C Fig. 2 c (exclusive) and d (shortcut only). The gate has the unit's output shape: one channel for each of h(x),
    the unit's stride, and no BN, which would cancel the bias. Where the shape changes the paper is silent: here h(x)
    is first brought to the output's shape and then gated.
    """

    bias: float = -6.0
    exclusive: bool = False
    kind: Literal["gated"] = kind("gated")

    @property
    def formula(self) -> str:
        return "(1−g)·h(x) + g·F(x)" if self.exclusive else "(1−g)·h(x) + F(x)"

    def gate(self, width: int, stride: int) -> Convolution:
        """The convolution of x before the sigmoid."""
        return Convolution(Conv(width, 1, stride, after="", bias=True))

    def parts(self, width: int, stride: int) -> tuple[tuple[str, Node], ...]:
        return (("gate", self.gate(width, stride)),)


@spec
class Dropped(MergeSpec):
    """drop(h(x)) + F(x): while training each element of h(x) is zero with probability p. C Fig. 2 f.

    The survivors are not scaled up, so that the shortcut has the expected factor 1 - p, as C sec. 3.1 argues; in
    evaluation h(x) is multiplied by 1 - p. `inverted` scales the survivors by 1 / (1 - p) instead, as most libraries'
    dropout does, and leaves evaluation alone.
    """

    p: Probability = 0.5
    inverted: bool = False
    kind: Literal["dropped"] = kind("dropped")

    @property
    def formula(self) -> str:
        return f"dropout {self.p:g} of h(x) + F(x)"


Merge = Annotated[Add | Scaled | Gated | Dropped, Field(discriminator="kind")]
