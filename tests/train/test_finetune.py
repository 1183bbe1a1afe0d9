"""Training that begins with others' weights: what travels, what is new, what is refused, what stays as it is."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from reslab import train_network
from reslab.data.crops import InceptionCrop
from reslab.data.digits import load_digits
from reslab.data.loader import load
from reslab.data.normalise import MeanImage, MeanStd
from reslab.errors import DataError, SpecError
from reslab.evaluate import evaluate
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.named import recipe
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.runs.contents import Source
from reslab.runs.execution import Chosen, Execution
from reslab.runs.record import read_json, read_metrics, run_name
from reslab.spec import digest, replace
from reslab.train import loop
from reslab.train.estimate import activation_bytes, messages
from reslab.train.freeze import freeze
from reslab.train.learner import Learner
from reslab.train.loop import fitted, train
from reslab.train.optim import make_optimizer
from reslab.train.start import Start, start_from
from reslab.weights.file import Weights, read_weights, save_weights
from reslab.weights.manifest import newest

SMALL = cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3))
HOW = Recipe(
    steps=6,
    batch=8,
    schedule=Drops(rate=0.01),
    augment=InceptionCrop(area=(0.5, 1.0), colour=None),
    head_rate=10.0,
    validation=0.1,
    best=True,
    evaluate_every=2,
    log_every=1,
    checkpoint_every=2,
)
COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}
OURS = MeanStd((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))


def fill(folder, count=20, classes=tuple(COLOURS)):
    """Pictures of one colour with noise, easy to distinguish."""
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            noise = random.integers(-20, 20, (16, 16, 3)) + np.array(COLOURS[name])
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    fill(folder)
    return load(f"folder:{folder}")


@pytest.fixture
def body(tmp_path):
    """A file of weights for five classes of 16 × 16 pictures."""
    torch.manual_seed(0)
    value = replace(SMALL, size=16, classes=5)
    state = {key: tensor.clone() for key, tensor in value.build().state_dict().items()}
    save_weights(Weights(value, state, OURS, ("a", "b", "c", "d", "e")), tmp_path / "body.safetensors")
    return tmp_path / "body.safetensors"


def test_the_body_is_the_files_and_the_head_new(body, pictures):
    start = start_from(body, SMALL, pictures)
    held = read_weights(body)
    assert (start.network.size, start.network.classes) == (16, 3)
    assert start.normalise == OURS
    assert start.source.sha256 == hashlib.sha256(body.read_bytes()).hexdigest()
    built = start.build().state_dict()
    assert set(built) - set(start.state) == {"head.linear.weight", "head.linear.bias"}
    assert all(torch.equal(built[key], held.state[key]) for key in start.state)
    assert "the head new for 3 classes" in next(start.messages())


def test_the_head_stays_where_the_classes_are_the_same(tmp_path, pictures):
    value = replace(SMALL, size=16, classes=3)
    state = value.build().state_dict()
    for names, stays in ((("blue", "green", "red"), True), ((), False), (("x", "y", "z"), False)):
        save_weights(Weights(value, state, OURS, names), tmp_path / "w.safetensors")
        start = start_from(tmp_path / "w.safetensors", SMALL, pictures)
        assert ("head.linear.weight" in start.state) == stays, names
        message = next(start.messages())
        assert ("the head too, for the same classes" if stays else "the head new for 3 classes") in message


def test_a_fine_tuning_keeps_what_using_it_takes(body, pictures, tmp_path):
    out = tmp_path / "run"
    result = train(start_from(body, SMALL, pictures), HOW, pictures, out)
    record = read_json(out / "run.json")
    assert record["weights"] == {"file": "body.safetensors", "sha256": hashlib.sha256(body.read_bytes()).hexdigest()}
    # 60 pictures: 12 for the test, of the others a tenth
    assert {name: record["data_set"][name]["images"] for name in ("train", "validation", "test")} == {
        "train": 43,
        "validation": 5,
        "test": 12,
    }
    for path in (out, out / "best.safetensors"):
        weights = read_weights(path)
        assert (weights.normalise, weights.classes) == (OURS, ("blue", "green", "red"))
    assert result["best"]["test"]["images"] == 12


def script(monkeypatch, *errors):
    """Let the validation parts, of five images, have these errors and losses, one after another."""
    coming = iter(errors)

    def scripted(network, views, recorder=None):
        real = evaluate(network, views, recorder)
        if real.images != 5:
            return real
        error, loss = next(coming)
        return real._replace(top1_error=error, loss=loss)

    monkeypatch.setattr(loop, "evaluate", scripted)


def test_the_best_weights_are_those_of_the_least_validation_error(body, pictures, tmp_path, monkeypatch):
    """Of equal errors the least loss decides; the test images never do."""
    script(monkeypatch, (50.0, 2.0), (20.0, 1.0), (20.0, 3.0))
    how = replace(HOW, checkpoint_every=4)
    result = train(start_from(body, SMALL, pictures), how, pictures, tmp_path / "run")
    assert {key: result["best"][key] for key in ("step", "validation_error", "validation_loss")} == {
        "step": 4,
        "validation_error": 20.0,
        "validation_loss": 1.0,
    }
    best = read_weights(tmp_path / "run" / "best.safetensors").state
    middle = read_weights(tmp_path / "run" / "checkpoints" / "step-00000004" / "model.safetensors").state
    last = read_weights(tmp_path / "run").state
    assert all(torch.equal(best[key], middle[key]) for key in best)
    assert any(not torch.equal(best[key], last[key]) for key in best)
    assert newest(tmp_path / "run").name == "step-00000006"


def test_a_fine_tuning_that_was_stopped_ends_as_one_that_was_not(body, pictures, tmp_path, monkeypatch):
    start = start_from(body, SMALL, pictures)
    script(monkeypatch, (20.0, 1.0), (50.0, 1.0), (50.0, 1.0), (20.0, 1.0), (50.0, 1.0), (50.0, 1.0))
    whole = train(start, HOW, pictures, tmp_path / "whole")
    assert whole["best"]["step"] == 2
    update = loop.Learner.update

    def dies(self, images, labels):
        if self.step == 5:
            raise RuntimeError("power cut")
        return update(self, images, labels)

    monkeypatch.setattr(loop.Learner, "update", dies)
    with pytest.raises(RuntimeError, match="power cut"):
        train(start, HOW, pictures, tmp_path / "run")
    monkeypatch.setattr(loop.Learner, "update", update)
    (tmp_path / "run" / "best.safetensors").write_bytes(b"of a future that is lost")
    again = train(start, HOW, pictures, tmp_path / "run", execution=Execution(resume="exact"))
    assert again["best"] == whole["best"]
    for name in ("best.safetensors", "checkpoints/step-00000006/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_run_that_begins_anew_has_no_best_weights_of_before(body, pictures, tmp_path, monkeypatch):
    start, how = start_from(body, SMALL, pictures), replace(HOW, checkpoint_every=6)

    def dies(self, done, last):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="power cut"):
        patched.setattr(loop._Training, "_save", dies)
        train(start, how, pictures, tmp_path / "run")
    assert (tmp_path / "run" / "best.safetensors").exists()
    seen = []
    update = loop.Learner.update
    monkeypatch.setattr(
        loop.Learner,
        "update",
        lambda self, *given: seen.append((tmp_path / "run" / "best.safetensors").exists()) or update(self, *given),
    )
    train(start, how, pictures, tmp_path / "run")
    assert seen[:3] == [False, False, True]


def test_other_weights_are_another_run(body, pictures, tmp_path):
    start = start_from(body, SMALL, pictures)
    how = replace(HOW, steps=2)
    names = {run_name(start.network, how, "d", 0, source) for source in (None, start.source)}
    assert len(names) == 2
    train(start, how, pictures, tmp_path / "run")
    for other in (Start(start.network), start._replace(source=dataclasses.replace(start.source, sha256="0" * 64))):
        with pytest.raises(SpecError, match=r"holds another run \(weights [0-9a-f]{64}, not (None|0{64})\)"):
            train(other, how, pictures, tmp_path / "run", execution=Execution(resume="any"))
    renamed = start._replace(source=dataclasses.replace(start.source, file="moved.safetensors"))
    with pytest.raises(SpecError, match="this run is finished"):
        train(renamed, how, pictures, tmp_path / "run")


@pytest.mark.parametrize("frozen", ["body", "bn"])
def test_what_is_frozen_stays_as_it_is(body, pictures, tmp_path, frozen):
    start = start_from(body, SMALL, pictures)
    how = replace(HOW, freeze="body") if frozen == "body" else replace(HOW, bn="frozen")
    train(start, how, pictures, tmp_path / "run")
    before, after = read_weights(body).state, read_weights(tmp_path / "run").state
    moved = {key for key in after if key in start.state and not torch.equal(before[key], after[key])}
    modules = start.network.build().named_modules()
    norms = tuple(f"{name}." for name, module in modules if isinstance(module, torch.nn.BatchNorm2d))
    if frozen == "body":
        assert not moved
    else:
        assert moved
        assert not any(key.startswith(norms) for key in moved)
        train(start, HOW, pictures, tmp_path / "plain")
        after = read_weights(tmp_path / "plain").state
        assert all(not torch.equal(before[key], after[key]) for key in after if key.startswith(norms))


def test_the_head_learns_at_its_own_rate():
    how = replace(HOW, head_rate=10.0)
    network = replace(SMALL, size=16, classes=3).build()
    groups = make_optimizer(network, how).param_groups
    rates = {id(p): group["factor"] for group in groups for p in group["params"]}
    assert {name: rates[id(p)] for name, p in network.named_parameters() if rates[id(p)] != 1} == {
        "head.linear.weight": 10.0,
        "head.linear.bias": 10.0,
    }
    assert len(rates) == len(list(network.parameters()))
    learner = Learner(network, how)
    learner.train_step(torch.zeros(8, 3, 16, 16), torch.zeros(8, dtype=torch.int64), step=0)
    assert sorted({float(group["lr"]) for group in learner.optimizer.param_groups}) == pytest.approx([0.01, 0.1])
    freeze(network, replace(HOW, freeze="body"))
    assert sum(len(group["params"]) for group in make_optimizer(network, how).param_groups) == 2


def test_frozen_weights_are_counted_and_take_less_memory():
    value = replace(SMALL, size=16, classes=3)
    parameters = sum(p.numel() for p in value.build().parameters())
    head = 16 * 3 + 3
    kept = activation_bytes(value, 32)
    for how, frozen in ((replace(HOW, freeze="body"), parameters - head), (replace(HOW, bn="frozen"), None)):
        text = "\n".join(messages(value, how, load_digits().hold_out(0.1), 0, Chosen("cpu", "float32", False, "so")))
        assert f"frozen: {frozen:,} weights of the body" in text if frozen else "weights of BN, and its stat" in text
    assert activation_bytes(value, 32, 0, replace(HOW, freeze="body")) < kept / 10


def test_it_learns(pictures, tmp_path):
    """A head alone distinguishes colours, on a body that was not trained on them."""
    torch.manual_seed(1)
    value = replace(SMALL, size=16, classes=5)
    save_weights(Weights(value, value.build().state_dict(), OURS), tmp_path / "body.safetensors")
    how = replace(HOW, steps=60, evaluate_every=20, log_every=20, schedule=Drops(rate=0.05), freeze="body")
    result = train(start_from(tmp_path / "body.safetensors", SMALL, pictures), how, pictures, tmp_path / "run")
    assert result["best"]["test"]["top1_error"] == 0
    assert [line["step"] for line in read_metrics(tmp_path / "run") if "validation_error" in line] == [20, 40, 60]


def test_a_body_that_learnt_nothing_is_not_frozen(pictures, tmp_path):
    with pytest.raises(SpecError, match="freeze body: fresh weights would stay as they are; give those of a run"):
        train(fitted(SMALL, pictures), replace(HOW, freeze="body"), pictures, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_program_begins_with_weights_too(tmp_path):
    digits, how = load_digits(), Recipe(steps=2, batch=8, evaluate_every=2, log_every=2)
    train_network(SMALL, "digits", how, tmp_path / "first")
    train_network(SMALL, "digits", replace(how, freeze="body"), tmp_path / "second", weights=tmp_path / "first")
    first, second = (read_weights(tmp_path / name).state for name in ("first", "second"))
    assert torch.equal(first["stem.conv1.weight"], second["stem.conv1.weight"])
    assert not torch.equal(first["head.linear.weight"], second["head.linear.weight"])
    with pytest.raises(SpecError, match="recipe finetune: begins with weights that others trained; give weights"):
        train_network(SMALL, "digits", "finetune", tmp_path / "third")
    assert digits.classes == read_weights(tmp_path / "second").classes


def test_a_mean_image_travels_too(tmp_path):
    digits = load_digits()
    value = fitted(SMALL, digits)
    mean = np.full((1, 8, 8), 0.25, np.float32)
    save_weights(Weights(value, value.build().state_dict(), MeanImage(mean)), tmp_path / "w.safetensors")
    how = Recipe(steps=1, batch=8)
    train(start_from(tmp_path / "w.safetensors", SMALL, digits), how, digits, tmp_path / "run")
    assert np.array_equal(read_weights(tmp_path / "run").normalise.mean, mean)


def test_a_run_is_a_file_of_weights(body, pictures, tmp_path):
    train(start_from(body, SMALL, pictures), replace(HOW, steps=2), pictures, tmp_path / "run")
    start = start_from(tmp_path / "run", SMALL, pictures)
    inner = newest(tmp_path / "run") / "model.safetensors"
    assert start.source == Source("run", hashlib.sha256(inner.read_bytes()).hexdigest())
    assert "head.linear.weight" in start.state


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            replace(SMALL, widths=(8, 16, 32)),
            r"weights of resnet8-custom; name it.*\nwidths \[4, 8, 16\], not \[8, 16, 32\]",
        ),
        (cifar_resnet(20), r"weights of resnet8-custom; name it"),
    ],
)
def test_weights_of_another_network_are_refused(body, pictures, named, message):
    with pytest.raises(SpecError, match=message) as caught:
        start_from(body, named, pictures)
    assert len(str(caught.value).splitlines()) <= 2


def test_the_right_name_is_in_the_message(tmp_path, pictures):
    value = replace(cifar_resnet(20), classes=2)
    save_weights(Weights(value, value.build().state_dict(), OURS), tmp_path / "w.safetensors")
    with pytest.raises(
        SpecError, match="weights of resnet20-cifar, not of resnet56-cifar: `reslab train resnet20-cifar"
    ):
        start_from(tmp_path / "w.safetensors", cifar_resnet(56), pictures)


def test_images_that_do_not_suit_the_weights_are_refused(body, pictures, tmp_path):
    with pytest.raises(SpecError, match="weights for 3 channels, but digits has 1"):
        start_from(body, SMALL, load_digits())
    held = read_weights(body)
    mean = MeanImage(np.zeros((3, 16, 16), np.float32))
    save_weights(held._replace(normalise=mean), tmp_path / "mean.safetensors")
    with pytest.raises(SpecError, match="trained with a mean image of 16×16; its images must be 16×16 too"):
        start_from(tmp_path / "mean.safetensors", SMALL, pictures, size=24)
    assert start_from(body, SMALL, pictures, size=24).network.size == 24
    from reslab.nets import network

    lenet = replace(network("lenet5"), channels=3)
    save_weights(Weights(lenet, lenet.build().state_dict(), OURS), tmp_path / "lenet.safetensors")
    with pytest.raises(SpecError, match="is for images of 32×32, not 40×40"):
        start_from(tmp_path / "lenet.safetensors", lenet, pictures, size=40)


def test_a_damaged_file_is_refused(body, pictures):
    body.write_bytes(body.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"body\.safetensors: not a whole safetensors file"):
        start_from(body, SMALL, pictures)


def test_a_folder_with_train_val_and_test_validates_on_val(tmp_path):
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        fill(tmp_path / "data" / part, count)
    data = load(f"folder:{tmp_path / 'data'}")
    assert [len(part.labels) for part in (data.train, data.validation, data.test)] == [18, 9, 6]
    result = train(replace(SMALL, size=16, classes=3), replace(HOW, steps=2), data, tmp_path / "run")
    assert [result[part]["images"] for part in ("train", "validation", "test")] == [18, 9, 6]


def test_too_few_pictures_to_hold_some_out_are_an_error(tmp_path):
    fill(tmp_path / "few", 2)
    data = load(f"folder:{tmp_path / 'few'}")
    with pytest.raises(
        SpecError, match=r"class blue of folder:.* has fewer than two training images.*--set validation=0"
    ):
        train(replace(SMALL, size=16, classes=3), HOW, data, tmp_path / "run")
    how = replace(HOW, steps=1, validation=0, best=False)
    assert train(replace(SMALL, size=16, classes=3), how, data, tmp_path / "run")["status"] == "finished"
    with pytest.raises(SpecError, match="best: chosen by validation images, and there are none"):
        train(replace(SMALL, size=16, classes=3), replace(how, best=True), data, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_share_is_of_every_class(pictures):
    held = pictures.hold_out(0.25)
    assert np.bincount(held.validation.labels).tolist() == [4, 4, 4]
    assert np.bincount(pictures.hold_out(0.001).validation.labels).tolist() == [1, 1, 1]
    assert len(pictures.hold_out(9).validation.labels) == 9


def test_runs_of_old_recipes_keep_their_names():
    """What the digest was before a recipe could freeze."""
    assert [digest(recipe(name)) for name in ("paper-a-cifar", "demo", "modern-imagenet")] == [
        "5db39387",
        "1bb36603",
        "06dbd894",
    ]
