"""The command that measures speed."""

import json
from typing import Annotated

import typer

from reslab import api
from reslab.api.choices import Precision, Rival, Work
from reslab.cli.options import AsJson, Compile, DeviceName, EngineName, NetworkName


def bench(
    name: NetworkName,
    rival: Annotated[Rival, typer.Option("--vs", help="the other side")] = "torch",
    what: Annotated[Work, typer.Option("--what", help="what is measured")] = "both",
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="images  [default: 128 small ones, 16]")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="turns of each side")] = 5,
    engine: EngineName = "torch",
    precision: Annotated[Precision, typer.Option("--precision", help="auto: the faster one")] = "auto",
    compile_: Compile = "off",
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure images per second beside another's in the same run, taking turns; medians, extremes, ratios."""
    pairs = api.bench_network(
        name,
        vs=rival,
        what=what,
        batch=batch,
        rounds=rounds,
        engine=engine,
        precision=precision,
        compile=compile_,
        device=device,
        progress=True,
    )
    for pair in pairs:
        if as_json:
            tree = {"work": pair.work, "ours": pair.ours.rounds, "theirs": pair.theirs.rounds, "vs": pair.theirs.title}
            typer.echo(
                json.dumps(tree | {"difference": pair.difference, "share_of_the_roof": pair.roof}, allow_nan=False)
            )
            continue
        typer.echo(pair.work)
        for side in (pair.ours, pair.theirs):
            typer.echo(f"  {side.title:24} {side}")
        ratios = pair.ratios
        typer.echo(f"  {'ratio':24} {ratios.median:.2f} ({min(ratios.rounds):.2f} to {max(ratios.rounds):.2f})")
        typer.echo(f"  results differ by {pair.difference:.1e}; {100 * (pair.roof or 0):.0f} % of the machine's roof")
