"""Networks in words: names, and names with fields, there and back; wrong ones are refused with the nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslab.errors import SpecError
from reslab.nets import (
    NAMED,
    Conv,
    Dropped,
    ResNet,
    Scaled,
    cifar_resnet,
    find_name,
    name_of,
    network,
    networks,
    parse_network,
    to_string,
)
from reslab.papers import STUDIES
from reslab.spec import replace

ROWS = [
    scale.networks.get(row.name, row.network)
    for study in STUDIES.values()
    for scale in study.scales.values()
    for row in study.rows
]


def test_every_name_gives_its_network_and_its_network_its_name():
    for name in NAMED:
        assert network(name_of(network(name))) == network(name)
    assert name_of(network("preact164-cifar")) == "preact164-cifar"


def test_a_network_keeps_its_name_on_other_images():
    assert name_of(replace(network("resnet20-cifar"), classes=100, channels=1, size=8)) == "resnet20-cifar"
    assert find_name(cifar_resnet(20, merge=Dropped())) is None
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
    ("name", "message"),
    [
        ("resnet21-cifar", r"6n\+2 layers, for example 20 or 26"),
        ("plain1-cifar", r"6n\+2 layers, for example 8 or 14"),
        ("resnet20-cifer", "did you mean resnet20-cifar"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(name, message):
    with pytest.raises(SpecError, match=message):
        network(name)


@given(st.text(max_size=30))
def test_any_text_is_a_name_or_a_clear_error(text):
    try:
        network(text)
    except SpecError as error:
        assert repr(text) in str(error)


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_its_own_word(name):
    assert parse_network(name) == parse_network(to_string(network(name))) == network(name)


def test_every_residual_network_of_the_studies_has_words_that_give_it_back():
    values = {value for value in ROWS if isinstance(value, ResNet)}
    assert len(values) > 60
    for value in values:
        again = parse_network(to_string(value))
        assert replace(again, classes=value.classes, channels=value.channels, size=value.size) == value
    assert len({to_string(value) for value in values}) > 60


def test_words_are_those_of_set():
    assert to_string(cifar_resnet(32, merge=Scaled(0.5, 0.25))) == (
        "resnet32-cifar merge=scaled merge.shortcut=0.5 merge.residual=0.25"
    )
    assert to_string(replace(cifar_resnet(20), shortcut=None, size=8)) == "plain20-cifar"
    thin = cifar_resnet(32, widths=(14, 28, 56), stem=Conv(14, 3))
    assert to_string(thin) == "resnet32-cifar stem.width=14 widths=[14,28,56]"
    assert parse_network(to_string(thin)) == thin


def test_a_network_far_from_every_name_is_custom():
    assert to_string(ResNet((1, 2), widths=(4, 8), stem=Conv(4, 5))) == "resnet8-custom"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("resnet32-cifar gated", "'gated' is no field; write NETWORK or 'NETWORK key=value ...'"),
        ("resnet32-cifar merg=gated", "^merg: no such key"),
        ("resnet33-cifar merge=gated", "for example 32 or 38"),
    ],
)
def test_wrong_words_are_refused(words, message):
    with pytest.raises(SpecError, match=message):
        parse_network(words)


@given(st.lists(st.one_of(st.sampled_from(["resnet20-cifar", "merge=gated", "units=[[[", "="]), st.text()), max_size=4))
def test_any_words_are_a_network_or_a_clear_error(words):
    try:
        parse_network(" ".join(words))
    except SpecError as error:
        assert str(error)


@pytest.mark.parametrize("name", ["resnet6000002-cifar", "resnet60002-cifar", f"resnet{'2' * 5000}-cifar"])
def test_a_depth_beyond_every_limit_is_refused_before_a_unit_is_made(name):
    with pytest.raises(SpecError, match="no network"):
        network(name)
