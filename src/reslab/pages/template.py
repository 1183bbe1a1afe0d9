"""Templates of pages: one file each, nothing loaded from elsewhere, everything from names and folders escaped."""

import jinja2


def template(name: str) -> jinja2.Template:
    """A page's template, which may include those that all pages share (style.html, pointing.html, table.html)."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reslab.pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["signed"] = lambda number: f"{number:,.2f}".replace("-", "−")
    environment.globals["wrong"] = {"holds": "holds", "does not hold": "not-hold", "not decided": "open"}
    return environment.get_template(name)
