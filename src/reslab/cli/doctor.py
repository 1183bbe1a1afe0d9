"""Commands about this installation."""

import json

import typer

from reslab import api
from reslab.cli.options import AsJson, print_table, print_text


def version() -> None:
    """Show the version."""
    typer.echo(f"reslab {api.installed_version()}")


def doctor(as_json: AsJson = False) -> None:
    """Show what is installed here: versions, precision, compiler, GPUs, data sets, variables."""
    health = api.examine_machine()
    if as_json:
        typer.echo(json.dumps(health._asdict(), indent=2))
        return
    machine = [
        f"{health.processor}, {health.cores} cores, {health.memory / 2**30:.0f} GiB of memory",
        f"GPU: {', '.join(health.gpus) or 'none'}",
        f"precision auto: {health.precision} ({health.precision_why})",
        f"C++ compiler, for --compile: {health.compiler or 'none; install g++'}",
    ]
    print_text("\n".join(machine) + "\n")
    packages = [(name, text or f"missing{_install(extra)}") for name, (text, extra) in health.packages.items()]
    print_table([("package", "version"), ("python", health.python), *packages])
    typer.echo("")
    print_table([("data set", "state"), *health.data.items()])
    print_text(f"downloaded sets are in {health.data_root}; `reslab data get NAME` fetches one")
    if health.variables:
        typer.echo("")
        print_table([("variable", "value"), *health.variables.items()])


def _install(extra: str) -> str:
    return f"; pip install 'reslab[{extra}]'" if extra else ""
