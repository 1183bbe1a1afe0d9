"""How a run is carried out: what changes its time and its memory, not what is learnt."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal, NamedTuple

from pydantic import NonNegativeInt

from reslab.errors import SpecError
from reslab.machine import find_device, find_precision, has_compiler, without_tf32
from reslab.spec import spec


@spec
class Execution:
    """Where a run is trained, and what it does where things do not go by plan.

    device: "cpu", "cuda", or "auto", which is cuda where there is one
    precision: "bf16" computes convolutions and what follows them in bfloat16, with weights, BN's statistics and the
    loss in float32; "float32" is the reference; "auto" is the faster of the two on the processor or GPU
    compile: "on" compiles a step before the first, "off" does not; "auto" does where it pays
    deterministic: a GPU too computes the same bits each time, float32 without TF32, more slowly; a processor does so
    anyway
    recompute: units of a stage that keep only the first one's input until the way back; 0 keeps all activations
    on_bad: what a picture that cannot be read does: "error" ends the run, "skip" leaves it out and tells of it
    resume: "never" begins, "any" goes on from the last checkpoint where there is one, "exact" does so only where the
    end will be, bit for bit, that of a run which never stopped
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    deterministic: bool = False
    recompute: NonNegativeInt = 0
    on_bad: Literal["error", "skip"] = "error"
    resume: Literal["never", "any", "exact"] = "never"


DEFAULT = Execution()
_PAYS = {"cpu": 5e13, "cuda": 5e16}  # multiply-adds: some ten minutes of training


class Chosen(NamedTuple):
    """What "auto" came to on this machine, and why. A run that is resumed keeps to it."""

    device: str
    precision: str
    compile: bool
    why: str


def choose(execution: Execution, work: float) -> Chosen:
    """Choose what is left to choose. work: multiply-adds of the whole training.

    Raises SpecError for a device or precision that is not to be had, or a compilation without a compiler.
    """
    device = find_device(execution.device)
    precision, bf16_why = find_precision(execution.precision, device)
    compiles, compile_why = _compiles(execution, device, work)
    return Chosen(device, precision, compiles, f"{bf16_why}; {compile_why}")


def _compiles(execution: Execution, device: str, work: float) -> tuple[bool, str]:
    """Compilation takes about a minute, and pays where it is much less than what it saves.

    Measured: a third of the step with AMX, nothing with AVX-512 BF16 alone.
    """
    import torch

    compiler = has_compiler()
    if execution.compile == "on":
        if not compiler:
            raise SpecError("--compile on: no C++ compiler here; install g++ or use --compile off")
        if execution.recompute:
            raise SpecError("--compile on: not with --recompute; leave one of them out")
        return True, "compiled as asked"
    if execution.compile == "off":
        return False, "not compiled as asked"
    if execution.recompute:
        return False, "not compiled with --recompute"
    if not compiler:
        return False, "no C++ compiler"
    if device == "cpu" and not torch.cpu._is_amx_tile_supported():
        return False, "compilation gains nothing on this processor"
    pays = work > _PAYS[device]
    return pays, "compilation pays" if pays else "too few steps to pay for a compilation"


@contextmanager
def deterministic_mode(deterministic: bool) -> Iterator[None]:
    """Torch's settings for a run: algorithms that give the same bits each time, or the fastest ones of a GPU.

    They are as before when this ends.
    """
    import torch

    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    try:
        with without_tf32() if deterministic else nullcontext():
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
