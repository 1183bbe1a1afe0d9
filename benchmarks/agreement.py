"""The agreement of our networks' outputs with torchvision's and timm's, given their weights.

RESLAB_PEERS=PYTHON python benchmarks/agreement.py [--write]

PYTHON is that of an environment with torchvision and timm. Each of their networks gets random weights, is run once on a
random input in evaluation mode, and is converted as by `reslab weights`; the table has the largest difference of our
output from theirs, relative to the largest of theirs. --write puts it into docs/weights.md.
"""

import re
import sys
from pathlib import Path

from reslab import network
from reslab.bench.rivals import COUNTERPARTS, peer_process

ROOT = Path(__file__).parents[1]
LIMIT = 1e-5


def main() -> None:
    lines = ["| theirs | ours | parameters | largest difference |", "|---|---|---:|---:|"]
    pairs = [(library, *pair) for library, names in COUNTERPARTS.items() for pair in names.items()]
    for library, ours, theirs in pairs:
        value = network(ours)
        with peer_process(library, ours, what="inference", engine="torch", batch=1, size=value.size) as peer:
            _, difference = peer.network(ours)
        parameters = value.cost().parameters
        lines.append(f"| {library} `{theirs}` | `{ours}` | {parameters:,} | {difference:.1e} |")
        print(lines[-1], flush=True)
        if not difference < LIMIT:
            sys.exit(f"{ours} differs from {library}'s {theirs} by {difference:.1e}, more than {LIMIT}")
    if "--write" in sys.argv:
        page = ROOT / "docs" / "weights.md"
        marked = re.compile(r"(?<=<!-- agreement -->\n).*?(?=<!-- /agreement -->)", re.DOTALL)
        text, count = marked.subn("\n".join(lines) + "\n", page.read_text())
        if count != 1:
            sys.exit(f"{page} has no place marked <!-- agreement -->")
        page.write_text(text)


if __name__ == "__main__":
    main()
