"""DenseNet against the equations of Huang et al. 2017."""

import pytest
import torch
from torch import nn

from reslab.errors import SpecError
from reslab.nets.densenet import densenet, densenet_cifar

from .traced import assert_layers_are_the_modules


def test_a_layer_puts_its_maps_after_those_that_it_reads():
    torch.manual_seed(0)
    layer = densenet_cifar(22, 12).build().stage1.unit2
    composite = layer.branch2
    names = ["BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]
    assert [type(module).__name__ for module in composite] == names
    assert (composite.conv2.kernel_size, composite.conv2.out_channels) == ((1, 1), 48)
    assert (composite.conv3.kernel_size, composite.conv3.out_channels) == ((3, 3), 12)
    x = torch.randn(2, 36, 8, 8)
    assert torch.equal(layer(x), torch.cat([x, composite(x)], 1))


def test_a_transition_halves_channels_and_map():
    built = densenet_cifar(100, 12).build()
    for transition, channels in ((built.transition1, 216), (built.transition2, 300)):
        assert [type(module).__name__ for module in transition] == ["BatchNorm2d", "ReLU", "Conv2d", "AvgPool2d"]
        assert transition(torch.randn(1, channels, 8, 8)).shape == (1, channels // 2, 4, 4)
    assert all(module.eps == 1e-5 for module in built.modules() if isinstance(module, nn.BatchNorm2d))


def test_its_layers_are_its_modules():
    assert_layers_are_the_modules(densenet_cifar(10, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: densenet(122), "the paper has 121, 161, 169, 201; the nearest is 121"),
        (lambda: densenet_cifar(101, 12), r"6n\+4 layers, for example 100 or 106"),
        (lambda: densenet_cifar(4, 12), "for example 10 or 16"),
    ],
)
def test_a_depth_that_cannot_be_is_refused_with_the_nearest(make, message):
    with pytest.raises(SpecError, match=message):
        make()
