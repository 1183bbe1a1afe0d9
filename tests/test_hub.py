"""torch.hub finds every named network in the repository, without a network."""

import subprocess
import sys
from pathlib import Path

from reslab import networks

ROOT = Path(__file__).parents[1]
CODE = f"""
import socket, sys

def closed(*args, **kwargs):
    raise OSError("no network here")

socket.socket.connect = closed
import torch
module = torch.hub.load({str(ROOT)!r}, "resnet20_cifar", source="local", classes=7)
assert module(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
import reslab
assert reslab.__file__.startswith({str(ROOT)!r}), reslab.__file__
from reslab.weights.file import Weights, save_weights
from pathlib import Path
save_weights(Weights(module.spec, module.state_dict()), Path("w.safetensors"))
again = torch.hub.load({str(ROOT)!r}, "load", "w.safetensors", source="local")
assert torch.equal(again.head.linear.weight, module.head.linear.weight)
try:
    torch.hub.load({str(ROOT)!r}, "resnet20_cifar", source="local", clases=7)
except Exception as error:
    assert "did you mean classes" in str(error)
else:
    raise AssertionError
sys.path.insert(0, {str(ROOT)!r})
import hubconf
print(" ".join(name for name in dir(hubconf) if callable(getattr(hubconf, name)) and not name.startswith("_")))
print(hubconf.resnet50_v1_5.__doc__)
"""


def test_the_entry_points_are_the_named_networks(tmp_path):
    done = subprocess.run([sys.executable, "-W", "error", "-c", CODE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names, docstring = done.stdout.split("\n", 1)
    expected = {named.name.replace("-", "_").replace(".", "_") for named in networks()}
    assert set(names.split()) == expected | {"load"}
    assert "resnet50-v1.5, A Table 1" in docstring
    assert all(name.isidentifier() for name in expected)
