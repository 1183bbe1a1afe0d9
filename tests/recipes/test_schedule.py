"""Learning rates as functions of the step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.errors import SpecError
from reslab.recipes.schedule import Drops


@given(st.integers(0, 10_000), st.lists(st.integers(1, 10_000), unique=True).map(sorted), st.integers(0, 500))
def test_the_rate_never_rises_after_the_warmup(step, drops, warmup):
    schedule = Drops(at=tuple(drops), warmup=warmup)
    if step >= warmup:
        assert schedule(step + 1, 20_000) <= schedule(step, 20_000) <= schedule.rate


def test_drops_must_rise():
    with pytest.raises(SpecError, match="must be in ascending order"):
        Drops(at=(200, 100))
