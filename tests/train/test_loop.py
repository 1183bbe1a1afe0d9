"""Training: repeatable, recorded, honest about divergence."""

import dataclasses
import errno
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from reslab.data.batches import positions
from reslab.data.crops import PadCropFlip, ScaleJitter
from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.errors import SpecError
from reslab.evaluate import evaluate
from reslab.machine import find_device
from reslab.nets import Conv, Dropped, cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.runs.execution import Chosen, Execution
from reslab.runs.record import Record, read_metrics
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.train.estimate import messages
from reslab.train.learner import Learner
from reslab.train.loop import fitted, train
from reslab.train.optim import make_optimizer
from reslab.weights.file import load
from reslab.weights.manifest import newest

QUICK = Recipe(steps=12, batch=32, schedule=Drops(at=(9,)), evaluate_every=6, log_every=4)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def network(digits):
    return fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits)


def test_a_run_directory_tells_everything(tmp_path, digits, network):
    result = train(network, QUICK, digits, tmp_path / "run", seed=3)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["data"], record["seed"], record["chosen"]["device"]) == ("digits", 3, find_device("auto"))
    assert record["network"]["size"] == 8
    assert record["recipe"]["steps"] == 12
    assert record["versions"]["torch"] == torch.__version__
    assert record["machine"]["threads"] == torch.get_num_threads()
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "finished"
    assert result["test"]["images"] == 360
    assert result["images_per_second"] > 0
    lines = list(read_metrics(tmp_path / "run"))
    assert [line["step"] for line in lines] == [4, 6, 8, 12]
    assert [line["rate"] for line in lines] == pytest.approx([0.1, 0.1, 0.1, 0.01])
    assert ["test_error" in line for line in lines] == [False, True, False, True]
    assert lines[-1]["test_error"] == result["test"]["top1_error"]
    assert "test_top5_error" not in lines[-1]


def test_top5_errors_are_logged_of_more_than_ten_classes(tmp_path, digits):
    """Of ten classes five are half; a run without them is read as before."""
    more = dataclasses.replace(digits, classes=tuple(f"class {number}" for number in range(20)))
    result = train(fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), more), QUICK, more, tmp_path / "run")
    lines = Run(tmp_path / "run").metrics
    assert [line.test_top5_error is not None for line in lines] == [False, True, False, True]
    assert lines[-1].top5_error("test") == result["test"]["top5_error"]
    assert lines[-1].top5_error("validation") is lines[-1].top5_error("train") is None


def timeless(lines):
    return [
        {key: value for key, value in line.items() if key not in ("images_per_second", "waiting")} for line in lines
    ]


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


def test_divergence_names_the_batch_and_keeps_the_last_good_checkpoint(tmp_path, digits, network, monkeypatch):
    update = Learner.update

    def update_badly(self, images, labels):
        return update(self, images * (float("nan") if self.step == 6 else 1.0), labels)

    monkeypatch.setattr(Learner, "update", update_badly)
    how = replace(QUICK, checkpoint_every=2, checkpoints_kept=3, log_every=100, evaluate_every=100)
    result = train(network, how, digits, tmp_path / "run", seed=4)
    assert (result["status"], result["step"]) == ("diverged", 7)
    assert result["batch"] == [str(index) for index in positions(4, 6, 32, 1437)]
    assert newest(tmp_path / "run").name == "step-00000006"
    kept = sorted(folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["step-00000002", "step-00000004", "step-00000006"]
    assert all(torch.isfinite(value).all() for value in load(tmp_path / "run").state_dict().values())


def test_weights_that_are_not_finite_are_not_kept(tmp_path, digits, network, monkeypatch):
    update = Learner.update

    def update_badly(self, images, labels):
        loss_and_logits = update(self, images, labels)
        if self.step == 5:
            with torch.no_grad():
                next(self.network.parameters()).fill_(float("inf"))
        return loss_and_logits

    monkeypatch.setattr(Learner, "update", update_badly)
    result = train(network, replace(QUICK, checkpoint_every=3), digits, tmp_path / "run")
    assert (result["status"], result["step"]) == ("diverged", 6)
    assert newest(tmp_path / "run").name == "step-00000003"


@pytest.mark.parametrize("bad", ["test", "train"])
@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_an_evaluation_that_is_not_finite_is_divergence(tmp_path, digits, network, monkeypatch, bad, loss):
    """A loss can be finite on each batch in training mode and not with BN's running statistics."""

    def evaluate_badly(model, views, recorder=None):
        evaluation = evaluate(model, views, recorder)
        images = {"test": 360, "train": 1437}[bad]
        return evaluation._replace(loss=loss) if evaluation.images == images else evaluation

    monkeypatch.setattr("reslab.train.loop.evaluate", evaluate_badly)
    result = train(network, QUICK, digits, tmp_path / "run")
    assert (result["status"], result["step"]) == ("diverged", {"test": 6, "train": 12}[bad])
    assert len(result["batch"]) == QUICK.batch
    assert Run(tmp_path / "run").status == "diverged"
    assert all(line.test_loss is None for line in Run(tmp_path / "run").metrics) == (bad == "test")


def test_held_out_images_are_the_eval_split_and_the_test_images_are_for_the_end(tmp_path, digits, network):
    result = train(network, replace(QUICK, validation=137), digits, tmp_path / "run")
    lines = list(read_metrics(tmp_path / "run"))
    assert ["validation_error" in line for line in lines] == [False, True, False, True]
    assert not any("test_error" in line for line in lines)
    assert [result[part]["images"] for part in ("train", "validation", "test")] == [1300, 137, 360]
    assert result["validation"]["top1_error"] == lines[-1]["validation_error"]
    held = digits.hold_out(137)
    assert np.bincount(held.validation.labels).min() >= 13
    both = np.concatenate([held.train.pixels, held.validation.pixels]).reshape(1437, -1)
    assert sorted(map(bytes, both)) == sorted(map(bytes, digits.train.pixels.reshape(1437, -1)))
    with pytest.raises(SpecError, match="cannot hold out 1437 of the 1,437 training images of digits"):
        digits.hold_out(1437)


def test_the_ema_is_evaluated_and_saved(tmp_path, digits, network):
    result = train(network, replace(QUICK, average=0.99), digits, tmp_path / "run")
    loader = InMemoryLoader(digits, torch.device("cpu"))
    kept = load(tmp_path / "run").to(memory_format=torch.channels_last)  # as it trained, or the last bits differ
    assert evaluate(kept, loader.views("test"))._asdict() == result["test"]
    plain = train(network, QUICK, digits, tmp_path / "plain")
    assert plain["test"] != result["test"]


def test_an_augmentation_for_other_images_is_refused_before_anything_is_written(tmp_path, digits, network):
    with pytest.raises(SpecError, match="digits takes pad-crop-flip or none"):
        train(network, replace(QUICK, augment=ScaleJitter()), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_loses_nothing_but_the_steps_since_the_last_checkpoint(tmp_path, digits, network, monkeypatch):
    how = replace(QUICK, checkpoint_every=3)
    train(network, how, digits, tmp_path / "whole")
    real = os.fsync

    def full(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if "step-00000006" in name and "optimizer" in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*checkpoints/step-00000006"):
        train(network, how, digits, tmp_path / "run")
    monkeypatch.undo()
    assert newest(tmp_path / "run").name == "step-00000003"
    train(network, how, digits, tmp_path / "run", execution=Execution(resume="exact"))
    ends = [(newest(tmp_path / name) / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert ends[0] == ends[1]


def test_a_run_is_stopped_after_the_time_that_it_has_and_goes_on_to_the_same_bytes(tmp_path, digits, network):
    output = io.StringIO()
    console = Console(file=output, width=200)
    how = replace(QUICK, steps=40)
    train(network, how, digits, tmp_path / "whole")
    in_no_time = Execution(stop_after=1e-3)
    assert train(network, how, digits, tmp_path / "run", execution=in_no_time, console=console)["status"] == "stopped"
    done = Run(tmp_path / "run").result.step
    assert newest(tmp_path / "run").name == f"step-{done:08d}"
    assert f"{40 - done} of 40 steps are left" in output.getvalue()
    train(network, how, digits, tmp_path / "run", execution=Execution(resume="exact"))
    ends = [(newest(tmp_path / name) / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert ends[0] == ends[1]


def test_a_clock_that_goes_back_changes_nothing(tmp_path, digits, network, monkeypatch):
    """The clock of a machine that has just booted may be years behind the files of its last run."""
    how, out = replace(QUICK, checkpoint_every=3), tmp_path / "run"
    whole = train(network, how, digits, tmp_path / "whole")
    log = Record.log

    def lost_at_8(record, line):
        if line.step == 8:
            raise InterruptedError
        log(record, line)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(Record, "log", lost_at_8)
        train(network, how, digits, out)
    assert [each.step for each in Run(out).checkpoints] == [3, 6]
    clock = iter(range(10**9, 0, -(10**5)))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    for age, file in enumerate(sorted(out.rglob("*"))):
        os.utime(file, (2e9 - age, 2e9 - age))  # what was written later looks older
    assert newest(out).name == "step-00000006"
    result = train(network, how, digits, out, execution=Execution(resume="exact"))
    assert (result["test"], result["train"]) == (whole["test"], whole["train"])
    assert result["seconds"] > 0
    assert timeless(read_metrics(out)) == timeless(read_metrics(tmp_path / "whole"))


def test_messages_describe_the_run(digits, network):
    how = replace(QUICK, validation=137, average=0.9, clip=1.0, smoothing=0.1)
    text = "\n".join(messages(network, how, digits.hold_out(137), 0, Chosen("cpu", "float32", False, "so")))
    assert "12 steps of 32 images, 0.3 epochs of 1,300" in text
    rule = "sgd, gradients clipped at 1, label smoothing 0.1, EMA of the weights"
    assert f"learning rate 0.1, times 0.1 at 9; {rule}" in text
    count = network.cost().parameters
    decaying, free = (int(number.replace(",", "")) for number in re.findall(r"on ([\d,]+) weights in", text))
    assert decaying + free == count
    assert "evaluated on 137 validation images every 6 steps; the test images at the end alone" in text


@pytest.mark.parametrize("large", [True, False])
def test_a_run_that_fills_much_of_the_memory_returns_it(tmp_path, digits, network, monkeypatch, large):
    monkeypatch.setattr("reslab.train.estimate.memory", lambda: 10**6 if large else 10**9)
    monkeypatch.setattr("reslab.machine.os.environ", environment := dict(os.environ))
    environment.pop("THP_MEM_ALLOC_ENABLE", None)
    train(network, QUICK, digits, tmp_path / "run")
    assert ("THP_MEM_ALLOC_ENABLE" in environment) == large


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
    loader = InMemoryLoader(digits, torch.device("cpu"))
    images, labels = next(loader.views("test"))
    evaluations = [evaluate(built, zip(images.split(batch), labels.split(batch), strict=True)) for batch in (360, 7)]
    assert evaluations[0].top1_error == evaluations[1].top1_error
    assert evaluations[0].top5_error == evaluations[1].top5_error < evaluations[0].top1_error
    assert evaluations[0].loss == pytest.approx(evaluations[1].loss, rel=1e-5)
    assert built.training
    logits = built.eval()(images)
    assert evaluations[0].top1_error == pytest.approx(100 * (logits.argmax(1) != labels).float().mean().item())
