"""Commands that run the papers' tables and figures."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from reslab.cli.options import REPORTS, RUNS, console
from reslab.errors import ReslabError
from reslab.stop import STOPPED

if TYPE_CHECKING:
    from reslab.study.plan import Plan

StudyName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab study list`")]
ScaleName = Annotated[str, typer.Option("--scale", help="demo, short or paper")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="seeds of each row  [default: the scale's]")]
Pictures = Annotated[
    str | None, typer.Option("--data", metavar="D", help="for studies on ImageNet: imagenet:PATH, or folder:PATH")
]
Budget = Annotated[
    float | None, typer.Option("--budget", min=0.01, help="hours on this machine; fewer seeds and steps to fit them")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="runs at a time  [default: one for each GPU, or core]")
]

app = typer.Typer(
    help="The papers' tables and figures: plan, run, report.", no_args_is_help=True, rich_markup_mode=None
)


def demo(workers: Workers = None) -> None:
    """See the degradation problem, and its cure, on embedded digits; then read the report. Some minutes."""
    study_run("degradation", "demo", None, workers)


@app.command("list")
def study_list() -> None:
    """List the studies: names, titles, scales, sources."""
    from reslab.nets.table import aligned
    from reslab.papers import STUDIES

    cells = [("name", "title", "scales", "source")]
    cells += [(study.name, study.title, ", ".join(study.scales), study.source) for study in STUDIES.values()]
    typer.echo(aligned(cells))


@app.command("show")
def study_show(
    name: StudyName, scale: ScaleName = "demo", seeds: Seeds = None, data: Pictures = None, budget: Budget = None
) -> None:
    """Show what a study would run at a scale, what it costs, what is done already, and what it claims."""
    from reslab.nets import name_of
    from reslab.nets.table import aligned
    from reslab.study.budget import GPU, on_cores, on_gpu
    from reslab.study.plan import hours

    plan = _plan(name, scale, seeds, data, budget)
    typer.echo(f"{plan.study.title}: {plan.study.source}\n{plan.study.question}\n")
    typer.echo(f"{scale} scale: {plan.scale.note}" + (f" {str(plan.cut).capitalize()}." if plan.cut else "") + "\n")
    cells = [("row", "network", "data", "steps", "done", "operations to train")]
    for row in plan.rows:
        of_row = [run for run in plan.runs if run.row == row.name]
        if not of_row:
            why = plan.absent.get(row.name, "counted, not trained")
            cells.append((row.name, name_of(plan.network(row)), why, "", "", ""))
            continue
        done, first = f"{len(plan.runs_of(row.name))}/{plan.seeds}", of_row[0]
        operations = f"{sum(run.operations for run in of_row):.1e}"
        cells.append((row.name, name_of(first.network), first.data, f"{first.recipe.steps:,}", done, operations))
    typer.echo(aligned(cells, right=(3, 4, 5)))
    if plan.runs:
        whole = sum(run.operations for run in plan.runs)
        typer.echo(f"\n{len(plan.runs)} runs, {whole:.1e} operations; {len(plan.missing)} are missing")
        if plan.missing:
            here, gpu = (sum(each(run.network, run.recipe) for run in plan.missing) for each in (on_cores, on_gpu))
            typer.echo(f"they take about {hours(here)} here, as busy as this machine is now;")
            typer.echo(f"on a GPU perhaps {hours(gpu)}, one behind the other (a guess: {GPU:.0e} operations a second)")
    typer.echo("\nclaims")
    for claim in plan.study.claims:
        at = f", {' and '.join(claim.scales)} scale" if claim.scales else ""
        typer.echo(f"  {claim.text} ({claim.source}{at})")
    typer.echo(f"\n{plan.command}")


@app.command("run")
def study_run(
    name: StudyName,
    scale: ScaleName = "demo",
    seeds: Seeds = None,
    workers: Workers = None,
    data: Pictures = None,
    budget: Budget = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="train on this Ray cluster, or auto: the one here")
    ] = None,
    ranks: Annotated[
        int, typer.Option("--ranks", min=1, help="processes that share each run's batches, begun by torchrun")
    ] = 1,
) -> None:
    """Train what a study is missing and render its report. Stopped at any moment, the same command goes on."""
    from reslab.data.loader import load
    from reslab.machine import cores

    plan = _plan(name, scale, seeds, data, budget)
    for needed in sorted({run.data for run in plan.missing}):
        plan.must_have_seen(load(needed))  # what is missing, damaged or another is told before anything is trained
    plan.keep_cut()
    told = console()
    missing = len(plan.missing)
    told.print(f"{name}, {scale} scale: {len(plan.runs)} runs, {len(plan.runs) - missing} of them done")
    for row, why in plan.absent.items():
        told.print(f"not run: {row}: {why}", highlight=False, soft_wrap=True)
    try:
        if ray:
            from reslab.study.cluster import run_on_ray

            failed = run_on_ray(plan, ray, told, max(ranks, cores() // (workers or cores())), ranks)
        else:
            from reslab.study.runner import default_workers, run_plan

            failed = run_plan(plan, workers or default_workers(ranks), told, ranks)
    except KeyboardInterrupt:
        done = len(plan.runs) - len(plan.missing)
        told.print(f"stopped: {done} of {len(plan.runs)} runs are done; the same command goes on from there")
        raise typer.Exit(STOPPED) from None
    _report(plan)
    for run, reason in failed.items():
        told.print(f"failed: {run.row}, seed {run.seed}: {reason}", soft_wrap=True)
    if failed:
        raise ReslabError(f"{len(failed)} runs have no result; the same command tries them again")


@app.command("report")
def study_report(
    name: StudyName, scale: ScaleName = "demo", seeds: Seeds = None, data: Pictures = None, budget: Budget = None
) -> None:
    """Render a study's report from the runs there are."""
    _report(_plan(name, scale, seeds, data, budget))


@app.command("watch")
def study_watch(
    name: StudyName,
    scale: ScaleName = "demo",
    seeds: Seeds = None,
    data: Pictures = None,
    budget: Budget = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="of the page; 0 takes a free one")] = 8137,
) -> None:
    """Serve a study's page on this machine alone while its runs go on; it updates itself. Ctrl-C ends it."""
    from reslab.pages.watch import LOOPBACK, server

    _plan(name, scale, seeds, data, budget)
    with server(lambda: _plan(name, scale, seeds, data, budget), port) as serving:
        console().print(f"http://{LOOPBACK}:{serving.server_port}/", highlight=False)
        with suppress(KeyboardInterrupt):
            serving.serve_forever()


def _plan(name: str, scale: str, seeds: int | None, data: str | None, budget: float | None) -> "Plan":
    from reslab.papers import study
    from reslab.study.plan import make_plan

    return make_plan(study(name), scale, RUNS, seeds, data, budget)


def _report(plan: "Plan") -> None:
    from reslab.pages.study import render, write_index
    from reslab.stats import Sample
    from reslab.study.verdict import verdicts

    page = render(plan, REPORTS / f"{plan.study.name}-{plan.scale_name}")
    index = write_index(REPORTS)

    def told(side: str | float, found: Sample) -> str:
        return (
            str(found) if not isinstance(side, str) else f"{side} {found}" + (f" (n = {found.n})" if plan.runs else "")
        )

    found = verdicts(plan)
    for verdict in found:
        claim = verdict.claim
        typer.echo(f"{verdict.judgement:15} {claim.text}")
        sides = f"{told(claim.lower, verdict.lower)}, {told(claim.higher, verdict.higher)}"
        typer.echo(f"{'':15} {sides}; {claim.metric}")
    together = [verdict for verdict in found if verdict.measured]
    if decided := sum(verdict.judgement != "not decided" for verdict in together):
        stand = sum(verdict.jointly != "not decided" for verdict in together)
        typer.echo(
            f"each at 95 %; {stand} of the {decided} decided ones stand at 95 % for all {len(together)} together"
        )
    typer.echo(f"report: {page}")
    typer.echo(f"all reports: {index}")
