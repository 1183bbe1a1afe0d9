"""A recipe: how a network learns, as a value. Steps are iterations, one batch each."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from reslab.data.crops import Augment, Crops
from reslab.errors import SpecError
from reslab.recipes.schedule import Drops, Schedule
from reslab.spec import added, kind, spec

BNStatistics = Literal["running", "anew"]
Decay = Annotated[float, Field(ge=0, lt=1)]


def _amount(value: int | float) -> int | float:
    if value < 0 or (isinstance(value, float) and value >= 1):
        raise SpecError(f"validation {value}: a number of images, or a share below 1")
    return value


@spec
class SGD:
    """v = momentum v + g; w = w - rate v, or with `nesterov` w - rate (g + momentum v)."""

    momentum: Decay = 0.9
    nesterov: bool = False
    kind: Literal["sgd"] = kind("sgd")

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise SpecError("optimizer.nesterov: needs a momentum, for example 0.9")


@spec
class RMSProp:
    """m = decay m + (1 - decay) g²; v = momentum v + rate g / sqrt(m + epsilon); w = w - v.

    As TensorFlow has it, which paper B used: epsilon inside the root, m beginning at 1, the rate inside v. With B's
    epsilon of 1 this is another rule than torch's. B: decay 0.9, epsilon 1.0; the momentum of 0.9 is that of the public
    Inception code.
    """

    decay: Decay = 0.9
    momentum: Decay = 0.9
    epsilon: PositiveFloat = 1.0
    kind: Literal["rmsprop"] = kind("rmsprop")


@spec
class AdamW:
    """Adam (Kingma and Ba 2015) whose weight decay is apart from the gradient: w shrinks by rate × weight_decay.

    Loshchilov and Hutter 2019 (arXiv 1711.05101), as in torch. Its usual rates are about 0.001, and its usual weight
    decay, which the rate multiplies, is 0.01 to 0.3: `--set schedule.rate=0.001 --set weight_decay=0.05`.
    """

    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: PositiveFloat = 1e-8
    kind: Literal["adamw"] = kind("adamw")


@spec
class Recipe:
    """What is drawn, learnt, measured and kept, and when.

    steps: batches trained on; batch: images of one, over all ranks
    schedule: the learning rate of each step; optimizer: the rule by which a gradient changes the weights
    augment: what is done to the training images at random; None leaves them as they are
    weight_decay: added to the gradient, or by AdamW taken from the weights themselves
    decay: what decays: the "weights" of convolutions and linear layers alone, or "all" parameters, BN's scale and shift
    and biases too, as torch's optimizers do by themselves
    smoothing: the share of the label that goes to all classes evenly. Inception-v3 sec. 7
    mixup: alpha of mixup, Zhang et al. 2018 (arXiv 1710.09412): each image and its label are a mean of two, the weights
    of which are drawn from Beta(alpha, alpha) in each step; 0 for none. The authors use 1 for CIFAR, 0.2 for ImageNet
    zero_head: a classifier that is not from a file begins at zero, with equal chances for all classes, in place of
    random weights. Goyal et al. 2017 (arXiv 1706.02677) sec. 5.1 draw it small for the same reason
    clip: the greatest norm of the gradient, all parameters together
    average: the decay of a running average of the weights, which is what is evaluated and kept; None for no average
    bn: whose images BN's statistics are over while training: of each "rank"'s share of the batch, as in the papers, or
    of "all" of it; or "frozen": they are the running ones, which stay as they are, and so do scale and shift
    bn_statistics: what BN evaluates with: the "running" averages of training; or averages over the training images,
    computed "anew" with the last weights, as for the weights that A's authors released
    freeze: "body" leaves everything but the head and the auxiliary classifiers as it is, in evaluation mode
    head_rate: the factor of the learning rate in the head and the auxiliary classifiers
    crops: views of each test picture at the end, whose probabilities are averaged; 10 is A sec. 3.4
    validation: training images held out, by number or as a share of them all; they are evaluated while training, and
    the test images at the end alone. Where the data set comes with validation images, these are taken
    best: the weights with the least validation error, of equal ones with the least loss, are kept beside the last ones
    evaluate_every, log_every, checkpoint_every: steps between two evaluations, between two lines of training loss and
    error, and between two checkpoints. Without `best` no evaluation chooses anything: the last weights are the result.
    checkpoints_kept: the newest so many stay, for analyses along the training
    """

    steps: PositiveInt
    batch: PositiveInt = 128
    schedule: Schedule = Drops()
    optimizer: Annotated[SGD | RMSProp | AdamW, Field(discriminator="kind")] = SGD()
    weight_decay: NonNegativeFloat = 1e-4
    augment: Augment | None = None
    smoothing: Decay = 0.0
    clip: PositiveFloat | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    bn: Literal["rank", "all", "frozen"] = "rank"
    bn_statistics: BNStatistics = "running"
    freeze: Literal["body"] | None = None
    head_rate: PositiveFloat = 1.0
    crops: Crops = 1
    validation: Annotated[int | float, AfterValidator(_amount)] = 0
    best: bool = False
    evaluate_every: PositiveInt = 1000
    log_every: PositiveInt = 100
    checkpoint_every: PositiveInt = 1000
    checkpoints_kept: Annotated[int, Field(ge=2)] = 2
    decay: Literal["weights", "all"] = added("weights")
    mixup: NonNegativeFloat = added(0.0)
    zero_head: bool = added(False)

    def __post_init__(self) -> None:
        if self.bn_statistics == "anew" and self.bn != "rank":
            raise SpecError(f"bn_statistics anew: goes with bn rank, not {self.bn}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.schedule(step, self.steps)
