"""The machine that a process runs on."""

import ctypes
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reslab.errors import SpecError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # what malloc.h calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD
_SPINS = "GOMP_SPINCOUNT"


def cores() -> int:
    """The processor cores that this process may use; its share of them where torchrun began several here."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def processor() -> str:
    """The model of the processor."""
    return _of_processor("model name") or platform.processor() or platform.machine()


def maker() -> str:
    """Who made the processor, in its own spelling, such as "AuthenticAMD"."""
    return _of_processor("vendor_id") or platform.processor()


def _of_processor(key: str) -> str:
    """What Linux says of the processor; "" elsewhere, and where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def tune_openmp() -> None:
    """Choose how long threads that share one operation wait awake for each other, before torch is imported.

    GNU's OpenMP reads this when it is loaded, and by default lets them wait for milliseconds. Where other work wants
    the same cores, decoders of pictures or another program, each wait then keeps off what is waited for. So short a
    wait costs nothing on an idle machine. A choice of the user's stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(_SPINS, "5000")


def torch_defaults() -> dict[str, str]:
    """The environment without what `tune_openmp` chose, for programs that are to be as torch has them."""
    return {name: value for name, value in os.environ.items() if name != _SPINS}


def memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def tune_malloc(low_memory: bool = False) -> None:
    """Choose what this process does with the memory of its tensors, to be called before the first of them is made.

    glibc gives freed tensors of some megabytes back to the system, and asking for them again, page by page, takes a
    tenth to a third of a training step, and up to half of an evaluation: they are kept for the next ones. Holes between
    them would cost a process that is to be `low_memory` several times what it holds: it gives them back, and asks for
    large pages where the system has them. Under another C library nothing changes.
    """
    if low_memory:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_TRIM_THRESHOLD, -1)


def find_device(word: str) -> str:
    """The device that a word says: "auto" is cuda where there is one. Raises SpecError where it is not to be had."""
    import torch

    if word not in ("auto", "cpu", "cuda"):
        raise SpecError(f"no device {word!r}: choose from auto, cpu, cuda")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if word == "cuda" and not gpus:
        raise SpecError("no cuda device here: use --device cpu")
    if word == "cpu" or not gpus:
        return "cpu"
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if ranks > gpus:
        raise SpecError(f"{ranks} ranks here and {gpus} GPUs: begin one for each, or use --device cpu")
    return "cuda"


def find_precision(word: str, device: str) -> tuple[str, str]:
    """The precision that a word says, and why: "auto" is bf16 where the device is faster in it than in float32.

    Raises SpecError where it is not to be had.
    """
    if word not in ("auto", "float32", "bf16"):
        raise SpecError(f"no precision {word!r}: choose from auto, float32, bf16")
    there, fast, why = _bf16(device)
    if word == "bf16" and not there:
        raise SpecError(f"no bf16 here ({why}): use --precision float32")
    return (word if word != "auto" else "bf16" if fast else "float32"), why


def _bf16(device: str) -> tuple[bool, bool, str]:
    """Whether a device has bf16, whether it is faster than float32, and why.

    With AVX-512 BF16 alone AMD's processors multiply twice as fast as in float32. Intel's, whose AMX a virtual machine
    can hide, start one such instruction in two cycles and four of float32's, so that they are half as fast.
    """
    import torch

    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.cuda.is_bf16_supported(), fast, torch.cuda.get_device_name()
    if torch.cpu._is_amx_tile_supported():
        return True, True, "processor with AMX"
    if not torch.cpu._is_avx512_bf16_supported():
        return False, False, "processor without bf16"
    if "AuthenticAMD" in maker():
        return True, True, "AMD's AVX-512 BF16"
    return True, False, "without AMX, this processor's bf16 is slower than float32"


@contextmanager
def without_tf32() -> Iterator[None]:
    """A GPU's convolutions without TF32, which keeps ten bits of float32's 23. As before when this ends."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def has_compiler() -> bool:
    """Whether torch finds a C++ compiler, which its compilation for processors needs."""
    return any(shutil.which(name) for name in ("c++", "g++", "clang++"))
