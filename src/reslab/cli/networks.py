"""Commands that show networks."""

import json
from typing import Annotated, Any

import typer

from reslab.cli.options import AsJson, Assignments, NetworkName, pairs
from reslab.errors import SpecError, nearest


def networks(
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="such as 'preact*'")] = "*",
    as_json: AsJson = False,
) -> None:
    """List the networks: names, parameters, multiply-adds, input, source."""
    from reslab.nets import NAMED, networks
    from reslab.nets.table import aligned

    found = networks(pattern)
    if not found:
        raise SpecError(f"no network matches {pattern!r}: {nearest(pattern, NAMED)}")
    listed: list[dict[str, Any]] = []
    for named in found:
        cost = named.network.cost()
        listed.append(
            {
                "name": named.name,
                "parameters": cost.parameters,
                "multiply_adds": cost.multiply_adds,
                "input": list(named.network.input),
                "source": named.source,
            }
        )
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    cells: list[tuple[str, ...]] = [("name", "parameters", "multiply-adds", "input", "source")]
    for row in listed:
        size = "×".join(str(length) for length in row["input"])
        cells.append((row["name"], f"{row['parameters']:,}", f"{row['multiply_adds']:,}", size, row["source"]))
    typer.echo(aligned(cells, right=(1, 2, 3)))


def show(name: NetworkName, assignments: Assignments = None, as_json: AsJson = False) -> None:
    """Show a network: the table of its stages and the drawing of its units."""
    from reslab.nets import NAMED, Staged, network
    from reslab.nets.table import diagrams
    from reslab.spec import override, plain

    shown = override(network(name), pairs(assignments))
    named = NAMED.get(name) if not assignments else None
    if as_json:
        told: dict[str, Any] = {"spec": plain(shown), "cost": shown.cost()._asdict()}
        told["layers"] = [layer._asdict() for layer in shown.layers()]
        typer.echo(json.dumps(told, indent=2))
        return
    if named:
        typer.echo(f"{name}: {named.source}")
        if named.deviation:
            typer.echo(f"differs: {named.deviation}")
        typer.echo("")
    typer.echo(str(shown))
    if isinstance(shown, Staged) and shown.auxiliary:
        cost = shown.auxiliary_cost()
        typer.echo(f"and, while training, {len(shown.auxiliary)} auxiliary classifiers: {cost.parameters:,} parameters")
    if drawings := diagrams(shown):
        typer.echo(f"\n{drawings}")
