"""Training: repeatable, recorded, honest about divergence."""

import json

import pytest
import torch

from reslab.data.crops import PadCropFlip
from reslab.data.digits import load_digits
from reslab.data.held import Held
from reslab.errors import SpecError
from reslab.evaluate import evaluate
from reslab.nets import Conv, Dropped, cifar_resnet
from reslab.spec import replace
from reslab.train.loop import fitted, train
from reslab.train.optim import make_optimizer
from reslab.train.recipe import Recipe
from reslab.train.record import read_metrics
from reslab.train.schedule import Drops

QUICK = Recipe(steps=12, batch=32, schedule=Drops(at=(9,)), evaluate_every=6, log_every=4)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def network(digits):
    return fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits)


def test_a_run_directory_tells_everything(tmp_path, digits, network):
    result = train(network, QUICK, digits, tmp_path / "run", seed=3)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (told["data"], told["seed"], told["precision"]) == ("digits", 3, "float32")
    assert told["network"]["size"] == 8
    assert told["recipe"]["steps"] == 12
    assert told["versions"]["torch"] == torch.__version__
    assert told["machine"]["threads"] == torch.get_num_threads()
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["test"]["images"] == 360
    assert result["images_per_second"] > 0
    lines = list(read_metrics(tmp_path / "run"))
    assert [line["step"] for line in lines] == [4, 6, 8, 12]
    assert [line["rate"] for line in lines] == pytest.approx([0.1, 0.1, 0.1, 0.01])
    assert ["test_error" in line for line in lines] == [False, True, False, True]
    assert lines[-1]["test_error"] == result["test"]["top1_error"]


def timeless(lines):
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path, digits, network):
    how = replace(QUICK, augment=PadCropFlip(pad=1, flip=False))
    dropped = replace(network, merge=Dropped(0.5))
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        torch.manual_seed(hash(name) % 100)  # what ran before is of no matter
        train(dropped, how, digits, tmp_path / name, seed)
    one, again, other = (timeless(read_metrics(tmp_path / name)) for name in ("one", "again", "other"))
    assert one == again
    assert one != other


def test_random_numbers_drawn_elsewhere_change_nothing(tmp_path, digits, network, monkeypatch):
    dropped = replace(network, merge=Dropped(0.5))
    train(dropped, QUICK, digits, tmp_path / "one")

    def evaluate_that_draws(*words):
        torch.rand(7)
        return evaluate(*words)

    monkeypatch.setattr("reslab.train.loop.evaluate", evaluate_that_draws)
    train(dropped, QUICK, digits, tmp_path / "other")
    assert timeless(read_metrics(tmp_path / "one")) == timeless(read_metrics(tmp_path / "other"))


def test_training_teaches(tmp_path, digits, network):
    result = train(network, replace(QUICK, steps=60, schedule=Drops(at=(50,))), digits, tmp_path / "run")
    assert result["test"]["top1_error"] < 30  # chance is 90


def test_a_loss_that_is_not_finite_is_a_result(tmp_path, digits, network):
    result = train(network, replace(QUICK, schedule=Drops(rate=1e30)), digits, tmp_path / "run")
    assert result["status"] == "diverged"
    assert result["step"] <= 12
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result


def test_a_network_for_other_images_is_refused_before_anything_is_written(tmp_path, digits):
    with pytest.raises(SpecError, match="images and classes of digits"):
        train(cifar_resnet(8), QUICK, digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_weights_decay(network):
    optimizer = make_optimizer(network.build(), QUICK)
    decaying, free = optimizer.param_groups
    assert decaying["weight_decay"] == QUICK.weight_decay
    assert free["weight_decay"] == 0
    assert {parameter.ndim for parameter in decaying["params"]} == {2, 4}
    assert {parameter.ndim for parameter in free["params"]} == {1}


def test_evaluation_counts_every_image_once_whatever_the_batch(digits, network):
    torch.manual_seed(0)
    built = network.build()
    loader = Held(digits, torch.device("cpu"))
    images, labels = next(loader.views("test"))
    found = [evaluate(built, zip(images.split(batch), labels.split(batch), strict=True)) for batch in (360, 7)]
    assert found[0].top1_error == found[1].top1_error
    assert found[0].top5_error == found[1].top5_error < found[0].top1_error
    assert found[0].loss == pytest.approx(found[1].loss, rel=1e-5)
    assert built.training
    logits = built.eval()(images)
    assert found[0].top1_error == pytest.approx(100 * (logits.argmax(1) != labels).float().mean().item())
