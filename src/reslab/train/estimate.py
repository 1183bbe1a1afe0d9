"""Estimates of a run before it begins: work, memory and messages about them."""

import math
from collections.abc import Iterator
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from reslab.columns import counted
from reslab.data.images import DataSet
from reslab.machine import memory
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import SGD, AdamW, Recipe, RMSProp
from reslab.runs.execution import Chosen
from reslab.train.freeze import freeze
from reslab.train.learner import Loss
from reslab.train.optim import decays, parameter_groups
from reslab.weights.file import empty


def work(network: NetworkSpec, recipe: Recipe) -> float:
    """Multiply-adds of a training: a backward pass takes twice as many as a forward pass."""
    return 3.0 * network.cost().multiply_adds * recipe.steps * recipe.batch


def messages(network: NetworkSpec, recipe: Recipe, data: DataSet, recompute: int, chosen: Chosen) -> Iterator[str]:
    """Lines about a run: its length, precision, recipe, memory and evaluation."""
    count = len(data.train.labels)
    epochs = recipe.steps * recipe.batch / count
    yield (
        f"{counted(recipe.steps, 'step')} of {counted(recipe.batch, 'image')}, {epochs:,.1f} epochs of {count:,}; "
        f"{work(network, recipe):.1e} multiply-adds"
    )
    compiled = "compiled" if chosen.compile else "not compiled"
    yield f"{chosen.precision}, {compiled}: {chosen.why}"
    yield f"{recipe.schedule.message()}; {_rule(recipe)}"
    model = empty(network)
    frozen = sum(p.numel() for module in freeze(model, recipe) for p in module.parameters())
    trained = [parameter for group in parameter_groups(model, recipe) for _, parameter in group["params"]]
    if frozen:
        yield f"frozen: {frozen:,} weights{' of the body' if recipe.freeze else ' of BN, and its statistics'}"
    decaying, others = ([p for p in trained if decays(p, recipe) == asked] for asked in (True, False))
    rest = f", none on {_counted(others)}" if others else ""
    yield f"weight decay {recipe.weight_decay:g} on {_counted(decaying)}{rest}"
    activations = activation_bytes(network, recipe.batch, recompute, recipe)
    if chosen.precision == "bf16":
        activations //= 2
    copies = 2 + _state_tensors(recipe)
    weights = 4 * (copies * sum(parameter.numel() for parameter in trained) + frozen)
    yield f"memory: about {_size(activations)} of activations, {_size(weights)} of weights, gradients and velocities"
    split, images = ("validation", data.validation) if data.validation else ("test", data.test)
    end = "; the test images at the end alone" if data.validation else ""
    yield f"evaluated on {len(images.labels):,} {split} images every {counted(recipe.evaluate_every, 'step')}{end}"


def _rule(recipe: Recipe) -> str:
    parts: list[str] = [recipe.optimizer.kind]
    if recipe.head_rate != 1:
        parts.append(f"{recipe.head_rate:g} times the learning rate in the head")
    if recipe.clip:
        parts.append(f"gradients clipped at {recipe.clip:g}")
    if recipe.smoothing:
        parts.append(f"label smoothing {recipe.smoothing:g}")
    if recipe.mixup:
        parts.append(f"mixup {recipe.mixup:g}")
    if recipe.zero_head:
        parts.append("a new classifier begins at zero")
    if recipe.average:
        parts.append(f"EMA of the weights, decay {recipe.average:g}")
    return ", ".join(parts)


def _state_tensors(recipe: Recipe) -> int:
    """Tensors that the optimizer keeps for each parameter."""
    match recipe.optimizer:
        case SGD():
            return 1
        case RMSProp() | AdamW():
            return 2
        case _:
            assert_never(recipe.optimizer)


def _counted(parameters: list[nn.Parameter]) -> str:
    return f"{sum(parameter.numel() for parameter in parameters):,} weights in {len(parameters)} tensors"


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def needs_low_memory(network: NetworkSpec, batch: int, recompute: int) -> bool:
    """Whether a training should save memory (`tune_malloc`): with activation checkpointing, or if the outputs of its
    convolutions and BN for a batch, in float32, take more than a quarter of the machine's memory.

    Counted without torch: malloc is tuned before the first tensor.
    """
    maps = sum(math.prod(layer.output) for layer in network.layers() if layer.kind in ("conv", "bn"))
    return recompute > 0 or 4 * batch * maps > memory() / 4


def activation_bytes(network: NetworkSpec, batch: int, recompute: int = 0, recipe: Recipe | None = None) -> int:
    """Bytes that a batch stores for the backward pass, in float32.

    With `recompute`, activation checkpointing, these are the inputs of the groups of units, and the activations of the
    largest group. A body that the recipe freezes stores nothing.
    """
    model = empty(network)
    if recipe is not None:
        freeze(model, recipe)
    saved = _SavedTensors()
    units: list[list[_Unit]] = []  # by stage
    for stage in model.stages.values():
        units.append([_Unit(unit, saved) for unit in stage])
    images = torch.empty(batch, *network.input, device="meta")
    labels = torch.zeros(batch, dtype=torch.int64, device="meta")
    with saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        Loss(model, 0.0)(images, labels)
    if not recompute:
        return saved.bytes
    groups = [stage[first : first + recompute] for stage in units for first in range(0, len(stage), recompute)]
    inside = [sum(unit.bytes for unit in group) for group in groups]
    return saved.bytes - sum(inside) + sum(group[0].input_bytes for group in groups) + max(inside, default=0)


class _SavedTensors:
    """Counts the bytes of the tensors that are stored for the backward pass, each once, without parameters."""

    def __init__(self) -> None:
        self.bytes = 0
        self._tensors: dict[int, Tensor] = {}  # keeps their ids from being given again

    def pack(self, tensor: Tensor) -> Tensor:
        is_weight = isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter)
        if not is_weight and id(tensor) not in self._tensors:
            self._tensors[id(tensor)] = tensor
            self.bytes += tensor.numel() * tensor.element_size()
        return tensor


class _Unit:
    """Counts the bytes of a unit's input and of the tensors that it stores for the backward pass."""

    def __init__(self, unit: nn.Module, saved: _SavedTensors):
        self.input_bytes = self.bytes = 0
        self._saved = saved
        unit.register_forward_pre_hook(self._before)
        unit.register_forward_hook(self._after)

    def _before(self, unit: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.input_bytes = inputs[0].numel() * inputs[0].element_size()
        self.bytes = -self._saved.bytes

    def _after(self, unit: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.bytes += self._saved.bytes
