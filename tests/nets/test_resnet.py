"""The CIFAR networks as values: depths, refusals, costs that agree with the built module."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reslab.errors import SpecError
from reslab.nets import Conv, ResNet, cifar_resnet, network
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.spec import replace

from .traced import assert_layers_are_the_modules


@given(st.integers(-5, 1300), st.sampled_from([(3, 3), (1, 3, 1), (3,)]))
def test_a_depth_is_kept_or_refused_with_legal_ones(depth, kernels):
    try:
        assert cifar_resnet(depth, kernels=kernels).depth == depth
    except SpecError as error:
        offered = [int(word) for word in str(error).replace("for example", "").split() if word.isdigit()]
        assert offered
        for legal in offered:
            assert cifar_resnet(legal, kernels=kernels).depth == legal


def test_the_families_of_one_depth_cost_the_same():
    assert network("plain110-cifar").cost() == network("resnet110-cifar").cost() == network("preact110-cifar").cost()
    a, b, c = (cifar_resnet(110, shortcut=option).cost() for option in "ABC")
    assert a.parameters < b.parameters < c.parameters
    assert (b.convolutions - a.convolutions, c.convolutions - a.convolutions) == (2, 54)


@settings(max_examples=25)
@given(
    kernels=st.sampled_from([(3, 3), (1, 3, 1), (3,)]),
    arrangement=st.sampled_from(list(ARRANGEMENTS)),
    shortcut=st.sampled_from(["A", "B", "C", None]),
    channels=st.integers(1, 4),
    size=st.integers(1, 33),
)
def test_counts_and_shapes_equal_the_built_modules(kernels, arrangement, shortcut, channels, size):
    value = ResNet(
        units=(1, 2, 1),
        kernels=kernels,
        arrangement=arrangement,
        shortcut=shortcut,
        channels=channels,
        size=size,
        classes=7,
    )
    assert_layers_are_the_modules(value)


def test_weights_start_as_he_draws_them():
    torch.manual_seed(0)
    built = network("resnet56-cifar").build()
    for module in built.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            fan_in = module.weight[0].numel()
            assert module.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert not module.bias.any()


def test_endpoints_are_the_papers_sizes():
    built = network("resnet20-cifar").build().eval()
    shapes = {name: tuple(out.shape[1:]) for name, out in built.endpoints(torch.randn(1, 3, 32, 32)).items()}
    assert shapes == {
        "stem": (16, 32, 32),
        "stage1": (16, 32, 32),
        "stage2": (32, 16, 16),
        "stage3": (64, 8, 8),
        "head": (10,),
    }


@pytest.mark.parametrize(("stride_at", "strides"), [(0, [2, 1, 1]), (1, [1, 2, 1])])
def test_the_stride_stands_where_it_is_asked_for(stride_at, strides):
    unit = cifar_resnet(29, kernels=(1, 3, 1), stride_at=stride_at).build().stage2.unit1
    assert [conv.stride[0] for conv in unit.residual.modules() if isinstance(conv, nn.Conv2d)] == strides


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": (1, 1)}, "each stage needs one of both"),
        ({"units": ()}, "each stage needs one of both"),
        ({"widths": (64, 32, 16)}, "shortcut A pads channels and cannot take them away"),
        ({"stem": Conv(64, 3)}, "shortcut A pads channels"),
        ({"stride_at": 5}, "allow 0 to 1"),
        ({"arrangement": "pre"}, "choose from|did you mean"),
        ({"classes": 0}, "classes"),
        ({"shortcut": "D"}, "shortcut"),
    ],
)
def test_an_impossible_network_is_refused_with_the_cure(fields, message):
    with pytest.raises(SpecError, match=message):
        replace(ResNet(units=(1, 1, 1)), **fields)


def test_a_network_prints_as_its_papers_table():
    lines = str(network("resnet20-cifar")).splitlines()
    assert " ".join(lines[2].split()) == "stage1.unit1-3 32×32×16 [3×3, 16; 3×3, 16] × 3 14,016 14,155,776"
    assert lines[-1].split() == ["total", "269,722", "40,551,040"]


def test_a_layer_has_its_kernel_as_a_value():
    kernels = [layer.kernel for layer in network("preact164-cifar").layers() if layer.name.startswith("stage1.unit2")]
    assert [kernel for kernel in kernels if kernel] == [(1, 1), (3, 3), (1, 1)]
    pools = [layer for layer in network("resnet18").layers() if layer.kind == "pool"]
    assert {layer.kernel for layer in pools} == {None}
