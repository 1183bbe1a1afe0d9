"""What a run will do and take, told before it begins."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from reslab.data.images import DataSet
from reslab.machine import memory
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Chosen
from reslab.train.freeze import freeze
from reslab.train.learner import Loss
from reslab.train.optim import groups
from reslab.weights.file import empty


def work(network: NetworkSpec, recipe: Recipe) -> float:
    """Multiply-adds of a training: forward, and twice as many on the way back."""
    return 3.0 * network.cost().multiply_adds * recipe.steps * recipe.batch


def forecast(network: NetworkSpec, recipe: Recipe, data: DataSet, recompute: int, chosen: Chosen) -> Iterator[str]:
    """Lines that say what will be trained, how, on what, and in how much memory."""
    count = len(data.train.labels)
    epochs = recipe.steps * recipe.batch / count
    yield (
        f"{recipe.steps:,} steps of {recipe.batch:,} images, {epochs:,.1f} epochs of {count:,}; "
        f"{work(network, recipe):.1e} multiply-adds"
    )
    compiled = "compiled" if chosen.compile else "not compiled"
    yield f"{chosen.precision}, {compiled}: {chosen.why}"
    yield f"{recipe.schedule.told()}; {_rule(recipe)}"
    model = empty(network)
    frozen = sum(p.numel() for module in freeze(model, recipe) for p in module.parameters())
    parts = groups(model, recipe)
    decaying, free = ([p for part in some for p in part["params"]] for some in (parts[::2], parts[1::2]))
    if frozen:
        yield f"frozen: {frozen:,} weights{' of the body' if recipe.freeze else ' of BN, and its statistics'}"
    yield f"weight decay {recipe.weight_decay:g} on {_counted(decaying)}, none on {_counted(free)}"
    activations = activation_bytes(network, recipe.batch, recompute, recipe)
    if chosen.precision == "bf16":
        activations //= 2
    weights = 4 * (3 * sum(parameter.numel() for parameter in [*decaying, *free]) + frozen)
    yield f"memory: about {_size(activations)} of activations, {_size(weights)} of weights, gradients and velocities"
    part, images = ("validation", data.validation) if data.validation else ("test", data.test)
    end = "; the test images at the end alone" if data.validation else ""
    yield f"evaluated on {len(images.labels):,} {part} images every {recipe.evaluate_every:,} steps{end}"


def _rule(recipe: Recipe) -> str:
    told: list[str] = [recipe.optimizer.kind]
    if recipe.head_rate != 1:
        told.append(f"{recipe.head_rate:g} times the rate in the head")
    if recipe.clip:
        told.append(f"gradients clipped at {recipe.clip:g}")
    if recipe.smoothing:
        told.append(f"label smoothing {recipe.smoothing:g}")
    if recipe.average:
        told.append(f"averaged weights, decay {recipe.average:g}")
    return ", ".join(told)


def _counted(parameters: list[nn.Parameter]) -> str:
    return f"{sum(parameter.numel() for parameter in parameters):,} weights in {len(parameters)} tensors"


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def needs_low_memory(network: NetworkSpec, batch: int, recompute: int) -> bool:
    """Whether a training is to be low_memory with memory, see `tune_malloc`: one that computes units again, and one
    whose convolutions and BN make more of a batch, in float32, than a quarter of the machine's memory.

    Counted without torch, for what must be deterministic_mode before there are tensors.
    """
    maps = sum(math.prod(layer.output) for layer in network.layers() if layer.kind in ("conv", "bn"))
    return recompute > 0 or 4 * batch * maps > memory() / 4


def activation_bytes(network: NetworkSpec, batch: int, recompute: int = 0, recipe: Recipe | None = None) -> int:
    """Bytes that are kept of a batch between the way forward and the way back, in float32.

    With `recompute`, the inputs of the groups of units and the activations of the largest group. A body that the recipe
    freezes keeps nothing.
    """
    model = empty(network)
    if recipe is not None:
        freeze(model, recipe)
    kept: dict[int, Tensor] = {}
    total = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal total
        weight = isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter)
        if not weight and id(tensor) not in kept:
            kept[id(tensor)] = tensor  # also keeps its id from being given again
            total += tensor.numel() * tensor.element_size()
        return tensor

    inputs: list[list[int]] = []
    inside: list[list[int]] = []

    def before(unit: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs[-1].append(given[0].numel() * given[0].element_size())
        inside[-1].append(-total)

    def behind(unit: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        inside[-1][-1] += total

    def begin(first: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs.append([])
        inside.append([])

    for name, stage in model.named_children():
        if name.startswith("stage") and isinstance(stage, nn.Sequential):
            stage[0].register_forward_pre_hook(begin)  # where an auxiliary classifier reads, stages are not called
            for unit in stage:
                unit.register_forward_pre_hook(before)
                unit.register_forward_hook(behind)
    images = torch.empty(batch, *network.input, device="meta")
    labels = torch.zeros(batch, dtype=torch.int64, device="meta")
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        Loss(model, 0.0)(images, labels)
    if not recompute:
        return total
    starts = [(stage, first) for stage in range(len(inside)) for first in range(0, len(inside[stage]), recompute)]
    largest = max(sum(inside[stage][first : first + recompute]) for stage, first in starts)
    boundaries = sum(inputs[stage][first] for stage, first in starts)
    return total - sum(map(sum, inside)) + boundaries + largest
