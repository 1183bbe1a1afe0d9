"""Learning-rate schedules: pure functions of the step, counted from 0, and of the number of steps."""

import math
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from reslab.columns import counted
from reslab.errors import SpecError
from reslab.spec import kind, spec

Share = Annotated[float, Field(gt=0, lt=1)]


@spec
class Drops:
    """The learning rate `rate`, multiplied by `factor` at the steps `at`; `warmup_rate` in the first `warmup` steps.

    A sec. 4.2: 0.1, divided by 10 at steps 32,000 and 48,000. C appendix: after 400 steps at 0.01.
    """

    rate: PositiveFloat = 0.1
    at: tuple[PositiveInt, ...] = ()
    factor: Share = 0.1
    warmup: NonNegativeInt = 0
    warmup_rate: PositiveFloat = 0.01
    kind: Literal["drops"] = kind("drops")

    def __post_init__(self) -> None:
        if list(self.at) != sorted(set(self.at)):
            raise SpecError(f"schedule.at {list(self.at)}: the steps must be in ascending order")

    def __call__(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return self.warmup_rate
        return self.rate * self.factor ** sum(step >= drop for drop in self.at)

    def message(self) -> str:
        warmup = f"{self.warmup_rate:g} for {counted(self.warmup, 'step')}, " if self.warmup else ""
        drops = f", times {self.factor:g} at {' and '.join(f'{step:,}' for step in self.at)}" if self.at else ""
        return f"learning rate {warmup}{self.rate:g}{drops}"


@spec
class Exponential:
    """The learning rate `rate`, multiplied by `factor` every `every` steps. B: 0.045, by 0.94 every two epochs."""

    every: PositiveInt
    rate: PositiveFloat = 0.045
    factor: Share = 0.94
    kind: Literal["exponential"] = kind("exponential")

    def __call__(self, step: int, steps: int) -> float:
        return self.rate * self.factor ** (step // self.every)

    def message(self) -> str:
        return f"learning rate {self.rate:g}, times {self.factor:g} every {counted(self.every, 'step')}"


@spec
class Cosine:
    """Linear from 0 to `rate` in `warmup` steps, then half a cosine down to 0 after the last step.

    Loshchilov and Hutter 2017, without restarts; the warm-up is Goyal et al. 2017, sec. 2.2.
    """

    rate: PositiveFloat
    warmup: NonNegativeInt = 0
    kind: Literal["cosine"] = kind("cosine")

    def __call__(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / (steps - self.warmup)))

    def message(self) -> str:
        warmup = f"from 0 in {counted(self.warmup, 'step')} to " if self.warmup else ""
        return f"learning rate {warmup}{self.rate:g}, along a cosine to 0"


Schedule = Annotated[Drops | Exponential | Cosine, Field(discriminator="kind")]
