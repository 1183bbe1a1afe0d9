"""Do our networks compute what torchvision's and timm's compute, given their weights?

python benchmarks/agreement.py PEERS_PYTHON [--write]

PEERS_PYTHON is the python of an environment with torchvision and timm. Each of their networks gets random weights, is
run once on a random input in evaluation mode, and is taken in by `reslab weights`; the table says by how much our
output differs from theirs, at most, relative to the largest of theirs. --write puts it into the README.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from reslab.nets.network import NetworkSpec
from reslab.weights.convert import convert
from reslab.weights.file import built, save_weights

ROOT = Path(__file__).parents[1]
LIMIT = 1e-5

PEERS = [
    *(("torchvision", f"resnet{depth}", f"resnet{depth}") for depth in (18, 34)),
    *(("torchvision", f"resnet{depth}", f"resnet{depth}-v1.5") for depth in (50, 101, 152)),
    ("torchvision", "vgg16", "vgg16"),
    ("torchvision", "vgg19_bn", "vgg19-bn"),
    ("torchvision", "alexnet", "alexnet-torchvision"),
    ("torchvision", "googlenet", "googlenet-torchvision"),
    ("torchvision", "inception_v3", "inception-v3-torchvision"),
    ("timm", "resnet50", "resnet50-v1.5"),
    ("timm", "resnetv2_18", "preact18-timm"),
    ("timm", "resnetv2_50", "preact50-timm"),
    ("timm", "inception_v4", "inception-v4-slim"),
    ("timm", "inception_resnet_v2", "inception-resnet-v2-slim"),
]


def difference(peers: str, library: str, theirs: str, ours: str) -> tuple[float, NetworkSpec]:
    """The largest difference of the outputs, relative to the largest output."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(__file__).with_name("peer_outputs.py")
        subprocess.run([peers, script, library, theirs, folder], check=True, capture_output=True, text=True)
        weights, _ = convert(Path(folder) / "weights.pth", ours)
        outputs = torch.load(Path(folder) / "outputs.pth", weights_only=True)
        save_weights(weights, Path(folder) / "ours.safetensors")
        with torch.inference_mode():
            logits = built(weights)(outputs["images"])
    return float((logits - outputs["logits"]).abs().max() / outputs["logits"].abs().max()), weights.network


def main() -> None:
    peers, *options = sys.argv[1:]
    lines = ["| theirs | ours | parameters | largest difference |", "|---|---|---:|---:|"]
    for library, theirs, ours in PEERS:
        found, network = difference(peers, library, theirs, ours)
        lines.append(f"| {library} `{theirs}` | `{ours}` | {network.cost().parameters:,} | {found:.1e} |")
        print(lines[-1], flush=True)
        if not found < LIMIT:
            sys.exit(f"{ours} differs from {library}'s {theirs} by {found:.1e}, more than {LIMIT}")
    if "--write" in options:
        readme = ROOT / "README.md"
        marked = re.compile(r"(?<=<!-- agreement -->\n).*?(?=<!-- /agreement -->)", re.DOTALL)
        text, count = marked.subn("\n".join(lines) + "\n", readme.read_text())
        if count != 1:
            sys.exit("README.md has no place marked <!-- agreement -->")
        readme.write_text(text)


if __name__ == "__main__":
    main()
