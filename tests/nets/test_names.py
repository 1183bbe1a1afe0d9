"""Names of networks: found, listed, refused with the nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.errors import SpecError
from reslab.nets import NAMED, Dropped, cifar_resnet, name_of, network, networks
from reslab.spec import replace


def test_every_name_gives_its_network_and_its_network_its_name():
    for name in NAMED:
        assert network(name_of(network(name))) == network(name)
    assert name_of(network("preact164-cifar")) == "preact164-cifar"


def test_a_network_keeps_its_name_on_other_images():
    assert name_of(replace(network("resnet20-cifar"), classes=100, channels=1, size=8)) == "resnet20-cifar"
    assert name_of(cifar_resnet(20, merge=Dropped())) == "resnet20-custom"


@pytest.mark.parametrize("name", ["plain26-cifar", "resnet26-cifar", "preact38-cifar", "plain164-cifar"])
def test_a_depth_that_no_paper_has_keeps_its_name_too(name):
    assert name not in NAMED
    assert name_of(replace(network(name), classes=100)) == name


def test_a_pattern_lists_in_the_papers_order():
    assert [named.name for named in networks("preact*-cifar")][-2:] == ["preact164-cifar", "preact1001-cifar"]


def test_164_and_1001_are_bottlenecks_and_other_depths_are_basic():
    assert network("preact164-cifar").kernels == network("resnet1001-cifar").kernels == (1, 3, 1)
    assert network("resnet26-cifar") == cifar_resnet(26)
    assert network("preact110-cifar").shortcut == "A"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet21-cifar", r"6n\+2 layers, for example 20 or 26"),
        ("plain1-cifar", r"6n\+2 layers, for example 8 or 14"),
        ("resnet20-cifer", "did you mean resnet20-cifar"),
    ],
)
def test_a_wrong_name_is_told_what_is_near(name, told):
    with pytest.raises(SpecError, match=told):
        network(name)


@given(st.text(max_size=30))
def test_any_text_is_a_name_or_a_clear_error(text):
    try:
        network(text)
    except SpecError as error:
        assert repr(text) in str(error)
