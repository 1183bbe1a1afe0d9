"""The embedded digits: real, split once and for all."""

import hashlib

import numpy as np

from reslab.data.digits import load_digits


def test_the_split_is_fixed_and_stratified():
    data = load_digits()
    assert data.train.pixels.shape == (1437, 1, 8, 8)
    assert data.test.pixels.shape == (360, 1, 8, 8)
    assert data.train.pixels.dtype == np.uint8
    assert data.train.pixels.max() == 255
    counts = np.bincount(data.test.labels)
    assert counts.min() >= 35
    assert counts.max() <= 37
    digest = hashlib.sha256(data.train.labels.tobytes() + data.test.pixels.tobytes()).hexdigest()
    assert digest[:16] == "b536cda027e623bc"


def test_the_mean_image_is_that_of_the_training_images():
    data = load_digits()
    mean = data.train.mean()
    assert mean.shape == (1, 8, 8)
    np.testing.assert_allclose(mean, data.train.pixels.astype(float).mean(0) / 255, atol=1e-6)
