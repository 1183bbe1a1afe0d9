"""The site's configuration. `make docs` builds it; every warning is an error."""

import inspect
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
exclude_patterns = ["_build", *(f"**/{name}" for name in ("runs", "float32", "beside", "weights", "RESULTS.md"))]
html_extra_path = ["../results"]  # its reports and analyses; exclude_patterns leaves out the records
html_theme = "furo"
html_title = f"reslab {release}"
html_static_path = ["static"]
html_css_files = ["reslab.css"]
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
# site: is a page of results/
myst_url_schemes = {"http": None, "https": None, "mailto": None, "site": {"url": "{{path}}"}}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True

cards.write(DOCS / "generated")


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: mark code, and make lists of lines such as "steps: batches trained on"."""
    text = cards.in_full("\n".join(lines).replace("*", r"\*").replace("|", r"\|"))
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
    lines[:] = []
    for paragraph in text.split("\n\n"):
        for line in paragraph.split("\n"):
            if re.match(r"[a-z_]+(, [a-z_]+)*: ", line):
                lines += ["", f"- {line}"]
            else:
                lines.append(f"  {line.strip()}" if lines and lines[-1].startswith(("- ", "  ")) and line else line)
        lines.append("")


def short_signature(app: Any, what: str, name: str, obj: Any, *rest: Any) -> tuple[str, str] | None:
    """A class's fields with their defaults, without the types, which pydantic's constraints make long."""
    if what != "class":
        return None
    parameters = [each for each in inspect.signature(obj).parameters.values() if each.name != "kind"]
    return str(inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in parameters])), ""


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", as_rst)
    app.connect("autodoc-process-signature", short_signature)
