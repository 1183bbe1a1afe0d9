"""The command that measures the loss around weights."""

import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from reslab.cli.analyse import Out, Subjects, place, written
from reslab.cli.options import REPORTS, AsJson, DataName, Device, OnBad, one_of, say, tell_skipped
from reslab.stop import STOPPED

if TYPE_CHECKING:
    from reslab.analyse.landscape_record import Landscape


def analyse_landscape(
    subjects: Subjects,
    data: DataName,
    points: Annotated[int, typer.Option("--points", help="of the grid along each direction, an odd number")] = 21,
    reach: Annotated[float, typer.Option("--reach", min=0.001, help="of the grid; 1 is as far as the weights")] = 1.0,
    images: Annotated[int, typer.Option("--images", min=1, help="training images, evenly spread")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the directions, and of fresh weights")] = 0,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="processes  [default: one for each core]")
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16, or auto, the faster one")] = "auto",
    device: Device = "auto",
    on_bad: OnBad = "error",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Map the loss over two random directions around the weights. Stopped, the same command goes on."""
    from dataclasses import replace

    from reslab.analyse.conditions import Conditions
    from reslab.analyse.landscape import Grid, rounding
    from reslab.analyse.landscape_record import Landscape
    from reslab.analyse.landscape_told import tell
    from reslab.analyse.subject import subjects as subjects_of
    from reslab.data.loader import load
    from reslab.machine import cores, find_device, find_precision
    from reslab.stop import Stop

    one_of("--on-bad", on_bad, ("error", "skip"))
    where, began = find_device(device), time.monotonic()
    kind, _ = find_precision(precision, where)
    held = load(data)
    found = subjects_of(subjects, held, seed, where)
    folder = out or REPORTS / place("landscape", [each.kind for each in found], held.name)
    grid = Grid(points, reach, seed, kind)
    conditions = Conditions(replace(held, test=held.train), images, "eval", seed, where, on_bad)  # type: ignore[arg-type]
    at_once = 1 if where == "cuda" else workers or cores()
    landscapes = {}
    with Stop() as stop:
        seen = [conditions.seen(each) for each in found]
        tell_skipped(conditions.skipped)
        for each, batches in zip(found, seen, strict=True):
            network = list(each.states.values())[-1]
            file = folder / f"{each.label.replace('/', '_')}.jsonl"
            landscape = Landscape(file, network, batches, grid)
            landscapes[each.label] = landscape
            if not landscape.fill(at_once, stop, _with_time_left(each.label, landscape)):
                say(f"stopped: {len(landscape.missing)} points of {each.label} are missing; the same command goes on")
                raise typer.Exit(STOPPED)
    facts = {
        "networks": ", ".join(f"{each.label} ({each.kind})" for each in found),
        "images": f"{conditions.count('training')}, not augmented",
        "grid": f"{points} × {points} points, reach {reach:g}, seed {seed}, {kind}",
        "machine": f"{_machine(where)}, {at_once} points at a time",
        "time": f"{time.monotonic() - began:.0f} s, without what was there before",
    }
    if kind == "bf16":
        off = [f"{label} {rounding(each.network, each.images):.1g} nats" for label, each in landscapes.items()]
        facts["bf16 is off by"] = f"{', '.join(off)} at the weights, whose own loss is in float32"
    said = {"data": data, "points": points, "reach": reach, "images": images, "seed": seed, "precision": kind}
    said |= {"on-bad": on_bad} if on_bad != "error" else {}
    said |= {"out": out} if out else {}
    options = [word for key, value in said.items() for word in (f"--{key}", str(value))]
    command = shlex.join(["reslab", "analyse", "landscape", *subjects, *options])
    written(tell(found, landscapes, facts), command, folder, as_json)


def _machine(device: str) -> str:
    import torch

    from reslab.machine import processor

    return torch.cuda.get_device_name() if device == "cuda" else processor()


def _with_time_left(label: str, landscape: "Landscape") -> Callable[[float], None]:
    """Tell each tenth of a landscape, and the time that the rest takes."""
    from reslab.train.loop import duration

    began, points, missing = time.monotonic(), landscape.grid.points**2, len(landscape.missing)

    def told(share: float) -> None:
        done = round(share * points)
        left = points - done
        if left and done % max(1, points // 10) == 0:
            rest = (time.monotonic() - began) / (missing - left) * left
            say(f"{label}: {done} of {points} points, about {duration(rest)} left")

    return told
