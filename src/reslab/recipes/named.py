"""The recipes by their names: the papers', and modern ones that reach more in less time."""

from collections.abc import Callable

from reslab.data.colour import Lighting
from reslab.data.crops import InceptionCrop, PadCropFlip, ScaleJitter
from reslab.errors import SpecError, nearest
from reslab.recipes.recipe import SGD, Recipe, RMSProp
from reslab.recipes.schedule import Cosine, Drops, Exponential
from reslab.spec import replace

_IMAGENET = 1_281_167  # training images


def demo() -> Recipe:
    """The embedded digits in seconds: 15 epochs of 1,437 images, nothing augmented, a warm-up of 20 steps.

    reslab train resnet20-cifar --data digits --recipe demo

    No published number.
    """
    return Recipe(steps=168, schedule=Drops(at=(134,), warmup=20), evaluate_every=14, log_every=2)


def paper_a_cifar() -> Recipe:
    """A sec. 4.2: 64,000 steps of 128 images, rate 0.1, a tenth from 32,000 and 48,000 on, pad-crop-flip.

    reslab train resnet20-cifar --data cifar10 --recipe paper-a-cifar

    Published test errors: ResNet-20 8.75 %, -32 7.51 %, -44 7.17 %, -56 6.97 % (A Table 6).
    The schedule was chosen on a 45,000/5,000 split: `--set validation=5000` trains and evaluates so.

    The paper's Caffe keeps the learning rate inside the velocity (v = m v + lr g), torch outside: the two differ for
    a few steps after each change of the rate. BN sees the whole batch of 128, the papers' two GPUs saw 64 each;
    torchrun with two processes sees what they saw.
    """
    return Recipe(steps=64_000, schedule=Drops(at=(32_000, 48_000)), augment=PadCropFlip())


def paper_a_cifar_warmup() -> Recipe:
    """A sec. 4.2 for 110 and 1202 layers: as paper-a-cifar, after 400 steps at 0.01.

    reslab train resnet110-cifar --data cifar10 --recipe paper-a-cifar-warmup

    Published test errors: ResNet-110 6.43 % (6.61 ± 0.16, n = 5), -1202 7.93 % (A Table 6).
    The paper warms up until the training error is below 80 %, "about 400 iterations"; here it is 400.
    """
    return replace(paper_a_cifar(), schedule=Drops(at=(32_000, 48_000), warmup=400))


def paper_c_cifar() -> Recipe:
    """C appendix: as paper A, with 400 steps at 0.01 before for every network.

    reslab train preact164-cifar --data cifar10 --recipe paper-c-cifar

    Published test errors, medians of 5 runs: pre-activation ResNet-110 6.37 %, -164 5.46 %, -1001 4.92 % (C Table 3).
    """
    return paper_a_cifar_warmup()


def paper_a_imagenet() -> Recipe:
    """A sec. 3.4: 600,000 steps of 256 images, shorter side 256 to 480, crops of 224, AlexNet's colours, rate 0.1.

    torchrun --nproc-per-node 8 -m reslab train resnet50 --data imagenet:PATH --recipe paper-a-imagenet --resume

    Published errors, 10 crops: ResNet-34 (B) 24.52 % top-1 and 7.46 % top-5, -50 22.85 % and 6.71 %, -152 21.43 % and
    5.71 % (A Table 3). ResNet-50 is 1.9e18 multiply-adds.
    The paper divides the rate by 10 "when the error plateaus" and does not say where: here from steps 150,000, 300,000
    and 450,000 on, the first two of which are paper C's. It subtracts the mean pixel image; here the colours' mean, and
    division by their deviation.
    """
    return Recipe(
        steps=600_000,
        batch=256,
        schedule=Drops(at=(150_000, 300_000, 450_000)),
        augment=ScaleJitter(colour=Lighting()),
        crops=10,
        evaluate_every=5_000,
        checkpoint_every=2_500,
    )


def paper_c_imagenet() -> Recipe:
    """C sec. 5: as paper A, the rate a tenth from epochs 30 and 60 on, of 90.

    torchrun --nproc-per-node 8 -m reslab train preact200 --data imagenet:PATH --recipe paper-c-imagenet --resume

    Published errors, one crop of 320: pre-activation ResNet-152 21.1 % and 5.5 %, -200 20.7 % and 5.3 %; with
    `--set augment=inception-crop` ResNet-200 20.1 % and 4.8 % (C Table 5). ResNet-200 is 5.2e18 multiply-adds.
    The paper does not say when it ends; 90 epochs are fb.resnet.torch's, on which it is based.
    """
    epoch = _steps(1, 256)
    return replace(paper_a_imagenet(), steps=90 * epoch, schedule=Drops(at=(30 * epoch, 60 * epoch)), crops=1)


def paper_b_imagenet() -> Recipe:
    """B sec. 4: RMSProp with decay 0.9 and epsilon 1.0, rate 0.045 times 0.94 every two epochs, averaged weights.

    torchrun --nproc-per-node 8 -m reslab train inception-resnet-v2 --data imagenet:PATH --recipe paper-b-imagenet

    Published errors, one crop: Inception-v4 20.0 % and 5.0 %, Inception-ResNet-v1 21.3 % and 5.5 %, -v2 19.9 % and
    4.9 % (B Table 2; on 48,238 of the 50,000 images). Inception-ResNet-v2 is 5e18 multiply-adds.
    The paper trains 20 replicas that do not wait for each other, which nothing here can repeat: a step is the batch of
    32 that one replica saw. What the paper leaves out is Inception-v3's (100 epochs, batch 32, gradients clipped at
    2.0, label smoothing 0.1) or the public code's (momentum 0.9, weight decay 4e-5, averages with decay 0.9999).
    """
    return Recipe(
        steps=_steps(100, 32),
        batch=32,
        schedule=Exponential(every=_steps(2, 32)),
        optimizer=RMSProp(),
        weight_decay=4e-5,
        augment=InceptionCrop(),
        smoothing=0.1,
        clip=2.0,
        average=0.9999,
        evaluate_every=40_000,
        log_every=500,
        checkpoint_every=10_000,
    )


def modern_cifar() -> Recipe:
    """A quarter of the paper's steps: rate 0.2 up and down a cosine, Nesterov, weight decay 5e-4.

    reslab train resnet20-cifar --data cifar10 --recipe modern-cifar

    It must reach paper A's error for the same network, 8.75 % for ResNet-20, with 16,000 steps in place of 64,000.
    Smith and Topin 2018 (arXiv 1708.07120) report the same for ResNet-56: 92.4 % accuracy in 10,000 steps with a rate
    that rises and falls, 91.2 % in 80,000 with drops.
    """
    return Recipe(
        steps=16_000,
        schedule=Cosine(rate=0.2, warmup=1_600),
        optimizer=SGD(nesterov=True),
        weight_decay=5e-4,
        augment=PadCropFlip(),
    )


def modern_fashion() -> Recipe:
    """Fashion-MNIST in 20 epochs: as modern-cifar, crops of 2 pixels' padding.

    reslab train resnet20-cifar --data fashion-mnist --recipe modern-fashion

    It must reach 6.5 % with ResNet-20; the data set's own README lists 5.1 % for a ResNet-18 of 11 million parameters
    and 6.6 % for two convolutions with pooling and BN.
    """
    steps = 20 * 60_000 // 128
    return replace(modern_cifar(), steps=steps, schedule=Cosine(rate=0.1, warmup=900), augment=PadCropFlip(pad=2))


def modern_imagenet() -> Recipe:
    """90 epochs of 1,024 images: rate 0.4 along a cosine after 5 epochs of warm-up, label smoothing, Inception crops.

    torchrun --nproc-per-node 8 -m reslab train resnet50-v1.5 --data imagenet:PATH --recipe modern-imagenet --resume

    It must reach 23.6 % (± 0.12, one crop) with ResNet-50, as Goyal et al. 2017 (arXiv 1706.02677) do in 90 epochs with
    the same warm-up and drops; cosine and smoothing are He et al. 2018 (arXiv 1812.01187), who gain by each.
    """
    epoch = _steps(1, 1024)
    return Recipe(
        steps=90 * epoch,
        batch=1024,
        schedule=Cosine(rate=0.4, warmup=5 * epoch),
        optimizer=SGD(nesterov=True),
        augment=InceptionCrop(colour=Lighting()),
        smoothing=0.1,
        evaluate_every=epoch,
        checkpoint_every=epoch // 2,
    )


def finetune() -> Recipe:
    """Weights that others trained, on one's own pictures: rate 0.01 along a cosine, ten times that in the new head.

    reslab train resnet50 --data folder:PATH --weights FILE --recipe finetune

    No published number: what it must reach depends on the pictures, and the report says what it did. 500 steps of 32
    pictures; a tenth of the first rate is Girshick et al. 2014 (R-CNN) sec. 2.3, ten times that in the head is Caffe's
    example of fine-tuning. A tenth of the training pictures is held out, and the weights with the least error on them
    are kept beside the last ones.
    For a few hundred pictures, or a slow machine, `--set freeze=body` trains the head alone and `--set bn=frozen`
    leaves BN as it is.
    """
    return Recipe(
        steps=500,
        batch=32,
        schedule=Cosine(rate=0.01, warmup=50),
        augment=InceptionCrop(area=(0.25, 1.0), colour=None),
        smoothing=0.1,
        head_rate=10.0,
        validation=0.1,
        best=True,
        evaluate_every=50,
        log_every=25,
        checkpoint_every=100,
    )


def _steps(epochs: int, batch: int) -> int:
    """Steps of some epochs of ImageNet, rounded up to whole batches."""
    return -(-epochs * _IMAGENET // batch)


RECIPES: dict[str, Callable[[], Recipe]] = {
    "demo": demo,
    "paper-a-cifar": paper_a_cifar,
    "paper-a-cifar-warmup": paper_a_cifar_warmup,
    "paper-a-imagenet": paper_a_imagenet,
    "paper-b-imagenet": paper_b_imagenet,
    "paper-c-cifar": paper_c_cifar,
    "paper-c-imagenet": paper_c_imagenet,
    "finetune": finetune,
    "modern-cifar": modern_cifar,
    "modern-fashion": modern_fashion,
    "modern-imagenet": modern_imagenet,
}


def recipe(name: str) -> Recipe:
    """The recipe of a name. Raises SpecError naming the nearest ones."""
    if name not in RECIPES:
        raise SpecError(f"no recipe {name!r}: {nearest(name, RECIPES)}")
    return RECIPES[name]()


_FOR_DATA = {"digits": "demo", "cifar10": "modern-cifar", "cifar100": "modern-cifar", "fashion-mnist": "modern-fashion"}


def recipe_for(data: str, pretrained: bool = False) -> str:
    """The name of the one recipe that is meant for a data set. Raises SpecError where there are several."""
    if pretrained and data.startswith("folder:"):
        return "finetune"
    if pretrained or data not in _FOR_DATA:
        raise SpecError(f"no recipe is given, and several fit {data}: choose from {', '.join(RECIPES)}")
    return _FOR_DATA[data]
