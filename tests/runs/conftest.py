"""A small run, trained once."""

import pytest

from reslab.data.digits import load_digits
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.train.loop import fitted, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The directory of a run that is finished."""
    path, data = tmp_path_factory.mktemp("trained") / "run", load_digits()
    network = fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), data)
    train(network, Recipe(steps=8, batch=64, evaluate_every=4, log_every=2, checkpoint_every=4), data, path)
    return path
