"""Networks in words: a name, and the fields that differ, as `--set` takes them."""

import json
from collections.abc import Iterator
from typing import Any

from reslab.errors import SpecError
from reslab.nets.names import BOTTLENECK_DEPTHS, NAMED, AnyNetwork, name_of, network
from reslab.nets.network import NetworkSpec
from reslab.nets.resnet import ResNet
from reslab.spec import override, plain, replace

_MOST_FIELDS = 4  # with more, a network is no longer told by another's name


def parse_network(words: str) -> AnyNetwork:
    """The network of "resnet32-cifar merge=scaled merge.shortcut=0.5". Raises SpecError naming what is wrong."""
    name, *fields = words.split()
    assignments = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise SpecError(f"{words!r}: {field!r} is no field; write NETWORK or 'NETWORK key=value ...'")
        assignments[key] = value
    try:
        return override(network(name), assignments)
    except SpecError as error:
        raise SpecError(str(error).removeprefix("--set ")) from None


def to_string(value: NetworkSpec) -> str:
    """What `parse_network` takes, whatever the images: a network's own name, or the nearest one's and what differs.

    What `name_of` says where no name is near.
    """
    named = name_of(value)
    if named in NAMED or not isinstance(value, ResNet):
        return named
    found = [_words(name, value) for name in _near(value)]
    best = min((words for words in found if words), key=len, default=None)
    return " ".join(best) if best and len(best) <= 1 + _MOST_FIELDS else named


def _near(value: ResNet) -> Iterator[str]:
    """The names that may tell a network, those of its depth first."""
    names = list(NAMED)
    if (value.depth - 2) % 6 == 0 and value.depth not in BOTTLENECK_DEPTHS:
        names = [f"{family}{value.depth}-cifar" for family in ("resnet", "plain", "preact")] + names
    for name in names:
        near = network(name)
        if isinstance(near, ResNet) and near.stem == value.stem and (near.shortcut is None) == (value.shortcut is None):
            yield name


def _words(name: str, wanted: ResNet) -> list[str]:
    """The name of a network and the fields that make it the wanted one."""
    images = {"classes": wanted.classes, "channels": wanted.channels, "size": wanted.size}
    held, words = plain(replace(network(name), **images)), [name]
    for key, value in plain(wanted).items():
        if held[key] == value:
            continue
        if key != "merge":
            words.append(f"{key}={_text(value)}")
            continue
        if held[key]["kind"] != value["kind"]:
            words.append(f"{key}={value['kind']}")
        usual = plain(type(wanted.merge)())  # every kind of merge has defaults
        words += [f"{key}.{field}={_text(inner)}" for field, inner in value.items() if inner != usual[field]]
    return words


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, separators=(",", ":"))
