"""Batches: pure functions of seed and step that use every image once an epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reslab.data.batches import order, positions
from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.data.loader import load
from reslab.data.normalise import MeanImage
from reslab.errors import SpecError


@given(seed=st.integers(0, 1000), size=st.integers(1, 50), images=st.integers(1, 40))
def test_the_batches_of_an_epoch_hold_every_image_once(seed, size, images):
    steps = -(-3 * images // size)
    stream = np.concatenate([positions(seed, step, size, images) for step in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * images : (epoch + 1) * images]) == list(range(images))


def test_a_step_has_its_batch_whatever_was_asked_before():
    alone = positions(3, 40, 128, 1437)
    for step in range(60):
        positions(3, step, 128, 1437)
    assert np.array_equal(positions(3, 40, 128, 1437), alone)
    assert not np.array_equal(positions(4, 40, 128, 1437), alone)
    assert not np.array_equal(order(3, 0, 1437), order(3, 1, 1437))


def test_a_batch_is_the_images_less_their_mean():
    data = load_digits()
    loader = InMemoryLoader(data, torch.device("cpu"))
    (images, labels), *_ = loader.batches(0, range(5, 7), 32, None)
    where = positions(0, 5, 32, 1437)
    expected = data.train.pixels[where].astype(np.float32) / 255 - data.train.mean()
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert labels.tolist() == data.train.labels[where].tolist()


def test_a_mean_image_that_weights_bring_is_used_and_one_of_another_size_refused():
    data, device = load_digits(), torch.device("cpu")
    grey = InMemoryLoader(data, device, MeanImage(np.full((1, 8, 8), 0.5, np.float32)))
    (images, _), *_ = grey.views("test")
    np.testing.assert_allclose(images[:9].numpy(), data.test.pixels[:9].astype(np.float32) / 255 - 0.5, atol=1e-6)
    with pytest.raises(SpecError, match="digits: images of 1×8×8, but the network was trained on images of 1×28×28"):
        InMemoryLoader(data, device, MeanImage(np.zeros((1, 28, 28), np.float32)))


def test_the_nearest_names_of_an_unknown_set_are_listed():
    with pytest.raises(SpecError, match="did you mean digits"):
        load("digit")
