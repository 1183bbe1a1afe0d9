"""Named networks: lists and descriptions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reslab.errors import SpecError, nearest

if TYPE_CHECKING:
    from reslab.nets.cost import Cost
    from reslab.nets.network import NetworkSpec


class NetworkRow(NamedTuple):
    """A named network, its counts, the shape (C, H, W) of its images, and the paper's table that it is from."""

    name: str
    parameters: int
    multiply_adds: int
    input: tuple[int, int, int]
    source: str


def list_networks(pattern: str = "*") -> list[NetworkRow]:
    """The named networks that match a shell pattern ("preact*") or hold a word. Raises SpecError where none does."""
    from reslab.nets import NAMED, networks

    matches = networks(pattern)
    if not matches:
        raise SpecError(f"no network matches {pattern!r}: {nearest(pattern, NAMED)}")
    rows = []
    for named in matches:
        cost = named.network.cost()
        rows.append(NetworkRow(named.name, cost.parameters, cost.multiply_adds, named.network.input, named.source))
    return rows


class NetworkDescription(NamedTuple):
    """A network and its drawings.

    spec: its fields as plain JSON types
    source, deviation: of the paper; empty for a network with changed fields
    auxiliary: number and cost of the auxiliary classifiers, which exist while training
    diagrams: of its units, as text
    """

    network: "NetworkSpec"
    spec: dict[str, Any]
    source: str
    deviation: str
    auxiliary: "tuple[int, Cost] | None"
    diagrams: str

    def table(self, width: int | None = None) -> str:
        """The table of the network's stages, in lines of at most `width` characters."""
        from reslab.nets.table import table_text

        return table_text(self.network, width)


def describe_network(name: str, assignments: Mapping[str, str] | None = None) -> NetworkDescription:
    """Describe the network of a name or a JSON file, with changed fields ({"merge.p": "0.3"}) as by --set."""
    from reslab.nets import NAMED, Staged
    from reslab.nets.file import find_network
    from reslab.nets.table import diagrams
    from reslab.spec import override, plain

    value = override(find_network(name), dict(assignments or {}))
    named = NAMED.get(name) if not assignments else None
    auxiliary = None
    if isinstance(value, Staged) and value.auxiliary:
        auxiliary = len(value.auxiliary), value.auxiliary_cost()
    source, deviation = (named.source, named.deviation) if named else ("", "")
    return NetworkDescription(value, plain(value), source, deviation, auxiliary, diagrams(value))


def draw_network(
    names: str | Sequence[str],
    out: Path | str,
    *,
    unit: bool = False,
    assignments: Mapping[str, str] | None = None,
) -> Path:
    """Draw networks side by side into an SVG, PNG or PDF file, and return its path.

    names: names, or a name and fields that differ ("resnet56-cifar arrangement=full-preactivation")
    unit: units with every layer in place of the whole: all kinds of one network, the most frequent kind of several
    assignments: of every network, as by --set
    Raises SpecError for another ending, or with `unit` for a network without units.
    """
    from typing import get_args

    from reslab.disk import write_whole
    from reslab.drawing import FileFormat
    from reslab.nets import parse_network, picture
    from reslab.spec import override

    out = Path(out)
    formats = {f".{form}": form for form in get_args(FileFormat)}
    if out.suffix not in formats:
        raise SpecError(f"{out}: a picture's file ends in {', '.join(formats)}")
    names = [names] if isinstance(names, str) else list(names)
    lines = max(name.count(" ") for name in names)  # a line for each changed field, and the pictures at one height
    titles = [name.replace(" ", "\n") + "\n" * (lines - name.count(" ")) for name in names]
    values = [override(parse_network(name), dict(assignments or {})) for name in names]
    networks = list(zip(titles, values, strict=True))
    if not unit:
        drawing = picture.column(*networks)
    elif len(networks) == 1:
        drawing = picture.units(*picture.kinds(*networks[0]))
    else:
        panels = [picture.typical(*named) or picture.kinds(*named)[0] for named in networks]
        drawing = picture.units(*panels)
    write_whole(out, drawing.save(formats[out.suffix]))
    return out
