"""Files of weights as people have them, and as strangers make them: the right network, or two lines."""

import argparse
import io
import json
import os
import random
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reslab import cifar_resnet, network
from reslab.cli import main
from reslab.data.in_memory import InMemoryLoader
from reslab.data.loader import load as load_data
from reslab.data.normalise import IMAGENET, MeanStd
from reslab.errors import DataError, SpecError
from reslab.evaluate import evaluate
from reslab.nets import Conv
from reslab.spec import replace
from reslab.train.start import start_from
from reslab.weights import convert as converting
from reslab.weights import foreign
from reslab.weights.convert import Known, convert
from reslab.weights.file import Weights, built, load, read_weights, save_state, save_weights
from reslab.weights.foreign import read_state

NAME = "resnet20-cifar"


def reslab(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def prefixed(prefix, state):
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


@pytest.fixture(scope="module")
def theirs():
    """The state_dict of a ResNet-20 under the keys of others."""
    torch.manual_seed(0)
    value = network(NAME)
    state = value.build().state_dict()
    keys = converting._keys(value, next(layout for layout in converting.LAYOUTS if NAME in layout.networks))
    return {keys[ours]: tensor for ours, tensor in state.items()}


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.zeros(3, 3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
WRAPPINGS = {
    "plain": lambda sd: sd,
    "net": lambda sd: {"net": sd, "acc": 91.7, "epoch": 199},
    "model_state_dict": lambda sd: {"model_state_dict": sd, "optimizer_state_dict": OPTIMIZER, "loss": 0.1},
    "namespace": lambda sd: {
        "model": sd,
        "args": argparse.Namespace(lr=0.1, out=Path("/data")),
        "optimizer": OPTIMIZER,
    },
    "numpy": lambda sd: {"state_dict": sd, "best_acc": np.float64(91.7), "error": np.float32(8.3)},
    "model_ema": lambda sd: {"model_ema": {"n_averaged": torch.tensor(5), **prefixed("module.", sd)}, "epoch": 3},
    "nested": lambda sd: {"checkpoint": {"weights": {"student": sd}}},
    "lightning": lambda sd: {"state_dict": prefixed("model.", sd), "optimizer_states": [OPTIMIZER], "callbacks": {}},
    "two prefixes": lambda sd: {"state_dict": prefixed("module.encoder.", sd)},
    "mixed": lambda sd: {**sd, "acc": torch.tensor(91.7), "epoch": 3},
    "parameters": lambda sd: {key: nn.Parameter(t) if t.is_floating_point() else t for key, t in sd.items()},
    "shared memory": lambda sd: dict(zip(sd, flat_views(sd), strict=True)),
}


def flat_views(state):
    """The tensors of a state_dict as views of one."""
    flat = torch.cat([tensor.flatten().float() for tensor in state.values()])
    parts = flat.split([tensor.numel() for tensor in state.values()])
    return [part.view(tensor.shape) for part, tensor in zip(parts, state.values(), strict=True)]


@pytest.mark.parametrize("ending", [".pth.tar", ".ckpt", ".bin"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_state_dict_is_read_wherever_it_is(theirs, tmp_path, wrapping, ending):
    torch.save(theirs, tmp_path / "plain.pth")
    torch.save(WRAPPINGS[wrapping](theirs), tmp_path / f"w{ending}")
    expected, _ = convert(tmp_path / "plain.pth", NAME)
    weights, _ = convert(tmp_path / f"w{ending}", NAME)
    save_weights(weights, tmp_path / "w.safetensors")
    state = read_weights(tmp_path / "w.safetensors").state
    assert state.keys() == expected.state.keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in expected.state.items())


def test_of_several_state_dicts_one_is_taken_and_the_others_are_named(theirs, tmp_path, capsys):
    path = tmp_path / "w.pth"
    average = prefixed("module.", {key: tensor + 1 for key, tensor in theirs.items()})
    torch.save({"model": theirs, "model_ema": {"n_averaged": torch.tensor(5), **average}}, path)
    out = tmp_path / "w.safetensors"
    assert reslab("weights", path, "--as", NAME, "--out", out) == 0
    assert "of the state_dicts model, model_ema, model is taken; --key KEY takes another" in capsys.readouterr().err
    stem = read_weights(out).state["stem.conv1.weight"]
    assert torch.equal(stem, theirs["conv1.weight"])
    assert reslab("weights", path, "--as", NAME, "--out", out, "--key", "model_ema") == 0
    assert torch.equal(read_weights(out).state["stem.conv1.weight"], stem + 1)
    assert reslab("weights", path, "--as", NAME, "--out", out, "--key", "ema") == 2
    assert "has model, model_ema" in capsys.readouterr().err
    torch.save({"student": theirs, "teacher": theirs | {"linear.bias": torch.ones(10)}}, path)
    assert reslab("weights", path, "--as", NAME, "--out", out) == 3
    assert "holds several state_dicts: student, teacher\nchoose one by --key KEY\n" in capsys.readouterr().err


def test_features_of_a_data_parallel_vgg_are_read(tmp_path):
    value = network("vgg11")
    keys = converting._keys(value, next(layout for layout in converting.LAYOUTS if "vgg11" in layout.networks))
    state = {key: torch.zeros(1).expand(1) for key in keys.values()}
    torch.save({key.replace("features.", "features.module."): t for key, t in state.items()}, tmp_path / "w.pth")
    assert set(read_state(tmp_path / "w.pth").state) == set(state)


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_module_is_refused_with_its_class(tmp_path, legacy, capsys):
    torch.save(Whole(), tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    assert reslab("weights", tmp_path / "w.pth", "--as", NAME, "--out", tmp_path / "o.safetensors") == 3
    error = capsys.readouterr().err
    assert "holds a whole pickled module (" in error
    assert "Whole), whose code would have to run; nothing of it was used\n" in error
    assert "torch.save(model.state_dict(), FILE)" in error
    assert "\x1b" not in error
    assert len(error.splitlines()) == 2


def test_a_program_of_torch_is_refused(tmp_path):
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"a program \(TorchScript\), which was not run"):
        read_state(tmp_path / "w.pt")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize("file", ["w.pth.tar", "w.ckpt", "w.bin", "pytorch_model.bin"])
def test_a_foreign_file_in_the_place_of_ours_is_told_the_way(theirs, tmp_path, command, file, capsys):
    torch.save(theirs, tmp_path / file)
    words = ["--data", "digits"] if command == "evaluate" else [__file__]
    assert reslab(command, tmp_path / file, *words) == 3
    assert f"another's weights; `reslab weights {tmp_path / file} --as NETWORK" in capsys.readouterr().err


def test_a_body_is_for_fine_tuning_alone(theirs, tmp_path, capsys):
    body = {key: tensor for key, tensor in theirs.items() if not key.startswith("linear.")}
    torch.save({"state_dict": prefixed("encoder.", body)}, tmp_path / "w.pth")
    out = tmp_path / "body.safetensors"
    assert reslab("weights", tmp_path / "w.pth", "--as", NAME, "--out", out) == 0
    assert "the file has no classifier; a training that begins with it makes one" in capsys.readouterr().err
    assert reslab("evaluate", out, "--data", "digits") == 3
    assert f"weights without a classifier\ntrain one: reslab train {NAME} --weights {out}" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="no classifier there, 10 here; the head is new"):
        module = load(out, classes=10)
    assert torch.equal(module.stem.conv1.weight, theirs["conv1.weight"])
    grey = load_data("digits")
    with pytest.raises(SpecError, match="weights for 3 channels"):
        start_from(out, network(NAME), grey)


def test_the_head_of_a_body_is_new_in_a_training(tmp_path):
    torch.manual_seed(0)
    value = cifar_resnet(8, channels=1, size=8)
    state = {key: t for key, t in value.build().state_dict().items() if "head.linear" not in key}
    save_weights(Weights(value, state), tmp_path / "body.safetensors")
    start = start_from(tmp_path / "body.safetensors", value, load_data("digits"))
    assert "the head new for 10 classes" in next(start.messages())
    assert torch.equal(start.build().stem.conv1.weight, state["stem.conv1.weight"])


def test_a_first_layer_of_one_channel_is_said_and_one_of_four_is_refused(theirs, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(theirs | {"conv1.weight": torch.rand(16, 1, 3, 3)}, path)
    weights, notes = convert(path, NAME)
    assert weights.network == replace(network(NAME), channels=1)
    assert weights.normalise is None
    assert "the file's first layer conv1.weight reads 1 channel in place of 3: so does the network" in notes
    assert built(weights)(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    with pytest.raises(SpecError, match="--mean and --std: are for 3 channels"):
        convert(path, NAME, Known(normalise=IMAGENET))
    torch.save(theirs | {"conv1.weight": torch.rand(16, 4, 3, 3)}, path)
    with pytest.raises(DataError, match=r"conv1.weight reads 4 channels, and pictures have 3.*\nkeep three of them"):
        convert(path, NAME)


def test_classes_mean_and_std_can_be_given(theirs, tmp_path, capsys):
    torch.save(theirs, tmp_path / "w.pth")
    (tmp_path / "names").write_text("\n".join(["10", "1", "Hündin", *"abcdefg"]) + "\n", encoding="utf-8")
    out = tmp_path / "w.safetensors"
    words = ["weights", tmp_path / "w.pth", "--as", NAME, "--out", out]
    given = ["--classes", tmp_path / "names", "--mean", "0.1,0.2,0.3", "--std", "1,2,3"]
    assert reslab(*words, *given) == 0
    assert "not in the file but assumed: images of 32×32\n" in capsys.readouterr().err
    weights = read_weights(out)
    assert weights.classes[:3] == ("10", "1", "Hündin")
    assert weights.normalise == MeanStd((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_classes_without_names_are_said(theirs, tmp_path):
    torch.save(theirs | {"linear.weight": torch.rand(12, 64), "linear.bias": torch.rand(12)}, tmp_path / "w.pth")
    _, notes = convert(tmp_path / "w.pth", NAME)
    assert any("its classes have no names; --classes FILE gives them" in note and "1, 10, 2" in note for note in notes)


@pytest.mark.parametrize(
    ("words", "names", "code", "message"),
    [
        (["--mean", "0.1,0.2,0.3"], None, 2, "give both or neither"),
        (["--mean", "0.1,0.2", "--std", "1,1,1"], None, 2, "--mean 0.1,0.2: give three numbers"),
        (["--mean", "0,0,0", "--std", "1,1,0"], None, 2, "--std 1,1,0: give finite numbers, more than 0"),
        (["--mean", "0,nan,0", "--std", "1,1,1"], None, 2, "give finite numbers"),
        ([], b"a\nb\n", 2, "--classes: 2 names, but"),
        ([], b"a\na\n", 3, "the name 'a' stands there twice"),
        ([], b"\n", 3, "has no names"),
        ([], b"\xff\xfe", 3, "not a text file in UTF-8"),
    ],
)
def test_wrong_words_about_a_file_are_named(theirs, tmp_path, capsys, words, names, code, message):
    torch.save(theirs, tmp_path / "w.pth")
    if names is not None:
        (tmp_path / "names").write_bytes(names)
        words = ["--classes", tmp_path / "names"]
    out = tmp_path / "w.safetensors"
    assert reslab("weights", tmp_path / "w.pth", "--as", NAME, "--out", out, *words) == code
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) <= 2
    assert not out.exists()


def quantized():
    return torch.quantize_per_tensor(torch.zeros(16, 3, 3, 3), 0.1, 0, torch.qint8)


FAULTY = {
    "claims .* bytes of the 4 that are stored": lambda: torch.zeros(1).expand(2**50),
    "is sparse_coo, not dense": lambda: torch.sparse_coo_tensor(
        torch.zeros(2, 0, dtype=torch.long), [], (2**30, 2**30)
    ),
    "is of type complex64": lambda: torch.zeros(16, 3, 3, 3, dtype=torch.complex64),
    r"has no values \(device meta\)": lambda: torch.zeros(16, 3, 3, 3, device="meta"),
    "is of type qint8|not a whole file": quantized,
    "is nested, not dense": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "values of type torch.int64": lambda: torch.zeros(16, 3, 3, 3, dtype=torch.int64),
    "values that are not finite": lambda: torch.full((16, 3, 3, 3), torch.nan),
    "1 of another shape": lambda: torch.zeros(()),
    "of another shape": lambda: torch.zeros(0, 3, 3, 3),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("message", FAULTY)
def test_a_tensor_that_cannot_be_weights_is_named(theirs, tmp_path, message):
    torch.save(theirs | {"conv1.weight": FAULTY[message]()}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=message) as caught:
        convert(tmp_path / "w.pth", NAME)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_key_that_is_no_text_is_named(theirs, tmp_path):
    torch.save(theirs | {7: torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="the key 7 is no text"):
        read_state(tmp_path / "w.pth")


def test_a_key_cannot_write_to_the_terminal(theirs, tmp_path):
    torch.save(theirs | {"\x1b[31mred\nline.weight": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="1 unknown") as caught:
        convert(tmp_path / "w.pth", NAME)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def archive(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)


def entries_of(path):
    with zipfile.ZipFile(path) as file:
        return {entry.filename: file.read(entry) for entry in file.infolist()}


def bomb(path):
    """Zeros that are a thousand times as long as their file."""
    archive(path, {"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10**8), "a/version": b"3"}, zipfile.ZIP_DEFLATED)


def inside_another(path):
    torch.save({"a.weight": torch.zeros(3)}, path)
    archive(path, {"w.pth": path.read_bytes()})


def costly_key(path):
    """A dict whose key is a tuple of two times a tuple of two times ..., 60 deep: 2**60 steps to hash."""
    pickled = b"\x80\x02}" + b")" + b"q\x00h\x00\x86" * 60 + b"K\x01s."
    torch.save({"a.weight": torch.zeros(3)}, path)
    archive(path, {name: pickled if name.endswith("data.pkl") else raw for name, raw in entries_of(path).items()})


def longer_storage(path):
    """A tensor of 64 numbers whose storage has four."""
    torch.save({"a.weight": torch.zeros(4)}, path)
    entries = {name: raw.replace(b"K\x04t", b"K\x40t") for name, raw in entries_of(path).items()}
    archive(path, entries)


def endless_pickle(path):
    path.write_bytes(b"\x80\x02" + b"N0" * 30_000 + b"N.")


def two_contents(path):
    archive(path, {"a/data.pkl": b"\x80\x02}.", "b/data.pkl": b"\x80\x02}."})


@pytest.mark.parametrize(
    "make", [bomb, inside_another, costly_key, longer_storage, endless_pickle, two_contents], ids=lambda f: f.__name__
)
def test_an_archive_that_lies_is_refused_soon(tmp_path, make, monkeypatch):
    monkeypatch.setattr(foreign, "_OPCODES", 20_000)
    path = tmp_path / "w.pth"
    make(path)
    begin = time.perf_counter()
    with pytest.raises(DataError) as caught:
        read_state(path)
    assert time.perf_counter() - begin < 15
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def header(path, text):
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))


@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
@pytest.mark.parametrize(
    "text",
    [
        b'{"a.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,99]}}',
        b'{"a.weight":{"dtype":"F32","shape":[1152921504606846976,64],"data_offsets":[0,16]}}',
        b'{"a.weight":{"dtype":"F32","shape":[-1],"data_offsets":[0,16]}}',
        b'{"a.weight":{"dtype":"X9","shape":[4],"data_offsets":[0,16]}}',
        b'{"a.weight":' + b"[" * 100_000 + b"}",
        b'{"a.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[4],'
        b'"data_offsets":[0,16]}}',
        b'{"__metadata__":{"reslab":"' + b"[" * 100_000 + b'"},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
        b'{"__metadata__":{"reslab":"{\\"network\\":[1]}"},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
    ],
)
def test_a_safetensors_header_that_lies_is_refused(tmp_path, text, ending):
    path = tmp_path / f"w{ending}"
    header(path, text)
    for read in (lambda: convert(path, NAME), lambda: read_weights(path)):
        with pytest.raises(DataError) as caught:
            read()
        assert len(str(caught.value).splitlines()) <= 2


def test_a_pipe_is_not_waited_for(theirs, tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    save_weights(Weights(cifar_resnet(8), cifar_resnet(8).build().state_dict()), folder / "model.safetensors")
    os.mkfifo(folder / "config.json")
    with pytest.raises(DataError, match=r"config.json: not a file"):
        read_weights(folder / "model.safetensors")
    for file in (folder / "config.json", Path("/dev/zero")):
        with pytest.raises(DataError, match="not a file"):
            read_state(file)
        with pytest.raises(DataError, match="not a file"):
            read_weights(file)


CIFAR_WEIGHTS = os.environ.get("RESLAB_CIFAR_WEIGHTS")


@pytest.mark.skipif(
    not (CIFAR_WEIGHTS and os.environ.get("RESLAB_DATA")),
    reason="RESLAB_CIFAR_WEIGHTS names no directory with resnet20-12fca82f.th, or RESLAB_DATA none with CIFAR-10",
)
def test_real_weights_in_other_wrappings_have_their_published_error(tmp_path):
    state = read_state(Path(CIFAR_WEIGHTS) / "resnet20-12fca82f.th").state
    torch.save({"model_ema": {"n_averaged": torch.tensor(5), **prefixed("module.", state)}}, tmp_path / "w.ckpt")
    weights, _ = convert(tmp_path / "w.ckpt", NAME)
    loader = InMemoryLoader(load_data("cifar10"), torch.device("cpu"), weights.normalise)
    assert evaluate(built(weights), loader.views("test")).top1_error == pytest.approx(8.27)


# ---- random damage


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small valid files of each kind: their bytes, and what reads them."""
    folder = tmp_path_factory.mktemp("seeds")
    state = {"conv1.weight": torch.rand(2, 1, 1, 1), "fc.bias": torch.rand(2)}
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1), "epoch": 3}, folder / "zip.pth")
    torch.save({"model": state}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_state(state, folder / "theirs.safetensors")
    value = cifar_resnet(8, widths=(2, 4, 8), stem=Conv(2, 3), classes=2)
    save_weights(Weights(value, value.build().state_dict(), IMAGENET, ("a", "b")), folder / "ours.safetensors")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damaged(raw, draws):
    """Bytes with some of them changed, doubled, cut out or moved."""
    raw = bytearray(raw)
    for _ in range(draws.randint(1, 6)):
        at, length = draws.randrange(len(raw) + 1), draws.choice((1, 1, 2, 4, 8, 64))
        match draws.randrange(6):
            case 0:
                raw[at : at + 1] = bytes([draws.randrange(256)])
            case 1:
                raw[at : at + length] = draws.choice((b"\xff", b"\x00", b"\x7f")) * length
            case 2:
                del raw[at : at + length]
            case 3:
                raw[at:at] = raw[at : at + length] * draws.choice((1, 2, 50))
            case 4:
                other = draws.randrange(len(raw) + 1)
                raw[at : at + length] = raw[other : other + length]
            case _:
                raw[at:at] = draws.choice(
                    (b"9" * 20, b"[" * 200, b"}", b'"', b"-1", b"1e999", b"NaN", b"(", b"\x81", b".")
                )
    return bytes(raw)


def fuzzed(files, folder, seeds):
    for seed in seeds:
        draws = random.Random(seed)
        for name, raw in files.items():
            path = folder / name
            path.write_bytes(damaged(inner_damage(raw, draws) if name == "zip.pth" else raw, draws))
            begin = time.perf_counter()
            for read in (read_state, read_weights):
                try:
                    read(path)
                except (DataError, SpecError) as error:
                    assert len(str(error).splitlines()) <= 2, (seed, name, str(error))
                except BaseException as error:
                    raise AssertionError(f"seed {seed}, {name}: {type(error).__name__}") from error
            assert time.perf_counter() - begin < 15, (seed, name)


def inner_damage(raw, draws):
    """A torch.save archive whose pickle alone is damaged, with right checksums."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, damaged(content, draws) if entry.filename.endswith("data.pkl") else content)
    return out.getvalue() if draws.random() < 0.9 else raw


def fuzzed_text(files, folder, seeds):
    """The same for the texts beside weights: config.json, and a manifest."""
    from reslab.weights.manifest import NAME as MANIFEST
    from reslab.weights.manifest import holds, write_manifest

    (folder / "model.safetensors").write_bytes(files["ours.safetensors"])
    (folder / MANIFEST).unlink(missing_ok=True)
    write_manifest(folder)
    manifest = (folder / MANIFEST).read_bytes()
    state = read_weights(folder / "model.safetensors").state
    metadata = json.dumps({"reslab": json.loads(_metadata(files["ours.safetensors"]))}).encode()
    save_state(state, folder / "model.safetensors")
    for seed in seeds:
        draws = random.Random(seed)
        (folder / "config.json").write_bytes(damaged(metadata, draws))
        try:
            read_weights(folder / "model.safetensors")
        except DataError as error:
            assert len(str(error).splitlines()) <= 2, (seed, str(error))
        (folder / MANIFEST).write_bytes(damaged(manifest, draws))
        assert holds(folder) in (True, False)


def _metadata(raw):
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length])["__metadata__"]["reslab"]


@pytest.mark.filterwarnings("ignore")
def test_damage_of_any_kind_ends_in_two_lines(files, tmp_path):
    fuzzed(files, tmp_path, range(60))
    fuzzed_text(files, tmp_path, range(60))


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
def test_damage_of_any_kind_ends_in_two_lines_for_long(files, tmp_path):
    start = int(os.environ.get("RESLAB_FUZZ_SEED", "1000"))
    print(f"RESLAB_FUZZ_SEED={start}")
    fuzzed(files, tmp_path, range(start, start + 5000))
    fuzzed_text(files, tmp_path, range(start, start + 5000))
