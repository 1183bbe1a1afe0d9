"""A network as its paper prints it: a table of stages, and a drawing of its units."""

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple

from reslab.nets.cost import Cost, Shape, total
from reslab.nets.leaves import Leaf, Node
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Cat, Chain, Seq
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
            contents = _contents(node, shape, count)
            layers = []
            for _ in range(count):
                layers += list(node.layers(shape, ""))
                shape = node.out(shape)
            table.append(Row(row_name, shape, contents, total(layers)))
    return table


def _series(name: str, part: Node) -> Iterator[tuple[str, Node, int]]:
    """A stage in series of equal units, which may be one unit long; any other part as it is."""
    if not (isinstance(part, Chain) and name.startswith("stage")):
        yield name, part, 1
        return
    for unit, series in groupby(part.parts, key=lambda named: named[1]):
        names = [unit_name for unit_name, _ in series]
        numbers = "-".join(dict.fromkeys(word.removeprefix("unit") for word in (names[0], names[-1])))
        yield f"{name}.unit{numbers}", unit, len(names)


def _contents(node: Node, shape: Shape, count: int) -> str:
    """What a part holds, a line for each branch of its concatenations: [3×3, 16; 3×3, 16] × 3."""
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
        branches = [_inline(branch, shape) for branch in node.branches]
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


def _inline(node: Node, shape: Shape) -> str:
    if isinstance(node, Cat):
        return "(" + " | ".join(_inline(branch, shape) for branch in node.branches) + ")"
    if isinstance(node, Leaf):
        layer = node.layer(shape, "")
        return layer.text if layer.kind in ("conv", "pool", "linear", "pad", "lrn", "dropout") else ""
    return "; ".join(text for part, reads in _parts(node, shape) if (text := _inline(part, reads)))


def _parts(node: Node, shape: Shape) -> Iterator[tuple[Node, Shape]]:
    """The parts of a series, each with the shape that it reads."""
    for _, part in node.named() if isinstance(node, Seq | Chain) else [("", node)]:
        yield part, shape
        shape = part.out(shape)


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
    """Rows of cells, which may have several lines, as text in columns; those in `right` are aligned to the right."""
    widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        for line in zip_longest(*(cell.split("\n") for cell in row), fillvalue=""):
            padded = [
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
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
    return "\n".join([*lines, f"{pad}{formula(unit.merge)}", *(f"{pad}{text}" for text in after)])
