"""The networks that the papers name, and all networks in words: a name and the fields that differ, as in `--set`."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, partial
from typing import Annotated, Any

from pydantic import Field

from reslab.errors import SpecError, nearest
from reslab.nets import densenet, googlenet, inception, predecessors
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Conv, Pool, seq
from reslab.nets.resnet import (
    IMAGENET,
    ResNet,
    cifar_resnet,
    fixup_cifar,
    pyramidnet_cifar,
    resnet,
    resnet_d,
    resnext,
    resnext_cifar,
    wide_resnet,
)
from reslab.nets.staged import Staged
from reslab.spec import override, replace, tree

AnyNetwork = Annotated[ResNet | Staged, Field(discriminator="kind")]
"""The spec of any network, as `from_json` takes it."""


@dataclass(frozen=True)
class Named:
    """A network of the papers: its name, its value, its source, and its deviation from the source."""

    name: str
    make: Callable[[], ResNet | Staged]
    source: str
    deviation: str = ""

    @cached_property
    def network(self) -> ResNet | Staged:
        return self.make()


BOTTLENECK_DEPTHS = (164, 1001)
"""The _CIFAR depths that C builds of bottlenecks; all others are basic."""


def _cifar(family: str, depth: int, one_layer: bool = False) -> ResNet:
    kernels = (3,) if one_layer else (1, 3, 1) if depth in BOTTLENECK_DEPTHS else (3, 3)
    if family == "fixup":
        return fixup_cifar(depth, kernels)
    arrangement = "full-preactivation" if family == "preact" else "original"
    fields = {"shortcut": None} if family == "plain" else {}
    return cifar_resnet(depth, kernels=kernels, arrangement=arrangement, **fields)


_CIFAR: dict[str, dict[str, tuple[int, ...]]] = {
    "plain": {"A sec. 4.2, Fig. 6": (20, 32, 44, 56, 110)},
    "resnet": {"A sec. 4.2, Table 6": (20, 32, 44, 56, 110, 1202), "C appendix, Table 3": BOTTLENECK_DEPTHS},
    "preact": {"C appendix, Table 3": (110, *BOTTLENECK_DEPTHS)},
    "fixup": {"Zhang et al. 2019, on CIFAR-10": (110,)},
}
_V15 = "The stride stands in the 3×3 convolution; the paper has it in the first 1×1."
_POOL1 = "The first pool pads by one pixel, as Torch does; the authors' Caffe rounds up instead."
_PREACT = "The stem and the strides are those of fb.resnet.torch, as C does not draw them."
_V1 = "The stride stands in the first 1×1 convolution, as paper A has it."
_X101 = "Twice as wide as the paper's resnext101-32x4d."
_WIDE = "Its bottlenecks' inner convolutions are twice as wide, their outputs are not; the stride stands in the 3×3."
_ROUNDED = "Widths are rounded, as in the authors' code; the paper's eq. 2 takes their integer parts."
_TIMM = "The first unit has a pre-activation of its own after the pool; C puts it in the stem."
_IN_UNIT: dict[str, Any] = {"entrance": "unit", "stem": seq(Conv(64, 7, 2, after=""), Pool("max", 3, 2))}


def _rows() -> Iterator[Named]:
    for family, sources in _CIFAR.items():
        for source, depths in sources.items():
            for depth in depths:
                yield Named(f"{family}{depth}-cifar", partial(_cifar, family, depth), source)
    for family in ("resnet", "preact"):
        make = partial(_cifar, family, 110, one_layer=True)
        yield Named(f"{family}110-cifar-1layer", make, "C sec. 4.1, Table 3")
    for depth in (18, 34):
        yield Named(f"plain{depth}", partial(resnet, depth, shortcut=None), "A Table 1, Fig. 3", _POOL1)
        yield Named(f"resnet{depth}", partial(resnet, depth), "A Table 1, option B", _POOL1)
        for option in "ABC":
            make = partial(resnet, depth, shortcut=option)
            yield Named(f"resnet{depth}-{option.lower()}", make, f"A Table 1, option {option}", _POOL1)
    for depth in (50, 101, 152, 200):
        source = "C Table 5" if depth == 200 else "A Table 1"
        yield Named(f"resnet{depth}", partial(resnet, depth), source, _POOL1)
        yield Named(f"resnet{depth}-v1.5", partial(resnet, depth, stride_at=1), source, _V15)
    yield Named("resnet50-c", partial(resnet, 50, shortcut="C"), "A sec. 4.1, option C", _POOL1)
    for depth, (kernels, _) in IMAGENET.items():
        make = partial(resnet, depth, arrangement="full-preactivation")
        stride_at = len(kernels) - 2
        yield Named(f"preact{depth}", partial(make, stride_at=stride_at), "C appendix, Table 5", _PREACT)
        yield Named(f"preact{depth}-timm", partial(make, stride_at=stride_at, **_IN_UNIT), "timm resnetv2", _TIMM)
        if stride_at:
            yield Named(f"preact{depth}-v1", make, "C appendix, Table 5", _V1)
    for depth, factor in ((16, 4), (28, 10)):
        make = partial(wide_resnet, depth, factor)
        yield Named(f"wrn-{depth}-{factor}", make, "Zagoruyko and Komodakis 2016, Table 1")
    yield Named("resnext29-8x64d-cifar", partial(resnext_cifar, 29, 8, 64), "Xie et al. 2017, Table 7")
    for depth, groups, width in ((50, 32, 4), (101, 32, 8)):
        make = partial(resnext, depth, groups, width)
        source = "Xie et al. 2017, Table 1" if depth == 50 else "torchvision"
        yield Named(f"resnext{depth}-{groups}x{width}d", make, source, "" if depth == 50 else _X101)
    for depth in (50, 101):
        make = partial(resnet, depth, widening=2, stride_at=1)
        source = "Zagoruyko and Komodakis 2016, Table 8" if depth == 50 else "torchvision"
        yield Named(f"wrn-{depth}-2", make, source, _WIDE)
    for depth, alpha in ((110, 48), (110, 84), (110, 270), (164, 270)):
        make = partial(pyramidnet_cifar, depth, alpha, (1, 3, 1) if depth == 164 else (3, 3))
        yield Named(f"pyramidnet{depth}-a{alpha}-cifar", make, "Han et al. 2017, Table 4", _ROUNDED)
    yield Named("resnet50d", partial(resnet_d, 50), "He et al. 2019, Bag of Tricks, Fig. 2, Table 5")
    make = partial(resnet, 50, squeeze=16, stride_at=1)
    yield Named("se-resnet50", make, "Hu et al. 2018, Table 1", _V15)
    yield Named("densenet-bc-100-12", partial(densenet.densenet_cifar, 100, 12), "Huang et al. 2017, Table 2")
    for depth in densenet.IMAGENET:
        yield Named(f"densenet{depth}", partial(densenet.densenet, depth), "Huang et al. 2017, Table 1")
    yield from _INCEPTION
    yield from _PREDECESSORS


_SCALED = "The paper scales residuals by 0.1 to 0.3 without saying which; here all are scaled by 0.1."
_UNSCALED = "No residual is scaled, as in the figures; wide ones die early without, says B sec. 3.3."
_V2_TYPOS = "B Figs. 17 and 19 print 1154 and 2048 channels where 1152 and 2144 come in. "

_INCEPTION = (
    Named("googlenet", googlenet.googlenet, "GoogLeNet Table 1"),
    Named("googlenet-torchvision", googlenet.googlenet_torchvision, "torchvision",
          "BN after every convolution, 3×3 in place of 5×5, a 2×2 last pool. Its auxiliary classifiers average 4×4 "
          "pixels; here, as in the paper, they average 5×5."),
    Named("bn-inception", googlenet.bn_inception, "BN-Inception appendix",
          "4c and 4d give 608 channels and 4e 1056 by their rows, the paper prints 576 and 1024; the first convolution "
          "is not separable."),
    Named("bn-inception-caffe", partial(googlenet.bn_inception, caffe=True), "the public Caffe weights",
          "As bn-inception, with a bias before every BN, averages that count the zeros of the padding, and 1e-5 in "
          "BN's root."),
    Named("inception-v3", inception.inception_v3, "arXiv 1512.00567, as released in TF-slim",
          "The paper's Table 1 has two more stem convolutions in place of a pool, and 3×3 pairs in place of 5×5."),
    Named("inception-v3-torchvision", partial(inception.inception_v3, counts_padding=True), "torchvision",
          "As inception-v3, with averages that count the zeros of the padding."),
    Named("inception-v4", inception.inception_v4, "B Figs. 3 to 9"),
    Named("inception-v4-slim", partial(inception.inception_v4, slim=True), "TF-slim",
          "1×7 and 7×1, 1×3 and 3×1 stand in the other order in the stem and in the longest branches."),
    Named("inception-resnet-v1", inception.inception_resnet_v1, "B Figs. 10 to 15", _SCALED),
    Named("inception-resnet-v1-unscaled", partial(inception.inception_resnet_v1, scale=1.0), "B Figs. 10 to 15",
          _UNSCALED),
    Named("inception-resnet-v2", inception.inception_resnet_v2, "B Figs. 3, 15 to 19", _V2_TYPOS + _SCALED),
    Named("inception-resnet-v2-unscaled", partial(inception.inception_resnet_v2, scale=1.0), "B Figs. 3, 15 to 19",
          _V2_TYPOS + _UNSCALED),
    Named("inception-resnet-v2-slim", inception.inception_resnet_v2_slim, "TF-slim and all public weights",
          "10/20/10 blocks in place of 5/10/5, another stem, a last 1×1 to 1536 channels, scales 0.17, 0.1 and 0.2."),
    Named("inception-resnet-v2-slim-unscaled", partial(inception.inception_resnet_v2_slim, scales=(1.0,) * 3),
          "TF-slim", "As inception-resnet-v2-slim, with no residual scaled."),
)  # fmt: skip

_PREDECESSORS = (
    Named("lenet5", predecessors.lenet5, "LeCun et al. 1998, Fig. 2",
          "C3 sees all six maps, pooling has no coefficients, the output is linear in place of RBF units."),
    Named("alexnet", predecessors.alexnet, "Krizhevsky et al. 2012, Fig. 2", "227 pixels, as its 55×55 maps ask."),
    Named("alexnet-one-tower", partial(predecessors.alexnet, towers=1), "Krizhevsky et al. 2012",
          "Every convolution sees all maps; 227 pixels."),
    Named("alexnet-torchvision", predecessors.alexnet_torchvision, "torchvision, arXiv 1404.5997",
          "One tower of 64, 192, 384, 256, 256 channels without local response normalisation."),
    Named("zfnet", predecessors.zfnet, "Zeiler and Fergus 2013, Fig. 3",
          "Local response normalisation in place of its contrast normalisation."),
    Named("zfnet-wide", partial(predecessors.zfnet, widths=(512, 1024, 512)), "Zeiler and Fergus 2013, Table 3",
          "Local response normalisation in place of its contrast normalisation."),
    Named("vgg11", partial(predecessors.vgg, 11), "VGG Table 1, A"),
    Named("vgg13", partial(predecessors.vgg, 13), "VGG Table 1, B"),
    Named("vgg16", partial(predecessors.vgg, 16), "VGG Table 1, D"),
    Named("vgg19", partial(predecessors.vgg, 19), "VGG Table 1, E"),
    Named("vgg16-bn", partial(predecessors.vgg, 16, bn=True), "torchvision", "BN after every convolution."),
    Named("vgg19-bn", partial(predecessors.vgg, 19, bn=True), "torchvision", "BN after every convolution."),
)  # fmt: skip

NAMED: dict[str, Named] = {named.name: named for named in _rows()}

_CIFAR_NAME = re.compile(rf"({'|'.join(_CIFAR)})([0-9]{{1,5}})-cifar")
_MOST_FIELDS = 5  # a network with more than these has no string of another's name


def network(name: str) -> AnyNetwork:
    """The network of a name: a named one, or a _CIFAR name with any other legal depth ("resnet26-cifar").

    Raises SpecError naming the nearest legal depths or names.
    """
    if name in NAMED:
        return NAMED[name].network
    if match := _CIFAR_NAME.fullmatch(name):
        try:
            return _cifar(match[1], int(match[2]))
        except SpecError as error:
            raise SpecError(f"no network {name!r}: {error}") from None
    known = NAMED if f"{name}-cifar" in NAMED or not _is_cifar(f"{name}-cifar") else [*NAMED, f"{name}-cifar"]
    raise SpecError(f"no network {name!r}: {nearest(name, known)}")


def _is_cifar(name: str) -> bool:
    """Whether a name is that of a CIFAR network of a legal depth."""
    try:
        return _CIFAR_NAME.fullmatch(name) is not None and bool(network(name))
    except SpecError:
        return False


def networks(pattern: str = "*") -> list[Named]:
    """The named networks whose names match a shell pattern ("preact*") or hold a word ("preact"), family by family."""
    if not any(letter in pattern for letter in "*?["):
        pattern = f"*{pattern}*"
    return [named for named in NAMED.values() if fnmatchcase(named.name, pattern)]


def find_name(network: NetworkSpec) -> str | None:
    """The name of a network, whatever its images and classes; None where it has no name."""
    fields = architecture_fields(network)
    for named in NAMED.values():
        if fields == architecture_fields(named.network):
            return named.name
    if isinstance(network, ResNet):
        for family in _CIFAR:
            with suppress(SpecError):  # a depth that the family lacks
                if fields == architecture_fields(_cifar(family, network.depth)):
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
    """Names of networks with the same stem, but for its width, and with or without shortcuts alike, those of the same
    depth first."""
    names = list(NAMED)
    if (value.depth - 2) % 6 == 0 and value.depth not in BOTTLENECK_DEPTHS:
        names = [f"{family}{value.depth}-cifar" for family in ("resnet", "plain", "preact")] + names
    for name in names:
        near = network(name)
        if isinstance(near, ResNet) and (near.shortcut is None) == (value.shortcut is None):
            stem = near.stem
            if isinstance(stem, Conv) and isinstance(value.stem, Conv):
                stem = replace(stem, width=value.stem.width)
            if stem == value.stem:
                yield name


def _words(name: str, wanted: ResNet) -> list[str]:
    """The name of a network and the fields in which the wanted one differs."""
    images = {"classes": wanted.classes, "channels": wanted.channels, "size": wanted.size}
    near, words = tree(replace(network(name), **images)), [name]
    for key, value in tree(wanted).items():
        if near[key] == value:
            continue
        if key == "stem":
            words.insert(
                1, f"stem.width={value['width']}"
            )  # before the merge, whose fields must follow a valid network
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
