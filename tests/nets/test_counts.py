"""Parameters and multiply-adds of every network equal counts that were made independently of reslab."""

import tomllib
from pathlib import Path

import pytest

from reslab.nets import Gated, cifar_resnet, network
from reslab.nets.inception import inception_resnet_v2
from reslab.spec import replace

COUNTS = tomllib.loads((Path(__file__).parent / "counts.toml").read_text())


def named(name, **fields):
    return lambda: replace(network(name), **fields)


NETWORKS = {
    **{f"cifar_resnet{depth}_A": named(f"resnet{depth}-cifar") for depth in (20, 32, 44, 56, 110, 1202)},
    **{f"cifar_plain{depth}": named(f"plain{depth}-cifar") for depth in (20, 56, 110)},
    "cifar_resnet110_B": lambda: cifar_resnet(110, shortcut="B"),
    "cifar_resnet110_C": lambda: cifar_resnet(110, shortcut="C"),
    "cifar_resnet110_conv1x1_shortcut_all": lambda: cifar_resnet(110, shortcut="C"),
    "cifar_resnet110_exclusive_gating": lambda: cifar_resnet(110, merge=Gated(exclusive=True)),
    "cifar_resnet110_shortcut_only_gating": lambda: cifar_resnet(110, merge=Gated()),
    "cifar_resnet164_original": named("resnet164-cifar"),
    "cifar_resnet164_original_cifar100": named("resnet164-cifar", classes=100),
    "cifar_resnet1001_original": named("resnet1001-cifar"),
    "cifar_preact110_A": named("preact110-cifar"),
    **{f"cifar_preact{depth}": named(f"preact{depth}-cifar") for depth in (164, 1001)},
    **{f"cifar_preact{depth}_cifar100": named(f"preact{depth}-cifar", classes=100) for depth in (164, 1001)},
    **{f"imagenet_plain{depth}": named(f"plain{depth}") for depth in (18, 34)},
    **{f"imagenet_resnet{depth}_{o}": named(f"resnet{depth}-{o.lower()}") for depth in (18, 34) for o in "ABC"},
    **{f"imagenet_resnet{depth}_B_v1": named(f"resnet{depth}") for depth in (50, 101, 152, 200)},
    **{f"imagenet_resnet{depth}_B_v15": named(f"resnet{depth}-v1.5") for depth in (50, 101, 152, 200)},
    "imagenet_resnet50_C_v1": named("resnet50-c"),
    **{f"imagenet_preact{depth}_v15": named(f"preact{depth}") for depth in (18, 34, 50, 101, 152, 200)},
    **{f"imagenet_preact{depth}_v1stride": named(f"preact{depth}-v1") for depth in (152, 200)},
    **{f"wrn_{shape}": named(f"wrn-{shape.replace('_', '-')}") for shape in ("16_4", "28_10")},
    "resnext29_8x64d_cifar": named("resnext29-8x64d-cifar"),
    "torchvision_resnext50_32x4d": named("resnext50-32x4d"),
    "torchvision_resnext101_32x8d": named("resnext101-32x8d"),
    **{f"pyramidnet110_a{alpha}": named(f"pyramidnet110-a{alpha}-cifar") for alpha in (48, 84, 270)},
    "pyramidnet164_a270": named("pyramidnet164-a270-cifar"),
    **{f"timm_wide_resnet{depth}_2": named(f"wrn-{depth}-2") for depth in (50, 101)},
    "timm_resnet50d": named("resnet50d"),
    "timm_seresnet50": named("se-resnet50"),
    **{f"torchvision_densenet{depth}": named(f"densenet{depth}") for depth in (121, 161, 169, 201)},
    "densenet_bc_100_12": named("densenet-bc-100-12"),
    "fixup_resnet110": named("fixup110-cifar"),
    "inception_v4_paper": named("inception-v4"),
    "inception_resnet_v1_paper": named("inception-resnet-v1"),
    "inception_resnet_v2_paper_5_10_5": named("inception-resnet-v2"),
    "inception_resnet_v2_10_20_10_v4stem": lambda: inception_resnet_v2((10, 20, 10)),
    "inception_resnet_v2_slim": named("inception-resnet-v2-slim"),
    "alexnet_two_tower_groups": named("alexnet"),
    "alexnet_dense_one_tower_caffe_widths": named("alexnet-one-tower"),
    "zfnet_fig3": named("zfnet"),
    "zfnet_512_1024_512": named("zfnet-wide"),
    "lenet5_dense_c3_linear_out": named("lenet5"),
    "googlenet_paper_5x5_no_aux": named("googlenet"),
    "bn_inception_paper": named("bn-inception"),
    "cadene_bninception": named("bn-inception-caffe"),
    "timm_inception_v4": named("inception-v4-slim"),
    "timm_inception_resnet_v2": named("inception-resnet-v2-slim"),
    "timm_inception_v3": named("inception-v3"),
    "timm_resnet18": named("resnet18"),
    "timm_resnet50": named("resnet50-v1.5"),
    "timm_resnet200": named("resnet200-v1.5"),
    **{f"timm_resnetv2_{depth}": named(f"preact{depth}") for depth in (18, 34, 50, 101, 152)},
    **{f"timm_vgg{depth}": named(f"vgg{depth}") for depth in (16, 19)},
    "torchvision_alexnet": named("alexnet-torchvision"),
    "torchvision_googlenet": named("googlenet-torchvision"),
    "torchvision_inception_v3": named("inception-v3-torchvision"),
    **{f"torchvision_vgg{depth}": named(f"vgg{depth}") for depth in (11, 13, 16, 19)},
    **{f"torchvision_vgg{depth}_bn": named(f"vgg{depth}-bn") for depth in (16, 19)},
    **{f"torchvision_resnet{depth}": named(f"resnet{depth}") for depth in (18, 34)},
    **{f"torchvision_resnet{depth}": named(f"resnet{depth}-v1.5") for depth in (50, 101, 152)},
}
AUXILIARY = ("googlenet_aux_512", "googlenet_aux_528")  # parts of googlenet, below


def test_every_count_is_claimed():
    assert set(COUNTS) - set(NETWORKS) == set(AUXILIARY)


@pytest.mark.parametrize("build", NETWORKS)
def test_a_network_has_exactly_its_counts(build):
    counts, value = COUNTS[build], NETWORKS[build]()
    cost = value.cost()
    assert value.size == counts["input"]
    assert cost.parameters == counts["params"] - counts.get("aux_params", 0)
    assert cost.multiply_adds == counts["macs"]
    if "weights" in counts:
        assert cost.weights == counts["weights"]
        assert cost.norms == counts["bns"]
        # timm writes some of its linear layers as convolutions
        assert cost.convolutions + cost.linears == counts["convs"] + counts["fcs"]
    if counts.get("aux_params"):
        assert value.auxiliary_cost().parameters == counts["aux_params"]


def test_googlenets_auxiliary_classifiers_have_exactly_their_counts():
    value = network("googlenet")
    for build, (_, shape, chain) in zip(AUXILIARY, value.auxiliaries(), strict=True):
        layers = list(chain.layers(shape))
        assert shape[1] == COUNTS[build]["input"]
        assert sum(layer.parameters for layer in layers) == COUNTS[build]["params"]
        assert sum(layer.multiply_adds for layer in layers) == COUNTS[build]["macs"]
