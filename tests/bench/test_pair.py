"""Sides take turns, and rates are of the time that was worked."""

import time

import pytest

from reslab.bench.pair import Pair, Rates, alternate, rate


def test_sides_take_turns_and_the_first_turn_does_not_count():
    turns = []

    def side(name, rates):
        def burst():
            turns.append(name)
            return next(rates)

        return name, burst

    ours, theirs = alternate(side("a", iter([1.0, 30.0, 20.0, 40.0])), side("b", iter([1.0, 10.0, 10.0, 10.0])), 3)
    assert turns == list("abababab")
    assert ours == Rates("a", (30.0, 20.0, 40.0))
    pair = Pair("work", ours, theirs, 0.0)
    assert pair.ratios.rounds == (3.0, 2.0, 4.0)
    assert pair.ratios.median == 3.0
    assert str(ours) == "30 images/s (20 to 40)"


def test_a_rate_is_images_by_time():
    def work():
        time.sleep(0.01)
        return 5

    assert 100 < rate(work, 0.1) <= 500
    assert rate(work, 0.0) == pytest.approx(500, rel=0.7)  # at least once
