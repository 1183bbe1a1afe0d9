"""Checkpoints: a resumed run ends as one that never stopped, whatever stopped it."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from reslab.data.crops import PadCropFlip
from reslab.data.digits import load_digits
from reslab.errors import SpecError
from reslab.evaluate import evaluate
from reslab.nets import Conv, Dropped, cifar_resnet
from reslab.recipes.recipe import SGD, Recipe, RMSProp
from reslab.recipes.schedule import Drops
from reslab.runs.execution import Execution
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.train import loop
from reslab.train.loop import fitted, train
from reslab.weights.file import load
from reslab.weights.manifest import holds, newest

# an epoch of the digits is 1,437 images: with 479 a batch it ends after steps 3, 6 and 9
HOW = Recipe(
    steps=10,
    batch=479,
    schedule=Drops(at=(7,), warmup=2),
    augment=PadCropFlip(pad=1),
    evaluate_every=5,
    log_every=4,
    checkpoint_every=3,
)


RESUME = Execution(resume="any")


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def network(digits):
    return fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), merge=Dropped(0.3)), digits)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, digits, network):
    """The run that never stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(network, HOW, digits, out, seed=5)
    return out


def weights(run):
    """The tensors of the last two checkpoints, to the byte."""
    return {
        (folder.name, file.name): file.read_bytes()
        for folder in sorted((run / "checkpoints").iterdir())[-2:]
        for file in folder.glob("*.safetensors")
    }


def recorded(run):
    """Everything that a run recorded but times."""
    lines = [dataclasses.replace(line, images_per_second=0.0, waiting=0.0) for line in Run(run).metrics]
    result = Run(run).result
    return lines, result.status, result.step, result.test, result.train


def assert_ends_as(run, whole):
    assert weights(run) == weights(whole)
    assert recorded(run) == recorded(whole)


class StopsAfter:
    """A stop that is asked for while a step is under way. The loop asks once a step."""

    step = 0

    def __init__(self, after=None):
        self.steps = 0

    def __enter__(self):
        return self

    def __exit__(self, *error): ...

    @property
    def asked(self):
        self.steps += 1
        return self.steps == self.step


WHERE = {1: "first", 2: "warm-up", 3: "epoch-end", 4: "mid-epoch", 7: "drop", 9: "last-epoch"}
RULES = {
    "sgd": HOW,
    "rmsprop": replace(HOW, optimizer=RMSProp(), clip=1.0),
    "sgd-averaged": replace(HOW, average=0.9, optimizer=SGD(nesterov=True)),
    "rmsprop-averaged": replace(HOW, optimizer=RMSProp(), average=0.9, smoothing=0.1),
}


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory, digits, network):
    """The run of each rule that never stopped."""
    made = {}

    def get(rule):
        if rule not in made:
            made[rule] = tmp_path_factory.mktemp(rule) / "run"
            train(network, RULES[rule], digits, made[rule], seed=5)
        return made[rule]

    return get


@pytest.mark.parametrize("step", WHERE, ids=WHERE.get)
@pytest.mark.parametrize("rule", RULES)
def test_a_run_stopped_after_a_step_resumes_bit_for_bit(step, rule, digits, network, unstopped, tmp_path, monkeypatch):
    whole = unstopped(rule)
    monkeypatch.setattr(StopsAfter, "step", step)
    monkeypatch.setattr(loop, "Stop", StopsAfter)
    stopped = train(network, RULES[rule], digits, tmp_path / "run", seed=5)
    monkeypatch.undo()
    assert (stopped["status"], stopped["step"]) == ("stopped", step)
    assert weights(tmp_path / "run") != weights(whole)
    train(network, RULES[rule], digits, tmp_path / "run", seed=5, execution=RESUME)
    assert_ends_as(tmp_path / "run", whole)
    resumed = Run(tmp_path / "run").record.resumed
    assert [(item.step, item.exact) for item in resumed] == [(step, True)]


class Crash(BaseException):
    """The process ends here."""


def test_a_crash_at_any_write_loses_no_more_than_the_steps_since_the_last_checkpoint(
    digits, network, tmp_path, monkeypatch
):
    how = replace(HOW, steps=5, schedule=Drops(at=(3,), warmup=1), checkpoint_every=2)
    train(network, how, digits, tmp_path / "whole", seed=5)
    real = {"fsync": os.fsync, "rename": Path.rename, "rmtree": shutil.rmtree, "replace": Path.replace}
    crashes = 0
    for place in range(100):
        count = iter(range(10**9))

        def crashing(name, place=place, count=count):
            def call(*words, **options):
                if next(count) == place:
                    raise Crash
                done = real[name](*words, **options)
                if next(count) == place:
                    raise Crash
                return done

            return call

        run = tmp_path / f"run{place}"
        monkeypatch.setattr(os, "fsync", crashing("fsync"))
        monkeypatch.setattr(Path, "rename", crashing("rename"))
        monkeypatch.setattr(Path, "replace", crashing("replace"))
        monkeypatch.setattr(shutil, "rmtree", crashing("rmtree"))
        try:
            train(network, how, digits, run, seed=5)
        except Crash:
            crashes += 1
        else:
            break
        finally:
            monkeypatch.undo()
        begun = (run / "run.json").is_file()
        assert all(holds(folder) for folder in (run / "checkpoints").glob("step-*"))
        if not (run / "result.json").is_file():
            train(network, how, digits, run, seed=5, execution=Execution(resume="any" if begun else "never"))
        assert_ends_as(run, tmp_path / "whole")
        shutil.rmtree(run)
    assert crashes > 30, crashes


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"])
@pytest.mark.parametrize(
    "damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:-1]), Path.unlink], ids=["flip", "cut", "missing"]
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    damage, file, digits, network, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "evaluate", crash_at_the_end(tmp_path / "run"))
    with pytest.raises(Crash):
        train(network, HOW, digits, tmp_path / "run", seed=5)
    monkeypatch.undo()
    folders = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [folder.name for folder in folders] == ["step-00000006", "step-00000009"]
    damage(folders[1] / file)
    assert newest(tmp_path / "run") == folders[0]
    train(network, HOW, digits, tmp_path / "run", seed=5, execution=RESUME)
    assert_ends_as(tmp_path / "run", whole)


def crash_at_the_end(run):
    """An evaluation that ends the process once the checkpoint of step 9 is there."""

    def evaluate_or_crash(*words):
        if (run / "checkpoints" / "step-00000009").is_dir():
            raise Crash
        return evaluate(*words)

    return evaluate_or_crash


def test_a_killed_process_resumes_bit_for_bit(tmp_path):
    words = [sys.executable, "-m", "reslab", "train", "resnet8-cifar", "--data", "digits", "--recipe", "demo"]
    words += ["--set", "steps=60", "--set", "checkpoint_every=5", "--set", "schedule.at=[40]", "--resume", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*words, "whole"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    kills = 0
    for patience in (0.05, 0.3, 0.15, 60):
        with subprocess.Popen([*words, "killed"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
            before = newest(tmp_path / "killed")
            while process.poll() is None and newest(tmp_path / "killed") == before:
                time.sleep(0.005)
            deadline = time.monotonic() + patience
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
    assert kills >= 1
    assert_ends_as(tmp_path / "killed", tmp_path / "whole")


def test_a_finished_run_keeps_its_weights_and_its_last_two_checkpoints(whole, network):
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())
    assert names == ["step-00000009", "step-00000010"]
    assert not (whole / "checkpoints" / names[-1] / "optimizer.safetensors").exists()
    built = load(whole)
    assert built.spec == network


def test_a_changed_spec_is_refused_with_the_difference(digits, network, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "evaluate", crash_at_the_end(tmp_path / "run"))
    with pytest.raises(Crash):
        train(network, HOW, digits, tmp_path / "run", seed=5)
    monkeypatch.undo()
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    how = replace(HOW, schedule=replace(HOW.schedule, rate=0.2))
    with pytest.raises(SpecError, match=r"recipe\.schedule\.rate 0\.1, not 0\.2"):
        train(network, how, digits, tmp_path / "run", seed=5, execution=RESUME)
    with pytest.raises(SpecError, match="a stopped run; --resume continues it"):
        train(network, HOW, digits, tmp_path / "run", seed=5)
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_another_machine_makes_it_a_statistical_resume(digits, network, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "evaluate", crash_at_the_end(tmp_path / "run"))
    with pytest.raises(Crash):
        train(network, HOW, digits, tmp_path / "run", seed=5)
    monkeypatch.undo()
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    facts["machine"]["threads"] = 96
    (tmp_path / "run" / "run.json").write_text(json.dumps(facts))
    with pytest.raises(SpecError, match="no exact resume: threads 96, now"):
        train(network, HOW, digits, tmp_path / "run", seed=5, execution=Execution(resume="exact"))
    train(network, HOW, digits, tmp_path / "run", seed=5, execution=RESUME)
    assert [item.exact for item in Run(tmp_path / "run").record.resumed] == [False]


def test_every_parameter_has_its_velocity_in_a_checkpoint(network, whole):
    state = load_file(whole / "checkpoints" / "step-00000009" / "optimizer.safetensors")
    assert set(state) == {f"{name}:momentum_buffer" for name, _ in network.build().named_parameters()}
