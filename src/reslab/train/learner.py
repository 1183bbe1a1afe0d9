"""What learns: a network with its loss, its optimizer and its average, in step with those of the other ranks."""

from contextlib import nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from reslab.distributed import current_rank
from reslab.nets.modules import Network
from reslab.recipes.recipe import Recipe
from reslab.train.activation_checkpointing import recompute
from reslab.train.ema import EMA
from reslab.train.freeze import freeze
from reslab.train.optim import make_optimizer
from reslab.train.syncbn import synchronise


class Learner:
    """A network that learns by a recipe.

    recompute_units: units of a stage of which only the first one's input is kept until the way back; 0 keeps all
    bf16: convolutions and what follows them compute in bfloat16; weights, BN's statistics and the loss stay float32
    compiles: the step is compiled when it is first taken
    """

    def __init__(
        self, network: Network, recipe: Recipe, recompute_units: int = 0, bf16: bool = False, compiles: bool = False
    ):
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self.ranks = current_rank()
        if recipe.bn == "all" and self.ranks.total > 1:
            synchronise(network)
        if recompute_units:
            recompute(network, recompute_units)
        self._still = freeze(network, recipe)
        self.optimizer = make_optimizer(network, recipe)
        self.ema = EMA(network, recipe.average) if recipe.average else None
        self._loss: nn.Module = Loss(network, recipe.smoothing, bf16)
        if self.ranks.total > 1:
            self._loss = DistributedDataParallel(self._loss)
        self.compiles = compiles
        if compiles:
            torch._dynamo.reset()  # it compiles eight networks in a process, then no more, and keeps their memory
            on_one_gpu = self.ranks.total == 1 and next(network.parameters()).is_cuda
            # "reduce-overhead" records the step as a CUDA graph
            self._loss.compile(dynamic=False, mode="reduce-overhead" if on_one_gpu else None)

    def train_step(self, images: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """One step: forward, loss, backward, update.

        This rank's images (N, C, H, W) and labels (N,) of a step's batch -> the mean loss () and the logits
        (N, classes) from before the update. An image counts the same whatever rank it is on.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(step) * group["factor"]
        for module in self._still:
            module.eval()
        loss, logits = self._loss(images.contiguous(memory_format=torch.channels_last), labels)
        self.optimizer.zero_grad()
        share = len(labels) * self.ranks.total / self.recipe.batch  # gradients are averaged over the ranks
        (loss * share).backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        if self.ema:
            self.ema.update(self.network, step)
        return loss.detach(), logits.detach()

    def eval_model(self) -> Network:
        """The network to evaluate and to keep: the average where there is one, with the first rank's BN statistics."""
        network = self.ema.network if self.ema else self.network
        if self.ranks.total > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)
        return network

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.network.parameters())


class Loss(nn.Module):
    """Cross-entropy with smoothed labels, and that of the auxiliary classifiers with their weights.

    Images (N, C, H, W) and labels (N,) -> the mean loss () and the logits (N, classes), in float32.
    """

    def __init__(self, network: Network, smoothing: float, bf16: bool = False):
        super().__init__()
        self.bf16 = bf16
        self.network = network
        self.smoothing = smoothing
        self.weights = [item.weight for item in getattr(network.spec, "auxiliary", ())]

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        lower = torch.autocast(images.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with lower:
            logits, auxiliaries = self.network.with_auxiliary(images)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
        for weight, auxiliary in zip(self.weights, auxiliaries, strict=True):
            loss = loss + weight * F.cross_entropy(auxiliary.float(), labels, label_smoothing=self.smoothing)
        return loss, logits
