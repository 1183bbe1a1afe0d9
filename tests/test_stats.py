"""Samples and what the comparison of two of them says."""

import pytest

from reslab.stats import Sample, compare


def test_a_spread_next_to_nothing_is_still_a_spread():
    judgement, interval = compare(Sample((0.0, 5e-163)), Sample((3.0, 3.0)))
    assert judgement == "holds"
    assert interval == pytest.approx((-3, -3))
