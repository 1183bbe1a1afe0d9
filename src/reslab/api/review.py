"""The review, sentence by sentence."""

from typing import TYPE_CHECKING, NamedTuple

from reslab.api.choices import REPORTS, RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from reslab.pages.review import Line


class Review(NamedTuple):
    """The review's page, and its statements with what was measured of each."""

    page: "Path"
    lines: "list[Line]"


def report_review(data: str | None = None) -> Review:
    """Write the review's page under reports/ from the runs under runs/, at every scale that has some, and from the
    analyses there.

    data: for studies on ImageNet: imagenet:PATH, or folder:PATH
    """
    from reslab.pages.review import lines, plans, render
    from reslab.pages.study import analyses

    planned, out, inside = plans(RUNS, data), REPORTS / "review", analyses(REPORTS, address="../")
    return Review(render(planned, REPORTS, out, inside), lines(planned, REPORTS, out, inside))
