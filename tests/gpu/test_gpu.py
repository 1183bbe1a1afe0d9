"""On a GPU: the captured step is the eager one, runs repeat and resume to the same bytes, and everything else runs.

`make test-gpu`. Without a GPU every test says that it is skipped.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import pytest
import torch

from reslab import network
from reslab.analyse import ANALYSES
from reslab.api import analyse_networks, export_network
from reslab.bench.compare import BenchSettings, inference, training
from reslab.data.digits import load_digits
from reslab.machine import without_tf32
from reslab.nets import Dropped
from reslab.recipes.schedule import Drops
from reslab.runs.execution import Execution, deterministic_mode
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.train.loop import train
from reslab.train.step import CudaGraph, FixedStep, StreamedStep
from reslab.use.engine import make_engine
from reslab.weights.manifest import newest

from ..train.test_step import HOW, NETWORKS, RECIPES, assert_same, small, trained

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")]
DEVICE = "cuda"
EXACT = Execution(device=DEVICE, precision="float32", compile="off", deterministic=True)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def assert_graph_trains_as_eager(digits, network, how, recompute=0):
    """To the bit in float32: 20 steps, the first three of them eager."""
    device, how = torch.device(DEVICE), replace(how, steps=20)
    outcomes = []
    with deterministic_mode(True):
        eager = trained(digits, network, how, FixedStep, recompute, device)
        graph = partial(FixedStep, graph=CudaGraph(), report=outcomes.append)
        assert_same(trained(digits, network, how, graph, recompute, device), eager)
        assert outcomes == ["captured"]
        assert_same(trained(digits, network, how, partial(StreamedStep, first=0), recompute, device), eager)


@pytest.mark.parametrize("fields", NETWORKS.values(), ids=NETWORKS)
def test_a_graph_trains_every_network_as_eager_steps_do(digits, fields):
    assert_graph_trains_as_eager(digits, small(digits, **fields), HOW)


@pytest.mark.parametrize("how", RECIPES.values(), ids=RECIPES)
def test_a_graph_trains_by_every_recipe_as_eager_steps_do(digits, how):
    assert_graph_trains_as_eager(digits, small(digits, merge=Dropped(0.5)), how)


def test_a_graph_with_activation_checkpointing_trains_as_eager_steps_do(digits):
    assert_graph_trains_as_eager(digits, small(digits), HOW, recompute=1)


def weights(run):
    return (newest(run) / "model.safetensors").read_bytes()


def test_a_deterministic_run_repeats_and_resumes_to_the_same_bytes(digits, tmp_path, monkeypatch):
    network, how = small(digits, merge=Dropped(0.5)), replace(HOW, average=0.9, checkpoint_every=3)
    for name in ("one", "again"):
        train(network, how, digits, tmp_path / name, execution=EXACT)
        assert Run(tmp_path / name).record.graph == "captured"
    assert weights(tmp_path / "one") == weights(tmp_path / "again")
    take = FixedStep.take

    def take_and_die(self, step):
        if step == 8:
            raise KeyboardInterrupt
        take(self, step)

    monkeypatch.setattr(FixedStep, "take", take_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(network, how, digits, tmp_path / "run", execution=EXACT)
    monkeypatch.undo()
    train(network, how, digits, tmp_path / "run", execution=replace(EXACT, resume="exact"))
    assert weights(tmp_path / "run") == weights(tmp_path / "one")


def test_a_capture_that_fails_is_recorded_and_the_run_goes_on(digits, tmp_path, monkeypatch):
    network = small(digits)
    train(network, HOW, digits, tmp_path / "captured", execution=EXACT)
    capture = CudaGraph.capture

    def with_a_wait(self, function):
        capture(self, lambda: (function(), torch.cuda.synchronize()))

    monkeypatch.setattr(CudaGraph, "capture", with_a_wait)
    train(network, HOW, digits, tmp_path / "run", execution=EXACT)
    assert Run(tmp_path / "run").record.graph not in (None, "captured")
    assert weights(tmp_path / "run") == weights(tmp_path / "captured")


def test_a_compiled_run_learns_what_an_eager_one_does(digits, tmp_path):
    network, how = small(digits), replace(HOW, schedule=Drops(rate=0.01))
    results = [
        train(network, how, digits, tmp_path / word, execution=replace(EXACT, deterministic=False, compile=word))
        for word in ("off", "on")
    ]
    assert Run(tmp_path / "on").record.graph == "captured"
    assert results[1]["train"]["loss"] == pytest.approx(results[0]["train"]["loss"], rel=0.02)


def test_a_run_in_bf16_learns_and_divergence_names_its_step(digits, tmp_path):
    execution = Execution(device=DEVICE, precision="bf16")
    how = replace(HOW, steps=100, batch=64, schedule=Drops(at=(80,)))
    assert train(small(digits), how, digits, tmp_path / "run", execution=execution)["test"]["top1_error"] < 40
    bad = replace(how, schedule=Drops(rate=1e30))
    result = train(small(digits), bad, digits, tmp_path / "bad", execution=execution)
    assert result["status"] == "diverged"
    assert len(result["batch"]) == 64


def test_runs_one_after_another_leave_no_memory(digits, tmp_path):
    held = []
    for name in "abc":
        train(small(digits), HOW, digits, tmp_path / name, execution=EXACT)
        torch.cuda.synchronize()
        held.append(torch.cuda.memory_allocated())
    assert held[2] <= held[0] + 2**20


TRAIN = ["-m", "reslab", "train", "resnet8-cifar", "--data", "digits", "--recipe", "demo", "--device", DEVICE]


def test_one_rank_with_nccl(tmp_path):
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    words = [sys.executable, *TRAIN, "--set", "steps=20", "--out", str(tmp_path / "run")]
    subprocess.run(words, env=environment | {"MASTER_PORT": str(port)}, check=True, timeout=120)
    assert Run(tmp_path / "run").status == "finished"


def test_a_time_box_ends_a_run_saved(tmp_path):
    run = tmp_path / "run"
    words = [
        sys.executable,
        *TRAIN,
        "--set",
        "steps=10000000",
        "--out",
        str(run),
        "--stop-after",
        "20s",
    ]  # the first step takes some
    words += ["--compile", "off"]
    assert subprocess.run(words, timeout=120).returncode == 75
    assert newest(run).name == f"step-{Run(run).result.step:08d}"
    assert Run(run).result.step > 100


def test_a_signal_that_comes_twice_ends_a_run_saved(tmp_path):
    run = tmp_path / "run"
    words = [sys.executable, *TRAIN, "--set", "steps=10000000", "--out", str(run), "--compile", "off"]
    with subprocess.Popen(words) as process:
        deadline = time.monotonic() + 120
        while not Run(run).metrics and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 75
    assert newest(run).name == f"step-{Run(run).result.step:08d}"


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    train(small(digits), replace(HOW, steps=40), digits, out, execution=EXACT)
    return out


@pytest.mark.parametrize("kind", ANALYSES)
def test_every_analysis_runs(kind, run, tmp_path):
    small_ones = {"images": 64, "points": 3, "workers": 1}
    names = {option.name for option in ANALYSES[kind].options}
    options = {name: value for name, value in small_ones.items() if name in names}
    data = "digits" if "data" in names else None
    report = analyse_networks(kind, str(run), data, device=DEVICE, out=tmp_path, **options)
    assert report.columns()


@pytest.mark.parametrize(
    "name",
    ["resnet20-cifar", "preact20-cifar", "resnet50", "resnext50-32x4d", "googlenet", "inception-resnet-v2", "alexnet"],
)
def test_the_engine_agrees_and_its_graph_takes_batches_of_every_size(name):
    torch.manual_seed(0)
    built = network(name).build().to(DEVICE).eval()
    images = torch.randn(4, *built.spec.input, device=DEVICE)
    engine = make_engine(built, "torch", "float32", False, images)  # compares the outputs
    with torch.inference_mode(), without_tf32():
        for batch in (images[:1], images, torch.cat([images, images])):
            expected = built(batch)
            assert (engine(batch) - expected).abs().max() < 1e-3 * expected.abs().max()


def test_runs_side_by_side_share_the_gpu(tmp_path):
    words = [sys.executable, "-m", "reslab", "study", "run", "degradation", "--seeds", "1", "--row", "plain-20"]
    words += ["--row", "ResNet-20"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert len([run for run in (tmp_path / "runs").iterdir() if Run(run).record.graph == "captured"]) == 2


def test_an_export_agrees(run, tmp_path):
    export_network(run, "pt2", tmp_path / "network.pt2", device=DEVICE)
    assert (tmp_path / "network.pt2").is_file()


def test_bench_measures_both_sides_on_the_gpu(digits):
    how = BenchSettings(batch=32, precision="float32", rounds=1, seconds=0.3, device=DEVICE)
    for pair in (training(small(digits), "torch", how), inference(small(digits), "torch", how)):
        assert pair.difference < 1e-2  # TF32
        assert min(pair.ours.rounds) > 0
        assert "on a GPU" in pair.work


def test_the_record_says_what_the_gpu_is(digits, tmp_path):
    train(small(digits), HOW, digits, tmp_path / "run", execution=EXACT)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["machine"]["gpu"] == torch.cuda.get_device_name()
