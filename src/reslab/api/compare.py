"""Runs that are there already, compared: reslab's, and those of any other framework."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import REPORTS
from reslab.errors import SpecError

if TYPE_CHECKING:
    from reslab.study.groups import Comparison


class ComparisonReport(NamedTuple):
    """Groups of runs, their page, and the index of all pages where it is in reports/."""

    comparison: "Comparison"
    page: Path
    index_page: Path | None

    def columns(self, table: str = "runs") -> dict[str, list[str | int | float | None]]:
        """The runs, or the "table" of groups, their "pairs" or "claims", as pandas.DataFrame takes them."""
        from reslab.pages.groups import tables
        from reslab.table import to_dict

        comparison = self.comparison
        return to_dict(tables(comparison, comparison.contrasts(), comparison.pairs())[table])

    def _repr_html_(self) -> str:
        """The answer, the groups, their pairs and claims, the figures and the place of the page, for notebooks."""
        from html import escape

        from reslab.pages.groups import answer, drawings, tables
        from reslab.table import to_html

        comparison = self.comparison
        pairs = comparison.pairs()
        shown = tables(comparison, comparison.contrasts(), pairs)
        parts = [to_html(shown[name]) for name in ("table", "pairs", "claims") if shown[name][0].values]
        figures = [drawing._repr_svg_() for drawing in drawings(comparison).values()]
        texts = [f"<p>{escape(text)}</p>" for text in (answer(comparison, pairs), str(self.page))]
        return "".join([texts[0], *parts, *figures, texts[1]])


def compare_runs(
    runs: Sequence[Path | str],
    *,
    by: str | None = None,
    metric: str | None = None,
    claims: Sequence[str] = (),
    margin: float = 0.0,
    out: Path | str | None = None,
) -> ComparisonReport:
    """Compare runs in groups that differ in their seed alone, and write a page.

    runs: run directories, or folders of runs
    by: the field that makes a group, such as schedule.rate; None is all that differ
    metric: test_error, train_error, top5_error, curve or steps_to_10; None is test_error
    claims: "a < b" of two groups, or a group and a number; margin: by which a may be higher
    out: the page's directory; None is one in reports/
    Raises SpecError for a wrong word, DataError for a path that is no run.
    """
    from reslab.spec import digest
    from reslab.study.groups import Comparison, choose_metric, read_claims
    from reslab.study.run_groups import MEASURED, find_runs, resolution, run_groups

    given = find_runs([Path(run) for run in runs])
    groups, notes = run_groups(given, by)
    chosen = choose_metric(metric or "test_error", MEASURED)
    comparison = Comparison(
        source=f"{len(given)} run{'s' * (len(given) > 1)}",
        command=_command(["compare", *map(str, runs)], by, metric, claims, margin, out),
        groups=tuple(groups),
        metric=chosen,
        metrics=MEASURED,
        claims=tuple(read_claims(claims, groups, chosen, margin)),
        steps=resolution(given),
        notes=tuple(notes),
    )
    folder = REPORTS / f"compare-{digest(sorted(str(run.path) for run in given))}"
    return _write(comparison, Path(out) if out else folder)


def judge_file(
    file: Path | str,
    *,
    by: str | None = None,
    metric: str | None = None,
    claims: Sequence[str] = (),
    margin: float = 0.0,
    out: Path | str | None = None,
) -> ComparisonReport:
    """Compare the runs of any framework in a CSV file or a folder of TensorBoard's event files, and write a page.

    file: with columns group, seed and metrics, a line for each run or, with a column step, for each evaluation; an
    export of W&B (runs or a chart) or MLflow
    by: the columns that make a group, apart by commas; metric: a column; the others as in `compare_runs`
    Raises SpecError naming the columns where none fits, DataError for a file that cannot be read.
    """
    from reslab.study.foreign import read_groups
    from reslab.study.groups import Comparison, choose_metric, read_claims

    path = Path(file)
    groups = read_groups(path, [word.strip() for word in by.split(",")] if by else ())
    metrics = tuple(dict.fromkeys(name for group in groups for run in group.runs for name in run.values))
    if not metrics:
        raise SpecError(f"{path}: no run has a value")
    chosen = choose_metric(metric, metrics)
    single = len(groups) > 1 and all(len(group.runs) == 1 for group in groups)
    comparison = Comparison(
        source=path.name,
        command=_command(["judge", str(path)], by, metric, claims, margin, out),
        groups=tuple(groups),
        metric=chosen,
        metrics=metrics,
        claims=tuple(read_claims(claims, groups, chosen, margin)),
        notes=("each group has one run, which decides nothing; --by COLUMN,... names what makes a group",) * single,
    )
    return _write(comparison, Path(out) if out else REPORTS / path.stem)


def _command(
    words: Sequence[str],
    by: str | None,
    metric: str | None,
    claims: Sequence[str],
    margin: float,
    out: Path | str | None,
) -> str:
    """The command that compares again."""
    options = {"--by": by, "--metric": metric, "--margin": f"{margin:g}" if margin else None, "--out": out}
    given = [word for flag, value in options.items() if value is not None for word in (flag, str(value))]
    asked = [word for claim in claims for word in ("--claim", claim)]
    return shlex.join(["reslab", *words, *given, *asked])


def _write(comparison: "Comparison", out: Path) -> ComparisonReport:
    """Write the page, and the index over all pages where it is among them."""
    from reslab.pages.groups import render
    from reslab.pages.study import write_index

    page = render(comparison, out)
    return ComparisonReport(comparison, page, write_index(REPORTS) if out.parent == REPORTS else None)


def comparison_lines(report: ComparisonReport) -> tuple[list[tuple[str, ...]], str]:
    """Groups, n and metric of a comparison as rows of cells, the first their titles; and the answer in a sentence."""
    from reslab.pages.groups import answer, metric_title

    comparison = report.comparison
    rows: list[tuple[str, ...]] = [("group", "n", metric_title(comparison.metric))]
    for group in comparison.groups:
        sample = comparison.sample(group.name, comparison.metric)
        rows.append((group.name, f"{sample.n}", f"{sample:.4g}" if sample.n else "no value"))
    return rows, answer(comparison, comparison.pairs())
