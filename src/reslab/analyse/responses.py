"""The strength of the responses of 3x3 layers. A sec. 4.2, "Analysis of Layer Responses", Fig. 7."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reslab.analyse.preserve import Mode, Told, outputs, preserve_state
from reslab.data.batches import Batch
from reslab.errors import SpecError
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec


class Place(NamedTuple):
    """Where a 3x3 layer's response is read: the layer's path, the path of the module whose output it is, and whether
    that is a BN behind the convolution or, where none follows it, the convolution itself."""

    layer: str
    module: str
    behind_bn: bool


class Responses(NamedTuple):
    """The standard deviation of each layer's response over all images, channels and positions: std is (layers,)."""

    places: tuple[Place, ...]
    std: NDArray[np.float64]


def places(spec: NetworkSpec) -> tuple[Place, ...]:
    """Where the responses of a network's 3x3 layers are read, from the image to the classifier.

    After BN, before the non-linearity and the addition. Raises SpecError for a network without 3x3 layers.
    """
    layers = spec.layers()
    found = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if layer.kind != "conv" or not layer.text.startswith("3×3,"):
            continue
        parent = layer.name.rpartition(".")[0]
        normed = following is not None and following.kind == "bn" and following.name.rpartition(".")[0] == parent
        found.append(Place(layer.name, following.name if normed and following else layer.name, normed))
    if not found:
        raise SpecError("no 3×3 layer in this network, and responses are those of 3×3 layers: choose another")
    return tuple(found)


@torch.inference_mode()
def responses(network: Network, images: Sequence[Batch], mode: Mode = "eval", told: Told | None = None) -> Responses:
    """The responses of a network's 3x3 layers to images, in evaluation or with the statistics of each batch.

    The network, its buffers and torch's generators are as before. Raises SpecError where it has no 3x3 layer.
    """
    where = places(network.spec)
    modules: dict[str, nn.Module] = {place.layer: network.get_submodule(place.module) for place in where}
    spreads = {place.layer: _Spread() for place in where}
    with preserve_state(network, mode), outputs(modules, lambda name, output: spreads[name].add(output)):
        for done, (pixels, _) in enumerate(images, 1):
            network(pixels)
            if told:
                told(done / len(images))
    return Responses(where, np.array([spreads[place.layer].std for place in where]))


class _Spread:
    """A standard deviation over batches, which are joined as Chan et al. 1979 do."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        count = values.numel()
        variance, mean = (float(part) for part in torch.var_mean(values.float(), correction=0))
        total, shift = self.count + count, mean - self.mean
        self.squares += variance * count + shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count = total

    @property
    def std(self) -> float:
        return float((self.squares / self.count) ** 0.5)
