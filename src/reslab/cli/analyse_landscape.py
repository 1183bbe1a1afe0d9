"""The command that measures the loss around weights."""

import shlex
import time
from typing import Annotated

import typer

from reslab.cli.analyse import Out, Subjects, place, progress, written
from reslab.cli.words import REPORTS, AsJson, DataName, Device, console
from reslab.train.stop import STOPPED


def analyse_landscape(
    subjects: Subjects,
    data: DataName,
    points: Annotated[int, typer.Option("--points", help="of the grid along each direction, an odd number")] = 21,
    reach: Annotated[float, typer.Option("--reach", min=0.001, help="of the grid; 1 is as far as the weights")] = 1.0,
    images: Annotated[int, typer.Option("--images", min=1, help="training images, evenly spread")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of the directions, and of fresh weights")] = 0,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="points at a time  [default: cores]")] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32, bf16, or auto: bf16 where it is")] = "auto",
    device: Device = "auto",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Map the loss over two random directions around the weights. Stopped, the same command goes on."""
    from dataclasses import replace

    from reslab.analyse import subject as looked
    from reslab.analyse.landscape import Grid, Landscape
    from reslab.analyse.landscape_told import tell
    from reslab.data.loader import load
    from reslab.machine import cores, find_device, find_precision, processor
    from reslab.train.stop import Stop

    where, began = find_device(device), time.monotonic()
    kind, _ = find_precision(precision, where)
    held = load(data)
    found = looked.subjects(subjects, held, seed, where)
    out = out or REPORTS / place("landscape", [each.kind for each in found], held.name)
    grid = Grid(points, reach, seed, kind)
    training = replace(held, test=held.train)
    landscapes = {}
    at_once = 1 if where == "cuda" else workers or cores()
    with Stop() as stop:
        for each in found:
            seen = looked.images(each, training, images, where)
            landscape = Landscape(
                out / f"{each.label.replace('/', '_')}.jsonl", list(each.states.values())[-1], seen, grid
            )
            landscapes[each.label] = landscape
            with progress(each.label) as told:
                whole = landscape.fill(at_once, stop, told)
            if not whole:
                console().print(
                    f"stopped: {len(landscape.missing)} points of {each.label} are missing; the same command goes on"
                )
                raise typer.Exit(STOPPED)
    count = len(held.train.labels)
    facts = {
        "networks": ", ".join(f"{each.label} ({each.kind})" for each in found),
        "images": f"{min(images, count):,} of {count:,} training images of {held.name}, as they are",
        "grid": f"{points} × {points} points, reach {reach:g}, seed {seed}, {kind}",
        "machine": f"{processor()}, {at_once} points at a time",
        "time": f"{time.monotonic() - began:.0f} s, without what was there before",
    }
    said = {"data": data, "points": points, "reach": reach, "images": images, "seed": seed, "precision": kind}
    options = [word for key, value in said.items() for word in (f"--{key}", str(value))]
    command = shlex.join(["reslab", "analyse", "landscape", *subjects, *options])
    written(tell(found, landscapes, facts), command, out, as_json)
