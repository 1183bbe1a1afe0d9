"""What is looked into: a network of a name, a run, or a file of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reslab.data.batches import Batch, Loader
from reslab.data.image_folder import OnBad
from reslab.data.images import DataSet
from reslab.data.loader import make_loader
from reslab.data.seeds import torch_seed
from reslab.errors import DataError, SpecError
from reslab.evaluate import must_fit
from reslab.machine import tune_malloc
from reslab.nets import ResNet, parse_network, to_string
from reslab.nets.build import build_network
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.papers import STUDIES
from reslab.runs.record import is_done, read_json
from reslab.train.estimate import activation_bytes
from reslab.train.loop import fitted
from reslab.weights.file import CONFIG, MODEL, Weights, built, read_weights
from reslab.weights.manifest import holds
from reslab.weights.preprocessing import loader_for

INITIAL, TRAINED = "initial", "trained"
_ENDINGS = (".safetensors", ".th", ".pth", ".pt")
AT_ONCE = 128
"""Images of a batch; where BN's statistics are a batch's, they are over as many as in A sec. 4.2."""
_ACTIVATIONS = 2**32  # bytes that those of a batch may take; where 128 take more, batches are smaller
_LEAST = 4


@dataclass(frozen=True)
class Subject:
    """One network with its weights at one or several moments.

    label: what the user calls it
    states: the built network by moment, in the order of time: "initial", "step 144" ..., "trained"
    weights: what its file says of it, without the tensors; None for fresh ones, which see images as a training does
    """

    label: str
    spec: NetworkSpec
    states: Mapping[str, Network]
    weights: Weights | None = None

    @cached_property
    def kind(self) -> str:
        """What its network is called, which runs under several seeds share: its name, the nearest one's and the fields
        that differ, or the row of a study that it stands for."""
        return to_string(self.spec) if isinstance(self.spec, ResNet) else _row(self.spec) or to_string(self.spec)


Named = str | Path | NetworkSpec
"""A run directory, a file of weights, a folder as Hugging Face has it, or a network: its value, its name, or
"NAME key=value ..." with other fields."""


def subjects(words: Sequence[Named], data: DataSet, seed: int = 0, device: str = "cpu") -> list[Subject]:
    """The subjects that words name; networks have fresh weights under the seed.

    All are for the classes and channels of the data, as an evaluation asks. Raises SpecError where one is not, or is
    named twice; DataError for a file or run that cannot be read.
    """
    if twice := next((word for word in words if list(words).count(word) > 1), None):
        raise SpecError(f"{twice}: named twice")
    tune_malloc()
    found = [_subject(word, data, seed) for word in words]
    labels = [subject.label for subject in found]
    for place, subject in enumerate(found):
        must_fit(subject.spec, data, str(words[place]), subject.weights.classes if subject.weights else ())
        if labels.count(subject.label) > 1:
            found[place] = replace(subject, label=str(words[place]))
        for module in subject.states.values():
            module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return found


def images(
    subject: Subject,
    data: DataSet,
    count: int,
    device: str = "cpu",
    on_bad: OnBad = "error",
    skipped: dict[str, str] | None = None,
) -> list[Batch]:
    """Test images as a subject sees them, evenly spread over the set, in equal batches: (N, C, H, W) and labels (N,).

    N is `at_once` at most. All images where there are no more than `count`. With `on_bad` "skip" a file that cannot be
    read is left out, and entered in `skipped` with the reason. Raises DataError where one is to be an error, or none
    can be read.
    """
    where = np.unique(np.linspace(0, len(data.test.labels) - 1, count).round().astype(np.int64))
    some = replace(data, test=data.test.take(where))
    with _loader(subject, some, on_bad) as loader:
        seen = list(loader.views("test"))
    if skipped is not None:
        skipped.update(loader.skipped)
    if not seen:
        raise DataError(f"{data.name}: none of {len(where)} pictures can be read; `reslab data check` lists them")
    pixels, labels = (torch.cat(tensors) for tensors in zip(*seen, strict=True))
    pixels = pixels.to(device, memory_format=torch.channels_last)
    number = -(-len(labels) // at_once(subject.spec))
    return list(zip(pixels.tensor_split(number), labels.to(device).tensor_split(number), strict=True))


def _loader(subject: Subject, data: DataSet, on_bad: OnBad) -> Loader:
    place = torch.device("cpu")
    if subject.weights is None:
        return make_loader(data, place, subject.spec.size, on_bad=on_bad)
    return loader_for(subject.weights, data, place, on_bad)


def at_once(spec: NetworkSpec) -> int:
    """The images of a batch: 128, or fewer where their activations would take more than 4 GiB."""
    return max(_LEAST, min(AT_ONCE, _ACTIVATIONS // (activation_bytes(spec, 2) // 2)))


def fresh(spec: NetworkSpec, seed: int) -> Network:
    """A network with the weights that a training under the seed begins with; torch's generator is as before."""
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "weights", 0))
        return build_network(spec).eval()


def alone(words: Sequence[str], seed: int = 0, device: str = "cpu") -> dict[str, Network]:
    """The networks that words name by those words, for what needs no images; of a run the last weights.

    Raises as `subjects` does.
    """
    if twice := next((word for word in words if list(words).count(word) > 1), None):
        raise SpecError(f"{twice}: named twice")
    tune_malloc()
    found = {word: list(_subject(word, None, seed).states.values())[-1] for word in words}
    for module in found.values():
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return found


def _subject(word: Named, data: DataSet | None, seed: int) -> Subject:
    if isinstance(word, NetworkSpec):
        spec = fitted(word, data) if data else word
        return Subject(to_string(spec), spec, {INITIAL: fresh(spec, seed)})
    path, word = Path(word), str(word)
    if (path / "run.json").is_file():
        return _run(path)
    if path.is_file() or (path / CONFIG).is_file() or path.suffix in _ENDINGS or path.name != word:
        weights = read_weights(path)
        label = path.resolve().name if path.is_dir() else path.stem
        return Subject(label, weights.network, {TRAINED: built(weights)}, weights._replace(state={}))
    spec = fitted(parse_network(word), data) if data else parse_network(word)
    return Subject(word, spec, {INITIAL: fresh(spec, seed)})


def _row(spec: NetworkSpec) -> str | None:
    """The row of a study, at one of its scales, that has a network, whatever the images."""
    scales = (scale for study in STUDIES.values() for scale in study.scales.values())
    rows = (pair for scale in scales for pair in scale.networks.items())
    return next((row for row, network in rows if _imageless(network) == _imageless(spec)), None)


def _imageless(spec: NetworkSpec) -> dict[str, Any]:
    return {key: value for key, value in vars(spec).items() if key not in ("classes", "channels", "size")}


def _run(path: Path) -> Subject:
    told: dict[str, Any] = read_json(path / "run.json")
    kept = [folder for folder in sorted((path / "checkpoints").glob("step-*")) if holds(folder)]
    if not kept:
        raise DataError(f"{path}: a run without a whole checkpoint")
    states = {}
    for folder in kept:
        weights = read_weights(folder / MODEL)
        last = folder == kept[-1] and is_done(path)
        states[TRAINED if last else f"step {int(folder.name.removeprefix('step-'))}"] = built(weights)
    begins_fresh = told.get("weights") is None  # else it began with those of a file
    initial = {INITIAL: fresh(weights.network, told["seed"])} if begins_fresh else {}
    return Subject(path.resolve().name, weights.network, initial | states, weights._replace(state={}))
