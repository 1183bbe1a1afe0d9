"""Data-parallel training (DDP) in several processes, started by torchrun: ranks and collective operations."""

import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from reslab.errors import RankLostError

PATIENCE = timedelta(minutes=5)
"""How long a rank waits for one that hangs. The death of one is an error at once."""


class Ranks(NamedTuple):
    """This process's number among all; the first one writes and prints for all."""

    rank: int = 0
    total: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, items: Any) -> Any:
        """This rank's share of an array or list: every total-th item, without padding."""
        return items[self.rank :: self.total]


def current_rank() -> Ranks:
    """This process's rank in the process group; the only one without a group."""
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks()


def end_with_parent(*pipes: int) -> None:
    """Exit within a second after the parent process has ended, or after the writer of a pipe has."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and not select.select(pipes, (), (), 1)[0]:
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@cache
def _end_with_torchrun() -> None:
    """Exit when torchrun has ended, once it has started this process: killed, it cannot end its ranks."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_parent()


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Context manager: the process group of torchrun (RANK, WORLD_SIZE ...), gloo for CPU and NCCL for GPU tensors.

    No group without torchrun. Raises RankLostError if another rank dies.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() or dist.is_initialized():
        yield current_rank()
        return
    _end_with_torchrun()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local < torch.cuda.device_count():  # ranks on the processor may be more than there are GPUs
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, total = next(rendezvous("env://", timeout=PATIENCE))
    attempt = f"attempt{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    # torchrun's store outlives a restart, with the addresses of the processes that died (pytorch issue 135712)
    fresh = dist.PrefixStore(attempt, store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=fresh, rank=rank, world_size=total, timeout=PATIENCE)
    try:
        yield current_rank()
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or _is_cut_off():
            raise RankLostError(
                f"rank {dist.get_rank()}: another rank was lost; the last checkpoint stands\n"
                "torchrun --max-restarts N ... train ... --resume goes on by itself"
            ) from error
        raise
    finally:
        # gloo's threads need the interpreter to free the tensors of the last operation; ending the group while they
        # wait for it is a deadlock
        time.sleep(0.1)
        dist.destroy_process_group()


def _is_cut_off() -> bool:
    """Whether the connection to another rank is closed. gloo reports that as a plain RuntimeError, as many others are.

    Nothing is received: a message to a living rank waits in its connection, one to a dead rank fails at once.
    """
    try:
        for rank in range(dist.get_world_size()):
            if rank != dist.get_rank():
                dist.isend(torch.zeros(()), rank)
    except RuntimeError:
        return True
    return False


def all_reduce_sum(values: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, in place."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def all_reduce_min(value: Tensor) -> Tensor:
    """The minimum of a tensor over all ranks, in place."""
    if dist.is_initialized():
        dist.all_reduce(value, dist.ReduceOp.MIN)
    return value


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on any rank. The ranks wait for each other on the CPU alone."""
    if not dist.is_initialized():
        return flag
    value = torch.tensor(float(flag))
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return bool(value)


def broadcast_from_rank0(value: Any) -> Any:
    """The first rank's plain value, on every rank."""
    if not dist.is_initialized():
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def gather(values: dict[str, str]) -> dict[str, str]:
    """The dicts of all ranks as one."""
    if not dist.is_initialized():
        return values
    gathered: list[dict[str, str]] = [{}] * dist.get_world_size()
    dist.all_gather_object(gathered, values)
    return {key: value for each in gathered for key, value in each.items()}
