"""The papers' recipes: the rate at every boundary, and every number that the papers give."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.data.colour import Lighting, Photometric
from reslab.data.crops import InceptionCrop, PadCropFlip, ScaleJitter
from reslab.errors import SpecError
from reslab.recipes.named import RECIPES, recipe
from reslab.recipes.recipe import SGD, Recipe, RMSProp
from reslab.recipes.schedule import Cosine, Drops, Exponential
from reslab.spec import from_json, override, to_json

EPOCH_256, EPOCH_32 = 5005, 40_037  # steps, of 1,281,167 images


@pytest.mark.parametrize(
    ("name", "steps", "rates"),
    [
        ("paper-a-cifar", 64_000, {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001}),
        ("paper-a-cifar-warmup", 64_000, {0: 0.01, 399: 0.01, 400: 0.1, 31_999: 0.1, 32_000: 0.01, 48_000: 0.001}),
        ("paper-c-cifar", 64_000, {0: 0.01, 399: 0.01, 400: 0.1, 31_999: 0.1, 32_000: 0.01, 48_000: 0.001}),
        ("paper-a-imagenet", 600_000, {0: 0.1, 149_999: 0.1, 150_000: 0.01, 300_000: 0.001, 599_999: 0.0001}),
        (
            "paper-c-imagenet",
            90 * EPOCH_256,
            {0: 0.1, 30 * EPOCH_256 - 1: 0.1, 30 * EPOCH_256: 0.01, 60 * EPOCH_256 - 1: 0.01, 60 * EPOCH_256: 0.001},
        ),
        (
            "paper-b-imagenet",
            4_003_647,
            {0: 0.045, 80_072: 0.045, 80_073: 0.045 * 0.94, 2 * 80_073: 0.045 * 0.94**2, 4_003_646: 0.045 * 0.94**49},
        ),
    ],
)
def test_the_rate_is_the_papers_at_each_boundary(name, steps, rates):
    how = recipe(name)
    assert how.steps == steps
    for step, rate in rates.items():
        assert how.rate(step) == pytest.approx(rate, rel=1e-9), step


def test_what_the_papers_say_is_in_their_recipes():
    a, b, c = (recipe(f"paper-{paper}-imagenet") for paper in "abc")
    assert (a.batch, a.weight_decay, a.optimizer) == (256, 1e-4, SGD(momentum=0.9))
    assert a.augment == c.augment == ScaleJitter(shorter=(256, 480), colour=Lighting(sigma=0.1))
    assert b.optimizer == RMSProp(decay=0.9, momentum=0.9, epsilon=1.0)
    assert (b.clip, b.smoothing, b.average, b.batch) == (2.0, 0.1, 0.9999, 32)
    assert b.augment == InceptionCrop(area=(0.08, 1.0), aspect=(3 / 4, 4 / 3), colour=Photometric())
    cifar = recipe("paper-a-cifar")
    assert (cifar.batch, cifar.weight_decay, cifar.optimizer) == (128, 1e-4, SGD(momentum=0.9))
    assert cifar.augment == PadCropFlip(pad=4, flip=True)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_its_command_and_what_to_expect(name):
    doc = RECIPES[name].__doc__
    assert f"--recipe {name}" in doc
    assert "reslab train" in doc
    assert "ublished" in doc or "must reach" in doc
    value = recipe(name)
    assert from_json(Recipe, to_json(value)) == value
    assert value.rate(value.steps - 1) > 0


@given(st.integers(1, 2000), st.integers(0, 500), st.floats(0.01, 5))
def test_a_cosine_rises_to_its_rate_and_falls_to_nought(steps, warmup, rate):
    schedule = Cosine(rate=rate, warmup=warmup)
    rates = [schedule(step, steps) for step in range(steps)]
    assert all(0 < value <= rate * (1 + 1e-12) for value in rates)
    top = min(warmup, steps - 1)
    assert all(a <= b for a, b in pairwise(rates[:top]))
    if warmup < steps:
        assert rates[warmup] == pytest.approx(rate)
        assert all(a >= b for a, b in pairwise(rates[warmup:]))
        last = 0.5 * rate * (1 + math.cos(math.pi * (steps - 1 - warmup) / (steps - warmup)))
        assert rates[-1] == pytest.approx(last)


def test_kinds_are_chosen_by_their_word():
    how = override(recipe("paper-a-cifar"), {"optimizer": "rmsprop", "optimizer.epsilon": "0.1"})
    assert how.optimizer == RMSProp(epsilon=0.1)
    how = override(how, {"schedule": '{"kind": "exponential", "every": 10}', "average": "0.99"})
    assert (how.schedule, how.average) == (Exponential(every=10), 0.99)
    with pytest.raises(SpecError, match="rmsprop and has decay, momentum, epsilon"):
        override(how, {"optimizer.momentun": "0.1"})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("batch", "0"), ("batch", "-1"), ("batch", "1.5"), ("batch", "many"), ("schedule.every", "NaN"),
        ("average", "1"), ("smoothing", "1"), ("clip", "0"), ("validation", "-1"), ("bn", "some"),
        ("optimizer.decay", "NaN"), ("optimizer", "adam"), ("augment", "mixup"), ("augment.colour", "red"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_key(key, text):
    how = recipe("paper-b-imagenet")
    with pytest.raises(SpecError, match=f"--set {key}"):
        override(how, {key: text})
    assert isinstance(how.schedule, Exponential)
    assert not isinstance(how.schedule, Drops)
