"""Files of weights: nothing in them is run, damage is named, ours describe themselves."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from reslab.data.normalise import MeanImage, MeanStd
from reslab.errors import DataError
from reslab.nets import Conv, cifar_resnet
from reslab.spec import replace
from reslab.weights.file import Weights, load, read_weights, save_state, save_weights
from reslab.weights.foreign import read_state


class Hostile:
    """An object in a pickle that touches a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def small():
    torch.manual_seed(0)
    value = cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3), classes=3)
    return Weights(value, value.build().state_dict(), MeanStd((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)))


def two_lines(caught, path):
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_file_runs_nothing(tmp_path, legacy):
    path, trap = tmp_path / "w.pth", tmp_path / "trap"
    torch.save({"a": torch.zeros(1), "b": Hostile(trap)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(DataError, match="nothing of it was used") as caught:
        read_state(path)
    two_lines(caught, path)
    assert not trap.exists()
    torch.load(path, weights_only=False)  # the trap is one
    assert trap.exists()


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x02}", struct.pack("<Q", 2**60) + b"{}"])
def test_what_is_no_file_of_weights_is_named(tmp_path, ending, content):
    path = tmp_path / f"w{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_state(path)
    two_lines(caught, path)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_cut_file_is_named(tmp_path, small, ending):
    whole, path = tmp_path / f"whole{ending}", tmp_path / f"cut{ending}"
    if ending == ".pth":
        torch.save(small.state, whole)
    else:
        save_weights(small, whole)
    raw = whole.read_bytes()
    for length in (10, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(DataError) as caught:
            read_state(path)
        two_lines(caught, path)


def test_a_path_that_is_no_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_state(tmp_path / "none.pth")
    with pytest.raises(DataError, match="a folder, and no run"):
        read_weights(tmp_path)


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": 3}, torch.zeros(3), {"state_dict": {"a": "b"}}])
def test_a_file_without_a_table_of_tensors_is_named(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds no table of tensors"):
        read_state(tmp_path / "w.pth")


def test_our_files_describe_themselves(tmp_path, small):
    save_weights(small, tmp_path / "w.safetensors")
    again = read_weights(tmp_path / "w.safetensors")
    assert (again.network, again.normalise) == (small.network, small.normalise)
    assert all(torch.equal(again.state[key], tensor) for key, tensor in small.state.items())
    network = load(tmp_path / "w.safetensors")
    assert not network.training
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_mean_image_and_the_names_of_classes_travel_with_them(tmp_path, small):
    mean = MeanImage(np.random.default_rng(0).random((3, 32, 32), dtype=np.float32))
    save_weights(small._replace(normalise=mean, classes=("cat", "Hündin", "\udc80")), tmp_path / "w.safetensors")
    again = read_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(again.normalise.mean, mean.mean)
    assert again.classes == ("cat", "Hündin", "\udc80")
    assert set(again.state) == set(small.state)


def test_the_crop_travels_with_them(tmp_path, small):
    for crop in ("square", "center", None):
        save_weights(small._replace(crop=crop), tmp_path / "w.safetensors")
        assert read_weights(tmp_path / "w.safetensors").crop == crop
    with_metadata(
        tmp_path / "w.safetensors",
        lambda metadata: metadata.update(reslab=metadata["reslab"].replace('"whole": null', '"whole": "yes"')),
    )
    with pytest.raises(DataError, match="its description is damaged: whole 'yes'"):
        read_weights(tmp_path / "w.safetensors")


def test_a_mean_image_of_another_size_is_named(tmp_path, small):
    save_weights(small._replace(normalise=MeanImage(np.zeros((3, 4, 4), np.float32))), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"mean image is 3×4×4 .* expected 3×32×32"):
        read_weights(tmp_path / "w.safetensors")


def test_names_of_fewer_classes_than_there_are_are_damage(tmp_path, small):
    save_weights(small._replace(classes=("cat", "dog")), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="2 names of 3 classes"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_weights_stored_in_half_precision_are_widened(tmp_path, small, half):
    halved = {key: value.to(half) if value.ndim > 1 else value for key, value in small.state.items()}
    save_weights(small._replace(state=halved), tmp_path / "w.safetensors")
    state = read_weights(tmp_path / "w.safetensors").state
    assert all(torch.equal(state[key], value.to(small.state[key].dtype)) for key, value in halved.items())
    assert {key: value.dtype for key, value in state.items()} == {k: v.dtype for k, v in small.state.items()}


def test_our_tensors_in_another_type_are_named(tmp_path, small):
    doubled = {key: value.double() if value.is_floating_point() else value for key, value in small.state.items()}
    save_weights(small._replace(state=doubled), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"tensors of another type, nothing was loaded\nstem.conv1.weight is .*float64"):
        read_weights(tmp_path / "w.safetensors")


def test_another_number_of_classes_keeps_the_body_and_says_so(tmp_path, small):
    save_weights(small, tmp_path / "w.safetensors")
    with pytest.warns(UserWarning, match="3 classes there, 5 here; the head is new"):
        network = load(tmp_path / "w.safetensors", classes=5)
    assert network.spec == replace(small.network, classes=5)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)
    body = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("head.")}
    assert all(torch.equal(tensor, small.state[key]) for key, tensor in body.items())


def test_the_error_for_a_foreign_file_names_the_command(tmp_path, small):
    save_state(small.state, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"reslab weights .* --as NETWORK"):
        load(tmp_path / "w.safetensors")


def with_metadata(path, change):
    """Change a safetensors file's metadata."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{"network"', "{", "its description is damaged"),
        ('"network"', '"netwurk"', "its description is damaged"),
        ('"A"', '"Z"', "shortcut"),
        ('"std"', '"sdt"', "std"),
        ('"classes": 3', '"classes": 4', "expected 4"),
    ],
)
def test_a_tampered_spec_is_named_before_a_tensor_is_used(tmp_path, small, old, new, message):
    path = tmp_path / "w.safetensors"
    save_weights(small, path)
    with_metadata(path, lambda metadata: metadata.update(reslab=metadata["reslab"].replace(old, new)))
    with pytest.raises(DataError, match=rf"w\.safetensors: .*{message}|w\.safetensors: .*\n.*{message}"):
        load(path)


def test_a_pickle_that_is_not_torchs_runs_nothing(tmp_path):
    path, trap = tmp_path / "w.pt", tmp_path / "trap"
    path.write_bytes(pickle.dumps({"state_dict": Hostile(trap)}))
    with pytest.raises(DataError):
        read_state(path)
    assert not trap.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, small, value):
    state = {key: tensor.clone() for key, tensor in small.state.items()}
    state["head.linear.bias"][0] = value
    save_weights(small._replace(state=state), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="1 tensors are not finite numbers, its weights are unusable: head"):
        read_weights(tmp_path / "w.safetensors")
