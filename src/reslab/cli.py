"""The command line. Every command imports what it needs when it runs, so that help is quick."""

import json
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslab.errors import DivergedError, ReslabError, SpecError, nearest
from reslab.train.stop import STOPPED

if TYPE_CHECKING:
    from rich.console import Console

    from reslab.study.plan import Plan

RUNS = Path("runs")
REPORTS = Path("reports")

app = typer.Typer(
    name="reslab",
    help="A laboratory for residual networks: every network of the papers, their recipes, tables and figures.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
study_app = typer.Typer(
    help="The papers' tables and figures: plan, run, report.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(study_app, name="study")

NetworkName = Annotated[str, typer.Argument(metavar="NETWORK", help="a name from `reslab networks`")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="change a field, e.g. merge=dropped or merge.p=0.3")
]
AsJson = Annotated[bool, typer.Option("--json", help="for a program to read")]
StudyName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab study list`")]
ScaleName = Annotated[str, typer.Option("--scale", help="demo, short or paper")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="seeds of each row  [default: the scale's]")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="runs at a time  [default: one for each core]")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"reslab {version('reslab')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="show it")] = False,
) -> None:
    """Options of every command, which `main` reads."""


@app.command()
def demo(workers: Workers = None) -> None:
    """See the degradation problem, and its cure, on embedded digits; then read the report. Some minutes."""
    study_run("degradation", "demo", None, workers)


@app.command()
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


@app.command()
def show(name: NetworkName, assignments: Assignments = None, as_json: AsJson = False) -> None:
    """Show a network: the table of its stages and the drawing of its units."""
    from reslab.nets import NAMED, Staged, network
    from reslab.nets.table import diagrams
    from reslab.spec import override, plain

    shown = override(network(name), _pairs(assignments))
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


@app.command()
def train(
    name: NetworkName,
    data: Annotated[str, typer.Option("--data", help="digits, cifar10 or cifar100")],
    recipe: Annotated[str, typer.Option("--recipe", help="demo, paper-a-cifar or paper-c-cifar")],
    out: Annotated[Path | None, typer.Option("--out", help="the run directory  [default: in runs/, by name]")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="what everything random follows from")] = 0,
    assignments: Assignments = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a run that was stopped")] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: cuda where there is one")] = "auto",
) -> None:
    """Train a network; the run directory keeps its record, checkpoints and weights."""
    from reslab.nets import network
    from reslab.spec import override_each
    from reslab.train.recipe import recipe as find_recipe

    pairs = _pairs(assignments)
    for key in ("classes", "channels", "size"):
        if key in pairs:
            raise SpecError(f"--set {key}: follows from the data, choose another --data")
    chosen, how = override_each((network(name), find_recipe(recipe)), pairs)

    from reslab.data.loader import load
    from reslab.train.loop import find_device, fitted
    from reslab.train.loop import train as train_network
    from reslab.train.record import run_name

    place = find_device(device)
    images = load(data)
    chosen = fitted(chosen, images)
    out = out or RUNS / run_name(chosen, how, data, seed)
    console = _console()
    console.print(f"{name} on {data}, {how.steps:,} steps of {how.batch} images, on {place}; run {out}", soft_wrap=True)
    result = train_network(chosen, how, images, out, seed, place, console, resume)
    if result["status"] == "stopped":
        console.print(f"stopped behind step {result['step']}, saved; --resume goes on with it", soft_wrap=True)
        raise typer.Exit(STOPPED)
    if result["status"] == "diverged":
        raise DivergedError(f"{out}: the loss was no longer finite at step {result['step']}; try a lower rate")
    typer.echo(f"test error {result['test']['top1_error']:.2f} %  training error {result['train']['top1_error']:.2f} %")
    typer.echo(str(out))


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="a run directory, or weights that reslab wrote")],
    data: Annotated[str, typer.Option("--data", help="digits, cifar10 or cifar100")],
    as_json: AsJson = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: cuda where there is one")] = "auto",
) -> None:
    """Measure top-1 and top-5 error, in percent, and loss on the test images."""
    from reslab.weights.file import built, read_weights

    weights = read_weights(file)

    import torch

    from reslab.data.loader import Loader, load
    from reslab.evaluate import evaluate as evaluate_network
    from reslab.train.loop import find_device

    images = load(data)
    ours = (weights.network.classes, weights.network.channels)
    if ours != (theirs := (len(images.classes), images.channels)):
        told = "{} classes and {} channels"
        raise SpecError(f"{file}: a network of {told.format(*ours)}, but {data} has {told.format(*theirs)}")
    place = torch.device(find_device(device))
    loader = Loader(images, place, weights.normalise)
    found = evaluate_network(built(weights).to(place), loader, loader.test)
    if as_json:
        typer.echo(json.dumps(found._asdict()))
        return
    errors = f"top-1 error {found.top1_error:.2f} %  top-5 error {found.top5_error:.2f} %"
    typer.echo(f"{found.images:,} images  {errors}  loss {found.loss:.4f}")


@app.command()
def weights(
    file: Annotated[Path, typer.Argument(help="others' weights: .pth, .th, .pt or .safetensors")],
    name: Annotated[str, typer.Option("--as", metavar="NETWORK", help="the network that they are weights of")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Take in others' weights: check them against a network, map their keys, write a file that reslab loads."""
    from reslab.weights.convert import convert
    from reslab.weights.file import must_be_safetensors, save_weights

    must_be_safetensors(out)
    converted, notes = convert(file, name)
    save_weights(converted, out)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(str(out))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="a run directory, or weights that reslab wrote")],
    layout: Annotated[str, typer.Option("--format", help="torchvision: the keys that others give the tensors")],
    out: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Write weights for others' code."""
    if layout != "torchvision":
        raise SpecError(f"no format {layout!r}: choose from torchvision")
    from reslab.weights.convert import export as export_state
    from reslab.weights.file import must_be_safetensors, read_weights, save_state

    must_be_safetensors(out)
    save_state(export_state(read_weights(file)), out)
    typer.echo(str(out))


@study_app.command("list")
def study_list() -> None:
    """List the studies: names, titles, scales, sources."""
    from reslab.nets.table import aligned
    from reslab.papers import STUDIES

    cells = [("name", "title", "scales", "source")]
    cells += [(study.name, study.title, ", ".join(study.scales), study.source) for study in STUDIES.values()]
    typer.echo(aligned(cells))


@study_app.command("show")
def study_show(name: StudyName, scale: ScaleName = "demo", seeds: Seeds = None) -> None:
    """Show what a study would run at a scale, what is done already, and what it claims."""
    from reslab.nets.table import aligned

    plan = _plan(name, scale, seeds)
    typer.echo(f"{plan.study.title}: {plan.study.source}\n{plan.study.question}\n")
    typer.echo(f"{scale} scale: {plan.scale.note}\n")
    cells = [("row", "network", "steps", "done", "multiply-adds to train")]
    for row in plan.rows:
        run = next(run for run in plan.runs if run.row == row.name)
        work = 3 * run.network.cost().multiply_adds * run.recipe.steps * run.recipe.batch  # forward, and twice back
        done = f"{len(plan.runs_of(row.name))}/{plan.seeds}"
        cells.append(
            (row.name, f"depth {run.network.depth}", f"{run.recipe.steps:,}", done, f"{work * plan.seeds:.1e}")
        )
    typer.echo(aligned(cells, right=(2, 3, 4)))
    typer.echo("\nclaims")
    for claim in plan.study.claims:
        typer.echo(f"  {claim.text} ({claim.source})")
    typer.echo(f"\n{plan.command}")


@study_app.command("run")
def study_run(name: StudyName, scale: ScaleName = "demo", seeds: Seeds = None, workers: Workers = None) -> None:
    """Train what a study is missing and render its report. Stopped at any moment, the same command goes on."""
    from reslab.study.run import cores, run_plan

    plan = _plan(name, scale, seeds)
    console = _console()
    missing = len(plan.missing)
    console.print(f"{name}, {scale} scale: {len(plan.runs)} runs, {len(plan.runs) - missing} of them done")
    try:
        failed = run_plan(plan, workers or cores(), console)
    except KeyboardInterrupt:
        done = len(plan.runs) - len(plan.missing)
        console.print(f"stopped: {done} of {len(plan.runs)} runs are done; the same command goes on from there")
        raise typer.Exit(STOPPED) from None
    _report(plan)
    for run, reason in failed.items():
        console.print(f"failed: {run.row}, seed {run.seed}: {reason}", soft_wrap=True)
    if failed:
        raise ReslabError(f"{len(failed)} runs have no result; the same command tries them again")


@study_app.command("report")
def study_report(name: StudyName, scale: ScaleName = "demo", seeds: Seeds = None) -> None:
    """Render a study's report from the runs there are."""
    _report(_plan(name, scale, seeds))


def _plan(name: str, scale: str, seeds: int | None) -> "Plan":
    from reslab.papers import study

    found = study(name)
    of_scale = found.scale(scale)

    from reslab.data.loader import load
    from reslab.study.plan import make_plan

    return make_plan(found, scale, seeds, load(of_scale.data), RUNS)


def _report(plan: "Plan") -> None:
    from reslab.study.render import render
    from reslab.study.verdict import verdicts

    page = render(plan, REPORTS / f"{plan.study.name}-{plan.scale_name}")
    for verdict in verdicts(plan):
        claim = verdict.claim
        typer.echo(f"{verdict.judgement:15} {claim.text}")
        typer.echo(
            f"{'':15} {claim.lower} {verdict.lower} (n = {verdict.lower.n}), "
            f"{claim.higher} {verdict.higher} (n = {verdict.higher.n}); {claim.metric}"
        )
    typer.echo(f"report: {page}")


def _pairs(assignments: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in assignments or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SpecError(f"--set {text}: write key=value, for example --set steps=400")
        pairs[key] = value
    return pairs


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _stop(signal_number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _told(error: Exception) -> str:
    """One or two lines for an error; those that no one has foreseen say how to see more."""
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        return text if text.startswith("Usage:") else f"reslab: {text}"
    if isinstance(error, ReslabError):
        return f"reslab: {error}"
    return f"reslab: {type(error).__name__}: {error}\nthis should not happen; --debug shows where it comes from"


def main(words: Sequence[str] | None = None) -> None:
    """Run a command line and exit: 0 done, 2 wrong words, 3 bad data, 4 diverged, 75 stopped with its state saved."""
    words = sys.argv[1:] if words is None else list(words)
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = app(words, prog_name="reslab", standalone_mode=False) or 0
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        code = getattr(error, "exit_code", 1)
        print(_told(error), file=sys.stderr)
    sys.exit(code)
