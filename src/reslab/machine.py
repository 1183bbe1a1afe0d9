"""The machine that a process runs on."""

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
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def vendor() -> str:
    """The vendor of the processor as it spells itself, such as "AuthenticAMD"."""
    return _cpuinfo("vendor_id") or platform.processor()


def _cpuinfo(key: str) -> str:
    """A value of Linux's /proc/cpuinfo; "" elsewhere, or without the key."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def package_version(name: str) -> str | None:
    """The version of a package, reslab's own from a source tree too; None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    if name == "reslab":
        from reslab import __version__

        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def tune_openmp() -> None:
    """Shorten the busy waiting of OpenMP's threads for each other; to be called before torch is imported.

    GNU's OpenMP reads the environment when it is loaded; its default is milliseconds, which takes the cores from other
    work, such as the decoding of pictures. A short wait costs nothing on an idle machine. The user's OMP_WAIT_POLICY
    and GOMP_SPINCOUNT are kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(_SPINS, "5000")


def torch_defaults() -> dict[str, str]:
    """The environment without the setting of `tune_openmp`, for programs with torch's own defaults."""
    return {name: value for name, value in os.environ.items() if name != _SPINS}


def memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def tune_malloc(low_memory: bool = False) -> None:
    """Tune glibc malloc, before the first tensor is made: keep freed blocks, or with low_memory return them.

    By default glibc returns freed tensors of some megabytes to the system; getting them again, page by page, takes a
    tenth to a third of a training step, and up to half of an evaluation. Kept blocks leave holes, which can take
    several times the memory in use: with low_memory they are returned, and torch asks for large pages. Other C
    libraries are left as they are.
    """
    if low_memory:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_TRIM_THRESHOLD, -1)


def find_device(word: str) -> str:
    """The device of a word: "auto" is cuda if there is one. Raises SpecError for a device that this machine lacks."""
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
        raise SpecError(f"{ranks} ranks here and {gpus} GPUs: start one per GPU, or use --device cpu")
    return "cuda"


def find_precision(word: str, device: str) -> tuple[str, str]:
    """The precision of a word, and the reason: "auto" is bf16 if that is faster than float32 on the device.

    Raises SpecError for bf16 on a device without it.
    """
    if word not in ("auto", "float32", "bf16"):
        raise SpecError(f"no precision {word!r}: choose from auto, float32, bf16")
    exists, fast, why = _bf16(device)
    if word == "bf16" and not exists:
        raise SpecError(f"no bf16 here ({why}): use --precision float32")
    return (word if word != "auto" else "bf16" if fast else "float32"), why


def _bf16(device: str) -> tuple[bool, bool, str]:
    """Whether a device has bf16, whether it is faster than float32, and why.

    With AVX-512 BF16 alone AMD's processors multiply twice as fast as in float32. Intel's, if a virtual machine hides
    their AMX, start one such instruction in two cycles, in which they start four of float32: they are half as fast.
    """
    import torch

    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.cuda.is_bf16_supported(), fast, torch.cuda.get_device_name()
    if torch.cpu._is_amx_tile_supported():
        return True, True, "processor with AMX"
    if not torch.cpu._is_avx512_bf16_supported():
        return False, False, "processor without bf16"
    if "AuthenticAMD" in vendor():
        return True, True, "AMD's AVX-512 BF16"
    return True, False, "without AMX, this processor's bf16 is slower than float32"


@contextmanager
def without_tf32() -> Iterator[None]:
    """Context manager: a GPU's convolutions without TF32, which has ten bits of mantissa in place of float32's 23."""
    with _cudnn("allow_tf32", False):
        yield


@contextmanager
def benchmark_mode() -> Iterator[None]:
    """Context manager: cuDNN measures its algorithms for each new shape and keeps the fastest."""
    with _cudnn("benchmark", True):
        yield


@contextmanager
def _cudnn(flag: str, value: bool) -> Iterator[None]:
    import torch

    before = getattr(torch.backends.cudnn, flag)
    setattr(torch.backends.cudnn, flag, value)
    try:
        yield
    finally:
        setattr(torch.backends.cudnn, flag, before)


def has_compiler() -> bool:
    """Whether there is a C++ compiler for torch.compile on processors."""
    return bool(find_compiler())


def find_compiler() -> str:
    """The path of a C++ compiler; "" if there is none."""
    return next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), "")
