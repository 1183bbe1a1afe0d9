"""A user's own study: from a TOML file or from the same fields in Python, as the value that the papers' studies are."""

import dataclasses
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, InstanceOf, ValidationError, model_validator

from reslab.data.loader import check_name, is_folder, shape
from reslab.disk import write_whole
from reslab.errors import SpecError, nearest
from reslab.nets import AnyNetwork, ResNet, Staged, parse_network, to_string
from reslab.nets.file import read_network
from reslab.nets.network import NetworkSpec
from reslab.papers.claims import METRICS, OWN, Claim, Metric, Row, Scale, Setting, Study
from reslab.recipes.aliases import ALIASES, EPOCHS, resolve_aliases
from reslab.recipes.changed import change_recipe, change_specs
from reslab.recipes.file import find_recipe
from reslab.recipes.named import recipe_for
from reslab.recipes.recipe import Recipe
from reslab.recipes.scaled import mismatches
from reslab.spec import replace
from reslab.study.claim import parse_claim
from reslab.toml import Keys, assignments, dotted, read_toml

T = TypeVar("T")
_Side = str | float
_Layer = tuple[Keys, dict[str, Any]]
"""Changed fields of a row's network and recipe, and the keys of their table."""
Place = Callable[[Keys], str]
"""From the keys of a value to what an error calls its place: the file and the line."""
_MOST = 1_000  # rows
_METRICS: tuple[Metric, ...] = ("train_error", "test_error", "steps_to_10")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _OwnRow(_Table):
    """A row: its network, "NAME key=value ..." or a JSON file, and changed fields of network and recipe."""

    network: str | InstanceOf[NetworkSpec] | None = None
    set: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _of_network(cls, value: Any) -> Any:
        return {"network": value} if isinstance(value, str | NetworkSpec) else value


class _OwnClaim(_Table):
    """A claim: its two sides in `claim`, as "a < b", or in `lower` and `higher`."""

    claim: str | None = None
    lower: str | FiniteFloat | None = None
    higher: str | FiniteFloat | None = None
    metric: str = "test_error"
    margin: FiniteFloat = Field(0.0, ge=0)
    text: str = ""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        return {"claim": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_two_sides(self) -> Self:
        sides = {"lower": self.lower, "higher": self.higher}
        missing = [key for key, side in sides.items() if side is None]
        if self.claim is None and missing:
            raise ValueError(f"{missing[0]} is missing; a claim has lower and higher, rows or numbers")
        if self.claim is not None and len(missing) < 2:
            raise ValueError("give claim, or lower and higher")
        return self


class OwnStudy(_Table):
    """The fields of an own study.

    data: a name from `reslab data list`, or folder:PATH, in a file from its own folder on
    recipe: a name, a file, a value, or a table: the `name` of the recipe that it begins with, and the fields that
    differ; without a name the one recipe that is meant for the data
    rows: by name: a network, or a table of `network` and `set`, changed fields of network and recipe
    network: of rows that name none; set: changed fields of every row
    grid: fields with lists of values; every row is trained with every combination
    seeds: of each row; claims: "a < b", or tables; on rows without a grid's values they are judged at each of them
    scale_steps: changed steps scale the recipe's schedule and intervals
    """

    data: str
    recipe: str | InstanceOf[Recipe] | dict[str, Any] = {}
    rows: dict[str, _OwnRow] = {}
    network: str | InstanceOf[NetworkSpec] | None = None
    set: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    seeds: int = Field(3, ge=1)
    claims: list[_OwnClaim] = []
    title: str = ""
    question: str = ""
    scale_steps: bool = False

    @model_validator(mode="after")
    def _has_rows(self) -> Self:
        if not self.rows and self.network is None:
            raise ValueError("no rows: give rows, or a network and a grid")
        return self


_TABLES: dict[str, type[_Table]] = {"rows": _OwnRow, "claims": _OwnClaim}


def read_study(path: Path) -> Study:
    """The study of a TOML file.

    Raises DataError for a file that cannot be read, SpecError naming the line that is wrong and the nearest word.
    """
    file = read_toml(path)
    return _Reader(_validated(file.tree, file.place), path.parent, file.place).study(path.stem, str(path))


def own_study(name: str, **fields: Any) -> Study:
    """A study of one's own, by the fields of `OwnStudy`; networks and recipes may be values.

        own_study("width", data="digits", recipe="demo", rows={"narrow": "resnet8-cifar", "wide": cifar_resnet(14)})

    Raises SpecError naming the wrong field and the nearest word.
    """

    def place(keys: Keys) -> str:
        return f"study {name}"

    return _Reader(_validated(fields, place), Path(), place).study(name)


def _validated(tree: dict[str, Any], place: Place) -> OwnStudy:
    if isinstance(tree.get("grid"), dict):
        tree = tree | {"grid": dotted(tree["grid"])}
    try:
        return OwnStudy(**tree)
    except ValidationError as error:
        first = next((each for each in error.errors() if each["type"] == "extra_forbidden"), error.errors()[0])
        keys = _keys(first["loc"], tree)
        words = f"{_words(keys)}: " if keys else ""
        raise SpecError(f"{place(keys)}: {words}{_reason(first, keys)}") from None


_NEEDED = {
    "string_type": "a text in quotes",
    "list_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a text, or a table",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
}
"""What a value should be, by pydantic's kind of error."""
_FIELDS = {field.name for spec in (Recipe, ResNet, Staged) for field in dataclasses.fields(spec)} | {*ALIASES, *EPOCHS}
"""The fields of networks and recipes, and their common names."""


def _reason(error: Mapping[str, Any], keys: Keys) -> str:
    """What is wrong with the value of some keys, by pydantic's error."""
    kind = error["type"]
    if kind == "missing":
        return f"{error['loc'][-1]} is missing; `reslab study new FILE` writes an example"
    if kind == "extra_forbidden":
        if str(keys[-1]).partition(".")[0] in _FIELDS:
            return "no key here; `set` changes fields of network and recipe, `grid` has lists of their values"
        table = _TABLES[str(keys[0])] if len(keys) > 1 else OwnStudy
        return f"no such key, {nearest(str(keys[-1]), table.model_fields)}"
    if kind in _NEEDED:
        return f"should be {_NEEDED[kind]}, not {json.dumps(error['input'], default=str)}"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{text[:1].lower()}{text[1:]}"


def _words(keys: Keys) -> str:
    """Keys as a dotted name, without the numbers of lists."""
    return ".".join(key for key in keys if isinstance(key, str))


def _keys(loc: tuple[int | str, ...], tree: Any) -> list[str | int]:
    """The keys of a pydantic location that stand in a tree; it also names the members of unions."""
    keys: list[str | int] = []
    for part in loc:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            break
        keys.append(part)
    return keys


class _Reader:
    """Makes the rows, settings and claims of a study; errors name the place of what is wrong."""

    def __init__(self, own: OwnStudy, folder: Path, place: Place):
        self.own, self.folder, self.place = own, folder, place

    def study(self, name: str, file: str | None = None) -> Study:
        own, data, begin = self.own, self._data(), self._recipe()
        rows, settings = [], {}
        trained: dict[tuple[AnyNetwork, Recipe], str] = {}
        for title, layers in self._combinations():
            network, recipe = self._specs(layers, begin)
            if (same := trained.setdefault((network, recipe), title)) != title:
                place = self.place(layers[-1][0][:2])
                raise SpecError(f"{place}: the rows {same!r} and {title!r} are the same training")
            rows.append(Row(title, network, data, setting=title))
            settings[title] = Setting(data, recipe)
        names = tuple(row.name for row in rows)
        claims = tuple(self._claims(names))
        return Study(
            name=name,
            title=own.title or own.question or name,
            source=file or "own study",
            question=own.question,
            rows=tuple(rows),
            claims=claims,
            scales={OWN: Scale(settings, own.seeds, names, self._note(rows, settings))},
            metrics=tuple(dict.fromkeys((*_METRICS, *(claim.metric for claim in claims)))),
            file=file,
        )

    def _data(self) -> str:
        """The data set; a folder's path from that of the study's file on."""
        name = self.own.data
        self._located(["data"], lambda: check_name(name))
        kind, _, path = name.partition(":")
        if not is_folder(name) or Path(path).expanduser().is_absolute():
            return name
        return f"{kind}:{self.folder / path}"

    def _recipe(self) -> Recipe:
        """The recipe that all rows begin with."""
        given = self.own.recipe
        if isinstance(given, Recipe):
            return given
        fields = {"name": given} if isinstance(given, str) else dict(given)
        word = fields.pop("name", None)
        if word is None:
            word = self._located(["recipe"], lambda: recipe_for(self.own.data))
        if not isinstance(word, str):
            raise SpecError(f"{self.place(['recipe', 'name'])}: recipe.name: should be {_NEEDED['string_type']}")
        path = self.folder / word
        begin = self._located(["recipe"], lambda: find_recipe(str(path) if path.suffix in (".toml", ".json") else word))
        changes = self._changes(["recipe"], fields)
        try:
            return change_recipe(begin, changes, self.own.scale_steps, "")
        except SpecError as error:
            raise self._wrong(error, [(["recipe"], fields)]) from None

    def _combinations(self) -> Iterator[tuple[str, list[_Layer]]]:
        """Every row's name, which holds the grid's values, with its layers, the last of which is the row itself."""
        own = self.own
        for name, row in (own.rows or {"": _OwnRow()}).items():
            for words, grid in self._grid.items():
                title = ", ".join(filter(None, (name, words))) or str(own.network)
                yield title, [(["set"], own.set), (["grid"], grid), (["rows", name, "set"], row.set)]

    @cached_property
    def _grid(self) -> dict[str, dict[str, Any]]:
        """The combinations of the grid's values, by their words; one that changes nothing without a grid."""
        for key, values in self.own.grid.items():
            if not values:
                raise SpecError(f"{self.place(['grid', key])}: grid.{key}: has no values")
            if wrong := [value for value in values if isinstance(value, dict) and "kind" not in value]:
                needed = f"a value of the grid is one value, not {json.dumps(wrong[0], default=str)}"
                raise SpecError(f"{self.place(['grid', key])}: grid.{key}: {needed}")
            if twice := [value for number, value in enumerate(values) if value in values[:number]]:
                raise SpecError(f"{self.place(['grid', key])}: grid.{key}: {_text(twice[0])} stands twice")
        count = math.prod(map(len, self.own.grid.values())) * max(1, len(self.own.rows))
        if count > _MOST:
            raise SpecError(f"{self.place(['grid'])}: the grid makes {count:,} rows; a study has at most {_MOST:,}")
        combinations = (dict(zip(self.own.grid, values, strict=True)) for values in product(*self.own.grid.values()))
        return {", ".join(f"{key}={_text(value)}" for key, value in each.items()): each for each in combinations}

    def _specs(self, layers: list[_Layer], begin: Recipe) -> tuple[AnyNetwork, Recipe]:
        """The network and the recipe of a row."""
        keys = layers[-1][0][:2]
        row = self.own.rows.get(str(keys[1]), _OwnRow())
        given = row.network if row.network is not None else self.own.network
        if given is None:
            raise SpecError(f"{self.place(keys)}: {_words(keys)}: names no network, and the study none for all rows")
        at = keys if row.network is not None else ["network"]
        network = self._located(at, lambda: self._network(given))
        if isinstance(given, str):
            self._must_follow([word.partition("=")[0] for word in given.split()], at)
        every, grid, own = (self._changes(*layer) for layer in layers)
        if twice := sorted(grid.keys() & own.keys()):
            raise SpecError(f"{self.place([*layers[-1][0], twice[0]])}: {twice[0]}: the grid has this field's values")
        changes = every | grid | own
        try:
            return change_specs(network, begin, changes, self.own.scale_steps, "")
        except SpecError as error:
            raise self._wrong(error, layers) from None

    def _changes(self, table: Keys, fields: dict[str, Any]) -> dict[str, str]:
        """A table of changed fields as assignments."""
        changes = self._located(table, lambda: resolve_aliases(assignments(fields), ""))
        self._must_follow(changes, table)
        return changes

    def _must_follow(self, changes: Collection[str], table: Keys) -> None:
        """Raises SpecError for a changed field that is no choice of a study."""
        for name, reason in _NOT_HERE.items():
            if name in changes:
                raise SpecError(f"{self.place([*table, name])}: {name}: {reason}")

    def _wrong(self, error: SpecError, layers: list[_Layer]) -> SpecError:
        """An error in changed fields with the place of the last table that changes the field."""
        keys = layers[-1][0]
        for table, fields in layers:
            for name in fields:
                if error.key and (name == error.key or ALIASES.get(name) == error.key):
                    keys = [*table, name]
                elif error.key.startswith(f"{name}."):
                    keys = [*table, *error.key.split(".")]
        return SpecError(f"{self.place(keys)}: {error}")

    def _network(self, given: str | NetworkSpec) -> AnyNetwork:
        if isinstance(given, NetworkSpec):
            return given  # type: ignore[return-value]
        return read_network(self.folder / given) if given.endswith(".json") else parse_network(given)

    def _claims(self, names: tuple[str, ...]) -> Iterator[Claim]:
        for number, given in enumerate(self.own.claims):
            keys: Keys = ["claims", number]
            if given.metric not in METRICS:
                wrong = nearest(given.metric, METRICS)
                raise SpecError(f"{self.place([*keys, 'metric'])}: no metric {given.metric!r}: {wrong}")
            metric = given.metric
            for lower, higher in self._in_grid(*self._sides(given, keys, names)):
                margin = f", or higher by less than {given.margin:g}" if given.margin else ""
                text = given.text or f"{METRICS[metric].title}: {lower} is lower than {higher}{margin}"
                yield Claim(text, lower, higher, metric, "own claim", given.margin)

    def _sides(self, given: _OwnClaim, keys: Keys, names: tuple[str, ...]) -> tuple[_Side, _Side]:
        known = dict.fromkeys((*self.own.rows, *names))
        if given.claim is not None:
            text = given.claim
            return self._located(keys, lambda: parse_claim(text, known))
        assert given.lower is not None and given.higher is not None
        for key, side in (("lower", given.lower), ("higher", given.higher)):
            if isinstance(side, str) and side not in known:
                raise SpecError(f"{self.place([*keys, key])}: no row {side!r}: {nearest(side, known)}")
        return given.lower, given.higher

    def _in_grid(self, lower: _Side, higher: _Side) -> Iterator[tuple[_Side, _Side]]:
        """The sides of a claim; of rows without a grid's values at each combination of them."""
        rows = self.own.rows if self.own.grid else ()
        for words in self._grid if lower in rows or higher in rows else ("",):
            yield (
                f"{lower}, {words}" if lower in rows else lower,
                f"{higher}, {words}" if higher in rows else higher,
            )

    def _note(self, rows: Sequence[Row], settings: Mapping[str, Setting]) -> str:
        """Data and steps in a sentence, and where a recipe's schedule or a network does not fit them."""
        recipes = list(dict.fromkeys(setting.recipe for setting in settings.values()))
        steps = " or ".join(f"{count:,}" for count in dict.fromkeys(recipe.steps for recipe in recipes))
        reasons = dict.fromkeys(reason for recipe in recipes for reason in mismatches(recipe))
        advice = "; scale_steps = true scales the schedule with the steps" if reasons else ""
        notes = [f"{self.own.data}, {steps} step{'' if steps == '1' else 's'}", f"{'; '.join(reasons)}{advice}"]
        return ". ".join(filter(None, [*notes, *self._small_maps(rows)])) + "."

    def _small_maps(self, rows: Sequence[Row]) -> Iterator[str]:
        """The networks whose maps are single pixels, as the images are small."""
        size = None if is_folder(self.own.data) else shape(self.own.data).size
        for network in dict.fromkeys(row.network for row in rows) if size else ():
            if stage := replace(network, size=size).single_pixel_stage:
                yield f"The images are {size}×{size}: the maps of {to_string(network)} are 1×1 from {stage} on"

    def _located(self, keys: Keys, make: Callable[[], T]) -> T:
        """What a function makes; its SpecError gets the place of some keys before it."""
        try:
            return make()
        except SpecError as error:
            raise SpecError(f"{self.place(keys)}: {error}") from None


_NOT_HERE = {
    "epochs": "a study's recipe counts in steps; an epoch is the number of training images over the batch",
    "classes": "follows from the data",
    "channels": "follows from the data",
}


def _text(value: Any) -> str:
    """A value as --set has it."""
    return value if isinstance(value, str) else assignments({"": value})[""]


EXAMPLE = """\
# A study of one's own: what is trained, how often, and what is claimed of it.
#
#   reslab study show FILE      its runs, and what they take
#   reslab study run FILE       train what is missing, write the page
#   reslab study watch FILE     the page while it trains

question = "Does a residual network learn sooner than a plain one?"
data = "digits"                 # a name from `reslab data list`, or folder:PATH
seeds = 3                       # runs of each row; claims need two at least
claims = ["residual < plain"]   # of the test error; see the end of this file
scale_steps = true              # fewer steps shorten warm-up and drops too

[recipe]
name = "demo"                   # from `reslab recipes`, or a file; or the data's
steps = 60                      # every field of `reslab recipe show demo`
# lr = 0.05                     # common names are known: schedule.rate

[rows]                          # names from `reslab networks`, or FILE.json
plain = "plain8-cifar"
residual = "resnet8-cifar"
# scaled = "resnet8-cifar merge=scaled merge.residual=0.5"
# nesterov = { network = "resnet8-cifar", set = { "optimizer.nesterov" = true } }

# [grid]                        # every row with every combination
# lr = [0.05, 0.1]
# weight_decay = [1e-4, 5e-4]

# [[claims]]                    # in place of `claims` above: with more to say
# lower = "residual"            # a row, or a number
# higher = "plain"
# metric = "train_error"        # or test_error, curve, steps_to_10 ...
# margin = 1.0                  # higher by less than this counts as lower
# text = "The residual network trains at least as well"
"""


def write_example(path: Path) -> None:
    """Write a commented study that runs. Raises SpecError for a file that exists or has another ending than .toml."""
    if path.suffix != ".toml":
        raise SpecError(f"{path}: give it the ending .toml")
    if path.exists():
        raise SpecError(f"{path}: exists already, and stays as it is; choose another name")
    write_whole(path, EXAMPLE.replace("FILE ", f"{path} ").encode())
