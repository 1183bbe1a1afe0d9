"""What a network costs: its layers, its parameters and its multiply-adds, counted from the value alone."""

from collections.abc import Iterable
from typing import NamedTuple

Shape = tuple[int, int, int]
"""Channels, height, width of one image's map."""


class Layer(NamedTuple):
    """One layer as it stands in the built network: its place, what it does, what it gives and what it costs.

    `name` is the module's path ("stage1.unit3.residual.conv1"), `output` its (channels, height, width) for one image,
    `parameters` all that learn (BN's scale and shift and biases included, running statistics not), `weights` those of
    convolutions and linear layers alone, `multiply_adds` those of convolutions and linear layers for one image,
    `kernel` the height and width of a convolution's kernel.
    """

    name: str
    kind: str
    text: str
    output: Shape
    parameters: int = 0
    weights: int = 0
    multiply_adds: int = 0
    kernel: tuple[int, int] | None = None


class Cost(NamedTuple):
    """A network's totals for one image; multiply-adds are those of convolutions and linear layers, as in the papers."""

    parameters: int
    weights: int
    multiply_adds: int
    convolutions: int
    linears: int
    norms: int


def total(layers: Iterable[Layer]) -> Cost:
    """The sums over a network's layers."""
    layers = list(layers)
    kinds = [layer.kind for layer in layers]
    return Cost(
        parameters=sum(layer.parameters for layer in layers),
        weights=sum(layer.weights for layer in layers),
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        convolutions=kinds.count("conv"),
        linears=kinds.count("linear"),
        norms=kinds.count("bn"),
    )
