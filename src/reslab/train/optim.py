"""The optimizer of a recipe."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from reslab.recipes.recipe import SGD, AdamW, Recipe, RMSProp
from reslab.train.freeze import in_head


class TFRMSProp(torch.optim.Optimizer):
    """RMSProp as in TensorFlow: m = decay m + (1 - decay) g²; v = momentum v + rate g / sqrt(m + eps); w -= v.

    m begins at 1. Weight decay is added to the gradient. `capturable`: the learning rate is read on the device, so that
    a CUDA graph can have the step; the last bits differ.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        decay: float,
        momentum: float,
        eps: float,
        capturable: bool = False,
    ):
        super().__init__(params, {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": 0.0})
        self.capturable = capturable
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["mean_square"] = torch.ones_like(parameter)
                self.state[parameter]["velocity"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            squares = [self.state[p]["mean_square"] for p in parameters]
            velocities = [self.state[p]["velocity"] for p in parameters]
            gradients: Any = [p.grad for p in parameters]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_sqrt(torch._foreach_add(squares, group["eps"]))
            torch._foreach_mul_(velocities, group["momentum"])
            if self.capturable:
                updates = torch._foreach_div(gradients, roots)
                torch._foreach_mul_(updates, group["lr"])
                torch._foreach_add_(velocities, updates)
            else:
                torch._foreach_addcdiv_(velocities, gradients, roots, float(group["lr"]))
            torch._foreach_sub_(parameters, velocities)


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameter groups: weights of convolutions and linear layers decay, the others only where the recipe says "all".

    The paper is read as by fb.resnet.torch's authors, who say that it decays convolutions alone. Each group has its
    `factor` of the learning rate and its parameters by name; frozen parameters are in none.
    """
    groups: dict[tuple[float, bool], list[tuple[str, nn.Parameter]]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            factor = recipe.head_rate if in_head(name) else 1.0
            groups[factor, decays(parameter, recipe)].append((name, parameter))
    return [
        {"params": params, "weight_decay": recipe.weight_decay if decaying else 0.0, "factor": factor}
        for (factor, decaying), params in groups.items()
    ]


def decays(parameter: nn.Parameter, recipe: Recipe) -> bool:
    """Whether a recipe's weight decay is on a parameter: biases and BN's scale and shift have one dimension."""
    return parameter.ndim > 1 or recipe.decay == "all"


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe over a network's parameters.

    Its state exists from the start and is only written in place, and so are the learning rates, a float32 tensor for
    each group: what a CUDA graph has recorded stays true. AdamW on a processor has numbers, for it divides them in
    float64.
    """
    rate, groups = recipe.rate(0), parameter_groups(network, recipe)
    on_gpu = all(parameter.is_cuda for parameter in network.parameters())
    for group in groups:
        group["lr"] = rate * group["factor"]
        if on_gpu or not isinstance(recipe.optimizer, AdamW):
            _, first = group["params"][0]
            group["lr"] = torch.full((), group["lr"], dtype=torch.float32, device=first.device)
    optimizer: torch.optim.Optimizer
    match recipe.optimizer:
        case SGD(momentum=momentum, nesterov=nesterov):
            optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=on_gpu or None)
            for parameter in _parameters(optimizer) if momentum else ():
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            return optimizer
        case RMSProp(decay=decay, momentum=momentum, epsilon=epsilon):
            return TFRMSProp(groups, rate, decay, momentum, epsilon, capturable=on_gpu)
        case AdamW(beta1=beta1, beta2=beta2, epsilon=epsilon):
            optimizer = torch.optim.AdamW(
                groups, lr=rate, betas=(beta1, beta2), eps=epsilon, fused=on_gpu or None, capturable=on_gpu
            )
            for parameter in _parameters(optimizer):
                optimizer.state[parameter]["step"] = torch.zeros((), device=parameter.device)
                for moment in ("exp_avg", "exp_avg_sq"):
                    optimizer.state[parameter][moment] = torch.zeros_like(parameter)
            return optimizer
        case _:
            assert_never(recipe.optimizer)


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, times each group's factor, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate * group["factor"])
        else:
            group["lr"] = rate * group["factor"]


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer with named parameters: tensors and scalars by `<parameter>:<key>`."""
    saved = optimizer.state_dict()
    return {
        f"{name}:{key}": torch.as_tensor(value)
        for group in saved["param_groups"]
        for name, index in zip(group["param_names"], group["params"], strict=True)
        for key, value in saved["state"].get(index, {}).items()
        if value is not None
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Load the state written by `optimizer_state`, in place where the optimizer has such a tensor already."""
    values: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in state.items():
        name, _, what = key.rpartition(":")
        values[name][what] = value
    for group in optimizer.param_groups:
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            held = optimizer.state[parameter]
            for what, value in values[name].items():
                if isinstance(held.get(what), Tensor):
                    held[what].copy_(value)
                else:  # torch's fused step needs tensors in the memory format of the parameter
                    held[what] = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
