"""What `reslab evaluate` says beyond the errors."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from reslab.data.names import class_names
from reslab.evaluate import Details
from reslab.nets.table import aligned

_SQUARE = 12  # classes whose matrix fits a terminal
_LARGEST = 20  # confusions that are told of where it does not


def details_plain(details: Details, classes: Sequence[str], wanted: Collection[str]) -> dict[str, Any]:
    """For a program to read; `wanted` has the words calibration, per_class and confusion."""
    told: dict[str, Any] = {}
    if "calibration" in wanted:
        told["calibration_error"] = details.calibration_error
    if "per_class" in wanted:
        rows = zip(classes, details.images, details.class_errors, strict=True)
        told["per_class"] = [{"name": name, "images": count, "top1_error": error} for name, count, error in rows]
    if "confusion" in wanted:
        told["confusion"] = {"classes": list(classes), "matrix": details.confusion.long().tolist()}
    return told


def details_text(details: Details, classes: Sequence[str], wanted: Collection[str]) -> str:
    """For a person to read; see `details_plain`."""
    names = [str(name) for name in class_names(classes, len(classes))]
    told = []
    if "calibration" in wanted:
        told.append(f"calibration error {details.calibration_error:.2f} %")
    if "per_class" in wanted:
        told.append(_per_class(details, names))
    if "confusion" in wanted:
        told.append(_matrix(details, names) if len(names) <= _SQUARE else _confusions(details, names))
    return "\n\n".join(told)


def _per_class(details: Details, names: Sequence[str]) -> str:
    cells: list[tuple[str, ...]] = [("class", "images", "top-1 error")]
    for name, count, error in zip(names, details.images, details.class_errors, strict=True):
        cells.append((name, f"{count:,}", "no images" if error is None else f"{error:.2f} %"))
    return aligned(cells, right=(1, 2))


def _matrix(details: Details, names: Sequence[str]) -> str:
    counts = details.confusion.long().tolist()
    columns = [str(number) for number in range(1, len(names) + 1)]
    cells = [("class \\ taken for", "", *columns)]
    rows = zip(names, columns, counts, strict=True)
    cells += [(name, number, *(str(count) if count else "·" for count in row)) for name, number, row in rows]
    return aligned(cells, right=tuple(range(1, len(columns) + 2)))


def _confusions(details: Details, names: Sequence[str]) -> str:
    cells: list[tuple[str, ...]] = [("class", "taken for", "images", "of its own")]
    for row, column in _largest(details):
        count, of = int(details.confusion[row, column]), details.images[row]
        cells.append((names[row], names[column], f"{count:,}", f"{100 * count / of:.2f} %"))
    return aligned(cells, right=(2, 3)) if len(cells) > 1 else "no class is taken for another"


def _largest(details: Details) -> Iterator[tuple[int, int]]:
    """The classes of the largest confusions, those of most images first."""
    off = details.confusion.clone()
    off.fill_diagonal_(0)
    found = off.flatten().sort(descending=True, stable=True)
    for where, count in list(zip(found.indices.tolist(), found.values.tolist(), strict=True))[:_LARGEST]:
        if count:
            yield divmod(where, len(off))
