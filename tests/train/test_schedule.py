"""The learning rate at every step is the paper's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.errors import SpecError
from reslab.train.recipes import recipe
from reslab.train.schedule import Drops


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("paper-a-cifar", {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001}),
        ("paper-c-cifar", {0: 0.01, 399: 0.01, 400: 0.1, 31_999: 0.1, 32_000: 0.01, 48_000: 0.001}),
    ],
)
def test_the_rate_is_the_papers_at_each_boundary(name, rates):
    how = recipe(name)
    assert how.steps == 64_000
    for step, rate in rates.items():
        assert how.rate(step) == pytest.approx(rate)


@given(st.integers(0, 10_000), st.lists(st.integers(1, 10_000), unique=True).map(sorted), st.integers(0, 500))
def test_the_rate_never_rises_after_the_warmup(step, drops, warmup):
    schedule = Drops(at=tuple(drops), warmup=warmup)
    if step >= warmup:
        assert schedule(step + 1, 20_000) <= schedule(step, 20_000) <= schedule.rate


def test_drops_must_rise():
    with pytest.raises(SpecError, match="must rise"):
        Drops(at=(200, 100))
