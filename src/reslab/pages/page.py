"""A page and the files beside it: the figures and tables that it shows, and its results for programs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import jinja2
from markupsafe import Markup, escape

from reslab.disk import write_whole
from reslab.drawing import Drawing, FileFormat
from reslab.pages.citations import cited
from reslab.table import FORMATS, Column

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("reslab.pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_ENVIRONMENT.filters["signed"] = lambda number: f"{number:,.{0 if abs(number) >= 1000 else 2}f}".replace("-", "−")
_ENVIRONMENT.filters["code"] = lambda text: Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
_ENVIRONMENT.filters["cited"] = cited
_ENVIRONMENT.globals["methods"] = {
    "counted": "counted",
    "binomial": "share of its runs, exact",
    "ranks": "by ranks",
    "pooled": "pooled spread",
    "Welch": "by Welch's t",
}
_ENVIRONMENT.globals["css"] = {"holds": "holds", "does not hold": "not-hold", "not decided": "open", "not run": "soft"}


@dataclass(frozen=True)
class Page:
    """A page as a value: one HTML file that loads nothing, in which every name is escaped.

    template: the name of a file in templates/, which gets `values`, the tables, the figures as SVG, their widths in px
    tables: those that the page shows, by name; data: those that are CSV files alone
    results: what results.json says, as plain JSON types
    """

    template: str
    values: Mapping[str, Any]
    tables: Mapping[str, Sequence[Column]] = field(default_factory=dict)
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    data: Mapping[str, Sequence[Column]] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)

    def html(self) -> str:
        """The page alone."""
        return self._html({name: drawing.save("svg") for name, drawing in self.drawings.items()})

    def write(self, path: Path) -> Path:
        """Write the page to `path`, and beside it results.json, the tables (CSV, LaTeX, Markdown) and the figures
        (PNG, PDF, SVG). Each file replaces its predecessor whole. Returns the path.
        """
        files = {"results.json": (json.dumps(self.results, indent=2, allow_nan=False) + "\n").encode()}
        for name, table in self.tables.items():
            files |= {f"{name}.{ending}": write(table).encode() for ending, write in FORMATS.items()}
        files |= {f"{name}.csv": FORMATS["csv"](table).encode() for name, table in self.data.items()}
        # SVG first: every save may move the axes a little, and the page's points are where the SVG has them
        svgs = {name: drawing.save("svg") for name, drawing in self.drawings.items()}
        page = self._html(svgs).encode()
        files |= {f"figures/{name}.svg": svg for name, svg in svgs.items()}
        for name, drawing in self.drawings.items():
            others = [ending for ending in get_args(FileFormat) if ending != "svg"]
            files |= {f"figures/{name}.{ending}": drawing.save(ending) for ending in others}
        files[path.name] = page
        for file_name, content in files.items():
            write_whole(path.parent / file_name, content)
        return path

    def _html(self, svgs: Mapping[str, bytes]) -> str:
        """The page with the SVG files of its figures, each the last file that was saved of its figure."""
        figures = {name: (drawing.inline(svgs[name], name), drawing.caption) for name, drawing in self.drawings.items()}
        widths = {name: round(96 * drawing.figure.get_size_inches()[0]) for name, drawing in self.drawings.items()}
        template = _ENVIRONMENT.get_template(self.template)
        return template.render(figures=figures, widths=widths, tables=self.tables, **self.values)
