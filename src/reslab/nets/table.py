"""A network as its paper prints it: a table of stages, and a drawing of its units."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from reslab.columns import aligned
from reslab.nets.cost import Cost, Shape, total
from reslab.nets.leaves import Leaf, Node
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Cat, Chain, Seq, Units
from reslab.nets.unit import Unit
from reslab.table import Column


class Row(NamedTuple):
    """A part of a network, or a series of equal units: its name, output shape, contents and cost."""

    name: str
    output: Shape
    contents: str
    cost: Cost


def rows(network: NetworkSpec) -> list[Row]:
    """The network's table, equal units in one row. A Table 1."""
    shape, table = network.input, []
    for name, part in network.plan().parts:
        for row_name, node, count in _series(name, part):
            contents = _contents(node, shape, count)
            layers = []
            for _ in range(count):
                layers += list(node.layers(shape, ""))
                shape = node.out(shape)
            table.append(Row(row_name, shape, contents, total(layers)))
    return table


def _series(name: str, part: Node) -> Iterator[tuple[str, Node, int]]:
    """A stage as series of equal units; any other part as it is."""
    if not isinstance(part, Units):
        yield name, part, 1
        return
    first = 1
    for unit, series in groupby(unit for _, unit in part.parts):
        count = len(list(series))
        yield f"{name}.unit{first}" + (f"-{first + count - 1}" if count > 1 else ""), unit, count
        first += count


def _contents(node: Node, shape: Shape, count: int) -> str:
    """The layers of a part, a line for each branch of its concatenations: [3×3, 16; 3×3, 16] × 3."""
    lines = _lines(node.residual, node.shared.out(shape)) if isinstance(node, Unit) else _lines(node, shape)
    if isinstance(node, Unit) or count > 1:
        lines[0] = f"[{lines[0]}"
        lines[-1] = f"{lines[-1]}]"
    if isinstance(node, Unit) and node.shortcut is not None and (shortcut := _inline(node.shortcut, shape)):
        lines[-1] += f" + {shortcut}"
    if count > 1:
        lines[-1] += f" × {count}"
    return "\n".join(lines)


def _lines(node: Node, shape: Shape) -> list[str]:
    if isinstance(node, Cat):
        branches = _branches(node, shape)
        return [f"( {branches[0]}", *(f"| {branch}" for branch in branches[1:-1]), f"| {branches[-1]} )"]
    lines, open_line = [], False
    for part, reads in _parts(node, shape):
        if isinstance(part, Cat):
            lines += _lines(part, reads)
            open_line = False
        elif text := _inline(part, reads):
            if open_line:
                lines[-1] += f"; {text}"
            else:
                lines.append(text)
            open_line = True
    return lines


def _branches(node: Cat, shape: Shape) -> list[str]:
    return [_inline(branch, shape) or "identity" for branch in node.branches]


def _inline(node: Node, shape: Shape) -> str:
    if isinstance(node, Cat):
        return "(" + " | ".join(_branches(node, shape)) + ")"
    if isinstance(node, Leaf):
        layer = node.layer(shape, "")
        return layer.text if layer.kind in ("conv", "pool", "linear", "pad", "lrn", "dropout") else ""
    return "; ".join(text for part, reads in _parts(node, shape) if (text := _inline(part, reads)))


def _parts(node: Node, shape: Shape) -> Iterator[tuple[Node, Shape]]:
    """The parts of a series, each with its input's shape."""
    for _, part in node.named() if isinstance(node, Seq | Chain) else [("", node)]:
        yield part, shape
        shape = part.out(shape)


def table_text(network: NetworkSpec, width: int | None = None) -> str:
    """The table as text, with its totals, in lines of at most `width` characters."""
    cells = [("part", "output", "layers", "parameters", "multiply-adds")]
    for row in rows(network):
        channels, high, wide = row.output
        numbers = f"{row.cost.parameters:,}", f"{row.cost.multiply_adds:,}"
        layers = row.contents.replace(", ", ",\xa0").replace(" × ", "\xa0×\xa0")  # each layer in one line
        cells.append((row.name, f"{high}×{wide}×{channels}", layers, *numbers))
    cost = network.cost()
    cells.append(("total", "", "", f"{cost.parameters:,}", f"{cost.multiply_adds:,}"))
    return aligned(cells, right=(3, 4), width=width)


def columns(network: NetworkSpec) -> list[Column]:
    """The table as columns of text and numbers, with its totals."""
    parts, cost = rows(network), network.cost()
    sizes = [f"{high}×{wide}×{channels}" for channels, high, wide in (row.output for row in parts)]
    return [
        Column("part", [*(row.name for row in parts), "total"], numbers=False),
        Column("output", [*sizes, None], numbers=False),
        Column("layers", [*(row.contents for row in parts), None], numbers=False),
        Column("parameters", [*(row.cost.parameters for row in parts), cost.parameters], form=","),
        Column("multiply-adds", [*(row.cost.multiply_adds for row in parts), cost.multiply_adds], form=","),
    ]


def diagrams(network: NetworkSpec) -> str:
    """A drawing of the network's last unit that keeps its input's shape and of the last that changes it."""
    last: dict[bool, str] = {}  # by whether the unit keeps the shape
    shape = network.input
    for name, part in network.plan().parts:
        for unit_name, unit in part.parts if isinstance(part, Units) else [("", part)]:
            out = unit.out(shape)
            if isinstance(unit, Unit):
                title = "keeps the shape" if out == shape else "changes the shape"
                last[out == shape] = f"{name}.{unit_name} {title}\n\n{_drawing(unit, shape)}"
            shape = out
    return "\n\n".join(last[keeps] for keeps in (True, False) if keeps in last)


def _drawn(node: Node, shape: Shape) -> list[str]:
    """One line for each layer of a series, one for each branch of its concatenations."""
    return [
        line
        for part, reads in _parts(node, shape)
        for line in (_lines(part, reads) if isinstance(part, Cat) else [layer.text for layer in part.layers(reads, "")])
    ]


def _drawing(unit: Unit, shape: Shape) -> str:
    residual = _drawn(unit.residual, unit.shared.out(shape))
    shared = [layer.text for layer in unit.shared.layers(shape, "")]
    after = [layer.text for layer in unit.after.layers(unit.out(shape), "")]
    wide = max(len(text) for text in residual) + 4
    pad = " " * 4
    lines = [f"{pad}x", *(f"{pad}{text}" for text in shared)]
    if unit.shortcut is None:
        return "\n".join([*lines, *(f"{pad}{text}" for text in [*residual, *after])])
    shortcut = [layer.text for layer in unit.shortcut.layers(shape, "")] or ["identity"]
    top = (len(residual) - len(shortcut)) // 2
    lines.append(f"{pad}├{'─' * (wide - 1)}┐")
    for index in range(max(len(residual), len(shortcut))):
        left = residual[index] if index < len(residual) else "│"
        right = shortcut[index - top] if 0 <= index - top < len(shortcut) else "│"
        lines.append(f"{pad}{left.ljust(wide)}{right}")
    lines.append(f"{pad}├{'─' * (wide - 1)}┘")
    return "\n".join([*lines, f"{pad}{unit.merge.formula}", *(f"{pad}{text}" for text in after)])
