"""Several processes that train one network: who is who, and what they tell each other. Started by torchrun."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from reslab.errors import RankLostError

PATIENCE = timedelta(minutes=5)
"""How long a rank waits for one that hangs. One that has died is noticed at once."""


class Ranks(NamedTuple):
    """The number of this process among all; the first one writes and speaks for all."""

    rank: int = 0
    total: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, items: Any) -> Any:
        """This rank's part of an array or list: every total-th item. Nothing is padded, nothing counted twice."""
        return items[self.rank :: self.total]


def current_rank() -> Ranks:
    """This process among those that have joined; the only one where none have."""
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks()


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Join the ranks that torchrun started (RANK, WORLD_SIZE ...), with gloo for CPU and NCCL for GPU tensors.

    Alone where nothing started several. Raises RankLostError where another rank is lost meanwhile.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or dist.is_initialized():
        yield current_rank()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local < torch.cuda.device_count():  # ranks on the processor may be more than there are GPUs
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, total = next(rendezvous("env://", timeout=PATIENCE))
    attempt = f"attempt{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    # torchrun's store outlives a restart, and with it the addresses of those that died (pytorch issue 135712)
    fresh = dist.PrefixStore(attempt, store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=total, timeout=PATIENCE)
    try:
        yield current_rank()
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise RankLostError(
                f"rank {dist.get_rank()}: another rank was lost; the last checkpoint stands\n"
                "torchrun --max-restarts N ... train ... --resume goes on by itself"
            ) from error
        raise
    finally:
        # gloo's threads drop what the last exchange held, for which they need the interpreter; who ends the group
        # while they wait for it waits for ever
        time.sleep(0.1)
        dist.destroy_process_group()


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, in place."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def all_reduce_min(value: Tensor) -> Tensor:
    """The least of a tensor's values over all ranks, in place."""
    if dist.is_initialized():
        dist.all_reduce(value, dist.ReduceOp.MIN)
    return value


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on any rank. The ranks wait for each other on the CPU alone."""
    if not dist.is_initialized():
        return flag
    told = torch.tensor(float(flag))
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told)


def broadcast_from_rank0(value: Any) -> Any:
    """What the first rank has, a plain value, on every rank."""
    if not dist.is_initialized():
        return value
    told = [value]
    dist.broadcast_object_list(told, src=0, device=torch.device("cpu"))
    return told[0]


def gather(values: dict[str, str]) -> dict[str, str]:
    """The tables of all ranks as one."""
    if not dist.is_initialized():
        return values
    told: list[dict[str, str]] = [{}] * dist.get_world_size()
    dist.all_gather_object(told, values)
    return {key: value for table in told for key, value in table.items()}
