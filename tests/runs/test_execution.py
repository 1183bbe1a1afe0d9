"""What is chosen for a machine, and that it changes the speed and not what is learnt."""

import shutil

import pytest
import torch

from reslab import machine
from reslab.data.digits import load_digits
from reslab.errors import SpecError
from reslab.nets import Conv, cifar_resnet, network
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Execution, choose
from reslab.runs.run import Run
from reslab.spec import replace
from reslab.train.learner import Learner
from reslab.train.loop import fitted, train
from reslab.weights.file import load

SMALL = cifar_resnet(8, widths=(8, 16, 32), stem=Conv(8, 3))
HOW = Recipe(steps=10, batch=32, log_every=5, evaluate_every=10, checkpoint_every=5)
MUCH = 1e18


def processor(monkeypatch, amx=False, avx=False, maker="GenuineIntel", compiler="/usr/bin/c++"):
    monkeypatch.setattr(machine, "vendor", lambda: maker)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(shutil, "which", lambda name: compiler)


@pytest.mark.parametrize(
    ("here", "work", "precision", "compiles", "why"),
    [
        ({}, MUCH, "float32", False, "processor without bf16; compilation gains nothing on this processor"),
        ({"avx": True, "maker": "AuthenticAMD"}, MUCH, "bf16", False, "AVX-512 BF16; compilation gains nothing"),
        ({"avx": True}, MUCH, "float32", False, "this processor's bf16 is slower than float32; compilation"),
        ({"amx": True}, MUCH, "bf16", True, "processor with AMX; compilation pays"),
        ({"amx": True}, 1e10, "bf16", False, "too few steps to pay"),
        ({"amx": True, "compiler": None}, MUCH, "bf16", False, "no C++ compiler"),
    ],
)
def test_auto_chooses_by_the_machine_and_the_work(monkeypatch, here, work, precision, compiles, why):
    processor(monkeypatch, **here)
    chosen = choose(Execution(device="cpu"), work)
    assert (chosen.precision, chosen.compile) == (precision, compiles)
    assert why in chosen.why


@pytest.mark.parametrize(
    ("name", "size", "steps", "compiles"),
    [
        ("resnet20-cifar", 32, 16_000, True),
        ("resnet20-cifar", 32, 1_600, False),
        ("resnet34", 64, 4_000, True),
        ("inception-v3", 96, 2_000, False),  # 187 s of compilation save a tenth of a quarter of an hour
        ("inception-v3", 96, 20_000, True),
    ],
)
def test_auto_compiles_on_a_processor_where_its_convolutions_have_work_enough(monkeypatch, name, size, steps, compiles):
    processor(monkeypatch, amx=True)
    net = (
        replace(network(name), size=size, auxiliary=()) if name == "inception-v3" else replace(network(name), size=size)
    )
    work = 3 * net.cost().multiply_adds * steps * 64
    assert choose(Execution(device="cpu"), work, net.cost().convolutions, steps).compile == compiles


@pytest.mark.parametrize(("name", "compiles"), [("resnet20-cifar", True), ("resnet8-cifar", False)])
def test_auto_compiles_on_a_gpu_where_that_takes_a_small_part_of_the_time(monkeypatch, name, compiles):
    monkeypatch.setattr("reslab.runs.execution.find_device", lambda word: "cuda")
    monkeypatch.setattr("reslab.runs.execution.find_precision", lambda word, device: ("bf16", "H100"))
    processor(monkeypatch)
    cost, steps = network(name).cost(), 64_000
    chosen = choose(Execution(), 3 * cost.multiply_adds * steps * 128, cost.convolutions, steps)
    assert chosen.compile == compiles
    assert choose(Execution(), 0.9 * 5e13 * 120).compile is False  # large networks: seconds by their multiply-adds
    assert choose(Execution(), 1.1 * 5e13 * 120).compile is True


def test_what_is_asked_for_is_had_or_refused(monkeypatch):
    processor(monkeypatch, amx=True)
    chosen = choose(Execution(device="cpu", precision="float32", compile="off"), MUCH)
    assert (chosen.precision, chosen.compile) == ("float32", False)
    assert not choose(Execution(device="cpu", recompute=1), MUCH).compile
    processor(monkeypatch, avx=True)
    assert choose(Execution(device="cpu", precision="bf16"), MUCH).precision == "bf16"
    with pytest.raises(SpecError, match="--compile on: not with --recompute"):
        choose(Execution(device="cpu", compile="on", recompute=1), MUCH)
    processor(monkeypatch, compiler=None)
    with pytest.raises(SpecError, match=r"no bf16 here .*--precision float32"):
        choose(Execution(device="cpu", precision="bf16"), MUCH)
    with pytest.raises(SpecError, match=r"no C\+\+ compiler here; install"):
        choose(Execution(device="cpu", compile="on"), MUCH)


def losses(learner, steps):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, 32, 32, generator=generator)
    labels = torch.arange(64) % 10
    return torch.stack([learner.train_step(images, labels, step)[0] for step in range(steps)])


def learner(**options):
    torch.manual_seed(0)
    return Learner(SMALL.build(), Recipe(steps=50, batch=64), **options)


def test_bf16_computes_in_bf16_and_keeps_float32():
    low = learner(bf16=True)
    seen = {}
    low.network.stage1.unit1.residual.conv1.register_forward_hook(lambda m, i, o: seen.update(conv=o.dtype))
    near = losses(low, 10)
    assert seen == {"conv": torch.bfloat16}
    assert near.dtype == torch.float32
    assert {tensor.dtype for tensor in low.network.state_dict().values()} == {torch.float32, torch.int64}
    torch.testing.assert_close(near, losses(learner(), 10), atol=0.05, rtol=0.05)
    assert not torch.equal(near, losses(learner(), 10))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler about torch's own jit
@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler")
def test_a_compiled_step_learns_what_an_eager_one_does():
    torch.testing.assert_close(losses(learner(compiles=True), 8), losses(learner(), 8), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_resumed_run_keeps_to_what_was_chosen_and_ends_bit_for_bit(tmp_path, precision, monkeypatch):
    processor(monkeypatch, avx=True)
    digits = load_digits()
    value = fitted(SMALL, digits)
    begun = Execution(device="cpu", precision=precision)
    train(value, HOW, digits, tmp_path / "whole", execution=begun)

    from reslab.train import loop

    class StopsBehindSix(loop.Stop):
        steps = 0

        def __getattribute__(self, name):
            if name == "asked":
                StopsBehindSix.steps += 1
                return StopsBehindSix.steps == 6
            return super().__getattribute__(name)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "Stop", StopsBehindSix)
        assert train(value, HOW, digits, tmp_path / "run", execution=begun)["status"] == "stopped"
    train(value, HOW, digits, tmp_path / "run", execution=Execution(device="cpu", resume="exact"))
    assert Run(tmp_path / "run").record.resumed[0].chosen.precision == precision
    states = [load(tmp_path / name).state_dict() for name in ("run", "whole")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])


def test_another_precision_is_a_statistical_resume(tmp_path, monkeypatch):
    processor(monkeypatch, avx=True)
    digits = load_digits()
    value, how = fitted(SMALL, digits), replace(HOW, steps=20)
    train(value, HOW, digits, tmp_path / "run", execution=Execution(device="cpu", precision="float32"))
    (tmp_path / "run" / "result.json").unlink()
    with pytest.raises(SpecError, match=r"recipe\.steps 10, not 20"):
        train(value, how, digits, tmp_path / "run", execution=Execution(device="cpu", resume="any"))
    with pytest.raises(SpecError, match="no exact resume: precision float32, now bf16"):
        train(value, HOW, digits, tmp_path / "run", execution=Execution(device="cpu", precision="bf16", resume="exact"))


def gpu_settings():
    cudnn = torch.backends.cudnn
    return torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.allow_tf32


def test_the_bits_of_a_gpu_are_settled_for_a_run_alone(tmp_path, monkeypatch):
    seen = []
    inside = Learner.update

    def update(self, *given):
        seen.append(gpu_settings())
        return inside(self, *given)

    monkeypatch.setattr(Learner, "update", update)
    before = gpu_settings()
    digits = load_digits()
    for deterministic in (True, False):
        train(
            fitted(SMALL, digits), HOW, digits, tmp_path / str(deterministic), 0, Execution(deterministic=deterministic)
        )
        assert set(seen) == {(deterministic, not deterministic, not deterministic)}
        assert before == gpu_settings()
        seen.clear()
