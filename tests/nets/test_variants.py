"""Networks in words, there and back."""

import pytest

from reslab.errors import SpecError
from reslab.nets import NAMED, Conv, ResNet, Scaled, cifar_resnet, network, parse_network, to_string
from reslab.papers import STUDIES
from reslab.spec import replace

ROWS = [
    scale.networks.get(row.name, row.network)
    for study in STUDIES.values()
    for scale in study.scales.values()
    for row in study.rows
]


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_its_own_word(name):
    assert parse_network(name) == parse_network(to_string(network(name))) == network(name)


def test_every_residual_network_of_the_studies_has_words_that_give_it_back():
    found = {value for value in ROWS if isinstance(value, ResNet)}
    assert len(found) > 60
    for value in found:
        again = parse_network(to_string(value))
        assert replace(again, classes=value.classes, channels=value.channels, size=value.size) == value
    assert len({to_string(value) for value in found}) > 60


def test_words_are_those_of_set():
    assert to_string(cifar_resnet(32, merge=Scaled(0.5, 0.25))) == (
        "resnet32-cifar merge=scaled merge.shortcut=0.5 merge.residual=0.25"
    )
    assert to_string(replace(cifar_resnet(20), shortcut=None, size=8)) == "plain20-cifar"


def test_what_is_far_from_every_name_has_none():
    assert to_string(ResNet((1, 2), widths=(4, 8), stem=Conv(4, 3))) == "resnet8-custom"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("resnet32-cifar gated", "'gated' is no field; write NETWORK or 'NETWORK key=value ...'"),
        ("resnet32-cifar merg=gated", "^merg: no such key"),
        ("resnet33-cifar merge=gated", "for example 32 or 38"),
    ],
)
def test_wrong_words_are_told(words, told):
    with pytest.raises(SpecError, match=told):
        parse_network(words)
