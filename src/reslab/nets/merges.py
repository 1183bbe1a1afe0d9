"""How a unit's two ways meet: y = merge(x, h(x), F(x)). C sec. 3.1, Fig. 2, Table 1; B sec. 3.3."""

from typing import Annotated, Literal

from pydantic import Field

from reslab.spec import kind, spec

Probability = Annotated[float, Field(ge=0, lt=1)]


@spec
class Add:
    """h(x) + F(x). A eq. 1."""

    kind: Literal["add"] = kind("add")


@spec
class Scaled:
    """shortcut * h(x) + residual * F(x), both factors fixed. C Fig. 2 b; B sec. 3.3 with shortcut = 1, residual = 0.1.

    The output of F is scaled, behind its last BN, which would undo a factor on F's input.
    """

    shortcut: float = 1.0
    residual: float = 1.0
    kind: Literal["scaled"] = kind("scaled")


@spec
class Gated:
    """(1 - g) * h(x) + F(x), or exclusively (1 - g) * h(x) + g * F(x), with g = sigmoid(1x1 convolution of x + bias).

    C Fig. 2 c (exclusive) and d (shortcut only). The gate has the unit's output shape: one channel for each of h(x),
    the unit's stride, and no BN, which would cancel the bias. Where the shape changes the paper is silent: here h(x)
    is first brought to the output's shape and then gated.
    """

    bias: float = -6.0
    exclusive: bool = False
    kind: Literal["gated"] = kind("gated")


@spec
class Dropped:
    """drop(h(x)) + F(x): while training each element of h(x) is zero with probability p. C Fig. 2 f.

    The survivors are not scaled up, so that the shortcut has the expected factor 1 - p, as C sec. 3.1 argues; in
    evaluation h(x) is multiplied by 1 - p. `inverted` scales the survivors by 1 / (1 - p) instead, as most libraries'
    dropout does, and leaves evaluation alone.
    """

    p: Probability = 0.5
    inverted: bool = False
    kind: Literal["dropped"] = kind("dropped")


Merge = Annotated[Add | Scaled | Gated | Dropped, Field(discriminator="kind")]
