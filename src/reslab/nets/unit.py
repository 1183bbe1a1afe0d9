"""The residual unit as a value: y = h(x) + F(x), x' = f(y). C eqs. 1 and 2."""

from collections.abc import Iterator
from dataclasses import dataclass

from reslab.nets.cost import Layer, Shape
from reslab.nets.leaves import Node
from reslab.nets.merges import Gated, Merge, Scaled
from reslab.nets.paths import Chain, Conv, Convolution


@dataclass(frozen=True)
class Unit:
    """after(merge(x, shortcut(x), residual(x))) with x = shared(input); no shortcut makes it a unit of a plain network.

    `shared` is the pre-activation that both ways read where the shape changes, C appendix. `stride` is the whole
    unit's, which a gate needs to follow.
    """

    residual: Node
    shortcut: Node | None
    merge: Merge
    shared: Chain
    after: Chain
    stride: int = 1

    def gate(self, shape: Shape) -> Convolution | None:
        """The 1x1 convolution that a gating merge computes its gate with: one output for each of the merge's."""
        if not isinstance(self.merge, Gated):
            return None
        return Convolution(Conv(self.out(shape)[0], 1, self.stride, after="", bias=True))

    def out(self, shape: Shape) -> Shape:
        return self.residual.out(self.shared.out(shape))

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield from self.shared.layers(shape, f"{name}.shared")
        out = self.out(shape)
        if self.shortcut is not None:
            yield from self.shortcut.layers(shape, f"{name}.shortcut")
        yield from self.residual.layers(shape, f"{name}.residual")
        if self.shortcut is not None:
            if gate := self.gate(shape):
                yield from gate.layers(shape, f"{name}.merge.gate")
            yield Layer(f"{name}.merge", "merge", formula(self.merge), out)
        yield from self.after.layers(out, f"{name}.after")


def formula(merge: Merge) -> str:
    """What a merge does, as the papers write it."""
    match merge:
        case Scaled(shortcut=shortcut, residual=residual):
            return " + ".join(
                way if factor == 1 else f"{factor:g}·{way}" for factor, way in ((shortcut, "h(x)"), (residual, "F(x)"))
            )
        case Gated(exclusive=exclusive):
            return "(1−g)·h(x) + g·F(x)" if exclusive else "(1−g)·h(x) + F(x)"
    return "h(x) + F(x)" if merge.kind == "add" else f"dropout {merge.p:g} of h(x) + F(x)"
