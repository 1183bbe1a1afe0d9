"""Runs of any framework as groups: a CSV file, an export of W&B or MLflow, or TensorBoard's event files."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reslab.disk import read_file
from reslab.errors import DataError, SpecError, nearest
from reslab.study.groups import Curve, Group, GroupRun, group_names, varying

_GROUP = ("group", "experiment", "method", "variant", "model", "config", "arm")
_SEED = ("seed", "random_seed", "params.seed", "config.seed")
_STEP = ("step", "_step", "global_step", "iteration", "epoch", "trainer/global_step")
_NAME = ("name", "run", "run_name", "run_id", "run id", "id", "tags.mlflow.runname")
_PARAMS, _METRICS = "params.", "metrics."  # MLflow's columns
_KEEPING = re.compile(
    r"(?i)_?(runtime|timestamp|wandb|created|updated|start.time|end.time|duration|user|status|state)\b"
)
_SEED_WORD = re.compile(r"(?i)(?:^|[-_/. ])(?:seed|s)[-_=]?(\d+)(?=$|[-_/. ])")
_DECIMAL_COMMA = re.compile(r"(?m)(?<=;)(-?\d+),(\d+)(?=;|\s*$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but for tabs and the ends of lines
_LARGEST = 1e100  # of a number, whose square is a number too
_WIDE = re.compile(r"(.+) - (.+?)(__MIN|__MAX)?")  # W&B's columns of a chart: "run - metric"


class _Line(NamedTuple):
    """A line of a file: its number, and its cells by column."""

    number: int
    cells: dict[str, str]


class _Roles(NamedTuple):
    """The columns of a file by what they hold. fields: those that make a group."""

    fields: tuple[str, ...]
    seed: str | None
    step: str | None
    name: str | None
    metrics: tuple[str, ...]


def read_groups(path: Path, by: Sequence[str] = ()) -> list[Group]:
    """The groups of a CSV file or a folder of TensorBoard's event files.

    by: the columns that make a group; empty is the column "group" or one like it, or MLflow's parameters
    Raises DataError for a file that cannot be read, SpecError naming the columns where none fits.
    """
    if path.is_dir():
        return _of_events(path)
    header, lines = _read(path)
    if _is_chart(header):
        return _of_chart(path, header, lines)
    roles = _roles(path, header, lines, by)
    return _of_table(path, roles, lines)


def _read(path: Path) -> tuple[list[str], list[_Line]]:
    """The columns and lines of a CSV file, its cells apart by commas, semicolons or tabs."""
    try:
        text = read_file(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8, so no CSV") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise DataError(f"{path}, line {line}: has a control character, {control[0]!a}, so no CSV")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    if separator == ";":
        text = _DECIMAL_COMMA.sub(r"\1.\2", text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = [title.strip() for title in next(reader, [])]
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise DataError(f"{path}: no CSV: {error}") from None
    if len(header) < 2 or not lines:
        raise DataError(f"{path}: no table of runs; its first line names columns such as group, seed, test_error")
    if twice := [title for place, title in enumerate(header) if title in header[:place]]:
        raise DataError(f"{path}: the column {twice[0]!r} stands twice")
    for number, cells in lines:
        if len(cells) != len(header):
            raise DataError(f"{path}, line {number}: {len(cells)} cells, but {len(header)} columns")
        if large := next((cell for cell in cells if abs(_number(cell) or 0.0) > _LARGEST), None):
            raise DataError(f"{path}, line {number}: {large[:40]} is too large to compare")
    return header, [_Line(number, dict(zip(header, map(str.strip, cells), strict=True))) for number, cells in lines]


def _number(text: str) -> float | None:
    """A finite number; None for other text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_missing(text: str) -> bool:
    """Whether a cell has no value: empty, or what frameworks write for a number that is none."""
    return text.lower() in ("", "nan", "none", "null", "inf", "-inf", "infinity", "-infinity")


def _roles(path: Path, header: Sequence[str], lines: Sequence[_Line], by: Sequence[str]) -> _Roles:
    def column(names: Iterable[str]) -> str | None:
        lower = {title.lower(): title for title in reversed(header)}
        return next((lower[name] for name in names if name in lower), None)

    for title in by:
        if title not in header:
            raise SpecError(f"--by {title}: no such column, {nearest(title, header)}")
    seed, step, name = column(_SEED), column(_STEP), column(_NAME)
    if name and len({line.cells[name] for line in lines}) == len(lines):
        step = None  # a line for each run
    params = [title for title in header if title.startswith(_PARAMS) and title != seed]
    group = column(_GROUP)
    if group and all(_is_missing(line.cells[group]) for line in lines):
        group = None
    fields = tuple(by) or ((group,) if group else tuple(_changing(params, lines)))
    if not fields and name and not any(split_seed(line.cells[name])[1] for line in lines):
        fields = tuple(_crossed(header, seed, lines)) if seed and not step else ()
    fields = fields or ((name,) if name else ())
    if not fields:
        raise SpecError(f"{path}: no column 'group'; --by COLUMN names what makes a group: {', '.join(header[:12])}")
    used = {*fields, seed, name, *params, *(title for title in header if title.lower() in _STEP)}
    marked = [title for title in header if title.startswith(_METRICS)]
    candidates = marked or [title for title in header if title not in used and not _KEEPING.match(title)]
    numbers = [title for title in candidates if _is_metric(title, lines)]
    metrics = tuple(_changing(numbers, lines) or numbers)
    if not metrics:
        raise SpecError(f"{path}: no column of numbers to compare beside {', '.join(sorted(map(str, fields)))}")
    return _Roles(fields, seed, step, name, metrics)


def _changing(columns: Sequence[str], lines: Sequence[_Line]) -> list[str]:
    return varying([{title: line.cells[title] for title in columns} for line in lines])


def _crossed(columns: Sequence[str], seed: str, lines: Sequence[_Line]) -> list[str]:
    """The columns that change, each of whose values stands with every seed, as a setting's do."""
    seeds = {line.cells[seed] for line in lines}

    def is_crossed(title: str) -> bool:
        by_value: dict[str, set[str]] = {}
        for line in lines:
            by_value.setdefault(line.cells[title], set()).add(line.cells[seed])
        return all(each == seeds for each in by_value.values())

    return [title for title in _changing(columns, lines) if len(seeds) > 1 and is_crossed(title)]


def _is_metric(title: str, lines: Sequence[_Line]) -> bool:
    cells = [line.cells[title] for line in lines]
    return any(_number(cell) is not None for cell in cells) and all(
        _number(cell) is not None or _is_missing(cell) for cell in cells
    )


def _of_table(path: Path, roles: _Roles, lines: Sequence[_Line]) -> list[Group]:
    by_name = roles.fields == (roles.name,)
    grouped: dict[tuple[str, ...], dict[str, list[_Line]]] = {}
    for line in lines:
        values = tuple(line.cells[title] for title in roles.fields)
        seed = line.cells[roles.seed] if roles.seed else ""
        if by_name:
            stem, word = split_seed(values[0])
            values, seed = (stem,), seed or word
        runs = grouped.setdefault(values, {})
        run = seed or _unnamed(line, roles, runs)
        if run in runs and roles.step is None:
            first = runs[run][0].number
            raise SpecError(
                f"{path}, line {line.number}: seed {run} of {', '.join(values)} stands on line {first} too; "
                "a curve needs a column 'step', other settings --by COLUMN"
            )
        runs.setdefault(run, []).append(line)
    fields = [dict(zip(roles.fields, values, strict=True)) for values in grouped]
    return [
        Group(name, each, tuple(_run(seed, roles, run) for seed, run in runs.items()))
        for name, each, runs in zip(group_names(fields), fields, grouped.values(), strict=True)
    ]


def _unnamed(line: _Line, roles: _Roles, runs: Mapping[str, Any]) -> str:
    """What stands for the seed of a run where the file has none: the run's name, or its number in the group."""
    if roles.name and roles.name not in roles.fields and line.cells[roles.name]:
        return line.cells[roles.name]
    return "0" if roles.step else str(len(runs))


def _run(seed: str, roles: _Roles, lines: Sequence[_Line]) -> GroupRun:
    """A run of its lines: the last value of each metric and, with steps, its curves."""
    values: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    for metric in roles.metrics:
        points = [
            (_number(line.cells[roles.step]) if roles.step else 0.0, _number(line.cells[metric])) for line in lines
        ]
        curve = tuple(sorted((step, value) for step, value in points if step is not None and value is not None))
        last = max((step for step, _ in points if step is not None), default=0.0)
        diverged = any(line.cells[metric] and _number(line.cells[metric]) is None for line in lines)
        if curve and not (diverged and curve[-1][0] < last):
            values[metric] = curve[-1][1]
        if roles.step and curve:
            curves[metric] = curve
    return GroupRun(seed, int(seed) if seed.isdecimal() else seed, values, curves)


def split_seed(name: str) -> tuple[str, str]:
    """The name of a run without its seed, and the seed: "wide-seed3" is wide and 3; "" without one."""
    match = _SEED_WORD.search(name)
    if match is None:
        return name, ""
    rest = f"{name[: match.start()]}{name[match.end() :]}".strip("-_/. ")
    return rest or name, match[1]


def _is_chart(header: Sequence[str]) -> bool:
    """Whether a file is W&B's export of a chart: a column of steps, then one of each run."""
    return header[0].lower() in _STEP and all(_WIDE.fullmatch(title) for title in header[1:])


def _of_chart(path: Path, header: Sequence[str], lines: Sequence[_Line]) -> list[Group]:
    runs: dict[str, dict[str, Curve]] = {}
    for title in header[1:]:
        match = _WIDE.fullmatch(title)
        if match is None or match[3]:
            continue
        points = [(_number(line.cells[header[0]]), _number(line.cells[title])) for line in lines]
        curve = tuple(sorted((step, value) for step, value in points if step is not None and value is not None))
        runs.setdefault(match[1], {})[match[2]] = curve
    return _named(path, runs)


def _named(path: Path, runs: Mapping[str, Mapping[str, Curve]]) -> list[Group]:
    """Runs with names that hold their seeds, as groups."""
    grouped: dict[str, list[GroupRun]] = {}
    for name, curves in runs.items():
        group, seed = split_seed(name)
        values = {metric: curve[-1][1] for metric, curve in curves.items() if curve}
        grouped.setdefault(group, []).append(GroupRun(name, int(seed) if seed else name, values, curves))
    if not grouped:
        raise DataError(f"{path}: no runs in it")
    return [Group(name, {"run": name}, tuple(members)) for name, members in grouped.items()]


def _of_events(folder: Path) -> list[Group]:
    """The scalars of TensorBoard's event files, a run for each folder that has some."""
    from reslab.extra import extra

    folders = sorted({file.parent for file in folder.rglob("*tfevents*") if file.is_file()})
    if not folders:
        raise DataError(f"{folder}: neither a CSV file nor a folder with TensorBoard's event files")
    extra("tensorboard", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs: dict[str, dict[str, Curve]] = {}
    for path in folders:
        events = EventAccumulator(str(path), size_guidance={"scalars": 0})
        events.Reload()
        name = str(path.relative_to(folder)) if path != folder else folder.name
        runs[name] = {
            tag: tuple(
                (float(event.step), float(event.value)) for event in events.Scalars(tag) if math.isfinite(event.value)
            )
            for tag in events.Tags()["scalars"]
        }
    return _named(folder, runs)
