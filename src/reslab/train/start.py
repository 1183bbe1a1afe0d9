"""What a training begins with: fresh weights, or those of a file."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from reslab.data.images import DataSet
from reslab.data.normalise import MeanImage, Normalise
from reslab.errors import SpecError
from reslab.nets import name_of
from reslab.nets.modules import Network
from reslab.nets.names import architecture_fields
from reslab.nets.network import NetworkSpec
from reslab.spec import plain, replace
from reslab.weights.file import Weights, empty, read_weights, weights_file

_CLASSIFIER = "head.linear."


class Source(NamedTuple):
    """The file that weights came from: its name, and its SHA-256 in hex."""

    file: str
    sha256: str


class Start(NamedTuple):
    """A network, and the weights that its training begins with.

    state: tensors by their keys; those that are not there are drawn fresh
    normalise: how the weights want their images; None is what a training on the data takes
    """

    network: NetworkSpec
    state: Mapping[str, Tensor] = {}
    normalise: Normalise | None = None
    source: Source | None = None

    def build(self) -> Network:
        """The torch module, what is not in `state` drawn from torch's global generator."""
        module = self.network.build()
        module.load_state_dict(dict(self.state), strict=False)
        return module

    def told(self) -> Iterator[str]:
        """Lines that say where the weights come from."""
        if self.source is None:
            return
        new = not any(_CLASSIFIER in key for key in self.state)
        head = f", the head new for {self.network.classes} classes" if new else ", the head too, for the same classes"
        yield f"begins with the weights of {self.source.file} (SHA-256 {self.source.sha256[:12]} ...){head}"
        if self.normalise is None:
            yield "the file does not say how its images were normalised; they are as for a training from scratch"


def start_from(path: Path, named: NetworkSpec, data: DataSet, size: int | None = None) -> Start:
    """Begin with the weights of a file that reslab wrote, or of a run's last checkpoint.

    The classifier, and every auxiliary one, is new but where the file names its classes and the data has the same.
    size: height and width that pictures are cropped to; None is what the weights were trained on.
    Raises SpecError where `named` is not the network of the file, images and classes aside, or the data's images do not
    suit its weights; DataError as `read_weights` does.
    """
    held = read_weights(path, headless=True)
    theirs = held.network
    _must_be(path, theirs, named)
    if theirs.channels != data.channels:
        raise SpecError(f"{path}: weights for {theirs.channels} channels, but {data.name} has {data.channels}")
    value = replace(theirs, size=data.size or size or theirs.size, classes=len(data.classes))
    known = held.classes == data.classes
    state = {key: tensor for key, tensor in held.state.items() if known or _CLASSIFIER not in key}
    _must_suit(path, held, value, state)
    with weights_file(path).open("rb") as file:
        source = Source(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    return Start(value, state, held.normalise, source)


def _must_be(path: Path, theirs: NetworkSpec, named: NetworkSpec) -> None:
    """Hold the network that was named against that of the file."""
    if architecture_fields(named) == architecture_fields(theirs):
        return
    name, mine = name_of(theirs), name_of(named)
    if not name.endswith("-custom") and not mine.endswith("-custom"):
        raise SpecError(f"{path}: weights of {name}, not of {mine}: `reslab train {name} ...`")
    ours, others = plain(named), plain(theirs)
    fields = [
        key for key in architecture_fields(theirs) | architecture_fields(named) if ours.get(key) != others.get(key)
    ]
    told = ", ".join(f"{key} {others.get(key)}, not {ours.get(key)}" for key in fields[:2])
    raise SpecError(f"{path}: weights of {name}; name it, with the --set that it was trained with\n{told[:300]}")


def _must_suit(path: Path, held: Weights, value: NetworkSpec, state: Mapping[str, Tensor]) -> None:
    """Hold the weights against the images that they will see."""
    size = held.network.size
    if value.size == size:
        return
    if isinstance(held.normalise, MeanImage):
        raise SpecError(f"{path}: trained with a mean image of {size}×{size}; its images must be {size}×{size} too")
    shapes = empty(value).state_dict()
    if other := [key for key, tensor in state.items() if shapes[key].shape != tensor.shape]:
        raise SpecError(f"{path}: {other[0]} is for images of {size}×{size}, not {value.size}×{value.size}")
