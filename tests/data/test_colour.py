"""Colours change as the papers say, by what is drawn alone."""

import numpy as np
from PIL import Image
from scipy.special import ndtr

from reslab.data.colour import Lighting, Photometric

GREY = Image.new("RGB", (4, 4), (100, 120, 140))


def first(picture):
    return np.asarray(picture)[0, 0].astype(int)


def test_lighting_moves_along_the_principal_components():
    still = np.full(48, 0.5)
    assert first(Lighting()(GREY, still)).tolist() == [100, 120, 140]
    moved = still.copy()
    moved[-3] = ndtr(2.0)  # two deviations along the first component
    expected = 255 * 0.1 * 2 * 0.2175 * np.array([-0.5675, -0.5808, -0.5836])
    np.testing.assert_allclose(first(Lighting()(GREY, moved)) - [100, 120, 140], expected, atol=0.51)


def test_lighting_has_the_deviation_of_the_paper():
    draws = np.random.default_rng(0).random((4000, 48))
    changes = np.array([first(Lighting()(GREY, row)) - [100, 120, 140] for row in draws])
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = 25.5 * np.sqrt((vectors**2) @ np.array([0.2175, 0.0188, 0.0045]) ** 2)
    np.testing.assert_allclose(changes.std(0), expected, rtol=0.06)


def test_photometric_factors_are_one_half_to_three_halves():
    still = np.full(48, 0.5)
    assert first(Photometric()(GREY, still)).tolist() == [100, 120, 140]
    dark = still.copy()
    dark[-4] = 0.0
    assert first(Photometric()(GREY, dark)).tolist() == [50, 60, 70]
    plain = still.copy()
    plain[-2] = 0.0  # half the colour
    half = first(Photometric()(GREY, plain))
    assert np.ptp(half) in (19, 20, 21)


def test_the_order_matters_and_is_drawn():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    draws = np.full(48, 0.5)
    draws[-4:-1] = (0.9, 0.1, 0.8)
    seen = set()
    for order in range(6):
        draws[-1] = (order + 0.5) / 6
        seen.add(np.asarray(Photometric()(picture, draws)).tobytes())
    assert len(seen) > 3
