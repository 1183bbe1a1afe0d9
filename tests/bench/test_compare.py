"""Comparisons do the same work on both sides."""

import json

import pytest

from reslab.bench.compare import BenchSettings, inference, training
from reslab.cli import main
from reslab.nets import Conv, cifar_resnet

SMALL = cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3))
QUICK = BenchSettings(batch=8, precision="float32", rounds=2, seconds=0.05)


@pytest.mark.parametrize("rival", ["torch", "akamaster-style"])
def test_training_learns_the_same_as_the_plain_loop(rival):
    pair = training(SMALL, rival, QUICK)
    assert pair.difference < 1e-4
    assert len(pair.ours.rounds) == len(pair.theirs.rounds) == 2
    assert min(pair.ratios.rounds) > 0
    assert pair.work.endswith("training, batch 8, float32")


def test_inference_computes_the_same():
    pair = inference(SMALL, "torch", QUICK)
    assert pair.difference < 1e-4
    assert 0 < pair.roof < 1


def test_the_command_prints_both_sides(capsys):
    words = ["bench", "resnet8-cifar", "--batch", "4", "--rounds", "1", "--what", "inference"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--precision", "float32", "--json"])
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["vs"] == "torch, eager float32"
    assert len(printed["ours"]) == len(printed["theirs"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench", "resnet50", "--vs", "timm"], "timm has no network that computes what resnet50 does: did you mean"),
        (["bench", "resnet20-cifar", "--vs", "jax"], "--vs jax: choose from torch, torchvision"),
        (["bench", "resnet20-cifar", "--what", "sleep"], "choose from training, inference, both"),
    ],
)
def test_what_cannot_be_compared_is_refused(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
