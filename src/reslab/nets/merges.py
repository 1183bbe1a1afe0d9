"""Merges of a unit's shortcut and residual: y = merge(x, h(x), F(x)). C sec. 3.1, Fig. 2, Table 1; B sec. 3.3.

Each has its `formula`, as the papers write it, and a case in `build`, which makes its module.
"""

from typing import Annotated, Literal, assert_never

from pydantic import Field

from reslab.nets.leaves import Node
from reslab.nets.paths import Conv, Convolution, seq
from reslab.spec import added, kind, spec

Probability = Annotated[float, Field(ge=0, lt=1)]


class MergeSpec:
    """The base of every merge, with the defaults of one that learns nothing and is the same in every unit."""

    def at(self, unit: int, units: int) -> "Merge":
        """The merge of a unit, counted from 1, in a network of a number of units."""
        return self  # type: ignore[return-value]

    def parameters(self, width: int) -> int:
        """Learned numbers of the merge itself, for an output width."""
        return 0

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

    The "deep" gate is 3x3, BN, ReLU, 3x3, BN, `bias` being the last BN's shift: the gate of the Highway networks' first
    author, who disputes the 1x1 one (github.com/flukeskywalker/highway-resnet-comparison).
    """

    bias: float = -6.0
    exclusive: bool = False
    gate: Literal["1x1", "deep"] = added("1x1")
    kind: Literal["gated"] = kind("gated")

    @property
    def formula(self) -> str:
        return "(1−g)·h(x) + g·F(x)" if self.exclusive else "(1−g)·h(x) + F(x)"

    def gate_node(self, width: int, stride: int) -> Node:
        """The layers of x before the sigmoid."""
        match self.gate:
            case "1x1":
                return Convolution(Conv(width, 1, stride, after="", bias=True))
            case "deep":
                return seq(Conv(width, 3, stride), Conv(width, 3, after="bn"))
            case _:
                assert_never(self.gate)

    def parts(self, width: int, stride: int) -> tuple[tuple[str, Node], ...]:
        return (("gate", self.gate_node(width, stride)),)


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


@spec
class Weighted(MergeSpec):
    """h(x) + w * F(x), w starting at `start`, one number for each unit or each channel, learned or fixed.

    SkipInit (De and Smith 2020) and ReZero (Bachlechner et al. 2021): a learned number from 0. LayerScale (Touvron et
    al. 2021): per="channel", from 0.1 at 18 layers to 1e-6.
    """

    start: float = 0.0
    learned: bool = True
    per: Literal["unit", "channel"] = "unit"
    kind: Literal["weighted"] = kind("weighted")

    @property
    def formula(self) -> str:
        return f"h(x) + w·F(x), w = {self.start:g}" + (" at first" if self.learned else "")

    def shape(self, width: int) -> tuple[int, ...]:
        """The shape of w for an output width."""
        return (1,) if self.per == "unit" else (width, 1, 1)

    def parameters(self, width: int) -> int:
        return self.learned * self.shape(width)[0]


@spec
class StochasticDepth(MergeSpec):
    """h(x) + b * F(x): while training b is 1 with a unit's survival probability p, else 0, for a whole batch.

    In evaluation F(x) is multiplied by p. p falls in a line over depth to `last` in the last unit, or is `last` in
    every one. Huang et al. 2016, arXiv 1603.09382, eqs. 2 to 5. A dropped F is computed nevertheless: no time is
    saved.
    """

    last: Annotated[float, Field(gt=0, le=1)] = 0.5
    rule: Literal["linear", "constant"] = "linear"
    kind: Literal["stochastic-depth"] = kind("stochastic-depth")

    @property
    def formula(self) -> str:
        return f"h(x) + b·F(x), b = 1 with p = {self.last:.3g}"

    def at(self, unit: int, units: int) -> "StochasticDepth":
        if self.rule == "constant":
            return self
        return StochasticDepth(1 - unit / units * (1 - self.last), "constant")


Merge = Annotated[Add | Scaled | Gated | Dropped | Weighted | StochasticDepth, Field(discriminator="kind")]
