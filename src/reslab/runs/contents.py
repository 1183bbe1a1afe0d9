"""What the JSON files of a run directory hold, as typed values, and their reading."""

import json
import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BeforeValidator, InstanceOf, NonNegativeInt, PlainValidator, TypeAdapter, ValidationError

from reslab.errors import DataError, SpecError
from reslab.evaluate import Evaluation
from reslab.nets import AnyNetwork
from reslab.recipes.recipe import Recipe
from reslab.runs.execution import Chosen, Execution
from reslab.spec import explain, from_json

T = TypeVar("T")
Text = InstanceOf[str]  # file names that are not UTF-8 hold lone surrogates, which pydantic's str refuses


def _spec(cls: Any) -> PlainValidator:
    """A field that holds a spec: specs are strict, and take lists for tuples from JSON text alone."""

    def read(tree: Any) -> Any:
        if isinstance(tree, dict) and cls is AnyNetwork:
            tree = {key: value for key, value in tree.items() if key != "name"}
        try:
            return from_json(cls, json.dumps(tree))
        except SpecError as error:
            raise ValueError(str(error)) from None

    return PlainValidator(read)


def _known(cls: type[NamedTuple]) -> BeforeValidator:
    """A field that holds a named tuple: unlike a dataclass it refuses unknown keys, which are left out here."""

    def read(tree: Any) -> Any:
        return {key: value for key, value in tree.items() if key in cls._fields} if isinstance(tree, dict) else tree

    return BeforeValidator(read)


class Source(NamedTuple):
    """The file that a training's first weights came from: its name, and its SHA-256 in hex."""

    file: Text
    sha256: str


@dataclass(frozen=True)
class SplitDescription:
    """A split's number of images, and hex digits that name its content."""

    images: NonNegativeInt
    digest: str


@dataclass(frozen=True)
class DataDescription:
    """The classes and splits of a data set, by which a run recognises it."""

    train: SplitDescription
    test: SplitDescription
    classes: tuple[Text, ...]
    validation: SplitDescription | None = None

    @property
    def splits(self) -> dict[str, SplitDescription]:
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}


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
    """Where and with what a run was resumed after a step; `exact`: with the same bits as an uninterrupted run."""

    step: NonNegativeInt
    exact: bool
    started: str
    execution: Annotated[Execution, _spec(Execution)]
    chosen: Annotated[Chosen, _known(Chosen)]
    versions: dict[str, str | None]
    machine: Machine
    commit: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """run.json: the specs, first weights and seed of a run, and the machine and versions that it ran with."""

    network: Annotated[AnyNetwork, _spec(AnyNetwork)]
    name: str
    recipe: Annotated[Recipe, _spec(Recipe)]
    data: Text
    data_set: DataDescription
    seed: int
    execution: Annotated[Execution, _spec(Execution)]
    chosen: Annotated[Chosen, _known(Chosen)]
    started: str
    versions: dict[str, str | None]
    machine: Machine
    commit: str | None = None
    weights: Annotated[Source, _known(Source)] | None = None
    resumed: tuple[Resumption, ...] = ()


@dataclass(frozen=True)
class Metrics:
    """One line of metrics.jsonl, over the steps since the last one: errors and waiting in percent.

    An evaluation adds the loss and error of the eval split.
    """

    step: NonNegativeInt
    rate: float
    train_loss: float
    train_error: float
    images_per_second: float
    waiting: float
    test_loss: float | None = None
    test_error: float | None = None
    validation_loss: float | None = None
    validation_error: float | None = None

    def error(self, split: Literal["train", "validation", "test"]) -> float | None:
        """The error of a split in percent; None where this line has none."""
        return getattr(self, f"{split}_error")  # type: ignore[no-any-return]

    def loss(self, split: Literal["train", "validation", "test"]) -> float | None:
        """The mean loss of a split; None where this line has none."""
        return getattr(self, f"{split}_loss")  # type: ignore[no-any-return]


Evaluated = Annotated[Evaluation, _known(Evaluation)]


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
    test: Evaluated | None = None
    train: Evaluated | None = None
    validation: Evaluated | None = None
    best: Best | None = None
    batch: tuple[Text, ...] = ()
    skipped: dict[Text, Text] = field(default_factory=dict)


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DataError naming a file that is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return parse(content, str(path))


def parse(content: bytes, place: str) -> Any:
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_not_finite, parse_float=_finite)
    except RecursionError:
        raise DataError(f"{place}: not JSON (nested too deep)") from None
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error})") from None


def _not_finite(text: str) -> float:
    raise ValueError(f"{text[:20]} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _not_finite(text)


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def read_value(cls: type[T], tree: Any, place: str) -> T:
    """Plain JSON types as a value. Raises DataError naming the key that is missing or wrong."""
    try:
        return _adapter(cls).validate_python(tree)  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        raise DataError(f"{place}: {explain(error)[:300]}") from None
    except RecursionError:
        raise DataError(f"{place}: nested too deep") from None
