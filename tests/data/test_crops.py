"""Crops are inside the picture, as large as the papers say, and all of them come up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.data.crops import UNIFORMS, InceptionCrop, ScaleJitter, views
from reslab.errors import SpecError

sides = st.integers(1, 5000)
draws = st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).random(UNIFORMS))


def assert_inside(view, width, height):
    left, top, right, bottom = view.box
    assert 0 <= left < right <= width * (1 + 1e-9)
    assert 0 <= top < bottom <= height * (1 + 1e-9)


@given(width=sides, height=sides, drawn=draws)
def test_scale_jitter_crops_224_of_a_shorter_side_of_256_to_480(width, height, drawn):
    view = ScaleJitter().view(width, height, drawn)
    assert_inside(view, width, height)
    left, top, right, bottom = view.box
    assert right - left == pytest.approx(bottom - top)
    shorter = 224 * min(width, height) / (right - left)
    assert round(shorter) == pytest.approx(shorter)
    assert 256 <= round(shorter) <= 480


def test_every_length_of_the_jitter_is_as_likely():
    drawn = np.random.default_rng(0).random((50_000, UNIFORMS))
    lengths = [round(224 * 500 / (box[2] - box[0])) for box, _ in (ScaleJitter().view(500, 700, row) for row in drawn)]
    counts = np.bincount(lengths)[256:]
    assert len(counts) == 225
    assert counts.min() > 120
    assert counts.max() < 340


@given(width=sides, height=sides, drawn=draws)
def test_inception_crops_have_area_and_aspect_in_bounds_or_are_the_middle_square(width, height, drawn):
    view = InceptionCrop().view(width, height, drawn)
    assert_inside(view, width, height)
    left, top, right, bottom = view.box
    area, aspect = (right - left) * (bottom - top) / (width * height), (right - left) / (bottom - top)
    middle = aspect == pytest.approx(1) and min(right - left, bottom - top) == pytest.approx(min(width, height))
    assert middle or (0.08 - 1e-9 <= area <= 1 + 1e-9 and 3 / 4 - 1e-9 <= aspect <= 4 / 3 + 1e-9)


@given(width=sides, height=sides, crops=st.sampled_from([1, 10, 144]))
def test_test_views_are_inside_and_as_many_as_said(width, height, crops):
    taken = views(crops, width, height)
    assert len(taken) == crops
    for view in taken:
        assert_inside(view, width, height)
        assert view.box[2] - view.box[0] == pytest.approx(view.box[3] - view.box[1])
    assert sum(view.mirror for view in taken) == crops // 2


def test_the_views_are_the_papers():
    assert views(1, 256, 256)[0].box == (16, 16, 240, 240)
    assert views(1, 512, 1024)[0].box == (32, 288, 480, 736)
    ten = {view.box for view in views(10, 256, 300)}
    assert ten == {(0, 0, 224, 224), (32, 0, 256, 224), (0, 76, 224, 300), (32, 76, 256, 300), (16, 38, 240, 262)}
    many = views(144, 352, 500)
    assert (
        len({(view.box, view.mirror) for view in many}) == 144 - 2 * 3 * 3
    )  # the whole squares are there at each scale
    sizes = sorted({round(view.box[2] - view.box[0]) for view in many})
    assert sizes == [224, 246, 274, 308, 352]  # 224 of 352, 320, 288, 256, and the whole


@pytest.mark.parametrize("shorter", [(200, 300), (480, 256)])
def test_a_jitter_that_cannot_be_cropped_is_refused(shorter):
    with pytest.raises(SpecError, match=r"for example \[256, 480\]"):
        ScaleJitter(shorter=shorter)
    with pytest.raises(SpecError, match="the first is the least"):
        InceptionCrop(area=(0.9, 0.1))
