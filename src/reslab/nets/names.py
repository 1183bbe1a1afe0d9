"""Networks in words: their names, and the fields that differ, as `--set` takes them."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field

from reslab.errors import SpecError, nearest
from reslab.nets.named import BOTTLENECK_DEPTHS, CIFAR, NAMED, Named, cifar
from reslab.nets.network import NetworkSpec
from reslab.nets.resnet import ResNet
from reslab.nets.staged import Staged
from reslab.spec import override, replace, tree

AnyNetwork = Annotated[ResNet | Staged, Field(discriminator="kind")]
"""The spec of any network, as `from_json` takes it."""

_CIFAR_NAME = re.compile(rf"({'|'.join(CIFAR)})([0-9]{{1,5}})-cifar")
_MOST_FIELDS = 4  # a network with more than these has no string of another's name


def network(name: str) -> AnyNetwork:
    """The network of a name: a named one, or a CIFAR name with any other legal depth ("resnet26-cifar").

    Raises SpecError naming the nearest legal depths or names.
    """
    if name in NAMED:
        return NAMED[name].network
    if match := _CIFAR_NAME.fullmatch(name):
        try:
            return cifar(match[1], int(match[2]))
        except SpecError as error:
            raise SpecError(f"no network {name!r}: {error}") from None
    raise SpecError(f"no network {name!r}: {nearest(name, NAMED)}")


def networks(pattern: str = "*") -> list[Named]:
    """The named networks whose names match a shell pattern ("preact*"), family by family."""
    return [named for named in NAMED.values() if fnmatchcase(named.name, pattern)]


def find_name(network: NetworkSpec) -> str | None:
    """The name of a network, whatever its images and classes; None where it has no name."""
    fields = architecture_fields(network)
    for named in NAMED.values():
        if fields == architecture_fields(named.network):
            return named.name
    if isinstance(network, ResNet):
        for family in CIFAR:
            with suppress(SpecError):  # a depth that the family lacks
                if fields == architecture_fields(cifar(family, network.depth)):
                    return f"{family}{network.depth}-cifar"
    return None


def name_of(network: NetworkSpec) -> str:
    """The name of a network, whatever its images and classes; "resnet20-custom" or "staged-custom" without a name."""
    kind = f"resnet{network.depth}" if isinstance(network, ResNet) else "staged"
    return find_name(network) or f"{kind}-custom"


def architecture_fields(network: NetworkSpec) -> dict[str, Any]:
    """The fields of a network except those of its images and classes: equal for equal architectures."""
    return {key: value for key, value in vars(network).items() if key not in ("classes", "channels", "size")}


def parse_network(words: str) -> AnyNetwork:
    """The network of "resnet32-cifar merge=scaled merge.shortcut=0.5". Raises SpecError naming the wrong word."""
    name, *fields = words.split() or [""]
    assignments = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise SpecError(f"{words!r}: {field!r} is no field; write NETWORK or 'NETWORK key=value ...'")
        assignments[key] = value
    return override(network(name), assignments, option="")


def to_string(value: NetworkSpec) -> str:
    """The words of a network, whatever its images: its name, or the nearest network's and the fields that differ.

    `parse_network` reads them, except a custom network's, far from every name.
    """
    if isinstance(value, ResNet) and not find_name(value):
        best = min((_words(name, value) for name in _near(value)), key=len, default=[])
        if 0 < len(best) <= 1 + _MOST_FIELDS:
            return " ".join(best)
    return name_of(value)


def _near(value: ResNet) -> Iterator[str]:
    """Names of networks with the same stem and with or without shortcuts alike, those of the same depth first."""
    names = list(NAMED)
    if (value.depth - 2) % 6 == 0 and value.depth not in BOTTLENECK_DEPTHS:
        names = [f"{family}{value.depth}-cifar" for family in ("resnet", "plain", "preact")] + names
    for name in names:
        near = network(name)
        if isinstance(near, ResNet) and near.stem == value.stem and (near.shortcut is None) == (value.shortcut is None):
            yield name


def _words(name: str, wanted: ResNet) -> list[str]:
    """The name of a network and the fields in which the wanted one differs."""
    images = {"classes": wanted.classes, "channels": wanted.channels, "size": wanted.size}
    near, words = tree(replace(network(name), **images)), [name]
    for key, value in tree(wanted).items():
        if near[key] == value:
            continue
        if key != "merge":
            words.append(f"{key}={_text(value)}")
            continue
        if near[key]["kind"] != value["kind"]:
            words.append(f"{key}={value['kind']}")
        defaults = tree(type(wanted.merge)())  # every kind of merge has defaults
        words += [f"{key}.{field}={_text(inner)}" for field, inner in value.items() if inner != defaults[field]]
    return words


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value, separators=(",", ":"))
