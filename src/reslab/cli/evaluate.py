"""The command that evaluates, and its tables."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from reslab import api
from reslab.api.choices import BNStatistics, Crops, Precision
from reslab.cli.options import (
    AsJson,
    Compile,
    DataName,
    DeviceName,
    EngineName,
    OnBadPicture,
    print_skipped,
    terminal_width,
)

RunsOrFiles = Annotated[
    list[Path], typer.Argument(metavar="RUN|FILE...", help="run directories, or weights that reslab wrote")
]
BNAverages = Annotated[BNStatistics, typer.Option("--bn-statistics", help="anew: averages over the training images")]
_SQUARE = 12  # classes whose confusion matrix fits a terminal
_LARGEST = 20  # confusions that are listed of a larger matrix


def evaluate(
    files: RunsOrFiles,
    data: DataName,
    crops: Annotated[Crops, typer.Option("--crops", help="of each picture")] = 1,
    as_json: AsJson = False,
    device: DeviceName = "auto",
    on_bad: OnBadPicture = "error",
    engine: EngineName = "torch",
    precision: Annotated[Precision, typer.Option("--precision", help="auto: the faster one")] = "float32",
    compile_: Compile = "off",
    per_class: Annotated[bool, typer.Option("--per-class", help="print the error of each class")] = False,
    confusion: Annotated[bool, typer.Option("--confusion", help="print the confusion matrix")] = False,
    bn_statistics: BNAverages = "running",
    calibration: Annotated[bool, typer.Option("--calibration", help="print the expected calibration error")] = False,
) -> None:
    """Measure top-1 and top-5 error, in percent, and loss on the test images; of several networks as an ensemble."""
    tables = {"calibration": calibration, "per_class": per_class, "confusion": confusion}
    wanted = [name for name, asked in tables.items() if asked]
    result = api.evaluate_network(
        *(files, data, crops),
        details=bool(wanted),
        device=device,
        on_bad=on_bad,
        engine=engine,
        precision=precision,
        compile=compile_,
        bn_statistics=bn_statistics,
    )
    if not api.is_first_rank():
        return
    print_skipped(result.skipped)
    if as_json:
        errors = {key: getattr(result, key) for key in ("images", "top1_error", "top5_error", "loss")}
        details = details_plain(result.details, wanted) if result.details else {}
        typer.echo(json.dumps(errors | details, allow_nan=False))
        return
    typer.echo((f"ensemble of {len(files)}: " if len(files) > 1 else "") + _summary(result))
    if result.details:
        typer.echo(details_text(result.details, wanted))


def _summary(result: api.EvaluationResult) -> str:
    text = f"top-1 error {result.top1_error:.2f} %  top-5 error {result.top5_error:.2f} %"
    return f"{result.images:,} images  {text}  loss {result.loss:.4f}"


def details_plain(details: api.ClassDetails, wanted: Collection[str]) -> dict[str, Any]:
    """Details as plain JSON types; `wanted` holds any of calibration, per_class and confusion."""
    tree: dict[str, Any] = {}
    if "calibration" in wanted:
        tree["calibration_error"] = details.calibration_error
    if "per_class" in wanted:
        rows = zip(details.classes, details.images, details.errors, strict=True)
        tree["per_class"] = [{"name": name, "images": count, "top1_error": error} for name, count, error in rows]
    if "confusion" in wanted:
        tree["confusion"] = {"classes": list(details.classes), "matrix": details.confusion}
    return tree


def details_text(details: api.ClassDetails, wanted: Collection[str]) -> str:
    """Details as text; see `details_plain`."""
    tables = []
    if "calibration" in wanted:
        tables.append(f"calibration error {details.calibration_error:.2f} %")
    if "per_class" in wanted:
        tables.append(_per_class(details))
    if "confusion" in wanted:
        tables.append(_matrix(details) if len(details.names) <= _SQUARE else _largest_confusions(details))
    return "\n\n".join(tables)


def _per_class(details: api.ClassDetails) -> str:
    cells: list[tuple[str, ...]] = [("class", "images", "top-1 error")]
    for name, count, error in zip(details.names, details.images, details.errors, strict=True):
        cells.append((name, f"{count:,}", "no images" if error is None else f"{error:.2f} %"))
    return api.aligned(cells, (1, 2), terminal_width())


def _matrix(details: api.ClassDetails) -> str:
    columns = [str(number) for number in range(1, len(details.names) + 1)]
    cells = [("class \\ predicted", "", *columns)]
    rows = zip(details.names, columns, details.confusion, strict=True)
    cells += [(name, number, *(str(count) if count else "·" for count in row)) for name, number, row in rows]
    return api.aligned(cells, tuple(range(1, len(columns) + 2)), terminal_width())


def _largest_confusions(details: api.ClassDetails) -> str:
    counts = [
        (count, row, column)
        for row, line in enumerate(details.confusion)
        for column, count in enumerate(line)
        if count and row != column
    ]
    cells: list[tuple[str, ...]] = [("class", "predicted", "images", "of its own")]
    for count, row, column in sorted(counts, key=lambda entry: -entry[0])[:_LARGEST]:
        share = 100 * count / details.images[row]
        cells.append((details.names[row], details.names[column], f"{count:,}", f"{share:.2f} %"))
    return api.aligned(cells, (2, 3), terminal_width()) if counts else "no class is confused with another"
