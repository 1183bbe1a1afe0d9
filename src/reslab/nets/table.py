"""A network as its paper prints it: a table of stages, and a drawing of its units."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from reslab.nets.cost import Cost, Shape, total
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Chain, Node
from reslab.nets.unit import Unit, formula


class Row(NamedTuple):
    """A part of a network, or a series of like units: where, what comes out, what is in it, what it costs."""

    name: str
    output: Shape
    contents: str
    cost: Cost


def rows(network: NetworkSpec) -> list[Row]:
    """The network's table, like units in one row. A Table 1."""
    shape, table = network.input, []
    for name, part in network.plan().parts:
        for row_name, node, count in _series(name, part):
            contents = _contents(node, shape) + (f" × {count}" if count > 1 else "")
            layers = []
            for _ in range(count):
                layers += list(node.layers(shape, ""))
                shape = node.out(shape)
            table.append(Row(row_name, shape, contents, total(layers)))
    return table


def _series(name: str, part: Node) -> Iterator[tuple[str, Node, int]]:
    """A stage in series of equal units, which may be one unit long; any other part as it is."""
    if not (isinstance(part, Chain) and all(isinstance(unit, Unit) for _, unit in part.parts)):
        yield name, part, 1
        return
    for unit, series in groupby(part.parts, key=lambda named: named[1]):
        names = [unit_name for unit_name, _ in series]
        numbers = "-".join(dict.fromkeys(word.removeprefix("unit") for word in (names[0], names[-1])))
        yield f"{name}.unit{numbers}", unit, len(names)


def _contents(node: Node, shape: Shape) -> str:
    weighty = ("conv", "pool", "linear", "pad")
    if not isinstance(node, Unit):
        return "; ".join(layer.text for layer in node.layers(shape, "") if layer.kind in weighty)
    residual = "; ".join(layer.text for layer in node.residual.layers(shape, "") if layer.kind in weighty)
    if node.shortcut is None:
        return f"[{residual}]"
    shortcut = "; ".join(layer.text for layer in node.shortcut.layers(shape, "") if layer.kind in weighty)
    return f"[{residual}]" + (f" + {shortcut}" if shortcut else "")


def table_text(network: NetworkSpec) -> str:
    """The table as text, with its totals."""
    cells = [("part", "output", "layers", "parameters", "multiply-adds")]
    for row in rows(network):
        channels, height, width = row.output
        numbers = f"{row.cost.parameters:,}", f"{row.cost.multiply_adds:,}"
        cells.append((row.name, f"{height}×{width}×{channels}", row.contents, *numbers))
    cost = network.cost()
    cells.append(("total", "", "", f"{cost.parameters:,}", f"{cost.multiply_adds:,}"))
    return aligned(cells, right=(3, 4))


def aligned(cells: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> str:
    """Rows of cells as text in columns; the columns in `right` are aligned to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def diagrams(network: NetworkSpec) -> str:
    """A drawing of the network's last unit that keeps its input's shape and of the last that changes it."""
    found: dict[str, str] = {}
    shape = network.input
    for name, part in network.plan().parts:
        for unit_name, unit in part.parts if isinstance(part, Chain) else ():
            if isinstance(unit, Unit):
                keeps = unit.out(shape) == shape
                title = "keeps the shape" if keeps else "changes the shape"
                found[title] = f"{name}.{unit_name} {title}\n\n{_drawing(unit, shape)}"
                shape = unit.out(shape)
        if not isinstance(part, Chain) or not any(isinstance(unit, Unit) for _, unit in part.parts):
            shape = part.out(shape)
    return "\n\n".join(found[title] for title in sorted(found, reverse=True))


def _drawing(unit: Unit, shape: Shape) -> str:
    residual = [layer.text for layer in unit.residual.layers(shape, "")]
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
    return "\n".join([*lines, f"{pad}{formula(unit.merge)}", *(f"{pad}{text}" for text in after)])
