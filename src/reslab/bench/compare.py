"""Speed of training and inference of one network, compared with a rival and with the machine's peak."""

import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import count, repeat
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.bench.pair import Burst, Pair, alternate, rate
from reslab.bench.rivals import COUNTERPARTS, Peer, Rival, peer_process, plain_step
from reslab.data.crops import PadCropFlip
from reslab.data.images import DataSet, Images
from reslab.data.in_memory import InMemoryLoader
from reslab.machine import benchmark_mode, find_precision, tune_malloc
from reslab.nets import name_of
from reslab.nets.build import build_network
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.spec import spec, to_json
from reslab.train.learner import Learner
from reslab.train.meter import Meter
from reslab.train.optim import make_optimizer
from reslab.train.step import CudaGraph, FixedStep
from reslab.use.engine import make_engine

_IN_MEMORY = 64  # the largest images, in pixels, of in-memory data sets; larger ones come from image folders


@spec
class BenchSettings:
    """Settings of a comparison: our engine and precision, the seconds and number of each side's rounds, the device."""

    batch: int
    precision: str = "auto"
    compiles: bool = False
    engine: str = "torch"
    rounds: int = 5
    seconds: float = 2.0
    device: Literal["cpu", "cuda"] = "cpu"

    def finish(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def training(network: NetworkSpec, rival: Rival, how: BenchSettings) -> Pair:
    """Images per second of training: the step of `reslab train`, and the rival's step in eager float32.

    On a GPU a library's network has our precision, channels last, and is compiled where ours is.

    The rival runs in its own process. Our images, up to 64 pixels, are random bytes in memory, augmented;
    akamaster-style loads them one by one with a DataLoader; for the other rivals, and for all if images are larger,
    batches are tensors made beforehand. The difference is that of the losses of three steps with the same weights and
    images, or, for a library's network, of the outputs with its weights in float32.
    """
    torch.manual_seed(0)
    start = build_network(network).to(how.device)
    learner, loader = our_training(copy.deepcopy(start), how)
    with training_peer(network, rival, how) as peer:
        if rival in COUNTERPARTS:
            _, difference = peer.network(name_of(network))
        else:
            recipe = learner.recipe
            batches = loader.batches(0, range(3), how.batch, recipe.augment) if loader else _ready(network, how)
            difference = _difference(learner, start, make_optimizer(start, recipe), batches)
        title = rival if rival in COUNTERPARTS else f"{rival}, eager float32"
        ours, theirs = training_burst(learner, loader, how), partial(peer.rate, how.seconds)
        rates = alternate(("reslab", ours), (title, theirs), how.rounds)
    precision = _precision(how)
    work = f"{name_of(network)} training, batch {how.batch}, {precision}{', compiled' if how.compiles else ''}"
    work += ", on a GPU" if how.device == "cuda" else ""
    flops = 6 * network.cost().multiply_adds * rates[0].median
    return Pair(work, *rates, difference, flops / roof(precision, how.device))


def our_training(network: Network, how: BenchSettings) -> tuple[Learner, InMemoryLoader | None]:
    """What trains a network as `reslab train` does, and its random images; none if they are too large for memory."""
    tune_malloc()
    spec = network.spec
    loader = None
    if spec.size <= _IN_MEMORY:
        images = _random_images(spec, 8 * how.batch)
        data = DataSet("made-up", images, images, tuple(map(str, range(spec.classes))))
        loader = InMemoryLoader(data, torch.device(how.device))
    recipe = Recipe(steps=10**6, batch=how.batch, augment=PadCropFlip())
    captured = loader is not None and how.device == "cuda"
    return Learner(network, recipe, 0, _precision(how) == "bf16", how.compiles, captured), loader


def training_peer(network: NetworkSpec, rival: Rival, how: BenchSettings) -> AbstractContextManager[Peer]:
    """The process of a rival that trains a network."""
    library = rival in COUNTERPARTS
    per_image = rival == "akamaster-style" and network.size <= _IN_MEMORY
    order: dict[str, Any] = {"what": "training", "batch": how.batch, "size": network.size}
    order |= {"channels": network.channels, "images": "per-image" if per_image else "ready"}
    order |= {"item": rival == "akamaster-style", **_on_device(how, library)}
    if not library:
        order["spec"] = to_json(network)
    return peer_process(rival if library else "reslab", name_of(network), **order)


def inference(network: NetworkSpec, rival: Rival, how: BenchSettings, runtime: str = "torch") -> Pair:
    """Images per second of inference with one of our engines, and of the rival's network in eager float32.

    With `runtime` "openvino" a library's network runs in OpenVINO too, in our precision. Batches are tensors made
    beforehand. The difference is that of the outputs with the same weights, ours from the engine. On a GPU a library's
    network has our precision and channels last.
    """
    tune_malloc()
    precision = _precision(how)
    images = torch.randn(how.batch, *network.input, device=how.device)
    if rival in COUNTERPARTS:
        order = {"what": "inference", "engine": runtime, "precision": "bf16" if precision == "bf16" else "f32"}
        order |= _on_device(how, True)
        with peer_process(rival, name_of(network), batch=how.batch, size=network.size, **order) as peer:
            own = peer.network(name_of(network))[0].to(how.device)
            engine = make_engine(own, how.engine, precision, how.compiles, images)
            theirs: Burst = partial(peer.rate, how.seconds)
            eager = "eager float32" if how.device == "cpu" else f"eager {precision}"
            title = f"{rival}, {eager if runtime == 'torch' else f'{runtime} {precision}'}"
            rates = alternate(("reslab", _inference_burst(engine, images, how)), (title, theirs), how.rounds)
    else:
        torch.manual_seed(0)
        own = build_network(network).to(how.device).eval()
        engine = make_engine(own, how.engine, precision, how.compiles, images)
        theirs = _inference_burst(own, images, how)
        rates = alternate(
            ("reslab", _inference_burst(engine, images, how)), (f"{rival}, eager float32", theirs), how.rounds
        )
    with torch.inference_mode():
        expected = own(images)
        difference = float((engine(images) - expected).abs().max() / expected.abs().max())
    work = f"{name_of(network)} inference, batch {how.batch}, {how.engine} {precision}"
    work += ", compiled" if how.compiles else ""
    work += ", on a GPU" if how.device == "cuda" else ""
    flops = 2 * network.cost().multiply_adds * rates[0].median
    return Pair(work, *rates, difference, flops / roof(precision, how.device))


def roof(precision: str, device: str = "cpu") -> float:
    """Peak operations per second of this machine: of torch's convolution 3×3, 256 channels, 14×14 maps.

    A multiply-add is two operations.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    kind: dict[str, Any] = {"dtype": dtype, "device": device}
    images = 32 if device == "cpu" else 512
    maps = torch.randn(images, 256, 14, 14, **kind).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, **kind).contiguous(memory_format=torch.channels_last)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(12):
            start = time.perf_counter()
            F.conv2d(maps, weight, padding=1)
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
    return 2 * maps.numel() * 256 * 9 / best


def _random_images(network: NetworkSpec, count: int) -> Images:
    """Random bytes and labels: speed does not depend on the images' content."""
    random = np.random.default_rng(0)
    size = min(network.size, _IN_MEMORY)
    pixels = random.integers(0, 256, (count, network.channels, size, size), dtype=np.uint8)
    return Images(pixels, random.integers(0, network.classes, count))


def _precision(how: BenchSettings) -> str:
    return find_precision(how.precision, how.device)[0]


def _on_device(how: BenchSettings, library: bool) -> dict[str, Any]:
    """The peer's order for its device."""
    as_ours = library and how.device == "cuda"
    amp = as_ours and _precision(how) == "bf16"
    return {"device": how.device, "amp": amp, "compile": as_ours and how.compiles}


def _ready(network: NetworkSpec, how: BenchSettings) -> Iterator[tuple[Tensor, Tensor]]:
    images = torch.randn(how.batch, *network.input, device=how.device)
    return repeat((images, torch.arange(how.batch, device=how.device) % network.classes))


def training_burst(learner: Learner, loader: InMemoryLoader | None, how: BenchSettings) -> Burst:
    """The steps of `reslab train`, on a GPU in its graph; without a loader, of batches made beforehand."""
    if loader is None:
        images, labels = next(_ready(learner.network.spec, how))

        def take(step: int) -> None:
            learner.train_step(images, labels, step)
    else:
        graph = CudaGraph() if how.device == "cuda" else None
        take = FixedStep(learner, Meter(loader.device), loader, 0, graph).take
    numbers = count()

    def step() -> int:
        take(next(numbers))
        return how.batch

    def burst() -> float:
        with benchmark_mode():  # as in training
            return rate(step, how.seconds, how.finish)

    return burst


def _inference_burst(network: nn.Module | Network, images: Tensor, how: BenchSettings) -> Burst:
    @torch.inference_mode()
    def predict() -> int:
        return len(network(images))

    return lambda: rate(predict, how.seconds, how.finish)


def _difference(
    learner: Learner,
    plain: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    steps: int = 3,
) -> float:
    """The largest relative difference of the losses of some steps on the same images."""
    largest = 0.0
    for step, (images, labels) in zip(range(steps), batches, strict=False):
        ours, _ = learner.train_step(images, labels, step)
        theirs = plain_step(plain, optimizer, images, labels)
        largest = max(largest, float((ours - theirs).abs() / theirs.abs()))
    return largest
