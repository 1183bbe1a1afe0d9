"""The command that measures speed."""

import json
from typing import Annotated

import typer

from reslab.cli.options import AsJson, EngineName, NetworkName, console, one_of


def bench(
    name: NetworkName,
    rival: Annotated[str, typer.Option("--vs", help="torch, torchvision, timm or akamaster-style")] = "torch",
    what: Annotated[str, typer.Option("--what", help="training, inference or both")] = "both",
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="images  [default: 128 small ones, 16]")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="turns of each side")] = 5,
    engine: EngineName = "torch",
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16, or auto")] = "auto",
    compile_: Annotated[str, typer.Option("--compile", help="on or off")] = "off",
    as_json: AsJson = False,
) -> None:
    """Measure images per second beside another's in the same run, taking turns; medians, extremes, ratios."""
    from reslab.bench.rivals import RIVALS, counterpart
    from reslab.nets import network

    one_of("--vs", rival, RIVALS)
    one_of("--what", what, ("training", "inference", "both"))
    one_of("--compile", compile_, ("on", "off"))
    value = network(name)
    if rival in ("torchvision", "timm"):
        counterpart(rival, name)

    import torch

    from reslab.bench.compare import BenchSettings, inference, training
    from reslab.machine import processor

    how = BenchSettings(
        batch=batch or (128 if value.size <= 64 else 16),
        precision=precision,
        compiles=compile_ == "on",
        engine=engine,
        rounds=rounds,
    )
    console().print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}, n = {rounds}")
    for measure in (training, inference):
        if what not in (measure.__name__, "both"):
            continue
        pair = measure(value, rival, how)  # type: ignore[arg-type]
        if as_json:
            told = {"work": pair.work, "ours": pair.ours.rounds, "theirs": pair.theirs.rounds, "vs": pair.theirs.title}
            typer.echo(json.dumps(told | {"difference": pair.difference, "share_of_the_roof": pair.roof}))
            continue
        typer.echo(pair.work)
        for side in (pair.ours, pair.theirs):
            typer.echo(f"  {side.title:24} {side}")
        ratios = pair.ratios
        typer.echo(f"  {'ratio':24} {ratios.median:.2f} ({min(ratios.rounds):.2f} to {max(ratios.rounds):.2f})")
        typer.echo(f"  results differ by {pair.difference:.1e}; {100 * (pair.roof or 0):.0f} % of the machine's roof")
