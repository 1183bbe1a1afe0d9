"""Others' weights: their keys mapped, forms recognised, nothing loaded by halves."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reslab.data.in_memory import InMemoryLoader
from reslab.data.loader import load
from reslab.data.normalise import HALF, IMAGENET
from reslab.errors import DataError, SpecError
from reslab.evaluate import evaluate
from reslab.nets import NAMED, cifar_resnet, network
from reslab.spec import replace
from reslab.weights import cifar, timm, torchvision
from reslab.weights.convert import LAYOUTS, _keys, convert, export
from reslab.weights.file import Weights, built, empty, read_weights, save_state, save_weights

# keys as the libraries have them, from torchvision 0.28 and timm 1.0.31
GOLDEN = {
    "resnet18": {
        "stem.conv1.weight": "conv1.weight",
        "stage1.unit2.residual.bn1.bias": "layer1.1.bn1.bias",
        "stage4.unit1.shortcut.bn1.running_var": "layer4.0.downsample.1.running_var",
        "head.linear.bias": "fc.bias",
    },
    "resnet152-v1.5": {"stage3.unit36.residual.conv3.weight": "layer3.35.conv3.weight"},
    "vgg16": {
        "stage1.conv1.weight": "features.0.weight",
        "stage5.conv3.bias": "features.28.bias",
        "head.linear1.weight": "classifier.0.weight",
        "head.linear.weight": "classifier.6.weight",
    },
    "vgg19-bn": {"stage5.conv4.weight": "features.49.weight", "stage5.bn4.running_mean": "features.50.running_mean"},
    "alexnet-torchvision": {
        "stage2.conv1.weight": "features.3.weight",
        "stage3.conv3.weight": "features.10.weight",
        "head.linear1.weight": "classifier.1.weight",
        "head.linear2.weight": "classifier.4.weight",
        "head.linear.weight": "classifier.6.weight",
    },
    "googlenet-torchvision": {
        "stem.conv3.weight": "conv2.conv.weight",
        "stage2.unit5.branch3.conv2.weight": "inception4e.branch3.1.conv.weight",
        "stage3.unit2.branch4.bn2.weight": "inception5b.branch4.1.bn.weight",
        "auxiliary2.head.linear1.weight": "aux2.fc1.weight",
    },
    "inception-v3-torchvision": {
        "stage3.unit2.branch2.cat2.branch1.conv1.weight": "Mixed_7c.branch3x3_2a.conv.weight",
        "stage2.unit1.branch3.bn5.bias": "Mixed_6b.branch7x7dbl_5.bn.bias",
        "auxiliary1.path.conv3.weight": "AuxLogits.conv1.conv.weight",
    },
    "resnet50d": {
        "stem.conv1.weight": "conv1.0.weight",
        "stem.bn2.weight": "conv1.4.weight",
        "stem.bn3.weight": "bn1.weight",
        "stage1.unit1.shortcut.conv1.weight": "layer1.0.downsample.1.weight",
        "stage2.unit1.shortcut.bn2.bias": "layer2.0.downsample.2.bias",
    },
    "densenet121": {  # as published; the library renames them as it reads them, "norm.1" to "norm1"
        "stem.bn1.weight": "features.norm0.weight",
        "stage3.unit24.branch2.bn1.weight": "features.denseblock3.denselayer24.norm.1.weight",
        "stage3.unit24.branch2.conv3.weight": "features.denseblock3.denselayer24.conv.2.weight",
        "transition2.bn1.running_var": "features.transition2.norm.running_var",
        "transition2.conv2.weight": "features.transition2.conv.weight",
        "last.bn1.bias": "features.norm5.bias",
        "head.linear.weight": "classifier.weight",
    },
    "se-resnet50": {"stage3.unit6.residual.excitation.factors.conv2.bias": "layer3.5.se.fc2.bias"},
    "preact50-timm": {
        "stem.conv1.weight": "stem.conv.weight",
        "stage1.unit1.shared.bn0.weight": "stages.0.blocks.0.norm1.weight",
        "stage1.unit1.shortcut.conv1.weight": "stages.0.blocks.0.downsample.conv.weight",
        "stage2.unit3.residual.bn2.weight": "stages.1.blocks.2.norm3.weight",
        "head.bn0.bias": "norm.bias",
        "head.linear.weight": "head.fc.weight",
    },
    "inception-v4-slim": {
        "stem.cat4.branch2.conv1.weight": "features.3.conv.conv.weight",
        "stage3.unit3.branch3.cat4.branch2.conv1.weight": "features.21.branch2_3b.conv.weight",
        "head.linear.bias": "last_linear.bias",
    },
    "inception-resnet-v2-slim": {
        "stage2.unit20.residual.conv2.bias": "repeat_1.19.conv2d.bias",
        "stage3.unit10.residual.cat1.branch2.conv3.weight": "block8.branch1.2.conv.weight",
        "last.bn1.weight": "conv2d_7b.bn.weight",
    },
    "resnet20-cifar": {
        "head.linear.weight": "linear.weight",
        "stage2.unit1.residual.conv1.weight": "layer2.0.conv1.weight",
    },
}


def layout_of(name):
    return next(layout for layout in LAYOUTS if name in layout.networks)


@pytest.mark.parametrize("name", [name for layout in LAYOUTS for name in layout.networks])
def test_every_tensor_of_a_network_has_one_key_there(name):
    keys = _keys(network(name), layout_of(name))
    assert len(set(keys.values())) == len(keys)
    assert GOLDEN.get(name, {}).items() <= keys.items()


def random_state(value, layout):
    """Random tensors under a layout's keys, without counters."""
    state = value.build().state_dict()
    tensors = {theirs: torch.rand_like(state[ours].float()) + 0.1 for ours, theirs in _keys(value, layout).items()}
    return {key: tensor for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    """A file of torchvision's layout, and its state_dict."""
    torch.manual_seed(0)
    state = random_state(network("resnet18"), torchvision.LAYOUTS[0])
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(state, path)
    return path, state


def test_a_file_goes_in_and_comes_out_unchanged(resnet18, tmp_path):
    path, state = resnet18
    weights, notes = convert(path, "resnet18")
    assert notes == [
        "torchvision's and timm's ResNet, as resnet18",
        "not in the file but assumed: the order of the classes, tench (n01440764), goldfish (n01443537) ... "
        "(--classes); mean 0.485,0.456,0.406 and std 0.229,0.224,0.225 (--mean, --std); images of 224×224",
    ]
    assert weights.normalise == IMAGENET
    save_weights(weights, tmp_path / "ours.safetensors")
    again = read_weights(tmp_path / "ours.safetensors")
    assert (again.network, again.normalise) == (network("resnet18"), IMAGENET)
    out = export(again)
    assert {key for key in out if not key.endswith("num_batches_tracked")} == set(state)
    assert all(torch.equal(out[key], tensor) for key, tensor in state.items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
@pytest.mark.parametrize("wrapping", [None, "state_dict", "model"])
def test_prefixes_and_wrappings_come_off(resnet18, tmp_path, prefix, wrapping):
    state = {f"{prefix}{key}": tensor for key, tensor in resnet18[1].items()}
    torch.save({wrapping: state, "epoch": 3} if wrapping else state, tmp_path / "w.pt")
    weights, _ = convert(tmp_path / "w.pt", "resnet18")
    assert torch.equal(weights.state["stem.conv1.weight"], resnet18[1]["conv1.weight"])


def test_another_number_of_classes_is_kept_and_said(resnet18, tmp_path):
    state = resnet18[1] | {"fc.weight": torch.rand(7, 512), "fc.bias": torch.rand(7)}
    save_state(state, tmp_path / "w.safetensors")
    weights, notes = convert(tmp_path / "w.safetensors", "resnet18")
    assert weights.network == replace(network("resnet18"), classes=7)
    assert notes[1] == "the file has 7 classes, and so has the network"
    assert built(weights)(torch.randn(1, 3, 32, 32)).shape == (1, 7)
    assert weights.classes == ()


def test_what_others_weights_were_trained_on_is_known(resnet18, tmp_path):
    imagenet, _ = convert(resnet18[0], "resnet18")
    assert (imagenet.classes[0], imagenet.classes[999], imagenet.crop) == ("n01440764", "n15075141", "center")
    torch.save(random_state(network("resnet20-cifar"), layout_of("resnet20-cifar")), tmp_path / "w.th")
    cifar10, _ = convert(tmp_path / "w.th", "resnet20-cifar")
    assert (cifar10.classes[3], cifar10.crop) == ("cat", "square")


def test_the_background_of_1001_classes_is_left_out(resnet18, tmp_path):
    state = resnet18[1] | {"fc.weight": torch.rand(1001, 512), "fc.bias": torch.rand(1001)}
    torch.save(state, tmp_path / "w.pth")
    weights, notes = convert(tmp_path / "w.pth", "resnet18")
    assert torch.equal(weights.state["head.linear.weight"], state["fc.weight"][1:])
    assert "background" in notes[1]


# whose keys fit a network that computes something else
OTHERS = [
    ("resnet50-v1.5", "resnet50", "stands in the 3×3"),
    ("resnet34", "resnet34-c", "--as resnet34"),
    ("inception-v3-torchvision", "inception-v3", "averages that count the zeros"),
    ("googlenet-torchvision", "googlenet", "3×3 in place of 5×5"),
    ("preact50-timm", "preact50", "after the pool"),
    ("inception-v4-slim", "inception-v4", "in the other order"),
    ("inception-resnet-v2-slim", "inception-resnet-v2", "10/20/10 blocks"),
    ("inception-resnet-v2-slim", "inception-resnet-v2-slim-unscaled", "scales 0.17, 0.1 and 0.2"),
    ("resnet20-cifar", "resnet56-cifar", "--as resnet20-cifar"),
    ("wrn-50-2", "resnet50-v1.5", "twice as wide"),
    ("wrn-50-2", "inception-v4", "twice as wide"),
    ("alexnet-torchvision", "alexnet", "without local response"),
]


@pytest.mark.parametrize(("right", "asked", "reason"), OTHERS)
def test_a_network_that_computes_something_else_is_refused_with_the_right_one(monkeypatch, right, asked, reason):
    shapes = {name: tensor.shape for name, tensor in empty(network(right)).state_dict().items()}
    keys = _keys(network(right), layout_of(right)).items()
    state = {theirs: torch.zeros(()).expand(shapes[ours]) for ours, theirs in keys}
    monkeypatch.setattr("reslab.weights.convert.read_state", lambda path, key: (state, []))
    with pytest.raises(SpecError, match=f"not {asked}: use --as {right}") as caught:
        convert(Path("w.pth"), asked)
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_keys_that_fit_nothing_are_listed(resnet18, tmp_path):
    state = dict(resnet18[1])
    state["conv1.weight_"] = state.pop("conv1.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"1 missing: conv1\.weight; 1 unknown: conv1\.weight_"):
        convert(tmp_path / "w.pth", "resnet18")
    torch.save(resnet18[1] | {"conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"1 of another shape: conv1\.weight \(64×3×3×3, expected 64×3×7×7\)"):
        convert(tmp_path / "w.pth", "resnet18")


def test_a_network_that_nobody_else_has_is_said(resnet18):
    with pytest.raises(SpecError, match="no layout of weights is known for lenet5"):
        torch.save({"a": torch.zeros(1)}, resnet18[0].with_name("a.pth"))
        convert(resnet18[0].with_name("a.pth"), "lenet5")
    with pytest.raises(SpecError, match="resnet20-cifar cannot be written in others' names"):
        export(Weights(network("resnet20-cifar"), {}))


def test_auxiliary_classifiers_may_be_left_out(tmp_path):
    value = replace(network("googlenet-torchvision"), auxiliary=())
    torch.save(random_state(value, layout_of("googlenet-torchvision")), tmp_path / "w.pth")
    weights, notes = convert(tmp_path / "w.pth", "googlenet-torchvision")
    assert weights.network == value
    assert "no auxiliary classifiers" in notes[1]


def test_a_network_without_its_auxiliary_classifiers_goes_out_again(tmp_path):
    value = replace(network("googlenet-torchvision"), auxiliary=(), classes=7)
    state = random_state(value, layout_of("googlenet-torchvision"))
    torch.save(state, tmp_path / "w.pth")
    out = export(convert(tmp_path / "w.pth", "googlenet-torchvision")[0])
    assert all(torch.equal(out[key], tensor) for key, tensor in state.items())


@pytest.mark.parametrize("name", ["googlenet-torchvision", "inception-v3-torchvision"])
def test_what_torchvision_took_from_tensorflow_sees_images_as_there(name):
    """Its networks turn (x - mean) / std of ImageNet into this themselves, channel by channel."""
    normalise = layout_of(name).normalise
    for mean, std, ours, by in zip(IMAGENET.mean, IMAGENET.std, normalise.mean, normalise.std, strict=True):
        x = 0.3
        assert (x - ours) / by == pytest.approx((x - mean) / std * (std / 0.5) + (mean - 0.5) / 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_of_another_type_come_in_as_float32(resnet18, tmp_path, dtype):
    path = tmp_path / "other.pth"
    torch.save({key: tensor.to(dtype) for key, tensor in resnet18[1].items()}, path)
    weights, notes = convert(path, "resnet18")
    assert notes[1] == f"its {str(dtype).removeprefix('torch.')} tensors are brought to float32"
    assert built(weights)(torch.zeros(1, 3, 64, 64)).dtype == torch.float32


def test_timms_classifier_is_a_convolution(tmp_path):
    value = network("preact18-timm")
    state = random_state(value, timm.LAYOUTS[0])
    flat = state["head.fc.weight"]
    torch.save(state | {"head.fc.weight": flat[:, :, None, None]}, tmp_path / "w.pth")
    weights, _ = convert(tmp_path / "w.pth", "preact18-timm")
    assert torch.equal(weights.state["head.linear.weight"], flat)
    assert weights.normalise == HALF


class PadBothSides(nn.Module):
    """Option A with half of the zeros in front, as pytorch_resnet_cifar10 has it."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        half = (self.width - x.shape[1]) // 2
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))


def test_channels_in_another_order_compute_the_same():
    torch.manual_seed(0)
    value = cifar_resnet(20)
    theirs = value.build().eval()
    for name, tensor in theirs.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.rand_like(tensor) - (0.0 if name.endswith("running_var") else 0.45))
    reordered = cifar.reorder(value, theirs.state_dict())
    theirs.stage2.unit1.shortcut.pad = PadBothSides(32)
    theirs.stage3.unit1.shortcut.pad = PadBothSides(64)
    ours = built(Weights(value, reordered))
    x = torch.randn(4, 3, 32, 32)
    largest = theirs(x).abs().max()
    assert (ours(x) - theirs(x)).abs().max() < 1e-5 * largest
    naive = built(Weights(value, theirs.state_dict()))
    assert (naive(x) - theirs(x)).abs().max() > 1e-3 * largest


CIFAR_WEIGHTS = os.environ.get("RESLAB_CIFAR_WEIGHTS")


@pytest.mark.skipif(
    not (CIFAR_WEIGHTS and os.environ.get("RESLAB_DATA")),
    reason="RESLAB_CIFAR_WEIGHTS names no directory with resnet20-12fca82f.th, or RESLAB_DATA none with CIFAR-10",
)
@pytest.mark.parametrize(
    ("file", "name", "wrong"),
    [("resnet20-12fca82f.th", "resnet20-cifar", 827), ("resnet56-4bfd9763.th", "resnet56-cifar", 661)],
)
def test_others_weights_have_their_published_error_on_cifar10(file, name, wrong):
    weights, _ = convert(Path(CIFAR_WEIGHTS) / file, name)
    loader = InMemoryLoader(load("cifar10"), torch.device("cpu"), weights.normalise)
    result = evaluate(built(weights), loader.views("test"))
    assert result.images == 10_000
    assert result.top1_error == pytest.approx(wrong / 100)


def test_every_layout_is_of_named_networks():
    for layout in LAYOUTS:
        assert set(layout.networks) <= set(NAMED)


def test_densenets_come_in_two_spellings_and_go_out_in_the_librarys_own(tmp_path):
    published, own = (layout for layout in LAYOUTS if "densenet121" in layout.networks)
    for layout in (published, own):
        torch.save(random_state(network("densenet121"), layout), tmp_path / "w.pth")
        weights, notes = convert(tmp_path / "w.pth", "densenet121")
        assert notes[0] == f"{layout.name}, as densenet121"
    keys = set(export(weights))
    assert keys == set(_keys(network("densenet121"), own).values())
    assert "features.denseblock1.denselayer1.norm1.weight" in keys
