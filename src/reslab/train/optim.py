"""The optimizer of a recipe."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from reslab.recipes.recipe import SGD, Recipe
from reslab.train.freeze import in_head


class TFRMSProp(torch.optim.Optimizer):
    """RMSProp as TensorFlow has it: m = decay m + (1 - decay) g²; v = momentum v + rate g / sqrt(m + eps); w -= v.

    m begins at 1. Weight decay is added to the gradient.
    """

    def __init__(self, params: Iterable[Any], lr: float, decay: float, momentum: float, eps: float):
        super().__init__(params, {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["mean_square"] = torch.ones_like(parameter)
                    self.state[parameter]["velocity"] = torch.zeros_like(parameter)
            squares = [self.state[p]["mean_square"] for p in parameters]
            velocities = [self.state[p]["velocity"] for p in parameters]
            gradients: Any = [p.grad for p in parameters]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, parameters, alpha=group["weight_decay"])
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_sqrt(torch._foreach_add(squares, group["eps"]))
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcdiv_(velocities, gradients, roots, group["lr"])
            torch._foreach_sub_(parameters, velocities)


def groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """What decays and what does not: weights of convolutions and linear layers do, biases and BN's scale and shift not.

    The paper is read as fb.resnet.torch's authors read it, who say that the paper decays convolutions alone. Each group
    has its `factor` of the learning rate; what is frozen is in none.
    """
    learning = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    if recipe.head_rate == 1:
        return _parted([parameter for _, parameter in learning], recipe.weight_decay, 1.0)
    body = [parameter for name, parameter in learning if not in_head(name)]
    head = [parameter for name, parameter in learning if in_head(name)]
    return [*_parted(body, recipe.weight_decay, 1.0), *_parted(head, recipe.weight_decay, recipe.head_rate)]


def _parted(parameters: list[nn.Parameter], weight_decay: float, factor: float) -> list[dict[str, Any]]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay, "factor": factor},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "factor": factor},
    ]


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe over a network's parameters."""
    rule, rate = recipe.optimizer, recipe.rate(0)
    parts = groups(network, recipe)
    if isinstance(rule, SGD):
        on_gpu = all(parameter.is_cuda for part in parts for parameter in part["params"])
        return torch.optim.SGD(parts, lr=rate, momentum=rule.momentum, nesterov=rule.nesterov, fused=on_gpu or None)
    return TFRMSProp(parts, lr=rate, decay=rule.decay, momentum=rule.momentum, eps=rule.epsilon)


def optimizer_state(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimizer's tensors, each as `<parameter>:<what it is>`."""
    return {
        f"{name}:{what}": value
        for name, parameter in network.named_parameters()
        if parameter in optimizer.state
        for what, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give an optimizer the tensors that `optimizer_state` told."""
    parameters = dict(network.named_parameters())
    for key, value in state.items():
        name, _, what = key.partition(":")
        parameter = parameters[name]  # torch's fused step wants its tensors laid out as the parameter is
        optimizer.state[parameter][what] = torch.empty_like(parameter).copy_(value)
