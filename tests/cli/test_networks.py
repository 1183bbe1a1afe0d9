"""Networks, listed and shown."""

import json


def test_networks_as_json_is_for_programs(reslab, capsys):
    assert reslab("networks", "*20-cifar", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in listed] == ["plain20-cifar", "resnet20-cifar"]
    assert listed[1] == {
        "name": "resnet20-cifar",
        "parameters": 269722,
        "multiply_adds": 40551040,
        "input": [3, 32, 32],
        "source": "A sec. 4.2, Table 6",
    }


def test_show_has_the_table_and_the_drawing(reslab, capsys):
    assert reslab("show", "resnet20-cifar", "--set", "arrangement=full-preactivation") == 0
    out = capsys.readouterr().out
    assert "[3×3, 16; 3×3, 16] × 2" in out
    assert "h(x) + F(x)" in out
    assert reslab("show", "resnet20-cifar", "--json") == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["cost"]["parameters"] == sum(layer["parameters"] for layer in tree["layers"]) == 269722


def test_networks_are_drawn_side_by_side(reslab, capsys, tmp_path):
    assert reslab("draw", "plain8-cifar", "resnet8-cifar arrangement=full-preactivation", "--out", "both.png") == 0
    assert capsys.readouterr().out == "both.png\n"
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert reslab("draw", "resnet8-cifar", "--unit", "--set", "merge=gated", "--out", "unit.svg") == 0
    assert "<svg" in (tmp_path / "unit.svg").read_text()


def test_a_picture_of_another_kind_is_refused_before_anything_is_drawn(reslab, capsys, tmp_path):
    assert reslab("draw", "resnet8-cifar", "--out", "network.gif") == 2
    assert "ends in .png, .pdf, .svg" in capsys.readouterr().err
    assert reslab("draw", "vgg16", "--unit") == 2
    assert list(tmp_path.iterdir()) == []
