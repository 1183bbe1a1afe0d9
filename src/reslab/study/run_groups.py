"""Run directories of reslab as groups."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reslab.errors import DataError, SpecError, nearest
from reslab.nets import to_string
from reslab.papers.claims import COUNTED, METRICS, Metric
from reslab.recipes.aliases import ALIASES
from reslab.runs.contents import Split
from reslab.runs.run import RECORD, Run
from reslab.spec import tree
from reslab.study.groups import Group, GroupRun, group_names, varying
from reslab.study.plan import PlannedRun
from reslab.study.verdict import measure
from reslab.toml import assignments

MEASURED: tuple[Metric, ...] = tuple(metric for metric in METRICS if metric not in COUNTED)
_ERRORS: dict[str, Split] = {"train_error": "train", "test_error": "test", "top5_error": "test"}
"""Errors, which are counted in images of a split."""


def resolution(runs: Sequence[Run]) -> dict[str, float]:
    """The smallest difference that each error can show: 100 % of one image, of the smallest set."""
    done = [run.record.data_set.splits for run in runs if run.is_done]
    return {metric: 100 / min(splits[split].images for splits in done) for metric, split in _ERRORS.items()}


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs of some directories, each a run or a folder of runs. Raises DataError for another path."""
    runs: dict[Path, Run] = {}
    for path in paths:
        inside = [path] if (path / RECORD).is_file() else sorted(file.parent for file in path.glob(f"*/{RECORD}"))
        if not inside:
            raise DataError(f"{path}: not a run, nor a folder of runs")
        runs |= {each.resolve(): Run(each) for each in inside}
    return list(runs.values())


def run_groups(runs: Sequence[Run], by: str | None = None) -> tuple[list[Group], list[str]]:
    """Runs in groups of equal settings but the seed, or of equal values of the field `by`; and notes.

    Raises SpecError for a field that no run has, or a seed that stands twice in a group.
    """
    done, notes = [run for run in runs if run.is_done], []
    for run in runs:
        if not run.is_done:
            notes.append(f"{run.path.name} is {run.status}, and left out")
    if not done:
        raise DataError(f"{', '.join(str(run.path) for run in runs[:3])}: no run that has ended")
    settings = [_settings(run) for run in done]
    keys = differing = varying(settings)
    if by is not None:
        settings = [_flat(tree(run.record.network)) | each for run, each in zip(done, settings, strict=True)]
        keys = [_field(by, dict.fromkeys(name for each in settings for name in each))]
        if others := [key for key in differing if key not in keys]:
            notes.append(f"in groups by {keys[0]} differ too: {', '.join(others)}")
    grouped: dict[tuple[str, ...], list[Run]] = {}
    for run, each in zip(done, settings, strict=True):
        grouped.setdefault(tuple(each.get(key, "") for key in keys), []).append(run)
    fields = [dict(zip(keys, values, strict=True)) for values in grouped]
    groups = [
        Group(name, each, tuple(_group_run(run) for run in members))
        for name, each, members in zip(group_names(fields), fields, grouped.values(), strict=True)
    ]
    if by is None:
        _must_differ(groups)
    return groups, notes


def _field(by: str, known: Iterable[str]) -> str:
    """The field of a name, or of a common name. Raises SpecError naming the nearest."""
    name = ALIASES.get(by, by)
    if name not in known:
        raise SpecError(f"--by {by}: no such field, {nearest(by, known)}")
    return name


def _must_differ(groups: Sequence[Group]) -> None:
    """Raise SpecError for a training that stands twice: equal settings and seeds give equal weights."""
    for group in groups:
        seen: dict[int | str, str] = {}
        for run in group.runs:
            if run.seed in seen:
                raise SpecError(f"{run.name}: the same training as {seen[run.seed]}; leave one of them out")
            seen[run.seed] = run.name


def _settings(run: Run) -> dict[str, str]:
    """What a run was trained with, but for its seed."""
    record = run.record
    settings = {"network": to_string(record.network), "size": str(record.network.size), "data": record.data}
    settings |= {"training images": record.data_set.train.digest, "test images": record.data_set.test.digest}
    return settings | {"weights": record.weights.file if record.weights else ""} | _flat(tree(record.recipe))


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """The fields of a spec's tree as text, by their dotted keys."""
    flat: dict[str, str] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{prefix}{key}.")
        else:
            flat |= assignments({prefix + key: inner})
    return flat


def _group_run(run: Run) -> GroupRun:
    record, split = run.record, run.eval_split
    planned = PlannedRun(record.name, record.network, record.recipe, record.data, record.seed, run.path)
    values: dict[str, float] = {metric: value for metric in MEASURED if (value := measure(planned, metric)) is not None}
    tested = [(line.step, error) for line in run.metrics if (error := line.error(split)) is not None]
    trained = [(line.step, line.train_error) for line in run.metrics]
    return GroupRun(run.path.name, record.seed, values, {"test_error": tuple(tested), "train_error": tuple(trained)})
