"""A batch that batch normalization cannot normalize is refused before the training."""

import pytest

from reslab.data.digits import load_digits
from reslab.errors import SpecError
from reslab.nets import cifar_resnet, network
from reslab.recipes.recipe import Recipe
from reslab.spec import replace
from reslab.train.batch_size import check_batch_size, check_shares
from reslab.train.loop import fitted, train

TINY = replace(network("resnet18"), size=8)


def test_one_image_on_a_map_of_one_pixel_is_refused_before_anything_is_written(tmp_path):
    digits = load_digits()
    with pytest.raises(SpecError, match="one value per channel on a map of 1×1 pixels at size 8\n--set batch=2"):
        train(fitted(TINY, digits), Recipe(steps=1, batch=1), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_larger_maps_larger_batches_and_frozen_statistics_are_fine():
    check_batch_size(TINY, Recipe(steps=1, batch=2), 2)
    check_batch_size(TINY, Recipe(steps=1, batch=1, bn="frozen"), 1)
    check_batch_size(cifar_resnet(8), Recipe(steps=1, batch=1), 1)


def test_a_batch_that_leaves_a_rank_without_an_image_is_refused():
    with pytest.raises(SpecError, match=r"a batch of 1 on 2 ranks: .* no image\n--set batch=2 or more, or fewer ranks"):
        check_shares(Recipe(steps=1, batch=1), 2)
    check_shares(Recipe(steps=1, batch=2), 2)
    check_shares(Recipe(steps=1, batch=1), 1)
