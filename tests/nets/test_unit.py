"""A unit's arrangement, shortcut and merge against the papers' equations."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, pad

from reslab.errors import SpecError
from reslab.nets import (
    Add,
    Conv,
    Dropped,
    Gated,
    Head,
    Pool,
    Residual,
    Scaled,
    Stage,
    Staged,
    StochasticDepth,
    Weighted,
    cifar_resnet,
    fixup_cifar,
    network,
)
from reslab.nets.arrangements import ARRANGEMENTS
from reslab.nets.modules import Multiplication, ResidualUnit, Shift
from reslab.spec import replace

from .traced import assert_layers_are_the_modules

MERGES = [
    Add(),
    Scaled(0.5, 0.5),
    Gated(-6.0),
    Gated(-6.0, exclusive=True),
    Gated(-6.0, gate="deep"),
    Dropped(0.5),
    Weighted(0.5),
    StochasticDepth(1.0),
]
KERNELS = [(3, 3), (1, 3, 1), (3,)]


def smallest(kernels, **fields):
    return cifar_resnet(2 + 3 * len(kernels), kernels=kernels, **fields)


@pytest.mark.parametrize(
    ("arrangement", "shortcut", "merge", "kernels"), list(product(ARRANGEMENTS, ["A", "B", "C", None], MERGES, KERNELS))
)
def test_every_combination_learns_everywhere(arrangement, shortcut, merge, kernels):
    fields = {"arrangement": arrangement, "shortcut": shortcut, "merge": merge}
    if shortcut is None and merge != Add():
        with pytest.raises(SpecError, match="has nothing to merge; use merge add, or shortcut A, B or C"):
            smallest(kernels, **fields)
        return
    torch.manual_seed(0)
    network = smallest(kernels, size=8, **fields).build()
    logits = network(torch.randn(4, 3, 8, 8))
    assert logits.shape == (4, 10)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


# C Fig. 4, Han et al. 2017, Fig. 6, and Zhang et al. 2019, Fig. 1, from the unit's input to its output, for a basic
# unit in the middle of a stage
FIGURE_4 = {
    "original": "conv bn relu conv bn add relu",
    "bn-after-addition": "conv bn relu conv add bn relu",
    "relu-before-addition": "conv bn relu conv bn relu add",
    "relu-only-preactivation": "relu conv bn relu conv bn add",
    "full-preactivation": "bn relu conv bn relu conv add",
    "without-first-relu": "bn conv bn relu conv add",
    "bn-last": "bn relu conv bn relu conv bn add",
    "pyramidnet": "bn conv bn relu conv bn add",
    "fixup": "bias conv bias relu bias conv scale bias add relu",
}


def test_every_arrangement_has_its_order_in_a_figure():
    assert list(FIGURE_4) == list(ARRANGEMENTS)


@pytest.mark.parametrize(("arrangement", "order"), list(FIGURE_4.items()))
def test_modules_run_in_the_order_of_figure_4(arrangement, order):
    network = cifar_resnet(14, arrangement=arrangement, size=8).build()
    unit = network.get_submodule("stage2.unit2")
    words = {"Conv2d": "conv", "BatchNorm2d": "bn", "ReLU": "relu", "Addition": "add"}
    words |= {"Shift": "bias", "Multiplication": "scale"}
    ran = []
    for module in unit.modules():
        if type(module).__name__ in words:
            module.register_forward_hook(lambda module, *_: ran.append(words[type(module).__name__]))
    network(torch.randn(2, 3, 8, 8))
    assert " ".join(ran) == order


def test_every_position_has_an_instance_of_its_own():
    network = cifar_resnet(14, arrangement="full-preactivation").build()
    paths = [name for name, module in network.named_modules(remove_duplicate=False) if isinstance(module, nn.ReLU)]
    assert len(paths) == len({id(network.get_submodule(path)) for path in paths}) == 13
    assert not any(getattr(module, "inplace", False) for module in network.modules())


def test_preactivation_enters_after_the_stem_and_leaves_before_the_head():
    network = cifar_resnet(14, arrangement="full-preactivation").build()
    assert [name for name, _ in network.stem.named_children()] == ["conv1", "bn1", "relu1"]
    assert next(iter(dict(network.stage1.unit1.residual.named_children()))) == "conv1"
    assert next(iter(dict(network.stage1.unit2.residual.named_children()))) == "bn0"
    assert [name for name, _ in network.head.named_children()] == ["bn0", "relu0", "pool", "linear"]


@pytest.mark.parametrize("arrangement", ["without-first-relu", "pyramidnet"])
def test_without_the_first_relu_the_head_has_one_before_it_pools(arrangement):
    network = cifar_resnet(14, arrangement=arrangement).build()
    assert [name for name, _ in network.head.named_children()] == ["bn0", "relu0", "pool", "linear"]


def test_shortcut_and_residual_read_the_shared_preactivation_where_the_shape_changes():
    network = smallest((1, 3, 1), arrangement="full-preactivation").build()
    unit = network.stage2.unit1
    assert [name for name, _ in unit.shared.named_children()] == ["bn0", "relu0"]
    assert [name for name, _ in unit.shortcut.named_children()] == ["conv1"]  # no BN of its own
    read = {}
    unit.residual.conv1.register_forward_pre_hook(lambda _, inputs: read.update(residual=inputs[0]))
    unit.shortcut.conv1.register_forward_pre_hook(lambda _, inputs: read.update(shortcut=inputs[0]))
    network(torch.randn(2, 3, 8, 8))
    assert torch.equal(read["residual"], read["shortcut"])
    assert read["shortcut"].min() >= 0


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_zeroed_residuals_make_a_preactivation_stage_its_shortcut_path(shortcut):
    torch.manual_seed(0)
    network = cifar_resnet(20, arrangement="full-preactivation", shortcut=shortcut).build().eval()
    stage = network.stage2
    for unit in stage.children():
        for module in unit.residual.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
    x = torch.randn(2, 16, 32, 32)
    first = stage.unit1
    assert torch.equal(stage(x), first.shortcut(first.shared(x)))


def test_zeroed_residuals_make_an_identity_stage_the_identity():
    network = cifar_resnet(20, arrangement="full-preactivation").build().eval()
    for unit in network.stage1.children():
        for module in unit.residual.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(network.stage1(x), x)


def test_option_a_is_x_and_then_channels_of_zeros():
    network = cifar_resnet(20).build()
    x = torch.randn(2, 16, 9, 9)
    y = network.stage2.unit1.shortcut(x)
    assert y.shape == (2, 32, 5, 5)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert not y[:, 16:].any()


def _terms(merge):
    """A unit's merge, with an input, a shortcut and a residual of its shape."""
    torch.manual_seed(0)
    unit = cifar_resnet(20, merge=merge).build().stage1.unit2
    assert isinstance(unit, ResidualUnit)
    return unit.merge, torch.randn(8, 16, 16, 16), torch.randn(8, 16, 16, 16), torch.randn(8, 16, 16, 16)


def test_scaled_multiplies_shortcut_and_residual():
    merge, x, h, f = _terms(Scaled(0.5, 0.25))
    torch.testing.assert_close(merge(x, h, f), 0.5 * h + 0.25 * f)


@pytest.mark.parametrize("exclusive", [False, True])
def test_gated_shuts_the_shortcut_by_the_gate(exclusive):
    merge, x, h, f = _terms(Gated(-2.0, exclusive))
    weight, bias = merge.gate.weight[:, :, 0, 0], merge.gate.bias
    assert torch.equal(bias, torch.full((16,), -2.0))
    g = torch.sigmoid(torch.einsum("oc,nchw->nohw", weight, x) + bias[:, None, None])
    torch.testing.assert_close(merge(x, h, f), (1 - g) * h + (g * f if exclusive else f))


def test_dropped_keeps_the_survivors_and_scales_in_evaluation():
    merge, x, h, f = _terms(Dropped(0.25))
    dropped = merge(x, h, f) - f
    kept = dropped.abs() > 1e-6
    torch.testing.assert_close(dropped[kept], h[kept])
    assert abs(kept.float().mean() - 0.75) < 0.02
    merge.eval()
    torch.testing.assert_close(merge(x, h, f), 0.75 * h + f)


def test_dropped_inverted_scales_the_survivors_instead():
    merge, x, h, f = _terms(Dropped(0.25, inverted=True))
    dropped = merge(x, h, f) - f
    kept = dropped.abs() > 1e-6
    torch.testing.assert_close(dropped[kept], h[kept] / 0.75)
    merge.eval()
    torch.testing.assert_close(merge(x, h, f), h + f)


def test_a_gate_follows_its_unit_where_the_shape_changes():
    network = cifar_resnet(20, merge=Gated()).build()
    gate = network.stage3.unit1.merge.gate
    assert (gate.in_channels, gate.out_channels, gate.stride) == (32, 64, (2, 2))


def test_a_deep_gate_is_two_convolutions_whose_last_shift_is_the_bias():
    gate = cifar_resnet(20, merge=Gated(-3.0, gate="deep")).build().stage3.unit1.merge.gate
    assert [type(layer).__name__ for layer in gate] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"]
    assert gate.conv1.stride == (2, 2)
    assert torch.equal(gate.bn2.bias, torch.full((64,), -3.0))
    assert not gate.bn1.bias.any()


@pytest.mark.parametrize(
    "fields", [{"squeeze": 4}, {"pooled_shortcut": True}, {"widths": (16, 20, 24)}, {"entrance": "residual"}]
)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_variations_layers_are_its_modules(fields, arrangement):
    assert_layers_are_the_modules(cifar_resnet(8, size=8, arrangement=arrangement, **fields))


@pytest.mark.parametrize("merge", [*MERGES, Weighted(0.5, per="channel"), Weighted(0.5, learned=False)])
def test_a_merges_layers_and_parameters_are_its_modules(merge):
    value = cifar_resnet(8, merge=merge, size=8)
    assert_layers_are_the_modules(value)
    assert value.cost().parameters == sum(parameter.numel() for parameter in value.build().parameters())


@pytest.mark.parametrize(("per", "shape"), [("unit", (1,)), ("channel", (16, 1, 1))])
def test_weighted_multiplies_the_residual_by_what_it_learned(per, shape):
    merge, x, h, f = _terms(Weighted(0.25, per=per))
    assert merge.weight.shape == shape
    torch.testing.assert_close(merge(x, h, f), h + 0.25 * f)
    nn.init.uniform_(merge.weight)
    torch.testing.assert_close(merge(x, h, f), h + merge.weight * f)


def test_skipinit_begins_as_its_shortcuts():
    built = cifar_resnet(20, arrangement="full-preactivation", merge=Weighted()).build()
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(built.stage1(x), x)


@pytest.mark.parametrize(("rule", "survival"), [("linear", [0.9, 0.8, 0.7]), ("constant", [0.7] * 3)])
def test_stochastic_depth_drops_more_of_the_deeper_units(rule, survival):
    built = cifar_resnet(8, merge=StochasticDepth(0.7, rule)).build()
    units = [built.stage1, built.stage2, built.stage3]
    assert [stage.unit1.merge.survival for stage in units] == pytest.approx(survival)


def test_stochastic_depth_counts_the_residual_blocks_of_a_staged_network():
    residual = Residual(Conv(4, 3), StochasticDepth(0.6))
    stages = (Stage("stem", (Conv(4, 3),)), Stage("stage1", (residual, Pool("max", 2, 2), residual)))
    built = Staged(stages, Head(), size=8).build()
    assert [unit.merge.survival for unit in (built.stage1.unit1, built.stage1.unit3)] == pytest.approx([0.8, 0.6])


def test_stochastic_depth_drops_a_whole_residual_and_has_its_mean_in_evaluation():
    torch.manual_seed(0)
    merge = cifar_resnet(8, merge=StochasticDepth(0.7)).build().stage3.unit1.merge
    h, f = torch.randn(4, 3, 5, 5), torch.randn(4, 3, 5, 5)
    kept = [torch.equal(merge(h, h, f), h + f) for _ in range(2000)]
    assert all(each or torch.equal(merge(h, h, torch.zeros_like(f)), h) for each in kept)
    assert abs(sum(kept) / 2000 - 0.7) < 0.04
    merge.eval()
    torch.testing.assert_close(merge(h, h, f), h + 0.7 * f)


@pytest.mark.parametrize("arrangement", [name for name in ARRANGEMENTS if name != "fixup"])
def test_zero_last_bn_silences_every_residual_at_first(arrangement):
    value = cifar_resnet(14, arrangement=arrangement, zero_last_bn=True)
    for unit in value.build().stage1.children():
        assert not unit.residual(torch.randn(2, 16, 8, 8)).any()
    with pytest.raises(SpecError, match="no BN after its convolutions"):
        cifar_resnet(8, kernels=(3,), arrangement="full-preactivation", zero_last_bn=True)


def test_fixups_residual_has_its_scalars_at_their_places():
    torch.manual_seed(0)
    built = fixup_cifar(14).build()
    for unit, stride in ((built.stage1.unit1, 1), (built.stage2.unit1, 2)):
        scalars = [layer for layer in unit.modules() if isinstance(layer, Shift | Multiplication)]
        assert all(parameter.numel() == 1 for layer in scalars for parameter in layer.parameters())
        b1, b2, b3, w, b4 = (nn.init.uniform_(parameter) for layer in scalars for parameter in layer.parameters())
        conv1, conv2 = (nn.init.normal_(getattr(unit.residual, name).weight, std=0.1) for name in ("conv1", "conv2"))
        x = torch.randn(2, conv1.shape[1], 8, 8)
        inner = torch.relu(conv2d(x + b1, conv1, stride=stride, padding=1) + b2)
        residual = conv2d(inner + b3, conv2, padding=1) * w + b4
        shortcut = x if stride == 1 else pad((x + b1)[:, :, ::2, ::2], (0, 0, 0, 0, 0, 16))
        torch.testing.assert_close(unit(x), torch.relu(shortcut + residual))


@pytest.mark.parametrize(("kernels", "exponent"), [((3, 3), -1 / 2), ((1, 3, 1), -1 / 4)])
def test_fixup_starts_residuals_at_0_and_their_inner_weights_smaller_by_their_number(kernels, exponent):
    torch.manual_seed(0)
    value = fixup_cifar(2 + 12 * len(kernels), kernels)  # 12 residuals
    built = value.build()
    *inner, last = [layer for layer in built.stage3.unit4.residual if isinstance(layer, nn.Conv2d)]
    for conv in inner:
        he = (2 / conv.weight[0].numel()) ** 0.5
        assert float(conv.weight.detach().std() / he) == pytest.approx(12**exponent, rel=0.03)
    assert not last.weight.any()
    assert not built.head.linear.weight.any()
    assert float(built.stem.conv1.weight.detach().std()) == pytest.approx((2 / 27) ** 0.5, rel=0.2)
    built(torch.randn(2, 3, 32, 32))[:, 0].sum().backward()
    assert built.head.linear.weight.grad.any()


def test_without_bn_an_untrained_residual_network_is_its_shortcuts():
    x = torch.rand(2, 16, 8, 8)
    assert torch.equal(fixup_cifar(20).build().stage1(x), x)


@pytest.mark.parametrize("fields", [{"zero_last_bn": True}, {"initialisation": "fixup"}])
def test_a_factor_and_a_residual_that_both_start_at_0_are_refused(fields):
    with pytest.raises(SpecError, match="both start at 0 learn nothing"):
        cifar_resnet(20, merge=Weighted(0.0), **fields)
    assert cifar_resnet(20, merge=Weighted(1.0), **fields)


def test_dropout_stands_before_the_last_convolution():
    residual = replace(network("wrn-16-4"), dropout=0.3).build().stage2.unit2.residual
    names = [name for name, _ in residual.named_children()]
    assert names == ["bn0", "relu0", "conv1", "bn1", "relu1", "dropout1", "conv2"]
    assert residual.dropout1.p == 0.3


def test_groups_are_those_of_the_3x3_alone():
    residual = network("resnext29-8x64d-cifar").build().stage3.unit1.residual
    convs = [layer for layer in residual if isinstance(layer, nn.Conv2d)]
    assert [(conv.groups, conv.out_channels) for conv in convs] == [(1, 2048), (8, 2048), (1, 1024)]
    with pytest.raises(SpecError, match=r"groups 3: kernels \(1, 3, 1\) and inner widths"):
        cifar_resnet(29, kernels=(1, 3, 1), groups=3)


def test_pyramidnets_units_are_each_wider_and_their_shortcuts_read_x_itself():
    built = network("pyramidnet110-a48-cifar").build()
    assert [unit.residual.conv2.out_channels for unit in built.stage1.children()][:4] == [17, 18, 19, 20]
    assert built.stage3.unit18.residual.conv2.out_channels == 64
    assert not any(list(unit.shared.children()) for stage in built.stages.values() for unit in stage)
    assert next(name for name, _ in built.stage1.unit1.residual.named_children()) == "bn0"
    assert [name for name, _ in built.stem.named_children()] == ["conv1", "bn1"]
    x = torch.randn(2, 32, 8, 8)
    y = built.stage2.unit1.shortcut(x)
    torch.testing.assert_close(y[:, :32], nn.functional.avg_pool2d(x, 2))
    assert not y[:, 32:].any()


def test_resnet_ds_shortcut_averages_before_it_projects():
    shortcut = network("resnet50d").build().stage2.unit1.shortcut
    assert [name for name, _ in shortcut.named_children()] == ["pool1", "conv2", "bn2"]
    assert (shortcut.pool1.kernel_size, shortcut.conv2.stride) == (2, (1, 1))
    assert shortcut(torch.randn(2, 256, 7, 7)).shape[2:] == (4, 4)  # as a stride of 2 has it


def test_squeeze_and_excitation_scales_each_channel_by_its_maps_means():
    unit = cifar_resnet(8, squeeze=4).build().stage1.unit1.residual.excitation
    x = torch.randn(3, 16, 5, 5)
    inner = torch.relu(unit.factors.conv1(x.mean((2, 3), keepdim=True)))
    assert inner.shape == (3, 4, 1, 1)
    torch.testing.assert_close(unit(x), x * torch.sigmoid(unit.factors.conv2(inner)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"squeeze": 17}, "squeeze 17: leaves nothing of 16 channels"),
        ({"shortcut": None, "pooled_shortcut": True}, "a plain network has no shortcut; use pooled_shortcut false"),
        ({"arrangement": "fixup", "zero_last_bn": True}, "the residual has no BN after its convolutions"),
        ({"shortcut": None, "zero_last_bn": True}, "zero_last_bn: a plain network would start, and stay, at 0"),
        (
            {"shortcut": None, "initialisation": "fixup"},
            "initialisation fixup: a plain network would start, and stay, at 0",
        ),
        ({"widths": (16, 16, 32, 32)}, "each stage needs one of both, or each unit its own width"),
    ],
)
def test_a_variation_that_cannot_be_is_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        cifar_resnet(14, **fields)
