"""The residual unit as a value: y = h(x) + F(x), x' = f(y). C eqs. 1 and 2."""

from collections.abc import Iterator
from dataclasses import dataclass

from reslab.nets.cost import Layer, Shape
from reslab.nets.leaves import Node
from reslab.nets.merges import Merge
from reslab.nets.paths import Chain


@dataclass(frozen=True)
class Unit:
    """after(merge(x, shortcut(x), residual(x))) with x = shared(input); no shortcut makes it a unit of a plain network.

    `shared` is the pre-activation that shortcut and residual both read where the shape changes, C appendix. `stride`
    is the whole unit's; a gate has it too. With `zero_last_bn` the scale of F's last BN starts at 0.
    """

    residual: Node
    shortcut: Node | None
    merge: Merge
    shared: Chain
    after: Chain
    stride: int = 1
    zero_last_bn: bool = False

    def out(self, shape: Shape) -> Shape:
        return self.residual.out(self.shared.out(shape))

    def layers(self, shape: Shape, name: str) -> Iterator[Layer]:
        yield from self.shared.layers(shape, f"{name}.shared")
        out = self.out(shape)
        if self.shortcut is not None:
            yield from self.shortcut.layers(shape, f"{name}.shortcut")
        yield from self.residual.layers(shape, f"{name}.residual")
        if self.shortcut is not None:
            for part, node in self.merge.parts(out[0], self.stride):
                yield from node.layers(shape, f"{name}.merge.{part}")
            yield Layer(f"{name}.merge", "merge", self.merge.formula, out, self.merge.parameters(out[0]))
        yield from self.after.layers(out, f"{name}.after")
