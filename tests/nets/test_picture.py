"""Pictures of networks: every layer and shortcut is there, in the order of the network."""

from xml.etree import ElementTree

import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from reslab import SpecError, cifar_resnet, draw_network, network
from reslab.nets import Gated
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.nets.picture import column, kinds, typical, units


def texts(drawing):
    """The texts from top to bottom."""
    return [text.get_text() for text in sorted(drawing.figure.axes[0].texts, key=lambda text: -text.get_position()[1])]


def boxes(drawing):
    return [patch for patch in drawing.figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def lines(drawing):
    return [patch for patch in drawing.figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def test_a_plain_and_a_residual_network_have_the_same_boxes_at_the_same_heights():
    plain, residual = (column((name, network(name))) for name in ("plain34", "resnet34"))
    assert len(boxes(plain)) == len(boxes(residual)) == 33 + 1 + 2  # convolutions, max pool, head
    heights = [[round(box.get_bbox().y0, 4) for box in boxes(drawing)] for drawing in (plain, residual)]
    assert heights[0] == heights[1]
    assert texts(residual).count("1×1 conv") == 3
    assert texts(plain).count("1×1 conv") == 0
    both = column(("plain34", network("plain34")), ("resnet34", network("resnet34")))
    assert len(boxes(both)) == 2 * len(boxes(plain))


def test_shortcuts_that_change_the_shape_are_dotted():
    drawing = column(("resnet34-a", network("resnet34-a")))
    assert sum(line.get_linestyle() != "-" for line in lines(drawing)) == 3
    assert texts(drawing).count("zero padding") == 3


def test_equal_units_of_a_deep_network_are_drawn_once_with_their_number():
    drawn = texts(column(("resnet1202-cifar", network("resnet1202-cifar"))))
    assert [text for text in drawn if text.startswith("× ")] == ["× 200", "× 199", "× 199"]
    assert drawn.count("3×3 conv, 16") == 1 + 2


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_the_unit_of_an_arrangement_has_its_layers_in_order(name):
    panel = typical(name, cifar_resnet(20, arrangement=name))
    layers = [layer.text for layer in panel.node.layers(panel.shape, "") if layer.kind != "merge"]
    drawn = [text.replace(" conv", "") for text in texts(units(panel)) if text not in (name, "x", "identity")]
    assert drawn == layers


def test_every_kind_of_unit_is_drawn_once():
    titles = [panel.title.split("\n")[1].split(",")[0] for panel in kinds("preact50", network("preact50"))]
    assert titles == ["stage1 unit1", "stage1 unit2", "stage2 unit1"]
    blocks = [panel.title.split("\n")[1] for panel in kinds("v2", network("inception-resnet-v2"))]
    assert [block.split(",")[0] for block in blocks] == [
        "stem", "stage1 unit1", "reduction1", "stage2 unit1", "reduction2", "stage3 unit1"
    ]  # fmt: skip


def test_a_merge_that_is_no_plain_sum_has_its_formula_and_gate():
    panel = typical("gated", cifar_resnet(20, merge=Gated(exclusive=True)))
    drawn = texts(units(panel))
    assert "(1−g)·h(x) + g·F(x)" in drawn
    assert "g = σ(1×1, 16)" in drawn


@pytest.mark.parametrize("name", ["lenet5", "vgg16", "googlenet", "inception-v4", "inception-resnet-v2-slim"])
def test_other_families_are_drawn_too(name, tmp_path):
    file = draw_network(name, tmp_path / "network.svg")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_everything_stands_within_the_picture():
    for drawing in (column(("a network", network("resnet50"))), units(*kinds("v4", network("inception-v4")))):
        width, height = drawing.figure.get_size_inches()
        for box in boxes(drawing):
            bounds = box.get_bbox()
            assert 0 < bounds.x0 < bounds.x1 < width
            assert -height < bounds.y0 < bounds.y1 < 0


def test_a_network_without_units_says_so():
    with pytest.raises(SpecError, match="vgg16 has no units; draw it without --unit"):
        kinds("vgg16", network("vgg16"))


def test_a_notebook_shows_the_picture():
    assert "<svg" in network("resnet20-cifar")._repr_svg_()


def test_changed_fields_stand_below_the_name_so_that_the_five_units_of_an_arrangement_fit_one_row(
    tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr("reslab.nets.picture.units", lambda *panels: drawn.append(units(*panels)) or drawn[0])
    five = list(ARRANGEMENTS)[:5]
    draw_network(
        [f"resnet20-cifar arrangement={name}" for name in five[1:]] + ["resnet20-cifar"], tmp_path / "5.svg", unit=True
    )
    [drawing] = drawn
    inputs = [text.get_position() for text in drawing.figure.axes[0].texts if text.get_text() == "x"]
    assert len({up for _, up in inputs}) == 1
    assert len({across for across, _ in inputs}) == 5
    assert texts(drawing).count("resnet20-cifar") == 5
    assert f"arrangement={five[1]}" in texts(drawing)
