"""Evaluation from the command line."""

import json

from reslab.api import ClassDetails
from reslab.cli.evaluate import details_text


def test_evaluate_as_json_is_for_programs(reslab, capsys, tmp_path):
    import torch

    from reslab import cifar_resnet
    from reslab.data.digits import load_digits
    from reslab.train.loop import fitted
    from reslab.weights.file import Weights, save_weights

    torch.manual_seed(0)
    value = fitted(cifar_resnet(8), load_digits())
    save_weights(Weights(value, value.build().state_dict()), tmp_path / "w.safetensors")
    assert reslab("evaluate", "w.safetensors", "--data", "digits", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"images", "top1_error", "top5_error", "loss"}
    assert result["images"] == 360
    assert 100 >= result["top1_error"] >= result["top5_error"] >= 0


def test_of_many_classes_the_largest_confusions_are_listed():
    confusion = [[4 * (row == column) for column in range(30)] for row in range(30)]
    confusion[3][5], confusion[7][2] = 1, 6
    names = tuple(f"kind{number}" for number in range(30))
    details = ClassDetails(names, names, [sum(row) for row in confusion], [0.0] * 29 + [None], confusion, 0.0)
    lines = details_text(details, ["confusion"]).splitlines()
    assert [line.split() for line in lines[1:]] == [["kind7", "kind2", "6", "60.00", "%"],
                                                    ["kind3", "kind5", "1", "20.00", "%"]]  # fmt: skip
    assert "no images" in details_text(details, ["per_class"])
    details = details._replace(confusion=[[0] * 30] * 30)
    assert details_text(details, ["confusion"]) == "no class is confused with another"
