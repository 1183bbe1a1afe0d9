"""The generated pages of the network families: every named network, its counts, errors and differences."""

from fnmatch import fnmatchcase
from typing import NamedTuple

import evidence
from pictures import image

from reslab.bench.rivals import COUNTERPARTS
from reslab.nets import ResNet, networks
from reslab.nets.names import Named
from reslab.nets.table import diagrams, table_text
from reslab.papers.claims import SCALES
from reslab.table import FORMATS, Column


class Family(NamedTuple):
    """A page of networks: its file's name, title, an introduction, name patterns, and the network that is drawn."""

    slug: str
    title: str
    text: str
    patterns: tuple[str, ...]
    shown: str


FAMILIES = (
    Family(
        "cifar",
        "Residual networks for CIFAR",
        "Three stages of maps of 32, 16 and 8 pixels. He et al. 2016a (Deep Residual Learning), sec. 4.2, and "
        "He et al. 2016b (Identity Mappings). Every other legal depth has a name too: `resnet26-cifar`.",
        ("plain*-cifar", "resnet*-cifar", "preact*-cifar", "*-cifar-1layer"),
        "resnet20-cifar",
    ),
    Family(
        "imagenet",
        "Residual networks for ImageNet",
        "Four stages, of basic units up to 34 layers and of bottlenecks from 50 layers. He et al. 2016a, Table 1. "
        "`resnet18` and `resnet34` have option B; `-a`, `-b` and `-c` say the option. `resnet50` has the stride where "
        "the paper has it, `resnet50-v1.5` where torchvision and timm have it.",
        ("plain18", "plain34", "resnet*"),
        "resnet50",
    ),
    Family(
        "preactivation",
        "Pre-activation networks for ImageNet",
        "BN and ReLU before each convolution. He et al. 2016b (Identity Mappings), sec. 5 and appendix.",
        ("preact*",),
        "preact50",
    ),
    Family(
        "wide",
        "Variations: wide, grouped, pyramidal, squeezed, dense, without BN",
        "More channels in each unit, more groups, or widths that grow: WideResNet (Zagoruyko and Komodakis 2016), "
        "ResNeXt (Xie et al. 2017), PyramidNet (Han et al. 2017), SENet (Hu et al. 2018). "
        "DenseNet (Huang et al. 2017), whose layers concatenate in place of adding; Fixup (Zhang et al. "
        "2019), which needs no BN.",
        ("wrn-*", "resnext*", "pyramidnet*", "se-resnet*", "densenet*", "fixup*"),
        "wrn-16-4",
    ),
    Family(
        "inception",
        "Inception and Inception-ResNet",
        "Szegedy et al. 2017 (Inception-v4), and what came before it: GoogLeNet, BN-Inception, Inception-v3.",
        ("inception-*", "googlenet*", "bn-inception*"),
        "inception-resnet-v1",
    ),
    Family(
        "predecessors",
        "Before residual networks",
        "The networks that the papers compare with: LeNet-5, AlexNet, ZFNet, VGG.",
        ("lenet5", "alexnet*", "zfnet*", "vgg*"),
        "vgg16",
    ),
)


def family_of(name: str) -> Family:
    """The first family with a pattern that a network's name matches."""
    return next(family for family in FAMILIES if any(fnmatchcase(name, pattern) for pattern in family.patterns))


def pages() -> dict[str, str]:
    """A page for each family by its file's name."""
    return {f"networks-{family.slug}.md": _page(family) for family in FAMILIES}


def _page(family: Family) -> str:
    members = [named for named in networks() if family_of(named.name) == family]
    shown = next(named for named in members if named.name == family.shown)
    parts = [f"# {family.title}", family.text, image(f"networks-{family.slug}", f"{family.title}, drawn")]
    parts += [_table(members).rstrip()]
    parts += [_errors(members), _differences(members), _weights(members)]
    parts += [
        f"## {shown.name} as a table",
        f"```sh\nreslab show {shown.name}\n```",
        f"```text\n{table_text(shown.network)}\n```",
        f"```text\n{diagrams(shown.network)}\n```" if diagrams(shown.network) else "",
        f'In Python `network("{shown.name}")`. The names stand in `src/reslab/nets/names.py`.',
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(members: list[Named]) -> str:
    costs = [named.network.cost() for named in members]
    depths = [named.network.depth if isinstance(named.network, ResNet) else None for named in members]
    return FORMATS["md"](
        [
            Column("network", [named.name for named in members], numbers=False),
            Column("layers", depths, empty="–"),
            Column("parameters", [cost.parameters for cost in costs], form=","),
            Column("multiply-adds", [cost.multiply_adds for cost in costs], form=","),
            Column("input", ["×".join(map(str, named.network.input)) for named in members]),
            Column("source", [named.source for named in members], numbers=False),
        ]
    )


def _errors(members: list[Named]) -> str:
    """The papers' test errors of the networks, and ours at paper scale."""
    names = [named.name for named in members]
    rows = [item for item in evidence.evidence() if item.network_name in names and item.published != "–"]
    if not rows:
        return ""
    measured = [item.measured.get(SCALES[0]) for item in rows]
    columns = [
        Column("network", [item.network_name for item in rows], numbers=False),
        Column("paper, test error in %", [item.published for item in rows], numbers=False),
        Column("row", [item.row.name for item in rows], numbers=False),
        Column("study", [item.study.name for item in rows], numbers=False),
        Column("ours, paper scale", measured, empty="not run"),
        Column("n", [item.n if item else None for item in measured], empty="0"),
    ]
    return "## Published errors, and ours\n\n" + FORMATS["md"](columns).rstrip()


def _differences(members: list[Named]) -> str:
    lines = [f"- `{named.name}`: {named.deviation}" for named in members if named.deviation]
    return "\n".join(["## Differences from the papers", "", *lines]) if lines else ""


def _weights(members: list[Named]) -> str:
    """Which other libraries' weights fit, and those in results/weights."""
    lines = [
        f"- `{named.name}` computes what {library} calls `{names[named.name]}`: its weights fit"
        for named in members
        for library, names in COUNTERPARTS.items()
        if named.name in names
    ]
    lines += [f"- `results/weights/{file}`" for named in members for file in evidence.weights(named.name)]
    return "\n".join(["## Pretrained weights", "", *lines]) if lines else ""
