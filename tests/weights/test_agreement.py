"""With others' weights our networks compute what theirs compute. All of them: benchmarks/agreement.py."""

import os
import re
from pathlib import Path

import pytest

from reslab import network
from reslab.bench.rivals import COUNTERPARTS, peer_process
from reslab.errors import ReslabError

ROOT = Path(__file__).parents[2]
LIMIT = 1e-5


@pytest.mark.skipif("RESLAB_PEERS" not in os.environ, reason="RESLAB_PEERS names no python with torchvision and timm")
@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("torchvision", "resnet18"),
        ("torchvision", "resnext50-32x4d"),
        ("torchvision", "wrn-50-2"),
        ("torchvision", "densenet121"),
        ("torchvision", "googlenet-torchvision"),
        ("timm", "resnext50-32x4d"),
        ("timm", "resnet50d"),
        ("timm", "se-resnet50"),
        ("timm", "preact18-timm"),
        ("timm", "inception-v4-slim"),
    ],
)
def test_outputs_agree(library, name):
    size = network(name).size
    with peer_process(library, name, what="inference", engine="torch", batch=1, size=size) as peer:
        _, difference = peer.network(name)
        assert difference < LIMIT
        assert peer.ask(seconds=0.1)["images_per_second"] > 0


def test_the_table_has_every_peer_within_the_limit():
    page = (ROOT / "docs/weights.md").read_text()
    table = page.partition("<!-- agreement -->")[2].partition("<!-- /agreement -->")[0]
    rows = re.findall(r"\| (\w+) `(\S+)` \| `(\S+)` \| [\d,]+ \| (\S+) \|", table)
    expected = [(library, theirs, ours) for library, known in COUNTERPARTS.items() for ours, theirs in known.items()]
    assert [row[:3] for row in rows] == expected
    assert all(float(row[3]) < LIMIT for row in rows)


def test_a_peer_that_is_not_there_is_said_in_two_lines(monkeypatch):
    monkeypatch.delenv("RESLAB_PEERS", raising=False)
    order = {"what": "inference", "engine": "torch", "batch": 1, "size": 224}
    with (
        pytest.raises(ReslabError, match=r"No module named 'timm'\nRESLAB_PEERS names"),
        peer_process("timm", "preact18-timm", **order),
    ):
        pass
