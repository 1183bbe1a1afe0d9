"""Every named network: built as its value says, and every parameter of it learns."""

import pytest
import torch
from torch import nn

from reslab.errors import SpecError
from reslab.nets import NAMED, AnyNetwork, Auxiliary, Cat, Conv, Head, Residual, Seq, Stage, Staged, network, networks
from reslab.nets.modules import ResponseNorm
from reslab.spec import from_json, replace, to_json

from .traced import assert_layers_are_the_modules

# named twice, or the same modules with other factors
ALIKE = {name for name in NAMED if name.endswith(("-unscaled", "18-b", "34-b"))}
NAMES = [name for name in NAMED if name not in ALIKE]
LONG = {"resnet1202-cifar", "resnet1001-cifar"}  # whose modules preact1001-cifar and resnet110-cifar have too


@pytest.mark.parametrize("name", NAMED)
def test_json_gives_the_equal_network_back(name):
    assert from_json(AnyNetwork, to_json(network(name))) == network(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LONG])
def test_counts_and_shapes_equal_the_built_modules(name):
    assert_layers_are_the_modules(network(name))


def smaller(value):
    """A network on smaller images where it takes them, with few classes, so that its test is quick."""
    for size in (8, 75, 96, 128, 299) if value.size in (32, 299) else (32, 96, 128, value.size):
        try:
            return replace(value, size=size, classes=5)
        except SpecError:
            continue
    return replace(value, classes=5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_receives_a_finite_gradient(name):
    torch.manual_seed(0)
    value = smaller(network(name))
    built = value.build()
    logits, auxiliary = built.with_auxiliary(torch.randn(3, *value.input))
    assert logits.shape == (3, 5)
    loss = sum(nn.functional.cross_entropy(each, torch.tensor([0, 1, 2])) for each in (logits, *auxiliary))
    loss.backward()
    for path, parameter in built.named_parameters():
        assert parameter.grad is not None, path
        assert torch.isfinite(parameter.grad).all(), path


SIZES = {
    "resnet18": {"stem": 56, "stage1": 56, "stage2": 28, "stage3": 14, "stage4": 7},
    "preact50": {"stem": 56, "stage1": 56, "stage2": 28, "stage3": 14, "stage4": 7},
    "inception-v4": {"stem": 35, "stage1": 35, "reduction1": 17, "stage2": 17, "reduction2": 8, "stage3": 8},
    "inception-resnet-v1": {"stem": 35, "stage1": 35, "reduction1": 17, "stage2": 17, "reduction2": 8, "stage3": 8},
    "inception-resnet-v2": {"stem": 35, "stage1": 35, "reduction1": 17, "stage2": 17, "reduction2": 8, "stage3": 8},
    "inception-v3": {"stem": 35, "stage1": 35, "reduction1": 17, "stage2": 17, "reduction2": 8, "stage3": 8},
    "googlenet": {"stem": 56, "pool1": 28, "stage1": 28, "pool2": 14, "stage2": 14, "pool3": 7, "stage3": 7},
    "bn-inception": {"stem": 28, "stage1": 14, "stage2": 7, "stage3": 7},
    "alexnet": {"stage1": 27, "stage2": 13, "stage3": 6},
    "zfnet": {"stage1": 55, "stage2": 13, "stage3": 6},
    "vgg16": {"stage1": 112, "stage2": 56, "stage3": 28, "stage4": 14, "stage5": 7},
    "lenet5": {"stage1": 14, "stage2": 5, "stage3": 1},
}


@pytest.mark.parametrize("name", SIZES)
def test_endpoints_have_the_papers_sizes(name):
    with torch.device("meta"):
        points = network(name).build().endpoints(torch.empty(2, *network(name).input))
    assert {part: out.shape[2] for part, out in points.items() if part != "head"} == SIZES[name]


def test_a_residual_is_scaled_and_added_to_its_input():
    built = replace(network("inception-resnet-v2"), size=139).build().eval()
    unit = built.stage2.unit3
    x = torch.randn(2, 1152, 7, 7)
    torch.testing.assert_close(unit(x), torch.relu(x + 0.1 * unit.residual(x)))
    last = network("inception-resnet-v2-slim")
    assert [block.after for block in last.stages[5].blocks][-2:] == ["relu", ""]


def test_auxiliary_classifiers_read_their_blocks_and_leave_the_logits_alone():
    torch.manual_seed(0)
    value = replace(network("googlenet"), size=224, classes=7)
    built = value.build().eval()
    x = torch.randn(1, 3, 224, 224)
    logits, auxiliary = built.with_auxiliary(x)
    assert torch.equal(logits, built(x))
    inner = built.stage2.unit1(built.pool2(built.stage1(built.pool1(built.stem(x)))))
    assert torch.equal(auxiliary[0], built.auxiliary1(inner))
    assert [each.shape for each in auxiliary] == [(1, 7), (1, 7)]


@pytest.mark.parametrize(
    "name", ["inception-v3", "inception-v4", "inception-resnet-v1", "inception-resnet-v2", "vgg16"]
)
def test_an_image_too_small_is_refused_with_the_smallest(name):
    with pytest.raises(SpecError, match="the smallest is") as caught:
        replace(network(name), size=16)
    smallest = int(str(caught.value).split()[-1])
    assert replace(network(name), size=smallest).layers()
    with pytest.raises(SpecError):
        replace(network(name), size=smallest - 1)


def test_an_error_that_no_size_mends_names_no_size():
    stage = Stage("stage1", (Conv(4, 3, groups=2),))
    with pytest.raises(SpecError, match=r"2 groups do not divide 3 and 4 channels$"):
        Staged((stage,), Head(), size=8)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((Stage("stage1", (Conv(4, 3),)), Stage("stage1", (Conv(8, 3),))), "two stages are called 'stage1'"),
        ((Stage("head", (Conv(4, 3),)),), "a stage cannot be called 'head'"),
        ((Stage("train", (Conv(4, 3),)),), "a stage cannot be called 'train'"),
        ((Stage("auxiliary1", (Conv(4, 3),)),), "a stage cannot be called 'auxiliary1'"),
        ((Stage("a.b", (Conv(4, 3),)),), r"a stage cannot be called 'a\.b'"),
        ((Stage("stage1", (Residual(Conv(8, 3, 2)),)),), "stage1: F gives maps of 4×4 where x has 8×8"),
    ],
)
def test_stages_that_cannot_be_are_refused(stages, message):
    with pytest.raises(SpecError, match=message):
        Staged(stages, Head(), size=8)


@pytest.mark.parametrize("make", [lambda: Stage("stage1", ()), lambda: Cat(())])
def test_a_stage_needs_a_block_and_a_concatenation_a_branch(make):
    with pytest.raises(SpecError, match="at least 1 item"):
        make()


def test_an_image_too_small_for_an_auxiliary_classifier_says_how_to_leave_it_out():
    with pytest.raises(SpecError, match=r"after stage2\.unit4, which auxiliary=\(\) leaves out; the smallest is 299"):
        replace(network("inception-v3"), size=128)
    assert replace(network("inception-v3"), size=128, auxiliary=()).layers()
    with pytest.raises(SpecError, match=r"did you mean stage2\.unit4"):
        replace(network("inception-v3"), auxiliary=(Auxiliary("stage2.unit9", Seq(()), Head()),))


# the longest branches of the stem and of the blocks on 17x17 and 8x8 maps, B Figs. 3, 5 and 6
ORDERS = {
    "inception-v4": (
        "1×1, 64; 7×1, 64; 1×7, 64; 3×3, 96",
        "1×1, 192; 1×7, 192; 7×1, 224; 1×7, 224; 7×1, 256",
        "1×1, 384; 1×3, 448; 3×1, 512; (1×3, 256 | 3×1, 256)",
    ),
    "inception-v4-slim": (
        "1×1, 64; 1×7, 64; 7×1, 64; 3×3, 96",
        "1×1, 192; 7×1, 192; 1×7, 224; 7×1, 224; 1×7, 256",
        "1×1, 384; 3×1, 448; 1×3, 512; (1×3, 256 | 3×1, 256)",
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_long_kernels_stand_in_their_order(name):
    table = str(network(name))
    for branch in ORDERS[name]:
        assert branch in table


def test_bn_divides_by_the_familys_constant():
    for name, eps in (("inception-v4", 1e-3), ("resnet18", 1e-5), ("vgg16-bn", 1e-5)):
        with torch.device("meta"):
            built = network(name).build()
        assert {module.eps for module in built.modules() if isinstance(module, nn.BatchNorm2d)} == {eps}


def test_a_network_that_differs_from_its_paper_has_a_deviation():
    for named in networks():
        assert bool(named.deviation) or not named.name.endswith(("torchvision", "slim", "v1.5", "caffe", "one-tower"))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_response_normalisation_of_lines_is_that_of_maps(memory_format):
    x = torch.randn(2, 7, 5, 6).contiguous(memory_format=memory_format).requires_grad_()
    ours, torchs = ResponseNorm(5, k=2.0)(x), nn.LocalResponseNorm(5, k=2.0)(x)
    assert torch.equal(ours, torchs)
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, torchs)]
    assert torch.equal(*gradients)
