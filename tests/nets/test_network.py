"""Limits of a network's size, and the imports among the files of nets."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import reslab.nets
from reslab.errors import SpecError
from reslab.nets import AnyNetwork, Conv, Head, ResNet, Stage, Staged, cifar_resnet, network
from reslab.spec import from_json, override

FOLDER = Path(reslab.nets.__file__).parent


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cifar_resnet(6_000_002), "units.0: input should be less than or equal to 10000, not 1000000"),
        (lambda: ResNet((4000, 4000, 4000)), "12,000 units: at most 10,000 in all"),
        (lambda: Staged((Stage("stage1", (Conv(4, 3),) * 10_001),), Head(), size=8), "10,001 units: at most 10,000"),
        (lambda: ResNet((1,), widths=(10**9,)), "widths.0: input should be less than or equal to 65536"),
        (lambda: Conv(10**9, 3), "width: input should be less than or equal to 65536"),
        (lambda: Conv(4, (3, 10**9)), "kernel"),
        (lambda: Head(hidden=(10**9,)), "hidden.0: input should be less than or equal to 65536"),
        (lambda: cifar_resnet(20, classes=10**9), "classes: input should be less than or equal to 1000000"),
        (lambda: cifar_resnet(20, channels=10**9), "channels: input should be less than or equal to 65536"),
        (lambda: override(network("resnet18"), {"size": "1000000000"}), "--set size=1000000000: size: .*16384"),
        (lambda: from_json(AnyNetwork, '{"kind": "resnet", "units": [1000000]}'), "units.0: .*10000"),
    ],
)
def test_a_network_beyond_a_limit_is_refused_with_the_limit(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_the_files_of_nets_import_in_no_circle():
    names = {path.stem for path in FOLDER.glob("*.py")}
    imports = {name: set() for name in names}
    for name in names:
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reslab.nets"):
                module = node.module.removeprefix("reslab.nets").removeprefix(".")
                imports[name] |= {module} if module else {each.name for each in node.names} & names or {"__init__"}
    assert list(TopologicalSorter(imports).static_order())
