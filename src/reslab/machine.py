"""The machine that a process runs on."""

import os
import platform
from pathlib import Path


def cores() -> int:
    """The processor cores that this process may use; its share of them where torchrun began several here."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def processor() -> str:
    """The model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def ask_for_large_pages() -> None:
    """Let torch lay large tensors on large pages, where the system has them, unless the environment says otherwise.

    It leaves fewer holes between them, so that a training step takes up little more than what it holds. To be called
    before the first of them is made.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
