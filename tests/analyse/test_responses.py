"""Responses against closed forms; positions in every named network."""

import numpy as np
import pytest
import torch
from tests.analyse.made import Unchanged, batches, built, small
from torch import nn

from reslab.analyse.responses import places, responses
from reslab.errors import SpecError
from reslab.nets import NAMED, network


def test_after_bn_a_response_is_what_scale_and_shift_make_it():
    made = built(small())
    for number, module in enumerate(part for part in made.modules() if isinstance(part, nn.BatchNorm2d)):
        nn.init.constant_(module.weight, 1.0 + number)
        module.bias.data[: len(module.bias) // 2] = 3.0  # half of the channels at 3, half at 0: a variance of 2.25
    found = responses(made, batches(images=64), "train")
    scales = 1.0 + np.arange(len(found.std))
    assert found.std == pytest.approx(np.sqrt(scales**2 + 1.5**2), rel=1e-3)


def test_in_evaluation_the_running_statistics_count():
    made = built(small())
    pixels = torch.cat([pixels for pixels, _ in batches()])
    with torch.inference_mode():
        behind = made.stem.bn1(made.stem.conv1(pixels))
    assert responses(made, batches(), "eval").std[0] == pytest.approx(float(behind.std()), rel=1e-3)
    assert responses(made, batches(), "train").std[0] == pytest.approx(1, rel=1e-3)


def test_where_no_bn_follows_the_convolution_itself_is_read():
    found = places(small(arrangement="full-preactivation"))
    read = {place.layer: place for place in found}
    assert read["stage1.unit2.residual.conv1"].module == "stage1.unit2.residual.bn1"
    assert read["stage1.unit2.residual.conv2"] == (*["stage1.unit2.residual.conv2"] * 2, False)
    assert all(place.after_bn for place in places(small()))
    assert not places(small(arrangement="bn-after-addition"))[-1].after_bn


@pytest.mark.parametrize("name", NAMED)
def test_every_named_network_has_its_places(name):
    spec = network(name)
    wanted = [layer.name for layer in spec.layers() if layer.kind == "conv" and layer.kernel == (3, 3)]
    if wanted:
        assert [place.layer for place in places(spec)] == wanted
    else:
        with pytest.raises(SpecError, match="no 3×3 layer"):
            places(spec)


def test_the_network_is_as_before():
    made = built(small())
    before = Unchanged(made)
    responses(made, batches(), "train")
    before.check()
