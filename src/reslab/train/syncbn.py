"""Batch normalization with the statistics of all ranks' images."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def _total(values: Tensor) -> Tensor:
    """The differentiable sum over all ranks."""
    total: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return total


class SyncBN(nn.BatchNorm2d):
    """(x - mean) / sqrt(variance + eps), mean and variance over the batches of all ranks. On CPUs too.

    In eval mode, or without a process group, it is nn.BatchNorm2d. (torch's SyncBatchNorm is for GPUs alone.)
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        count = torch.full((1,), x.numel() / x.shape[1], device=x.device)
        sums = _total(torch.cat([x.float().sum((0, 2, 3)), count]))
        total, mean = sums[-1], sums[:-1] / sums[-1]
        centred = x.float() - mean[:, None, None]
        variance = _total(centred.square().sum((0, 2, 3))) / total
        self._update(mean.detach(), variance.detach() * total / (total - 1))
        scaled = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        result: Tensor = scaled * self.weight[:, None, None] + self.bias[:, None, None]
        return result.to(x.dtype)

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def convert_bn(module: nn.Module) -> None:
    """Replace every BN inside a module by a SyncBN with its values."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            synced = SyncBN(child.num_features, child.eps).to(child.weight.device)
            synced.load_state_dict(child.state_dict())
            setattr(module, name, synced)
        else:
            convert_bn(child)
