"""Recipes: how a network learns, as values. Steps are iterations, one batch each."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt

from reslab.errors import SpecError, nearest
from reslab.spec import spec
from reslab.train.schedule import Drops


@spec
class PadCropFlip:
    """Zeros of `pad` pixels on each side, a random crop of the old size and, with `flip`, a mirror image half the
    time. A sec. 4.2."""

    pad: PositiveInt = 4
    flip: bool = True


@spec
class Recipe:
    """Stochastic gradient descent with momentum; weight decay on the weights of convolutions and linear layers alone.

    steps: batches trained on
    evaluate_every, log_every, checkpoint_every: steps between two evaluations on the test images, between two lines of
    training loss and error, and between two checkpoints. The test images choose nothing: the last weights are the
    result.
    """

    steps: PositiveInt
    batch: PositiveInt = 128
    schedule: Drops = Drops()
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegativeFloat = 1e-4
    augment: PadCropFlip | None = None
    evaluate_every: PositiveInt = 1000
    log_every: PositiveInt = 100
    checkpoint_every: PositiveInt = 1000


def demo() -> Recipe:
    """The embedded digits in seconds: 15 epochs of 1,437 images, nothing augmented, a warm-up of 20 steps.

    reslab train resnet20-cifar --data digits --recipe demo

    No published number. A network of 20 layers takes about 6 s on one core, one of 56 about 16 s.
    """
    return Recipe(steps=168, schedule=Drops(at=(134,), warmup=20), evaluate_every=14, log_every=2)


def paper_a_cifar() -> Recipe:
    """A sec. 4.2: 64,000 steps of 128 images, rate 0.1, a tenth from 32,000 and 48,000 on, pad-crop-flip.

    reslab train resnet20-cifar --data cifar10 --recipe paper-a-cifar

    Published test errors: ResNet-20 8.75 %, -32 7.51 %, -44 7.17 %, -56 6.97 %, -110 6.43 % (A Table 6).
    A warms up ResNet-110 and -1202 at 0.01 for about 400 steps: add `--set schedule.warmup=400`.
    ResNet-20 takes 5 to 6 hours on two cores (433 images/s).

    The paper's Caffe keeps the learning rate inside the velocity (v = m v + lr g), torch outside: the two differ for
    a few steps behind each change of the rate. BN sees the whole batch of 128, the papers' two GPUs saw 64 each.
    """
    return Recipe(steps=64_000, schedule=Drops(at=(32_000, 48_000)), augment=PadCropFlip())


def paper_c_cifar() -> Recipe:
    """C appendix: as paper A, with 400 steps at 0.01 before for every network.

    reslab train preact164-cifar --data cifar10 --recipe paper-c-cifar

    Published test errors, medians of 5 runs: pre-activation ResNet-110 6.37 %, -164 5.46 %, -1001 4.92 % (C Table 3).
    """
    return Recipe(steps=64_000, schedule=Drops(at=(32_000, 48_000), warmup=400), augment=PadCropFlip())


RECIPES: dict[str, Callable[[], Recipe]] = {
    "demo": demo,
    "paper-a-cifar": paper_a_cifar,
    "paper-c-cifar": paper_c_cifar,
}


def recipe(name: str) -> Recipe:
    """The recipe of a name. Raises SpecError naming the nearest ones."""
    if name not in RECIPES:
        raise SpecError(f"no recipe {name!r}: {nearest(name, RECIPES)}")
    return RECIPES[name]()
