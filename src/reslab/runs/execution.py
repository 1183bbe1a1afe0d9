"""How a run is executed: settings that change its time and memory, not what is learnt."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from reslab.errors import SpecError
from reslab.machine import find_device, find_precision, has_compiler, without_tf32
from reslab.spec import added, spec

TrackerName = Literal["tensorboard", "wandb", "mlflow"]


@spec
class Execution:
    """Device, precision, compilation, memory and resumption of a run.

    device: "cpu", "cuda", or "auto": cuda if there is one
    precision: "bf16" is mixed precision: convolutions and the layers after them in bfloat16, weights, BN statistics and
    the loss in float32; "float32" is the reference; "auto" is the faster of the two on this device
    compile: "on" compiles the training step, "off" does not; "auto" does if that saves time
    deterministic: the same bits each time on a GPU too, in float32 without TF32, more slowly; CPUs always give them
    recompute: activation checkpointing: units per segment, of which only the input is stored for the backward pass; 0
    stores all activations
    on_bad: a picture that cannot be read ends the run ("error"), or is skipped and listed in result.json ("skip")
    resume: "never" begins a new run, "any" resumes from the last checkpoint if there is one, "exact" does so only if
    the run will end with the same bits as an uninterrupted one
    log: a tracker that shows the run's metrics as they are written; the run directory stays the truth
    threads: of torch on the processor; None: all of torch's, or one where a long training is faster on one
    stop_after: seconds after which the run is stopped after its step, saved; None: it is not
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    deterministic: bool = False
    recompute: NonNegativeInt = 0
    on_bad: Literal["error", "skip"] = "error"
    resume: Literal["never", "any", "exact"] = "never"
    log: TrackerName | None = added(None)
    threads: PositiveInt | None = added(None)
    stop_after: PositiveFloat | None = added(None)


DEFAULT = Execution()
_PAYS = 3e12  # multiply-adds for each convolution: a compilation takes 2 s of one, and saves a tenth of 20 s at least
_PAYS_ON_GPU = 120.0  # seconds of training: a compilation takes 20 s, and may save half of them
_GPU_SPEED, _GPU_CALL = 5e13, 1e-4  # multiply-adds per second of ResNet-50, seconds a convolution of small networks


@dataclass(frozen=True)
class Chosen:
    """The values chosen for "auto" on this machine, and why. A resumed run keeps them.

    threads: of torch, where they are not the usual number
    """

    device: str
    precision: str
    compile: bool
    why: str
    threads: int | None = None


def choose(execution: Execution, work: float, convolutions: int = 1, steps: int = 0) -> Chosen:
    """Replace "auto" settings by values.

    work: multiply-adds of the whole training; convolutions: of the network, which each of the `steps` calls once
    Raises SpecError for a device or precision that this machine lacks, or a compilation without a compiler.
    """
    device = find_device(execution.device)
    precision, bf16_why = find_precision(execution.precision, device)
    seconds_on_gpu = max(work / _GPU_SPEED, convolutions * steps * _GPU_CALL)
    pays = work > _PAYS * convolutions if device == "cpu" else seconds_on_gpu > _PAYS_ON_GPU
    compiles, compile_why = _compiles(execution, device, pays)
    return Chosen(device, precision, compiles, f"{bf16_why}; {compile_why}")


def _compiles(execution: Execution, device: str, pays: bool) -> tuple[bool, str]:
    """Whether to compile, and why. pays: whether the training is long enough.

    Measured: on a processor it takes up to 2 s a convolution (27 s for ResNet-20, 187 s for Inception-v3) and saves a
    tenth of the step or more with AMX, nothing with AVX-512 BF16 alone. On a GPU it takes 20 s and saves a quarter to
    a half.
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
    return pays, "compilation pays" if pays else "too few steps to pay for a compilation"


@contextmanager
def deterministic_mode(deterministic: bool) -> Iterator[None]:
    """Context manager: deterministic algorithms, or cuDNN benchmark mode; restores the previous flags."""
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
