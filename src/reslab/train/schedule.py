"""Learning rates as pure functions of the step."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from reslab.errors import SpecError
from reslab.spec import kind, spec


@spec
class Drops:
    """`rate`, multiplied by `factor` at each of the steps `at`; `warmup_rate` in the first `warmup` steps.

    A sec. 4.2: 0.1, a tenth of it from steps 32,000 and 48,000 on. C appendix: 400 steps at 0.01 before.
    """

    rate: PositiveFloat = 0.1
    at: tuple[PositiveInt, ...] = ()
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup: NonNegativeInt = 0
    warmup_rate: PositiveFloat = 0.01
    kind: Literal["drops"] = kind("drops")

    def __post_init__(self) -> None:
        if list(self.at) != sorted(set(self.at)):
            raise SpecError(f"schedule.at {list(self.at)}: the steps of the drops must rise")

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        if step < self.warmup:
            return self.warmup_rate
        return self.rate * self.factor ** sum(step >= drop for drop in self.at)
