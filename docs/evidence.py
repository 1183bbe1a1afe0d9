"""Published and measured test errors of the rows of all studies, for the generated pages."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reslab.nets import ResNet, find_name
from reslab.pages import review
from reslab.papers import STUDIES
from reslab.papers.claims import SCALES, Row, Study
from reslab.stats import Sample
from reslab.study.plan import Plan
from reslab.study.verdict import sample
from reslab.table import FORMATS, Column, Value

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


class Evidence(NamedTuple):
    """A row of a study with its samples of test errors by scale; scales without runs are left out."""

    study: Study
    row: Row
    measured: dict[str, Sample]

    @property
    def network_name(self) -> str | None:
        """The name of the paper's network, whatever its images and classes."""
        return find_name(self.row.network)

    @property
    def published(self) -> str:
        """The paper's test error with its source; "–" without one."""
        values = self.row.published.values if self.row.published else {}
        if self.row.published is None or "test_error" not in values:
            return "–"
        error = values["test_error"]
        number = error if isinstance(error, str) else f"{error:.2f}"
        return f"{number} ({self.row.published.citation})"


@cache
def _plans() -> dict[tuple[str, str], Plan]:
    return review.plans(RESULTS / "runs", "folder:tiny-imagenet")


def plan(study: str, scale: str) -> Plan:
    """The plan of a study over the records in results/."""
    return _plans()[study, scale]


@cache
def evidence() -> tuple[Evidence, ...]:
    """Every row of every study."""
    return tuple(Evidence(study, row, _measured(study, row)) for study in STUDIES.values() for row in study.rows)


def _measured(study: Study, row: Row) -> dict[str, Sample]:
    plans = {scale: plan(study.name, scale) for scale in SCALES if scale in study.scales}
    samples = {scale: sample(made, row.name, "test_error") for scale, made in plans.items() if made.runs_of(row.name)}
    return {scale: measured for scale, measured in samples.items() if measured.n}


def weights(name: str) -> list[str]:
    """The files of results/weights that are of a network by its name."""
    return sorted(file.name for file in (RESULTS / "weights").glob("*.safetensors") if file.name.startswith(f"{name}-"))


def residual_rows(studies: tuple[str, ...], has: Callable[[ResNet], bool]) -> Iterator[Evidence]:
    """The rows of some studies whose network is a ResNet of a kind."""
    for item in evidence():
        if item.study.name in studies and isinstance(item.row.network, ResNet) and has(item.row.network):
            yield item


def table(items: list[Evidence]) -> str:
    """The paper's test errors beside ours at paper scale, and apart from them ours at smaller scales; in percent."""
    names = [Column("row of the paper", [item.row.name for item in items], numbers=False)]
    names.append(Column("study", [item.study.name for item in items], numbers=False))
    published = Column("paper, test error in %", [item.published for item in items], numbers=False)
    smaller = [_ours(scale, items) for scale in SCALES[1:] if any(scale in item.measured for item in items)]
    text = FORMATS["md"]([*names, published, _ours(SCALES[0], items)])
    if smaller:
        text += (
            "\nOurs at smaller scales, of shorter training and often smaller networks and images: to compare with each "
            f"other alone.\n\n{FORMATS['md']([*names, *smaller])}"
        )
    return text


def _ours(scale: str, items: list[Evidence]) -> Column:
    values: list[Value] = [_error(item.measured.get(scale)) for item in items]
    return Column(f"ours, {scale} scale", values, numbers=False, empty="not run")


def _error(measured: Sample | None) -> str | None:
    return f"{measured} (n = {measured.n})" if measured else None
