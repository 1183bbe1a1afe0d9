"""Networks with folded BN have the same outputs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reslab import network
from reslab.use.folded import folded, fuse_relu

NETWORKS = ["resnet20-cifar", "plain20-cifar", "preact110-cifar-1layer", "resnet50", "preact18", "bn-inception"]


def lived_in(name):
    """A network whose BN has statistics and scales as training leaves them."""
    torch.manual_seed(0)
    module = network(name).build().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias, 0, 0.1)
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return module


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_the_same(name):
    module = lived_in(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    images = torch.randn(2, *module.spec.input)
    with torch.inference_mode():
        expected, actual = module(images), folded(module)(images)
    assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_every_bn_after_a_convolution_is_gone():
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded(lived_in("resnet50")).modules())
    # pre-activation: the BN at the start of a unit and of the head stays
    left = [name for name, part in folded(lived_in("preact18")).named_modules() if isinstance(part, nn.BatchNorm2d)]
    assert left
    assert all(name.split(".")[-1] == "bn0" or name.startswith("head") for name in left), left


@pytest.fixture
def cudnn(monkeypatch):
    """cuDNN's kernels by others' formulas, and how often each has been asked."""
    calls = []

    def relu(x, weight, bias, *how):
        calls.append("relu")
        return F.conv2d(x, weight, bias, *how).relu()

    def add_relu(x, weight, z, alpha, bias, *how):
        calls.append("add")
        return (F.conv2d(x, weight, bias, *how) + alpha * z).relu()

    monkeypatch.setattr(torch, "cudnn_convolution_relu", relu)
    monkeypatch.setattr(torch, "cudnn_convolution_add_relu", add_relu)
    return calls


@pytest.mark.parametrize("name", [*NETWORKS, "resnext50-32x4d", "inception-resnet-v1", "googlenet"])
def test_a_network_with_fused_relu_computes_the_same(name, cudnn):
    module = lived_in(name)
    fused = folded(module)
    fuse_relu(fused)
    images = torch.randn(1, *module.spec.input)
    with torch.inference_mode():
        expected, actual = module(images), fused(images)
    assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()
    assert cudnn


def test_every_relu_of_resnet_50_is_fused(cudnn):
    fused = folded(lived_in("resnet50"))
    fuse_relu(fused)
    assert not any(isinstance(part, nn.ReLU) for part in fused.modules())
    with torch.inference_mode():
        fused(torch.randn(1, *fused.spec.input))
    assert (cudnn.count("relu"), cudnn.count("add")) == (33, 16)
