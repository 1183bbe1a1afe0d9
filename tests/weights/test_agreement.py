"""With others' weights our networks compute what theirs compute. All of them: benchmarks/agreement.py."""

import importlib.util
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = os.environ.get("RESLAB_PEERS")

described = importlib.util.spec_from_file_location("agreement", ROOT / "benchmarks" / "agreement.py")
agreement = importlib.util.module_from_spec(described)
described.loader.exec_module(agreement)


@pytest.mark.skipif(not PEERS_PYTHON, reason="RESLAB_PEERS names no python with torchvision and timm")
@pytest.mark.parametrize(
    "peer", [row for row in agreement.PEERS if row[1] in ("resnet18", "googlenet", "resnetv2_18", "inception_v4")]
)
def test_outputs_agree(peer):
    found, _ = agreement.difference(PEERS_PYTHON, *peer)
    assert found < agreement.LIMIT


def test_the_readmes_table_has_every_peer_within_the_limit():
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("<!-- agreement -->")[2].partition("<!-- /agreement -->")[0]
    rows = re.findall(r"\| (\w+) `(\S+)` \| `(\S+)` \| [\d,]+ \| (\S+) \|", table)
    assert [row[:3] for row in rows] == agreement.PEERS
    assert all(float(row[3]) < agreement.LIMIT for row in rows)
