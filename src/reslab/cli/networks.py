"""Commands that show networks."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reslab import api
from reslab.cli.options import AsJson, Assignments, NetworkName, message, pairs, print_table, print_text, terminal_width


def networks(
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="such as preact, or 'preact*'")] = "*",
    as_json: AsJson = False,
) -> None:
    """List the networks: names, parameters, multiply-adds, input, source."""
    rows = api.list_networks(pattern)
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2, allow_nan=False))
        return
    cells: list[tuple[str, ...]] = [("name", "parameters", "multiply-adds", "input", "source")]
    for row in rows:
        size = "×".join(map(str, row.input))
        cells.append((row.name, f"{row.parameters:,}", f"{row.multiply_adds:,}", size, row.source))
    if not api.fits(cells, terminal_width()):
        cells = [cell[:-1] for cell in cells]
        message("the sources need a wider terminal, or --json")
    print_table(cells, right=(1, 2, 3))


def show(name: NetworkName, assignments: Assignments = None, as_json: AsJson = False) -> None:
    """Show a network: the table of its stages and the drawing of its units."""
    shown = api.describe_network(name, pairs(assignments))
    if as_json:
        layers = [layer._asdict() for layer in shown.network.layers()]
        typer.echo(
            json.dumps(
                {"spec": shown.spec, "cost": shown.network.cost()._asdict(), "layers": layers},
                indent=2,
                allow_nan=False,
            )
        )
        return
    if shown.source:
        print_text(f"{name}: {shown.source}")
        if shown.deviation:
            print_text(f"differs: {shown.deviation}")
        typer.echo("")
    typer.echo(shown.table(terminal_width()))
    if shown.auxiliary:
        count, cost = shown.auxiliary
        typer.echo(f"and, while training, {count} auxiliary classifiers: {cost.parameters:,} parameters")
    if shown.diagrams:
        typer.echo(f"\n{shown.diagrams}")


def draw(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NETWORK...", help="names, or 'NAME key=value ...'; several stand side by side"),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="F", help="file that ends in .svg, .png or .pdf")] = Path(
        "network.svg"
    ),
    unit: Annotated[bool, typer.Option("--unit", help="the units with every layer, in place of the whole")] = False,
    assignments: Assignments = None,
) -> None:
    """Draw networks: stages, units and shortcuts, as in the papers' figures."""
    typer.echo(api.draw_network(names, out, unit=unit, assignments=pairs(assignments)))
