"""Speed of training and inference beside another library's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reslab.api.choices import Device, Engine, OnOff, Precision, Rival, Work
from reslab.api.console import progress_console

if TYPE_CHECKING:
    from reslab.bench.compare import BenchSettings
    from reslab.bench.pair import Pair
    from reslab.nets.network import NetworkSpec

_SMALL = 64  # pixels


def bench_network(
    network: str,
    *,
    vs: Rival = "torch",
    what: Work = "both",
    batch: int | None = None,
    rounds: int = 5,
    engine: Engine = "torch",
    precision: Precision = "auto",
    compile: OnOff = "off",  # noqa: A002
    device: Device = "auto",
    progress: bool = False,
) -> "Iterator[Pair]":
    """Images per second of training, inference or both, beside another's in the same run, taking turns.

    vs: the other side: plain torch, a library's network, or a training script in akamaster's style
    batch: images; None is 128 small ones, or 16
    rounds: turns of each side
    engine, precision, compile: of our side
    device: of both sides
    progress: the machine and the number of rounds on stderr
    Raises SpecError where the library does not have the network.
    """
    from reslab.bench.rivals import counterpart
    from reslab.nets import network as named

    value = named(network)
    if vs in ("torchvision", "timm"):
        counterpart(vs, network)

    import torch

    from reslab.bench.compare import BenchSettings
    from reslab.machine import find_device, processor
    from reslab.spec import replace

    batch = batch or (128 if value.size <= _SMALL else 16)
    how = BenchSettings(batch=batch, precision=precision, compiles=compile == "on", engine=engine, rounds=rounds)
    on_gpu = find_device(device) == "cuda"
    how = replace(how, device="cuda" if on_gpu else "cpu")
    machine = torch.cuda.get_device_name() if on_gpu else f"{processor()}, {torch.get_num_threads()} threads"
    progress_console(progress).print(f"{machine}, torch {torch.__version__}, n = {rounds}")
    return _pairs(value, vs, what, how)


def _pairs(network: "NetworkSpec", vs: Rival, what: Work, how: "BenchSettings") -> "Iterator[Pair]":
    from reslab.bench.compare import inference, training

    if what in ("training", "both"):
        yield training(network, vs, how)
    if what in ("inference", "both"):
        yield inference(network, vs, how)
