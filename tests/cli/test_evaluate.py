"""Evaluation from the command line."""

import json


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
