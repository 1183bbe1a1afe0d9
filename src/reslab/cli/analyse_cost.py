"""The command that counts and measures what networks cost."""

import shlex
from typing import Annotated

import typer

from reslab.cli.analyse import Out, Seed, Subjects, place, progress, written
from reslab.cli.options import REPORTS, AsJson, Device


def analyse_cost(
    subjects: Subjects,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="images at a time  [default: 64 small ones, 8]")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Count parameters, multiply-adds and activations of each part, and measure its time on this machine."""
    from reslab.analyse.cost_told import look
    from reslab.analyse.subject import alone
    from reslab.machine import find_device

    networks = alone(subjects, seed, find_device(device))
    small = max(network.spec.size for network in networks.values()) <= 64
    images = batch or (64 if small else 8)
    with progress("cost") as told:
        analysis = look(networks, images, told)
    where = ["--out", str(out)] if out else []
    command = shlex.join(["reslab", "analyse", "cost", *subjects, "--batch", str(images), *where])
    written(analysis, command, out or REPORTS / place("cost", list(subjects)), as_json)
