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
