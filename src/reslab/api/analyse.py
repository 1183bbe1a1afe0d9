"""Analyses of networks by their names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslab.analyse import ANALYSES, REPORTS, AnalysisOption, AnalysisRow

if TYPE_CHECKING:
    from reslab.analyse.analysis import Report
    from reslab.nets.network import NetworkSpec

__all__ = ["ANALYSES", "AnalysisOption", "AnalysisRow", "Report", "analyse_networks", "report_values"]


def analyse_networks(
    kind: str,
    networks: "Sequence[NetworkSpec | Path | str] | NetworkSpec | Path | str",
    data: str | None = None,
    *,
    device: str = "auto",
    out: Path | str | None = None,
    page: bool = False,
    progress: Callable[[float], None] = lambda share: None,
    **options: Any,
) -> "Report":
    """The report of `reslab analyse KIND`; `.columns()` is a plain table, whose units docs/analyses.md describes.

    networks: names and specs (initial weights under the seed), run directories, files of weights that reslab wrote, or
    one of these
    data: a name from `reslab data list`, or folder:PATH; `cost` needs none
    out: the report's directory, None for one in reports/ by name; page: write its page and files there
    progress: called with the share of the work that is done
    options: those of the command, `images=100, mode="train", seed=1, on_bad="skip"` ...; left out or None, its defaults
    Raises SpecError for a wrong word or option, DataError for a file that cannot be read.
    """
    from reslab.analyse.analysis import analyse
    from reslab.nets.network import NetworkSpec
    from reslab.pages.analysis import render
    from reslab.pages.study import write_index

    if isinstance(networks, str | Path | NetworkSpec):
        networks = [networks]
    options |= {"data": data} if data is not None else {}
    report = analyse(kind, networks, options, device, Path(out) if out else None, progress)
    if page:
        render(report, report.command, report.folder)
        if report.folder.parent == REPORTS:
            write_index(REPORTS)
    return report


def report_values(report: "Report") -> dict[str, Any]:
    """A report as plain JSON types, as in its results.json."""
    from reslab.pages.analysis import results

    return results(report, report.command)
