"""Commands that show recipes."""

import json
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import AsJson, print_table

app = typer.Typer(help="Show a recipe.", no_args_is_help=True, rich_markup_mode=None)


def recipes(as_json: AsJson = False) -> None:
    """List the recipes: names, steps, images of a step, and what they are."""
    rows = api.list_recipes()
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    cells: list[tuple[str, ...]] = [("name", "steps", "batch", "what it is")]
    cells += [(row.name, f"{row.steps:,}", f"{row.batch:,}", row.summary) for row in rows]
    print_table(cells, right=(1, 2))


@app.command("show")
def recipe_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab recipes`, or a file")],
    as_json: AsJson = False,
) -> None:
    """Show a recipe as TOML that --recipe reads: each field, its value, and what it means."""
    typer.echo(json.dumps(api.recipe_fields(name), indent=2) if as_json else api.recipe_text(name))


@app.callback()
def _recipe() -> None:
    """Show a recipe."""
