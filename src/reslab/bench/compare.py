"""Speed of training and inference of one network, compared with a rival and with the machine's peak."""

import copy
import time
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reslab.bench.pair import Burst, Pair, alternate, rate
from reslab.bench.rivals import Rival, peer_process, plain_step
from reslab.data.crops import PadCropFlip
from reslab.data.images import DataSet, Images
from reslab.data.in_memory import InMemoryLoader
from reslab.machine import find_precision, tune_malloc
from reslab.nets import name_of
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.spec import spec, to_json
from reslab.train.learner import Learner
from reslab.train.optim import make_optimizer
from reslab.use.engine import make_engine

_IN_MEMORY = 64  # the largest images, in pixels, of in-memory data sets; larger ones come from image folders
_CPU = torch.device("cpu")


@spec
class BenchSettings:
    """Settings of a comparison: our engine and precision, and the seconds and number of each side's rounds."""

    batch: int
    precision: str = "auto"
    compiles: bool = False
    engine: str = "torch"
    rounds: int = 5
    seconds: float = 2.0


def training(network: NetworkSpec, rival: Rival, how: BenchSettings) -> Pair:
    """Images per second of training: the step of `reslab train`, and the rival's step in eager float32.

    The rival runs in its own process. Our images, up to 64 pixels, are random bytes in memory, augmented;
    akamaster-style loads them one by one with a DataLoader; for the other rivals, and for all if images are larger,
    batches are tensors made beforehand. The difference is that of the losses of three steps with the same weights and
    images, or, for a library's network, of the outputs with its weights in float32.
    """
    tune_malloc()
    precision, _ = find_precision(how.precision, "cpu")
    images = _random_images(network, 8 * how.batch)
    recipe = Recipe(steps=10**6, batch=how.batch, augment=PadCropFlip())
    torch.manual_seed(0)
    start = network.build()
    library = rival in ("torchvision", "timm")
    per_image = rival == "akamaster-style" and network.size <= _IN_MEMORY
    order: dict[str, Any] = {"what": "training", "batch": how.batch, "size": network.size}
    order |= {"channels": network.channels, "images": "per-image" if per_image else "ready"}
    if not library:
        order["spec"] = to_json(network)
    with peer_process(rival if library else "reslab", name_of(network), **order) as peer:
        learner = Learner(copy.deepcopy(start), recipe, 0, precision == "bf16", how.compiles)
        if library:
            _, difference = peer.network(name_of(network))
        else:
            batches = _our_batches(network, images, recipe)
            difference = _difference(learner, start, make_optimizer(start, recipe), batches)
        ours = _training_burst(learner, _our_batches(network, images, recipe), how)
        theirs = partial(peer.rate, how.seconds)
        title = rival if library else f"{rival}, eager float32"
        rates = alternate(("reslab", ours), (title, theirs), how.rounds)
    work = f"{name_of(network)} training, batch {how.batch}, {precision}{', compiled' if how.compiles else ''}"
    flops = 6 * network.cost().multiply_adds * rates[0].median
    return Pair(work, *rates, difference, flops / roof(precision))


def inference(network: NetworkSpec, rival: Rival, how: BenchSettings, runtime: str = "torch") -> Pair:
    """Images per second of inference with one of our engines, and of the rival's network in eager float32.

    With `runtime` "openvino" a library's network runs in OpenVINO too, in our precision. Batches are tensors made
    beforehand. The difference is that of the outputs with the same weights, ours from the engine.
    """
    tune_malloc()
    precision, _ = find_precision(how.precision, "cpu")
    images = torch.randn(how.batch, *network.input)
    if rival in ("torchvision", "timm"):
        order = {"what": "inference", "engine": runtime, "precision": "bf16" if precision == "bf16" else "f32"}
        with peer_process(rival, name_of(network), batch=how.batch, size=network.size, **order) as peer:
            own, _ = peer.network(name_of(network))
            engine = make_engine(own, how.engine, precision, how.compiles, images)
            theirs: Burst = partial(peer.rate, how.seconds)
            title = f"{rival}, {'eager float32' if runtime == 'torch' else f'{runtime} {precision}'}"
            rates = alternate(("reslab", _inference_burst(engine, images, how)), (title, theirs), how.rounds)
    else:
        torch.manual_seed(0)
        own = network.build().eval()
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
    return Pair(work, *rates, difference, 2 * network.cost().multiply_adds * rates[0].median / roof(precision))


def roof(precision: str) -> float:
    """Peak operations per second of this machine: of torch's convolution 3×3, 256 channels, 14×14 maps.

    A multiply-add is two operations.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    maps = torch.randn(32, 256, 14, 14, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(12):
            start = time.perf_counter()
            F.conv2d(maps, weight, padding=1)
            best = min(best, time.perf_counter() - start)
    return 2 * maps.numel() * 256 * 9 / best


def _random_images(network: NetworkSpec, count: int) -> Images:
    """Random bytes and labels: speed does not depend on the images' content."""
    random = np.random.default_rng(0)
    size = min(network.size, _IN_MEMORY)
    pixels = random.integers(0, 256, (count, network.channels, size, size), dtype=np.uint8)
    return Images(pixels, random.integers(0, network.classes, count))


def _our_batches(network: NetworkSpec, images: Images, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    if network.size > _IN_MEMORY:
        return repeat((torch.randn(recipe.batch, *network.input), torch.arange(recipe.batch) % network.classes))
    data = DataSet("made-up", images, images, tuple(map(str, range(network.classes))))
    return InMemoryLoader(data, _CPU).batches(0, range(recipe.steps), recipe.batch, recipe.augment)


def _training_burst(learner: Learner, batches: Iterator[tuple[Tensor, Tensor]], how: BenchSettings) -> Burst:
    def step() -> int:
        images, labels = next(batches)
        learner.train_step(images, labels, 0)
        return len(labels)

    return lambda: rate(step, how.seconds)


def _inference_burst(network: nn.Module | Network, images: Tensor, how: BenchSettings) -> Burst:
    @torch.inference_mode()
    def predict() -> int:
        return len(network(images))

    return lambda: rate(predict, how.seconds)


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
