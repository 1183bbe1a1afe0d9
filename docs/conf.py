"""The site's configuration. `make docs` builds it; every warning is an error."""

import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent / "src"), str(DOCS)]

import cards  # noqa: E402

import reslab  # noqa: E402

project = "reslab"
author = "the reslab authors"
project_copyright = author
version = release = reslab.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["runs", "float32", "beside", "weights", "figures", "RESULTS.md"]
html_extra_path = ["../results"]  # its reports and analyses; exclude_patterns leaves out the records
html_theme = "furo"
html_title = f"reslab {release}"
html_static_path = ["static"]
html_css_files = ["reslab.css"]
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
myst_url_schemes = {"http": None, "https": None, "mailto": None, "site": {"url": "{{path}}"}}  # site: a page of results/

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

cards.write(DOCS / "generated")


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text; give their names and lines the marks of reStructuredText."""
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", "\n".join(lines).replace("*", r"\*").replace("|", r"\|"))
    first, *rest = text.split("\n\n")
    lines[:] = [*first.split("\n"), ""]
    for paragraph in rest:
        marked = [line if line.startswith(" ") else f"| {line}" for line in paragraph.split("\n") if line]
        lines += [*marked, ""]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", as_rst)
