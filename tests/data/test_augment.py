"""Pad, crop, flip: as the paper does it, for whole batches, from pure functions of seed and step."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from reslab.data.batches import Normalizer
from reslab.data.crops import PadCropFlip
from reslab.data.in_memory import Augmented, Offsets, pad_crop_flip, random_offsets
from reslab.data.normalise import IMAGENET, MeanImage


def drawn(*words):
    return Offsets(*torch.from_numpy(random_offsets(*words)))


@given(
    seed=st.integers(0, 2**31),
    step=st.integers(0, 64_000),
    pad=st.integers(1, 5),
    size=st.integers(1, 9),
    flip=st.booleans(),
)
def test_every_image_is_its_own_padded_crop(seed, step, pad, size, flip):
    batch = torch.randn(6, 2, size, size)
    offsets = drawn(seed, step, 6, pad)
    out = pad_crop_flip(batch, offsets, pad, flip)
    for image, top, left, mirror, got in zip(batch, offsets.top, offsets.left, offsets.mirror, out, strict=True):
        crop = F.pad(image, (pad,) * 4)[:, top : top + size, left : left + size]
        assert torch.equal(got, crop.flip(2) if flip and mirror else crop)


def test_the_middle_crop_without_mirror_is_the_image():
    batch = torch.randn(3, 3, 8, 8)
    middle = Offsets(torch.full((3,), 4), torch.full((3,), 4), torch.zeros(3, dtype=torch.int64))
    assert torch.equal(pad_crop_flip(batch, middle, 4, True), batch)


def test_offsets_are_the_same_for_the_same_step_and_spread_over_all_corners():
    once, again, other = (
        random_offsets(1, 7, 20_000, 4),
        random_offsets(1, 7, 20_000, 4),
        random_offsets(1, 8, 20_000, 4),
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once[0], other[0])
    shares = np.bincount(once[0] * 9 + once[1], minlength=81) / 20_000
    assert shares.shape == (81,)
    assert abs(shares - 1 / 81).max() < 0.004
    assert abs(once[2].mean() - 0.5) < 0.02


@given(pad=st.integers(1, 5), flip=st.booleans(), seed=st.integers(0, 99))
def test_bytes_are_augmented_as_normalised_images_are(pad, flip, seed):
    random = np.random.default_rng(seed)
    pixels = torch.from_numpy(random.integers(0, 256, (5, 3, 8, 8), dtype=np.uint8))
    offsets = drawn(seed, 0, 5, pad)
    for normalise in (IMAGENET, MeanImage(random.random((3, 8, 8), dtype=np.float32))):
        normalised = Normalizer(normalise, (3, 8, 8), torch.device("cpu"))
        got = Augmented(normalised, PadCropFlip(pad=pad, flip=flip))(pixels, offsets)
        torch.testing.assert_close(got, pad_crop_flip(normalised(pixels), offsets, pad, flip), rtol=0, atol=2e-6)
