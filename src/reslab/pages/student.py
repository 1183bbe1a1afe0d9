"""What a student needs to read a study's page: the units of its networks, drawn, and what to look at."""

from collections.abc import Hashable

from reslab.drawing import Drawing
from reslab.nets import picture
from reslab.study.plan import Plan

UNIT = (
    "A plain unit turns its input x into F(x), some layers with weights. A residual unit adds its input again: "
    "h(x) + F(x), where the shortcut h is the identity wherever the shape stays. A unit that has nothing to contribute "
    "then only has to make F small, and the gradient reaches early layers along the shortcuts."
)
LOOK = {
    "degradation": (
        "Compare curves of one colour: same depth, left without and right with shortcuts. Then compare the depths "
        "within a panel. On the left the deeper network has the higher training error, so it is not overfitting: it is "
        "harder to train, although it could copy the shallower one. On the right depth does no such harm."
    ),
    "shortcut-options": (
        "All residual networks should stand far below the plain one. Whether zero padding or projection makes the "
        "shortcuts that change the shape matters much less."
    ),
    "depth": (
        "From left to right networks cost more. Look whether each deeper one stands lower, and what its cost buys."
    ),
    "inception": (
        "Compare each Inception network with the Inception-ResNet of about its cost: whose curve falls first, and "
        "whether both end at about the same error."
    ),
    "shortcuts": (
        "Only the first unit passes x on as it is. Each other one changes what the shortcut carries, and from unit to "
        "unit these changes multiply: after 50 units a factor of 0.5 is 10 to the power of −15."
    ),
    "activations": (
        "The five units have the same layers in another order. Look at what stands on the way of the shortcut after "
        "the addition: with full pre-activation, nothing."
    ),
    "preactivation": (
        "Compare the two networks of each depth. The gain of pre-activation should grow with depth, as does the number "
        "of ReLUs that the original unit puts after its additions."
    ),
    "cost": "Parameters need memory, multiply-adds take time: a network can have many of one and few of the other.",
}
"""What to look at on the page of each study of the papers."""


def units(plan: Plan) -> Drawing | None:
    """A unit of each kind that the plan's networks have, under the first row that has it; None without any."""
    panels: dict[Hashable, picture.Panel] = {}
    for row in plan.rows:
        if panel := picture.typical(row.name, plan.network(row)):
            panels.setdefault(picture.structure(panel.node, panel.shape), panel)
    return picture.units(*panels.values()) if panels else None
