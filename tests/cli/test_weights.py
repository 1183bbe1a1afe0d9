"""Others' weights in and out."""

import pytest


@pytest.fixture
def foreign(tmp_path):
    """A file of weights in torchvision's layout, for one network of ten classes."""
    import torch

    from reslab import network, replace
    from reslab.weights.convert import export
    from reslab.weights.file import Weights

    torch.manual_seed(0)
    value = replace(network("resnet18"), classes=10, channels=1)
    path = tmp_path / "theirs.pth"
    torch.save(export(Weights(value, value.build().state_dict())), path)
    return path


def test_weights_go_in_are_evaluated_and_come_out(reslab, foreign, capsys, tmp_path, monkeypatch):
    from reslab.nets import NAMED
    from reslab.spec import replace

    monkeypatch.setitem(vars(NAMED["resnet18"]), "network", replace(NAMED["resnet18"].network, channels=1))
    assert reslab("weights", "theirs.pth", "--as", "resnet18", "--out", "ours.safetensors") == 0
    output = capsys.readouterr()
    assert output.out == "ours.safetensors\n"
    assert "the file has 10 classes" in output.err
    assert reslab("export", "ours.safetensors", "--format", "torchvision", "--out", "back.safetensors") == 0
    assert reslab("weights", "back.safetensors", "--as", "resnet18", "--out", "again.safetensors") == 0
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "ours.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["weights", "theirs.pth", "--as", "resnet19", "--out", "o.safetensors"], 2, "did you mean resnet18"),
        (["weights", "theirs.pth", "--as", "resnet18", "--out", "o.pth"], 2, "give it the ending .safetensors"),
        (["weights", "theirs.pth", "--as", "resnet34", "--out", "o.safetensors"], 2, "use --as resnet18"),
        (["weights", "theirs.pth", "--as", "vgg16", "--out", "o.safetensors"], 2, "use --as resnet18"),
        (["weights", "none.pth", "--as", "resnet18", "--out", "o.safetensors"], 3, "none.pth: no such file"),
        (["evaluate", "theirs.pth", "--data", "digits"], 3, "theirs.pth"),
        (["export", "theirs.pth", "--format", "onnx", "--out", "o.safetensors"], 2, "give it the ending .onnx"),
    ],
)
def test_wrong_weights_end_in_two_lines_and_leave_nothing(reslab, foreign, words, code, expected, capsys, tmp_path):
    assert reslab(*words) == code
    err = capsys.readouterr().err
    assert expected in err
    assert len(err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == [foreign]
