"""Every part of a network's value has its module; one without is an error."""

import pytest
from torch import nn

from reslab.nets.build import build
from reslab.nets.leaves import Leaf
from reslab.nets.merges import MergeSpec
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
