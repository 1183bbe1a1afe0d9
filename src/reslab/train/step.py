"""One step of learning."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def learn(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
    """Forward, cross-entropy, backward, and one step of the optimizer at a rate.

    Images (N, C, H, W) and labels (N,) -> the mean loss () and the logits (N, classes) from before the step.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    logits: Tensor = model(images)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach(), logits.detach()
