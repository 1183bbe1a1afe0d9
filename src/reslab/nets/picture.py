"""Networks as pictures: a column of layers with its shortcuts, as in A Fig. 3, and units in detail, as in C Fig. 4."""

from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import groupby
from typing import NamedTuple

from reslab.drawing import Drawing
from reslab.errors import SpecError
from reslab.nets.canvas import (
    GAP,
    RADIUS,
    Label,
    Line,
    Mark,
    Part,
    Plus,
    Rule,
    arranged,
    beside,
    box,
    drawing,
    stacked,
    titled,
)
from reslab.nets.cost import Layer, Shape
from reslab.nets.leaves import Node
from reslab.nets.merges import Add
from reslab.nets.network import NetworkSpec
from reslab.nets.paths import Cat, Chain, Seq, Units
from reslab.nets.unit import Unit

_UNFOLDED = 42  # layers of the largest network that is drawn with every unit
_WEIGHTS = ("conv", "pool", "linear")
_ALL = (*_WEIGHTS, "bn", "relu", "lrn", "squash", "bias", "scale", "dropout", "flatten", "pad")
_STAGES = ("#dcd3ee", "#d3ead0", "#f6d0cd", "#cde1f5", "#fbe3c4", "#d0ecea")
_ENDS = "#eceef0"
_KINDS = {"conv": "#cde1f5", "linear": "#cde1f5", "bn": "#fbe3c4", "relu": "#d3ead0", "cat": "#eceef0"}
_MARGIN = 0.16  # from a unit's boxes to its shortcut
_SPLIT = 0.06  # from where a unit begins to where its shortcut leaves
_JOIN = 0.1  # from a unit's last box to the next unit
_SPREAD = 0.14  # of the lines to and from branches


class Panel(NamedTuple):
    """A unit or block of a network with its title, its place and the shape that it reads."""

    title: str
    node: Node
    shape: Shape


def column(*networks: tuple[str, NetworkSpec]) -> Drawing:
    """Networks with their names, side by side: a box for each weight layer, a line for each shortcut. A Fig. 3."""
    parts = [_column(name, network) for name, network in networks]
    names = ", ".join(name for name, _ in networks)
    caption = (
        f"{names}: a box for each weight layer and pool, at its left the output's height, width and channels. Lines at "
        "the right are shortcuts: solid where they are the identity, dotted where they pad or project."
    )
    return drawing(beside(parts), caption)


def units(*panels: Panel) -> Drawing:
    """Units side by side with every layer: residual, shortcut, their merge, and what follows it. C Figs. 2 and 4."""
    parts = [titled(panel.title, _block(panel.node, panel.shape)) for panel in panels]
    caption = "Units with every layer: the residual F in the column, the shortcut at its right, their merge below."
    return drawing(arranged(parts), caption)


def kinds(name: str, network: NetworkSpec) -> list[Panel]:
    """The units and blocks of a network that differ in more than their widths, with a stem that branches.

    Raises SpecError where there are none.
    """
    kept: dict[Hashable, Panel] = {}
    for path, node, shape in _blocks(network):
        if isinstance(node, Unit) or _branches(node):
            channels, height, width = shape
            kept.setdefault(structure(node, shape), Panel(f"{name}\n{path}, {height}×{width}×{channels}", node, shape))
    if not kept:
        raise SpecError(f"{name} has no units; draw it without --unit")
    return list(kept.values())


def typical(name: str, network: NetworkSpec) -> Panel | None:
    """The first of a network's most frequent units or blocks that keep the shape, with a title; None without one."""
    kept = [
        Panel(name, node, shape)
        for _, node, shape in _blocks(network)
        if (isinstance(node, Unit) or _branches(node)) and node.out(shape) == shape
    ]
    structures = [structure(panel.node, panel.shape) for panel in kept]
    return kept[structures.index(Counter(structures).most_common(1)[0][0])] if kept else None


def structure(node: Node, shape: Shape) -> Hashable:
    """What makes a unit another one: its layers and their kernels in order, and the formula of its merge; no widths."""
    formula = node.merge.formula if isinstance(node, Unit) and node.shortcut is not None else None
    return formula, tuple((layer.name, layer.kind, layer.kernel) for layer in node.layers(shape, ""))


def _blocks(network: NetworkSpec) -> Iterator[tuple[str, Node, Shape]]:
    """The parts of a network, and of stages every unit, with the shape that each reads."""
    shape = network.input
    for name, part in network.plan().parts:
        inner = part.parts if isinstance(part, Units) else [("", part)]
        for unit, node in inner:
            yield f"{name} {unit}".rstrip(), node, shape
            shape = node.out(shape)


def _branches(node: Node) -> bool:
    return isinstance(node, Cat) or (isinstance(node, Seq) and any(isinstance(part, Cat) for _, part in node.named()))


def _column(name: str, network: NetworkSpec) -> Part:
    channels, height, width = shape = network.input
    plan = network.plan().parts
    fold = sum(layer.kind in _WEIGHTS for layer in network.plan().layers(shape)) > _UNFOLDED
    parts, stage = [Part(0.2, 0.6, 0.6, (Label(0, -0.1, f"{height}×{width}×{channels}", size=7.5),))], 0
    for part_name, part in plan:
        ends = part_name in ("stem", "last", "head")
        colour = _ENDS if ends else _STAGES[stage % len(_STAGES)]
        stage += not ends
        drawn = _series(part, shape, colour, fold)
        shape = part.out(shape)
        maps = f"{shape[0]}" if shape[1] == 1 else f"{shape[1]}×{shape[2]}×{shape[0]}"
        at = -GAP - 0.1
        labels = (
            Label(-1.06, at, part_name, size=7, align="right", bold=True),
            Label(-1.06, at - 0.14, maps, size=7, align="right"),
        )
        parts.append(Part(drawn.height, max(drawn.left, 1.85), drawn.right, drawn.marks + labels))
    return titled(name, stacked(parts))


def _series(part: Node, shape: Shape, colour: str, fold: bool) -> Part:
    """A part of a column; equal units of a stage are drawn once if it is folded, with their number."""
    if not isinstance(part, Units):
        return _node(part, shape, colour)
    parts = []
    for unit, equal in groupby(unit for _, unit in part.parts):
        count = len(list(equal))
        for _ in range(1 if fold else count):
            drawn = _node(unit, shape, colour)
            parts.append(_times(drawn, count) if fold and count > 1 else drawn)
        shape = unit.out(shape)
    return stacked(parts)


def _times(part: Part, count: int) -> Part:
    """A part within a bracket that says how many times it stands there."""
    right = part.right + 0.12
    marks = (
        Rule(right, -0.06, -part.height + 0.02),
        Label(right + 0.06, -part.height / 2, f"× {count}", size=9, align="left", bold=True),
    )
    return Part(part.height, part.left, right + 0.45, part.marks + marks)


def _node(node: Node, shape: Shape, colour: str) -> Part:
    """A part of a column: a box for each weight layer, one for all branches of a concatenation."""
    match node:
        case Unit():
            residual = _node(node.residual, node.shared.out(shape), colour)
            if node.shortcut is None:
                return stacked([residual, _flow(_JOIN)])
            return _with_shortcut(residual, node, shape)
        case Cat():
            return box(f"{len(node.branches)} branches, {node.out(shape)[0]}", colour)
        case Seq() | Chain():
            parts = []
            for _, part in node.named():
                parts.append(_node(part, shape, colour))
                shape = part.out(shape)
            return stacked(parts)
        case _:
            layers = [layer for layer in node.layers(shape, "") if layer.kind in _WEIGHTS]
            return stacked([box(_text(layer), colour) for layer in layers])


def _with_shortcut(residual: Part, unit: Unit, shape: Shape) -> Part:
    """A unit of a column: a line around its residual."""
    assert unit.shortcut is not None
    layers = list(unit.shortcut.layers(shape, ""))
    split, join = -0.05, -residual.height - 0.07
    across = residual.right + _MARGIN
    path = ((0.0, split), (across, split), (across, join), (0.0, join))
    marks = [*stacked([residual, _flow(_JOIN)]).marks, Line(path, arrow=True, dotted=bool(layers))]
    right = across + 0.05
    if layers:
        kernel = layers[0].kernel
        text = f"{kernel[0]}×{kernel[1]} conv" if kernel else "zero padding"
        marks.append(Label(right, (split + join) / 2, text, size=6.5, align="left"))
        right += 0.62
    return Part(residual.height + _JOIN, residual.left, right, tuple(marks))


def _flow(length: float, arrow: bool = False) -> Part:
    return Part(length, 0, 0, (Line(((0, 0), (0, -length)), arrow=arrow),))


def _block(node: Node, shape: Shape) -> Part:
    """A unit or block with its input."""
    start = Part(0.2, 0.2, 0.2, (Label(0, -0.1, "x", size=10, italic=True),))
    drawn = _unit(node, shape) if isinstance(node, Unit) else _detail(node, shape, _WEIGHTS)
    return stacked([start, drawn, _flow(GAP + 0.05, arrow=True)])


def _detail(node: Node, shape: Shape, shown: tuple[str, ...]) -> Part:
    """A path with its layers of some kinds, and every branch."""
    match node:
        case Cat():
            return _concatenated(node, shape)
        case Seq() | Chain():
            parts = []
            for _, part in node.named():
                parts.append(_detail(part, shape, shown))
                shape = part.out(shape)
            return stacked(parts)
        case _:
            layers = [layer for layer in node.layers(shape, "") if layer.kind in shown]
            return stacked([box(_text(layer), _KINDS.get(layer.kind, _ENDS)) for layer in layers])


def _concatenated(node: Cat, shape: Shape) -> Part:
    """Branches side by side, from one point to the box that concatenates them."""
    drawn = [_detail(branch, shape, _WEIGHTS) for branch in node.branches]
    wide = 2 * max(max(part.left, part.right) for part in drawn) + 0.1
    across = -wide * (len(drawn) - 1) / 2
    deepest = max(part.height for part in drawn)
    bottom = -_SPREAD - deepest
    marks: list[Mark] = []
    for part in drawn:
        top = -_SPREAD - (deepest - part.height) / 2
        marks.append(Line(((0, 0), (across, -_SPREAD), (across, top)), arrow=False))
        marks += part.moved(across, top)
        marks.append(Line(((across, top - part.height), (across, bottom), (0, bottom - _SPREAD)), arrow=False))
        across += wide
    half = wide * len(drawn) / 2
    branches = Part(2 * _SPREAD + deepest, half, half, tuple(marks))
    return stacked([branches, box(f"concatenate, {node.out(shape)[0]}", _KINDS["cat"])])


def _unit(unit: Unit, shape: Shape) -> Part:
    """A unit: what both paths share, the residual with the shortcut at its right, their merge, what follows."""
    inner, out = unit.shared.out(shape), unit.out(shape)
    shown = _WEIGHTS if any(layer.kind == "cat" for layer in unit.residual.layers(inner, "")) else _ALL
    shared, residual = _detail(unit.shared, shape, _ALL), _detail(unit.residual, inner, shown)
    after = _detail(unit.after, out, _ALL)
    if unit.shortcut is None:
        return stacked([shared, _flow(_SPLIT), residual, after])
    return stacked([shared, _merged(unit, residual, _detail(unit.shortcut, inner, _ALL), out), after])


def _merged(unit: Unit, residual: Part, shortcut: Part, out: Shape) -> Part:
    """The residual with the shortcut at its right, and the sign of their merge."""
    centre = -_SPLIT - residual.height - 0.26
    middle = (centre - _SPLIT) / 2
    marks = [*stacked([_flow(_SPLIT), residual]).marks, Line(((0, -_SPLIT - residual.height), (0, centre + RADIUS)))]
    across = residual.right + _MARGIN + shortcut.left
    if shortcut.height:
        top = middle + shortcut.height / 2
        marks.append(Line(((0, -_SPLIT), (across, -_SPLIT), (across, top)), arrow=False))
        marks += shortcut.moved(across, top)
        marks.append(Line(((across, top - shortcut.height), (across, centre), (RADIUS, centre))))
        right = across + shortcut.right
    else:
        marks.append(Line(((0, -_SPLIT), (across, -_SPLIT), (across, centre), (RADIUS, centre))))
        marks.append(Label(across + 0.06, middle, "identity", size=7.5, align="left"))
        right = across + 0.6
    texts = _merge_texts(unit, out)
    for index, text in enumerate(texts):
        marks.append(Label(-0.16, centre - 0.14 * index, text, size=7.5, align="right"))
    left = max(residual.left, *(0.2 + 0.06 * len(text) for text in texts)) if texts else residual.left
    return Part(RADIUS - centre, left, right, (*marks, Plus(0, centre)))


def _merge_texts(unit: Unit, out: Shape) -> list[str]:
    """The formula of a merge that is not a plain sum, and the layers of its gate."""
    if unit.merge == Add():
        return []
    gates = [
        layer.text
        for _, node in unit.merge.parts(out[0], unit.stride)
        for layer in node.layers(out, "")
        if layer.kind == "conv"
    ]
    return [unit.merge.formula, *([f"g = σ({'; '.join(gates)})"] if gates else [])]


def _text(layer: Layer) -> str:
    """A layer as the figures name it: 3×3 conv, 64, /2."""
    if layer.kind != "conv":
        return layer.text
    kernel, _, rest = layer.text.partition(", ")
    return f"{kernel} conv, {rest}"
