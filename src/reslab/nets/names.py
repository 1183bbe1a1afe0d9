"""The networks that the papers name: rows of a table."""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from reslab.errors import SpecError, nearest
from reslab.nets.resnet import ResNet, cifar_resnet

BOTTLENECK_DEPTHS = (164, 1001)
"""The CIFAR depths that C builds of bottlenecks; all others are basic."""


class Named(NamedTuple):
    """A network of the papers: its name, its value, and where it is described."""

    name: str
    network: ResNet
    source: str


def _cifar(family: str, depth: int) -> ResNet:
    arrangement = "full-preactivation" if family == "preact" else "original"
    bottleneck = depth in BOTTLENECK_DEPTHS
    fields = {"shortcut": None} if family == "plain" else {}
    return cifar_resnet(depth, kernels=(1, 3, 1) if bottleneck else (3, 3), arrangement=arrangement, **fields)


_CIFAR_SOURCES = {
    "plain": {depth: "A sec. 4.2, Fig. 6" for depth in (20, 32, 44, 56, 110)},
    "resnet": {depth: "A sec. 4.2, Table 6" for depth in (20, 32, 44, 56, 110, 1202)}
    | {depth: "C appendix, Table 3" for depth in BOTTLENECK_DEPTHS},
    "preact": {depth: "C appendix, Table 3" for depth in (110, *BOTTLENECK_DEPTHS)},
}
_CIFAR_NAME = re.compile(r"(plain|resnet|preact)(\d+)-cifar")

NAMED: dict[str, Named] = {
    name: Named(name, _cifar(family, depth), source)
    for family, sources in _CIFAR_SOURCES.items()
    for depth, source in sources.items()
    for name in [f"{family}{depth}-cifar"]
}


def network(name: str) -> ResNet:
    """The network of a name: a named one, or a CIFAR name with any other legal depth ("resnet26-cifar").

    Raises SpecError naming the nearest legal depths or names.
    """
    if name in NAMED:
        return NAMED[name].network
    if match := _CIFAR_NAME.fullmatch(name):
        try:
            return _cifar(match[1], int(match[2]))
        except SpecError as error:
            raise SpecError(f"no network {name!r}: {error}") from None
    raise SpecError(f"no network {name!r}: {nearest(name, NAMED)}")


def networks(pattern: str = "*") -> list[Named]:
    """The named networks whose names match a shell pattern ("preact*"), in the papers' order."""
    return [named for named in NAMED.values() if fnmatchcase(named.name, pattern)]


def name_of(network: ResNet) -> str:
    """The name of a network, whatever its images and classes; its depth and "custom" where it has none."""
    for named in NAMED.values():
        if named.network == _with_images_of(network, named.network):
            return named.name
    return f"resnet{network.depth}-custom"


def _with_images_of(network: ResNet, other: ResNet) -> ResNet:
    import dataclasses

    return dataclasses.replace(network, classes=other.classes, channels=other.channels, size=other.size)
