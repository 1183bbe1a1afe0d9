"""The JSON files of a run directory as typed values, read and written."""

import json
import math
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, InstanceOf, NonNegativeInt, PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass

from reslab.disk import read_file, write_whole
from reslab.errors import DataError, SpecError
from reslab.evaluate import Evaluation
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Chosen, Execution
from reslab.spec import explain, from_json, plain

T = TypeVar("T")
Text = InstanceOf[str]  # names of files that are not UTF-8 hold lone surrogates, which pydantic's str refuses
Split = Literal["train", "validation", "test"]


def _spec(cls: Any) -> PlainValidator:
    """A field that holds a spec. Specs are strict: they take lists for tuples from JSON text alone."""

    def read(tree: Any) -> Any:
        try:
            return from_json(cls, json.dumps(tree))
        except SpecError as error:
            raise ValueError(str(error)) from None

    return PlainValidator(read)


def _known_fields(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {key: value for key, value in tree.items() if key in Evaluation._fields}


Evaluated = Annotated[Evaluation, BeforeValidator(_known_fields)]  # a named tuple refuses unknown keys


@dataclass(frozen=True)
class Source:
    """The file that a training's first weights came from: its name, and its SHA-256 in hex."""

    file: Text
    sha256: str


@dataclass(frozen=True)
class SplitDescription:
    """A split's number of images, and hex digits that name its content."""

    images: NonNegativeInt
    digest: str


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """The splits and classes of a data set, by which a run recognises it."""

    train: SplitDescription
    validation: SplitDescription | None = None
    test: SplitDescription
    classes: tuple[Text, ...]

    @property
    def splits(self) -> dict[Split, SplitDescription]:
        splits: dict[Split, SplitDescription | None] = {"train": self.train, "validation": self.validation}
        return {name: split for name, split in {**splits, "test": self.test}.items() if split is not None}


@dataclass(frozen=True)
class Machine:
    """The hardware of a run; `gpu` is the model of its GPU."""

    processor: str
    cores: int | None
    threads: int
    ranks: int
    system: str
    device: str
    gpu: str | None = None


@dataclass(frozen=True)
class Resumption:
    """The step after which a run was resumed, and with what; `exact`: with the bits of an uninterrupted run."""

    step: NonNegativeInt
    exact: bool
    started: str
    execution: Annotated[Execution, _spec(Execution)]
    chosen: Chosen
    versions: dict[str, str | None]
    machine: Machine
    commit: str | None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """run.json: the specs, first weights and seed of a run, and the machine and versions that it ran with.

    name: the network's; weights: the file of the first ones, None for fresh ones
    commit: of reslab's own source, "+" after it for uncommitted changes; None if unknown
    graph: on a GPU, whether the step was recorded as one CUDA graph: "captured", or why not
    """

    network: Annotated[AnyNetwork, _spec(AnyNetwork)]
    name: str
    weights: Source | None
    recipe: Annotated[Recipe, _spec(Recipe)]
    data: Text
    data_set: DataDescription
    seed: int
    execution: Annotated[Execution, _spec(Execution)]
    chosen: Chosen
    started: str
    versions: dict[str, str | None]
    machine: Machine
    commit: str | None
    resumed: tuple[Resumption, ...] = ()
    graph: Text | None = None

    @property
    def hardware(self) -> str:
        """The GPU or processor that trained; several in order where the run was resumed on another."""
        machines = [self.machine, *(resumption.machine for resumption in self.resumed)]
        return ", then ".join(dict.fromkeys(machine.gpu or machine.processor for machine in machines))

    @staticmethod
    def read(file: Path) -> "RunRecord":
        """Raises DataError as `read_value`. In the file the name is one of the network's keys."""
        tree = read_json(file)
        if isinstance(tree, dict) and isinstance(network := tree.get("network"), dict):
            fields = {key: value for key, value in network.items() if key != "name"}
            tree = {"weights": None, **tree, "network": fields, "name": network.get("name")}  # older files: no weights
        return read_value(RunRecord, tree, str(file))

    def to_json(self) -> dict[str, Any]:
        tree = to_tree(self)
        return {"network": {"name": tree.pop("name"), **tree.pop("network")}, **tree}


@dataclass(frozen=True)
class Metrics:
    """One line of metrics.jsonl, over the steps since the last one: errors and waiting in percent.

    An evaluation adds the loss and errors of the eval split; top-5 errors are of more than 10 classes alone.
    """

    step: NonNegativeInt
    rate: float
    train_loss: float
    train_error: float
    images_per_second: float
    waiting: float
    test_loss: float | None = None
    test_error: float | None = None
    test_top5_error: float | None = None
    validation_loss: float | None = None
    validation_error: float | None = None
    validation_top5_error: float | None = None

    def error(self, split: Split) -> float | None:
        """The error of a split in percent; None if this line has none."""
        return getattr(self, f"{split}_error")  # type: ignore[no-any-return]

    def top5_error(self, split: Split) -> float | None:
        """The top-5 error of a split in percent; None if this line has none."""
        return getattr(self, f"{split}_top5_error", None)

    def loss(self, split: Split) -> float | None:
        """The mean loss of a split; None if this line has none."""
        return getattr(self, f"{split}_loss")  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Best:
    """The step with the least validation error, of equal ones with the least loss; `test` is added at the end."""

    step: NonNegativeInt
    validation_error: float
    validation_loss: float
    test: Evaluated | None = None


@dataclass(frozen=True)
class Result:
    """result.json: how a run ended.

    seconds: of training, with data, without evaluation and compilation; images_per_second is over them
    batch: the images of the batch at which a run diverged
    skipped: files that could not be read, with the reason
    """

    status: Literal["stopped", "finished", "diverged"]
    step: NonNegativeInt = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    waiting_seconds: float = 0.0
    compile_seconds: float = 0.0
    batch: tuple[Text, ...] = ()
    test: Evaluated | None = None
    train: Evaluated | None = None
    validation: Evaluated | None = None
    best: Best | None = None
    skipped: dict[Text, Text] = field(default_factory=dict)


@dataclass(frozen=True)
class MeterState:
    """A Meter's counts in a checkpoint; `open_` ones are since the last log. sums: of loss, wrong and all images."""

    sums: tuple[float, float, float]
    all_images: NonNegativeInt
    open_seconds: float
    seconds: float
    open_waiting: float
    waiting: float


@dataclass(frozen=True)
class Progress:
    """state.json: how far a run is at a checkpoint. metrics_bytes: the length of metrics.jsonl."""

    step: NonNegativeInt
    meter: MeterState
    metrics_bytes: NonNegativeInt
    best: Best | None


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DataError naming a file that is missing or damaged."""
    try:
        content = read_file(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return parse(content, str(path))


def parse(content: bytes, source: str) -> Any:
    """JSON as plain types, numbers finite. Raises DataError naming `source`."""
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_not_finite, parse_float=_finite)
    except RecursionError:
        raise DataError(f"{source}: not JSON (nested too deep)") from None
    except ValueError as error:
        raise DataError(f"{source}: not JSON ({error})") from None


def _not_finite(text: str) -> float:
    raise ValueError(f"{text[:20]} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_finite(text)


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def read_value(cls: type[T], tree: Any, source: str) -> T:
    """Plain types as a value, unknown keys left out. Raises DataError naming `source` and the key that is wrong."""
    try:
        return _adapter(cls).validate_python(tree)  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        raise DataError(f"{source}: {explain(error, cls)[:300]}") from None
    except RecursionError:
        raise DataError(f"{source}: nested too deep") from None


def to_tree(value: Any) -> Any:
    """A value as plain types. A field that may be None or empty, and is, is left out, but for those of specs."""
    if is_pydantic_dataclass(type(value)):
        return plain(value)
    if is_dataclass(value):
        pairs = [(each, getattr(value, each.name)) for each in fields(value)]
        return {each.name: to_tree(inner) for each, inner in pairs if not _is_absent(each, inner)}
    if isinstance(value, tuple):
        named = getattr(value, "_asdict", None)
        return named() if named else [to_tree(inner) for inner in value]
    return value


def _is_absent(each: Field[Any], value: Any) -> bool:
    has_default = each.default is not MISSING or each.default_factory is not MISSING
    return has_default and (value is None or value in ((), {}))


def write_json(path: Path, content: Any) -> None:
    """Write plain types as a JSON file; readers see it whole. Raises ValueError for a number that is not finite."""
    write_whole(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
