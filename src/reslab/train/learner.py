"""A network with its loss, optimizer and EMA, in step with those of the other ranks."""

from contextlib import nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from reslab.distributed import current_rank
from reslab.errors import DataError
from reslab.nets.modules import Network
from reslab.recipes.recipe import Recipe
from reslab.runs.checkpoint import TrainingState
from reslab.train.activation_checkpointing import checkpoint_activations
from reslab.train.ema import EMA
from reslab.train.freeze import freeze
from reslab.train.optim import load_optimizer_state, make_optimizer, optimizer_state, set_rates
from reslab.train.syncbn import convert_bn
from reslab.weights.file import not_finite


class Learner:
    """A network that is trained by a recipe.

    recompute: activation checkpointing: units per segment, of which only the input is stored; 0 stores everything
    bf16: mixed precision: convolutions and the layers after them in bfloat16; weights, BN statistics and the loss in
    float32
    compiles: torch.compile of the step, when it is first taken
    captured: the whole step is to be recorded as a CUDA graph, so that the compiler records none of its own
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        recompute: int = 0,
        bf16: bool = False,
        compiles: bool = False,
        captured: bool = False,
    ):
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self.ranks = current_rank()
        if recipe.bn == "all" and self.ranks.total > 1:
            convert_bn(network)
        if recompute:
            checkpoint_activations(network, recompute)
        self._frozen = freeze(network, recipe)
        self.optimizer = make_optimizer(network, recipe)
        self.ema = EMA(network, recipe.average) if recipe.average else None
        self.step = torch.zeros((), dtype=torch.int64, device=next(network.parameters()).device)
        self._loss: nn.Module = Loss(network, recipe.smoothing, bf16)
        if self.ranks.total > 1:
            self._loss = DistributedDataParallel(self._loss)
        self.compiles = compiles
        if compiles:
            torch._dynamo.reset()  # it compiles eight networks in a process, then no more, and keeps their memory
            if hasattr(torch._inductor.config, "align_random_eager"):
                torch._inductor.config.align_random_eager = True  # compiled dropout is wrong without (pytorch 198333)
            on_one_gpu = self.ranks.total == 1 and self.step.is_cuda
            # "reduce-overhead" records the forward and backward passes as CUDA graphs
            self._loss.compile(dynamic=False, mode="reduce-overhead" if on_one_gpu and not captured else None)

    def set_step(self, step: int) -> None:
        """Set all that changes from step to step, in place: the counter, learning rates and the EMA's decay."""
        self.step.fill_(step)
        set_rates(self.optimizer, self.recipe.rate(step))
        if self.ema:
            self.ema.set_step(step)

    def train_step(self, images: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """One step, counted from 0: `set_step`, then `update`."""
        self.set_step(step)
        return self.update(images, labels)

    def update(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Forward, loss, backward, update, by tensors that are only written in place and no number that changes.

        This rank's images (N, C, H, W) and labels (N,), or probabilities (N, classes), of a step's batch -> the mean
        loss () and the logits (N, classes) before the update. An image counts the same on every rank.
        """
        for module in self._frozen:
            module.eval()
        loss, logits = self._loss(images.contiguous(memory_format=torch.channels_last), labels)
        self.optimizer.zero_grad()
        share = len(labels) * self.ranks.total / self.recipe.batch  # gradients are averaged over the ranks
        (loss * share).backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        if self.ema:
            self.ema.update(self.network)
        return loss.detach(), logits.detach()

    def eval_model(self) -> Network:
        """The model to evaluate and save: the EMA if enabled; BN buffers from rank 0."""
        network = self.ema.network if self.ema else self.network
        if self.ranks.total > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)
        return network

    def training_state(self) -> dict[str, Tensor] | None:
        """The state dict of the model that is trained; None without EMA, where it is that of `eval_model`."""
        return self.network.state_dict() if self.ema else None

    def optimizer_state(self) -> dict[str, Tensor]:
        return optimizer_state(self.optimizer)

    def load(self, state: TrainingState) -> None:
        """Continue from a checkpoint. Raises DataError if it is of another network."""
        if state.weights.network != self.network.spec:
            raise DataError(f"checkpoint of step {state.progress.step}: weights of another network")
        if self.ema:
            self.ema.network.load_state_dict(state.weights.state)
        self.network.load_state_dict(state.weights.state if state.training is None else state.training)
        if state.optimizer is not None:
            load_optimizer_state(self.optimizer, state.optimizer)

    def is_finite(self) -> bool:
        """Whether every weight and BN statistic is a finite number, those of the EMA too."""
        networks = [self.network, *([self.ema.network] if self.ema else [])]
        return not any(not_finite(network.state_dict()) for network in networks)


class Loss(nn.Module):
    """Cross-entropy with label smoothing, plus the weighted ones of the auxiliary classifiers.

    Images (N, C, H, W) and labels (N,), or probabilities (N, classes) -> the mean loss () and the logits (N, classes),
    in float32.
    """

    def __init__(self, network: Network, smoothing: float, bf16: bool = False):
        super().__init__()
        self.bf16 = bf16
        self.network = network
        self.smoothing = smoothing
        self.weights = [item.weight for item in getattr(network.spec, "auxiliary", ())]

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # each weight is cast once in any case, and a CUDA graph must not keep casts of the first step
        amp = torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False) if self.bf16 else nullcontext()
        with amp:
            logits, aux_logits = self.network.with_auxiliary(images)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
        for weight, auxiliary in zip(self.weights, aux_logits, strict=True):
            loss = loss + weight * F.cross_entropy(auxiliary.float(), labels, label_smoothing=self.smoothing)
        return loss, logits
