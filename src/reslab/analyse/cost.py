"""What each part of a network costs: parameters, multiply-adds, activations, depth, and the time it takes here."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from reslab.analyse.preserve import Told, preserve_state
from reslab.nets.modules import Concatenation, Network, ResidualUnit
from reslab.nets.network import NetworkSpec
from reslab.weights.file import empty

_ROUNDS = 5
_WARM = 1  # rounds whose time is not counted


@dataclass(frozen=True)
class Part:
    """What stem, stage1 ..., head cost for one image.

    output: (channels, height, width) of its result, or (classes,)
    parameters: all that learn, `bn` of them BN's scale and shift
    multiply_adds: of convolutions and linear layers
    depth: weighted layers, convolutions and linear ones, on its longest way
    activations: bytes of the maps that training keeps for the way back, in float32
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    bn: int
    multiply_adds: int
    depth: int
    activations: int


def parts(spec: NetworkSpec) -> list[Part]:
    """Every part of a network in its order, auxiliary classifiers left out."""
    network = empty(spec)
    kept = _activations(network, spec)
    found = []
    for name in network.part_names:
        module = getattr(network, name)
        layers = [layer for layer in spec.layers() if layer.name.partition(".")[0] == name]
        found.append(
            Part(
                name=name,
                output=kept[name].output,
                parameters=sum(layer.parameters for layer in layers),
                bn=sum(layer.parameters for layer in layers if layer.kind == "bn"),
                multiply_adds=sum(layer.multiply_adds for layer in layers),
                depth=depth(module),
                activations=kept[name].bytes,
            )
        )
    return found


def depth(module: nn.Module) -> int:
    """The weighted layers on the longest way through a module, as the papers count them: ResNet-34 has 34.

    Shortcuts run beside the residual functions and gates beside both, so that they count only where they are longer.
    """
    match module:
        case nn.Conv2d() | nn.Linear():
            return 1
        case Concatenation():
            return max(map(depth, module.children()))
        case ResidualUnit():
            return depth(module.shared) + max(depth(module.shortcut), depth(module.residual)) + depth(module.after)
        case Network():
            return sum(depth(getattr(module, name)) for name in module.part_names)
    return sum(map(depth, module.children()))


class _Kept(NamedTuple):
    output: tuple[int, ...]
    bytes: int


def _activations(network: Network, spec: NetworkSpec) -> dict[str, _Kept]:
    """What each part keeps of one image: what one image more adds to a batch, so that statistics do not count."""
    of_two, of_three = _saved(network, spec, 2), _saved(network, spec, 3)  # BN refuses one where its map is one pixel
    return {name: _Kept(kept.output, of_three[name].bytes - kept.bytes) for name, kept in of_two.items()}


def _saved(network: Network, spec: NetworkSpec, batch: int) -> dict[str, _Kept]:
    """What each part keeps of a batch, counted on tensors without values; a map that two parts keep counts once."""
    x = torch.empty(batch, *spec.input, device="meta")
    counted: dict[int, Tensor] = {}
    found = {}
    for name in network.part_names:
        before = len(counted)

        def keep(tensor: Tensor) -> Tensor:
            if not isinstance(tensor, nn.Parameter):
                counted[id(tensor)] = tensor  # held, so that its id is not given again
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            x = getattr(network, name)(x)
        new = list(counted.values())[before:]
        found[name] = _Kept(tuple(x.shape[1:]), sum(tensor.numel() * tensor.element_size() for tensor in new))
    return found


@torch.inference_mode()
def times(networks: Sequence[Network], batch: int, told: Told | None = None) -> list[Mapping[str, float]]:
    """Milliseconds that each part of each network takes for one image in evaluation mode, medians of five rounds.

    The networks take turns, so that what else the machine does meets all of them. Modes are as before.
    """
    laps: list[dict[str, list[float]]] = [{name: [] for name in network.part_names} for network in networks]
    inputs = [_images(network, batch) for network in networks]
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(preserve_state(network, "eval"))
        for turn in range(_WARM + _ROUNDS):
            for place, (network, x) in enumerate(zip(networks, inputs, strict=True)):
                for name, seconds in _lap(network, x).items():
                    if turn >= _WARM:
                        laps[place][name].append(1000 * seconds / batch)
                if told:
                    told((turn * len(networks) + place + 1) / ((_WARM + _ROUNDS) * len(networks)))
    return [{name: median(found) for name, found in network.items()} for network in laps]


def _images(network: Network, batch: int) -> Tensor:
    """Noise, as nothing here takes longer for one picture than for another."""
    device = next(network.parameters()).device
    images = torch.randn(batch, *network.spec.input, generator=torch.Generator().manual_seed(0))
    return images.to(device, memory_format=torch.channels_last)


def _lap(network: Network, x: Tensor) -> dict[str, float]:
    seconds = {}
    for name in network.part_names:
        began = time.perf_counter()
        x = getattr(network, name)(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        seconds[name] = time.perf_counter() - began
    return seconds
