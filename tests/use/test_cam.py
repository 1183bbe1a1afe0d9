"""Grad-CAM is its equations, on the maps that the head reads."""

import numpy as np
import pytest
import torch
from torch import nn

from reslab import network
from reslab.nets import cifar_resnet
from reslab.nets.modules import GlobalAverage, Network
from reslab.spec import replace
from reslab.use.cam import heat, overlay


@pytest.fixture
def linear():
    """Maps that are the image's own, an average, and a linear layer: a logit's derivative by a map is weight / 16."""
    head = nn.Sequential()
    head.add_module("pool", GlobalAverage())
    head.add_module("linear", nn.Linear(3, 2))
    head.linear.weight.data = torch.tensor([[2.0, -1.0, 0.0], [-1.0, 0.5, 3.0]])
    return Network(cifar_resnet(8), {"stem": nn.Identity(), "head": head}, []).eval()


def test_of_an_average_and_a_linear_layer_it_is_their_weighted_sum(linear):
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1])
    heat_maps = heat(linear, images, classes)
    for image, label, heat_map in zip(images, classes, heat_maps, strict=True):
        weighted = (linear.head.linear.weight[label][:, None, None] * image).sum(0).clamp(min=0)
        assert torch.allclose(heat_map, weighted / weighted.max(), atol=1e-6)


def test_after_a_flattening_a_map_counts_by_the_mean_of_its_weights():
    head = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4, 2))
    images = torch.rand(1, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    weights = head[1].weight.data[1].view(2, 2, 2).fill_(1.0)
    weights[1] = torch.tensor([[9.0, -1.0], [0.0, 0.0]])
    heat_maps = heat(Network(cifar_resnet(8), {"stem": nn.Identity(), "head": head}, []), images, torch.tensor([1]))
    weighted = images[0, 0] + 2 * images[0, 1]
    assert torch.allclose(heat_maps[0], weighted / weighted.max())


def test_where_nothing_speaks_for_the_class_all_is_cold(linear):
    images = torch.ones(1, 3, 4, 4) * torch.tensor([-1.0, 1.0, 0.0])[:, None, None]
    assert torch.equal(heat(linear, images, torch.tensor([0])), torch.zeros(1, 4, 4))


def test_maps_are_brought_to_the_images_size():
    """A 2x2 average as the stem: the heat of its maps, interpolated between their centres."""
    stem, head = nn.AvgPool2d(2), nn.Sequential(GlobalAverage(), nn.Linear(1, 1))
    head[1].weight.data.fill_(1.0)
    images = torch.tensor([[0.0, 0.0, 4.0, 4.0]]).expand(4, 4)[None, None]
    heat_maps = heat(Network(cifar_resnet(8), {"stem": stem, "head": head}, []), images, torch.tensor([0]))
    assert torch.allclose(heat_maps[0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))


@pytest.mark.parametrize("name", ["resnet20-cifar", "preact20", "lenet5", "vgg11", "resnet18-tiny"])
def test_every_kind_of_head_has_maps_of_more_than_a_pixel(name):
    value = {
        "preact20": cifar_resnet(20, arrangement="full-preactivation"),
        "resnet18-tiny": replace(network("resnet18"), size=32),
    }.get(name) or network(name)
    torch.manual_seed(0)
    module = value.build().eval()
    images = torch.randn(2, *value.input)
    with torch.no_grad():
        before = module(images)
    heat_maps = heat(module, images, before.argmax(1))
    assert heat_maps.shape == (2, value.size, value.size)
    assert heat_maps.min() >= 0
    assert torch.allclose(heat_maps.amax((1, 2)), torch.ones(2))
    assert (heat_maps.std((1, 2)) > 0.01).all()
    assert all(parameter.grad is None for parameter in module.parameters())
    with torch.no_grad():
        assert torch.equal(module(images), before)


def test_an_overlay_is_half_the_picture_and_half_the_heat():
    pixels = np.full((3, 100, 100), 100, np.uint8)
    places = np.zeros((100, 100), np.float32)
    places[0, 0] = 1
    picture = np.asarray(overlay(pixels, places))
    assert picture.shape == (300, 300, 3)
    assert np.array_equal(picture[2, 2], picture[0, 0])
    red, blue = picture[0, 0].astype(int), picture[-1, -1].astype(int)
    assert red[0] > red[2] and blue[2] > blue[0]
    assert overlay(np.zeros((1, 8, 8), np.uint8), np.zeros((8, 8), np.float32)).size == (224, 224)
