"""Trackers show a run's metrics as they come, and can end no training."""

import io
import json
import os
import signal
from importlib.util import find_spec

import pytest
from rich.console import Console

from reslab.data.digits import load_digits
from reslab.errors import SpecError
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Execution
from reslab.runs.run import Run
from reslab.train import trackers
from reslab.train.learner import Learner
from reslab.train.loop import fitted, train

QUICK = Recipe(steps=6, batch=16, evaluate_every=3, log_every=2, checkpoint_every=3)


def missing(module):
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def network(digits):
    return fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits)


class Recorded:
    """A sink that keeps what it gets, and can fail."""

    def __init__(self, fails_at=None):
        self.lines, self.status, self.fails_at = [], None, fails_at

    def log(self, step, values):
        if self.fails_at is not None and step >= self.fails_at:
            raise ConnectionError("no route to host")
        self.lines.append({"step": step} | dict(values))

    def end(self, status):
        self.status = status


@pytest.fixture
def sink(monkeypatch):
    sink = Recorded()
    monkeypatch.setattr(trackers, "must_be_installed", lambda name: None)
    monkeypatch.setattr("reslab.train.loop.must_be_installed", lambda name: None)
    monkeypatch.setattr(trackers, "_open", lambda name, run: sink)
    return sink


def test_a_tracker_gets_the_lines_of_the_run_and_its_end(tmp_path, digits, network, sink):
    train(network, QUICK, digits, tmp_path / "run", execution=Execution(log="wandb"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sink.lines == lines
    assert [line["step"] for line in lines] == [2, 3, 4, 6]
    assert sink.status == "finished"


def test_a_tracker_that_fails_ends_no_training_and_warns_once(tmp_path, digits, network, sink):
    sink.fails_at = 3
    console = Console(file=io.StringIO(), width=200)
    result = train(
        network, QUICK, digits, tmp_path / "run", execution=Execution(device="cpu", log="mlflow"), console=console
    )
    assert result["status"] == "finished"
    assert [line["step"] for line in sink.lines] == [2]
    assert sink.status is None
    assert console.file.getvalue().count("mlflow failed") == 1
    assert "no route to host" in console.file.getvalue()
    assert len(Run(tmp_path / "run").metrics) == 4


def test_a_tracker_that_cannot_be_opened_ends_no_training(tmp_path, digits, network, sink, monkeypatch):
    def fail(name, run):
        raise RuntimeError("no key")

    monkeypatch.setattr(trackers, "_open", fail)
    result = train(network, QUICK, digits, tmp_path / "run", execution=Execution(log="wandb"))
    assert result["status"] == "finished"


def test_a_tracker_changes_no_weights(tmp_path, digits, network, sink):
    for name, log in (("with", "wandb"), ("without", None)):
        train(network, QUICK, digits, tmp_path / name, execution=Execution(log=log))
    one, other = (Run(tmp_path / name).newest.weights_file.read_bytes() for name in ("with", "without"))
    assert one == other
    assert "log" not in json.loads((tmp_path / "without" / "run.json").read_text())["execution"]


def test_a_tracker_that_is_missing_is_refused_before_anything_is_written(tmp_path, digits, network, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(SpecError, match=r"pip install 'reslab\[wandb\]'"):
        train(network, QUICK, digits, tmp_path / "run", execution=Execution(log="wandb"))
    assert not (tmp_path / "run").exists()


def stopped_and_resumed(run, digits, network, log, monkeypatch):
    """Train a run that is stopped in its fifth step, after the last checkpoint, and resumed."""
    update = Learner.update

    def stop(self, images, labels):
        if self.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, images, labels)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "update", stop)
        assert train(network, QUICK, digits, run, execution=Execution(log=log))["status"] == "stopped"
    console = Console(file=io.StringIO(), width=200)
    result = train(network, QUICK, digits, run, execution=Execution(log=log, resume="any"), console=console)
    assert result["status"] == "finished"
    assert "failed" not in console.file.getvalue()


@missing("tensorboard")
def test_tensorboard_has_a_stopped_and_resumed_run_once(tmp_path, digits, network, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stopped_and_resumed(tmp_path / "run", digits, network, "tensorboard", monkeypatch)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    shown = [(event.step, event.value) for event in events.Scalars("train_loss")]
    assert shown == [(line.step, pytest.approx(line.train_loss)) for line in Run(tmp_path / "run").metrics]
    assert [event.step for event in events.Scalars("test_error")] == [3, 6]


@missing("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_has_the_lines(tmp_path, digits, network, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    stopped_and_resumed(tmp_path / "run", digits, network, "wandb", monkeypatch)
    files = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    assert len({file.name for file in files}) == 1  # one run of W&B
    assert b"train_loss" in b"".join(file.read_bytes() for file in files)


@missing("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_stopped_and_resumed_run_once(tmp_path, digits, network, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    stopped_and_resumed(tmp_path / "run", digits, network, "mlflow", monkeypatch)
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("reslab").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["recipe.steps"] == "6"
    shown = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "train_loss")}
    assert shown == {line.step: pytest.approx(line.train_loss) for line in Run(tmp_path / "run").metrics}
