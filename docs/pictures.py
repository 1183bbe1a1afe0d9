"""The pictures of the generated pages, as `reslab draw` draws them; the pages name them by `image`."""

from collections.abc import Callable, Mapping
from functools import partial

from reslab import network, replace
from reslab.drawing import Drawing
from reslab.nets import AnyNetwork, ResNet, picture
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.nets.merges import MergeSpec

BASE = "resnet20-cifar"  # whose shortcuts, arrangements and merges are drawn
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cifar": ("plain20-cifar", "resnet20-cifar"),
    "imagenet": ("plain34", "resnet34"),
    "predecessors": ("vgg16",),
}
"""The families that are drawn as whole networks side by side; the others by their units and blocks."""


def image(name: str, text: str) -> str:
    """A picture in Markdown."""
    return f"![{text}](pictures/{name}.svg)"


def of_shortcut(option: str | None) -> ResNet:
    value: ResNet = replace(network(BASE), shortcut=option)
    return value


def pictures(merges: Mapping[str, MergeSpec], families: Mapping[str, str]) -> dict[str, Callable[[], Drawing]]:
    """What draws each picture, by its name.

    merges: each kind's merge that is shown; families: the name of the network that a family shows, by its slug
    """
    drawn: dict[str, Callable[[], Drawing]] = {
        "units": partial(_side_by_side, {"plain": network("plain20-cifar"), "residual": network(BASE)}),
        "arrangements": partial(
            _side_by_side, {name: replace(network(BASE), arrangement=name) for name in list(ARRANGEMENTS)[:5]}
        ),
    }
    for option in ("A", "B", "C", None):
        drawn[f"shortcut-{option or 'none'}"] = partial(_that_changes, of_shortcut(option))
    for name in ARRANGEMENTS:
        drawn[f"arrangement-{name}"] = partial(_side_by_side, {"": replace(network(BASE), arrangement=name)})
    for kind, merge in merges.items():
        drawn[f"merge-{kind}"] = partial(_side_by_side, {"": replace(network(BASE), merge=merge)})
    for slug, shown in families.items():
        drawn[f"networks-{slug}"] = partial(_column, COLUMNS[slug]) if slug in COLUMNS else partial(_kinds, shown)
    return drawn


def _side_by_side(networks: Mapping[str, AnyNetwork]) -> Drawing:
    """The most frequent unit of each network below its title."""
    panels = [picture.typical(title, value) for title, value in networks.items()]
    return picture.units(*filter(None, panels))


def _that_changes(value: ResNet) -> Drawing:
    """The last kind of a network's units, which changes the shape where any does so by other layers."""
    return picture.units(picture.kinds("", value)[-1]._replace(title=""))


def _column(names: tuple[str, ...]) -> Drawing:
    return picture.column(*((name, network(name)) for name in names))


def _kinds(name: str) -> Drawing:
    return picture.units(*picture.kinds(name, network(name)))
