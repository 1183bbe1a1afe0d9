"""The inputs of an analysis: networks by name, runs or files of weights, and images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from reslab.analyse import REPORTS
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
from reslab.nets.names import architecture_fields
from reslab.nets.network import NetworkSpec
from reslab.papers import STUDIES
from reslab.runs.run import Run
from reslab.train.estimate import activation_bytes
from reslab.train.loop import fitted
from reslab.weights.file import CONFIG, Weights, built, read_weights
from reslab.weights.preprocessing import loader_for

INITIAL, TRAINED = "initial", "trained"
_ENDINGS = (".safetensors", ".th", ".pth", ".pt")
_BATCH = 128  # BN's statistics of a batch are over as many images as in A sec. 4.2
_ACTIVATIONS = 2**32  # bytes of a batch's activations at most; larger networks get smaller batches
_SMALLEST_BATCH = 4


@dataclass(frozen=True)
class Subject:
    """One network with its weights at one or several checkpoints.

    label: its name in tables
    states: the built network by checkpoint, in the order of time: "initial", "step 144" ..., "trained"
    weights: the metadata of its file, without the tensors; None for initial weights of a named network
    """

    label: str
    spec: NetworkSpec
    states: Mapping[str, Network]
    weights: Weights | None = None

    @cached_property
    def kind(self) -> str:
        """The name of its architecture, the same for all seeds: its name, the nearest one's with the fields that
        differ, or that of a study's row."""
        return to_string(self.spec) if isinstance(self.spec, ResNet) else _row(self.spec) or to_string(self.spec)

    @property
    def first(self) -> str:
        """The first checkpoint."""
        return next(iter(self.states))

    @property
    def last(self) -> str:
        """The last checkpoint."""
        return list(self.states)[-1]

    @property
    def network(self) -> Network:
        """The network of the last checkpoint."""
        return self.states[self.last]


Groups = dict[NetworkSpec, list[Subject]]
"""Subjects by their architecture."""


@dataclass(frozen=True)
class Inputs:
    """The subjects of an analysis, and the images that they see.

    images: at most this many of a split, evenly spread over it
    seed: of random choices; device: of the computation; folder: the directory of the report
    skipped: files that could not be read, each with the reason; `batches` adds to them
    """

    subjects: Sequence[Subject]
    data: DataSet | None = None
    images: int = 0
    seed: int = 0
    device: str = "cpu"
    on_bad: OnBad = "error"
    folder: Path = REPORTS
    skipped: dict[str, str] = field(default_factory=dict)

    @cached_property
    def by_architecture(self) -> Groups:
        """The subjects by their network, in the given order."""
        groups: Groups = {}
        for subject in self.subjects:
            groups.setdefault(subject.spec, []).append(subject)
        return groups

    @property
    def data_name(self) -> str:
        return self.data.name if self.data else ""

    def batches(self, subject: Subject, split: Literal["train", "test"] = "test") -> list[Batch]:
        """Images as a subject sees them in evaluation, in equal batches: (N, C, H, W) and labels (N,).

        N is `batch_size` at most. With `on_bad` "skip" a file that cannot be read is left out. Raises DataError for
        such a file otherwise, and where none can be read.
        """
        assert self.data
        whole = self.data.train if split == "train" else self.data.test
        chosen = np.unique(np.linspace(0, len(whole.labels) - 1, self.images).round().astype(np.int64))
        with _loader(subject, with_field(self.data, test=whole.take(chosen)), self.on_bad) as loader:
            views = list(loader.views("test"))
        self.skipped.update(loader.skipped)
        if not views:
            raise DataError(
                f"{self.data.name}: none of {len(chosen)} pictures can be read; `reslab data check` lists them"
            )
        pixels, labels = (torch.cat(tensors) for tensors in zip(*views, strict=True))
        pixels = pixels.to(self.device, memory_format=torch.channels_last)
        number = -(-len(labels) // batch_size(subject.spec))
        return list(zip(pixels.tensor_split(number), labels.to(self.device).tensor_split(number), strict=True))

    def count_text(self, split: Literal["train", "test"] = "test") -> str:
        """The number of images seen, in words."""
        assert self.data
        total = len((self.data.train if split == "train" else self.data.test).labels)
        words = "training" if split == "train" else split
        left_out = f", without {len(self.skipped):,} that could not be read" * bool(self.skipped)
        return (
            f"{min(self.images, total) - len(self.skipped):,} of {total:,} {words} images of {self.data.name}{left_out}"
        )

    def bn_statistics(self, mode: str) -> dict[str, str]:
        """The fact that says which statistics BN uses."""
        if mode == "eval":
            return {"statistics of BN": "its running statistics"}
        sizes = sorted({batch_size(subject.spec) for subject in self.subjects})
        text = " or ".join(map(str, sizes)) + (", as memory allows" if len(sizes) > 1 else "")
        return {"statistics of BN": f"those of each batch of at most {text}"}


Named = str | Path | NetworkSpec
"""A run directory, a file of weights, a Hugging Face folder, or a network: its spec, its name, or "NAME key=value ..."
with changed fields."""


def read_subjects(
    names: Sequence[Named], data: DataSet | None = None, seed: int = 0, device: str = "cpu", seeds: int = 1
) -> list[Subject]:
    """The subjects of some names; a named network gets initial weights under `seeds` seeds from `seed` on.

    With data all must have its classes and channels. Raises SpecError where one has others, or is named twice;
    DataError for a file or run that cannot be read.
    """
    if twice := next((name for name in names if list(names).count(name) > 1), None):
        raise SpecError(f"{twice}: named twice")
    tune_malloc()
    subjects = [_subject(name, data, seed) for name in names]
    labels = [subject.label for subject in subjects]
    result = []
    for name, subject in zip(names, subjects, strict=True):
        if data:
            must_fit(subject.spec, data, str(name), subject.weights.classes if subject.weights else ())
        one = subject if labels.count(subject.label) == 1 else with_field(subject, label=str(name))
        result += _initial(one, range(seed, seed + seeds)) if seeds > 1 and subject.weights is None else [one]
    for subject in result:
        for module in subject.states.values():
            module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return result


def batch_size(spec: NetworkSpec) -> int:
    """The images of a batch: 128, or fewer where their activations would take more than 4 GiB."""
    return max(_SMALLEST_BATCH, min(_BATCH, _ACTIVATIONS // (activation_bytes(spec, 2) // 2)))


def _loader(subject: Subject, data: DataSet, on_bad: OnBad) -> Loader:
    device = torch.device("cpu")
    if subject.weights is None:
        return make_loader(data, device, subject.spec.size, on_bad=on_bad)
    return loader_for(subject.weights, data, device, on_bad)


def initial_network(spec: NetworkSpec, seed: int, device: str = "cpu") -> Network:
    """A network with the initial weights of a training under the seed; torch's generator is restored."""
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(seed, "weights", 0))
        network = build_network(spec).eval()
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _initial(named: Subject, seeds: range) -> list[Subject]:
    """A named network with its initial weights under each seed."""
    return [
        with_field(named, label=f"{named.label}, seed {seed}", states={INITIAL: initial_network(named.spec, seed)})
        for seed in seeds
    ]


def _subject(name: Named, data: DataSet | None, seed: int) -> Subject:
    if isinstance(name, NetworkSpec):
        spec = fitted(name, data) if data else name
        return Subject(to_string(spec), spec, {INITIAL: initial_network(spec, seed)})
    path, text = Path(name), str(name)
    if Run(path).exists:
        return _run(Run(path))
    if path.is_file() or (path / CONFIG).is_file() or path.suffix in _ENDINGS or path.name != text:
        weights = read_weights(path)
        label = path.resolve().name if path.is_dir() else path.stem
        return Subject(label, weights.network, {TRAINED: built(weights)}, weights._replace(state={}))
    spec = fitted(parse_network(text), data) if data else parse_network(text)
    return Subject(text, spec, {INITIAL: initial_network(spec, seed)})


def _row(spec: NetworkSpec) -> str | None:
    """The row of a study, at one of its scales, with the same network for images of any size and classes."""
    scales = (scale for study in STUDIES.values() for scale in study.scales.values())
    rows = (pair for scale in scales for pair in scale.networks.items())
    return next((row for row, network in rows if architecture_fields(network) == architecture_fields(spec)), None)


def _run(run: Run) -> Subject:
    if not run.checkpoints:
        raise DataError(f"{run.path}: a run without a whole checkpoint")
    states = {}
    for checkpoint in run.checkpoints:
        weights = read_weights(checkpoint.weights_file)
        trained = run.is_done and checkpoint == run.checkpoints[-1]
        states[TRAINED if trained else f"step {checkpoint.step}"] = built(weights)
    fine_tuned = run.record.weights is not None  # its initial weights are those of a file
    initial = {} if fine_tuned else {INITIAL: initial_network(weights.network, run.record.seed)}
    return Subject(run.path.resolve().name, weights.network, initial | states, weights._replace(state={}))
