"""Every part of a network's value has its module; one without is an error."""

import pytest
import torch
from torch import nn

from reslab import network, replace
from reslab.nets.build import build
from reslab.nets.leaves import Leaf
from reslab.nets.merges import MergeSpec
from reslab.nets.modules import SmallMapConv
from reslab.nets.paths import Cat, Chain, Convolution, Seq
from reslab.nets.unit import Unit


class Unknown(MergeSpec):
    kind = formula = "unknown"


def test_a_merge_that_nobody_built_is_no_addition():
    unit = Unit(Seq(()), Seq(()), Unknown(), Chain(), Chain())
    with pytest.raises(AssertionError, match="Expected code to be unreachable"):
        build(unit, (3, 8, 8))


@pytest.mark.parametrize("node", [Seq, Cat, Chain, Unit, *Leaf.__subclasses__()])
def test_every_node_has_a_module_of_its_own(node):
    assert build.dispatch(node) is not build.dispatch(object)


def test_a_node_without_a_module_is_an_error():
    with pytest.raises(TypeError, match="no module for Leaf"):
        build(Leaf(), (3, 8, 8))
    assert issubclass(Convolution, Leaf)
    assert isinstance(build(Chain(), (3, 8, 8)), nn.Identity)


@pytest.mark.parametrize("images", [15, 16, 33])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (4, 4), (5, 3), (8, 7)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        (1, 1, 0),
        (1, 2, 0),
        (3, 1, 1),
        (3, 2, 1),
        ((1, 7), 1, (0, 3)),
        ((7, 1), 1, (3, 0)),
        (3, 3, 1),
        (2, 2, 0),
        (3, 1, 0),
    ],
)
def test_maps_side_by_side_have_the_sums_and_gradients_of_maps_one_by_one(images, size, kernel, stride, padding):
    if padding == 0:  # no map is smaller than its kernel
        size = tuple(max(side, kernel) for side in size)
    conv = SmallMapConv(6, 5, kernel, stride, padding).double()
    theirs = nn.Conv2d(6, 5, kernel, stride, padding).double()
    theirs.load_state_dict(conv.state_dict())
    x = torch.randn(images, 6, *size, dtype=torch.float64)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    ours, expected = (module(each) for module, each in zip((conv, theirs), inputs, strict=True))
    weights = torch.randn_like(expected)
    for output in (ours, expected):
        (output * weights).sum().backward()
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(conv.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(conv.bias.grad, theirs.bias.grad)


def test_maps_of_a_few_pixels_are_laid_side_by_side():
    def small(net):
        return [name for name, module in net.named_modules() if isinstance(module, SmallMapConv)]

    wide, narrow = (replace(network("resnet18"), size=size).build() for size in (224, 64))
    assert not small(wide)
    assert {name.split(".")[0] for name in small(narrow)} == {"stage3", "stage4"}
    assert wide.state_dict().keys() == narrow.state_dict().keys()


def test_an_exported_network_has_no_maps_side_by_side():
    net = replace(network("resnet18"), size=64).build().eval()
    free = ({0: torch.export.Dim("batch")},)
    with torch.no_grad():
        program = torch.export.export(net, (torch.zeros(20, 3, 64, 64),), dynamic_shapes=free)
    assert not [node for node in program.graph.nodes if "pad" in str(node.target)]
