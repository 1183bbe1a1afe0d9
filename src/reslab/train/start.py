"""The weights that a training begins with: fresh ones, or those of a file (transfer learning)."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from reslab.data.images import DataSet
from reslab.data.normalise import MeanImage, Normalise
from reslab.errors import SpecError
from reslab.nets import find_name, name_of
from reslab.nets.build import build_network
from reslab.nets.modules import Network
from reslab.nets.names import architecture_fields
from reslab.nets.network import NetworkSpec
from reslab.runs.contents import Source
from reslab.spec import plain, replace
from reslab.weights.file import Weights, empty, read_weights, weights_file

_CLASSIFIER = "head.linear."


class Start(NamedTuple):
    """A network and its initial weights.

    state: tensors by name; missing ones are initialised at random
    normalise: the normalisation that the weights were trained with; None is that of a training from scratch
    source: the file of the weights
    """

    network: NetworkSpec
    state: Mapping[str, Tensor] = {}
    normalise: Normalise | None = None
    source: Source | None = None

    def build(self, zero_head: bool = False) -> Network:
        """The torch module; what is not in `state` is drawn from torch's global generator.

        zero_head: new classifiers begin at zero
        """
        module = build_network(self.network)
        for name, parameter in module.named_parameters():
            if zero_head and _CLASSIFIER in name:
                nn.init.zeros_(parameter)
        module.load_state_dict(dict(self.state), strict=False)
        return module

    def messages(self) -> Iterator[str]:
        """Lines about the source of the weights."""
        if self.source is None:
            return
        new = not any(_CLASSIFIER in key for key in self.state)
        head = f", the head new for {self.network.classes} classes" if new else ", the head too, for the same classes"
        yield f"initial weights of {self.source.file} (SHA-256 {self.source.sha256[:12]} ...){head}"
        if self.normalise is None:
            yield "the file has no normalisation of its images; it is that of a training from scratch"


def start_from(path: Path, named: NetworkSpec, data: DataSet, size: int | None = None) -> Start:
    """Initial weights from a file that reslab wrote, or from a run's last checkpoint.

    Every classifier is initialised at random, unless the file names the same classes as the data.
    size: height and width of the crops of pictures; None is that of the weights.
    Raises SpecError if `named` is not the network of the file, images and classes aside, or if the data's images do not
    fit its weights; DataError as `read_weights`.
    """
    weights = read_weights(path, headless=True)
    theirs = weights.network
    _check_network(path, theirs, named)
    if theirs.channels != data.channels:
        raise SpecError(f"{path}: weights for {theirs.channels} channels, but {data.name} has {data.channels}")
    network = replace(theirs, size=data.size or size or theirs.size, classes=len(data.classes))
    same_classes = weights.classes == data.classes
    state = {key: tensor for key, tensor in weights.state.items() if same_classes or _CLASSIFIER not in key}
    _check_size(path, weights, network, state)
    with weights_file(path).open("rb") as file:
        source = Source(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    return Start(network, state, weights.normalise, source)


def _check_network(path: Path, theirs: NetworkSpec, named: NetworkSpec) -> None:
    """Raise SpecError if a file's network is another than the named one."""
    if architecture_fields(named) == architecture_fields(theirs):
        return
    name, other = find_name(theirs), find_name(named)
    if name and other:
        raise SpecError(f"{path}: weights of {name}, not of {other}: `reslab train {name} ...`")
    ours, others = plain(named), plain(theirs)
    fields = [
        key for key in architecture_fields(theirs) | architecture_fields(named) if ours.get(key) != others.get(key)
    ]
    differences = ", ".join(f"{key} {others.get(key)}, not {ours.get(key)}" for key in fields[:2])
    name = name or name_of(theirs)
    raise SpecError(f"{path}: weights of {name}; name it, with the --set of its training\n{differences[:300]}")


def _check_size(path: Path, weights: Weights, network: NetworkSpec, state: Mapping[str, Tensor]) -> None:
    """Raise SpecError if weights do not fit images of the network's size."""
    size = weights.network.size
    if network.size == size:
        return
    if isinstance(weights.normalise, MeanImage):
        raise SpecError(f"{path}: trained with a mean image of {size}×{size}; its images must be {size}×{size} too")
    shapes = empty(network).state_dict()
    if other := [key for key, tensor in state.items() if shapes[key].shape != tensor.shape]:
        raise SpecError(f"{path}: {other[0]} is for images of {size}×{size}, not {network.size}×{network.size}")
