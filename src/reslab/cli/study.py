"""Commands that run the papers' tables and figures."""

from typing import TYPE_CHECKING, Annotated

import typer

from reslab.cli.words import REPORTS, RUNS, console
from reslab.errors import ReslabError
from reslab.train.stop import STOPPED

if TYPE_CHECKING:
    from reslab.study.plan import Plan

StudyName = Annotated[str, typer.Argument(metavar="NAME", help="a name from `reslab study list`")]
ScaleName = Annotated[str, typer.Option("--scale", help="demo, short or paper")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="seeds of each row  [default: the scale's]")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="runs at a time  [default: one for each core]")]

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


@app.command("run")
def study_run(name: StudyName, scale: ScaleName = "demo", seeds: Seeds = None, workers: Workers = None) -> None:
    """Train what a study is missing and render its report. Stopped at any moment, the same command goes on."""
    from reslab.machine import cores
    from reslab.study.run import run_plan

    plan = _plan(name, scale, seeds)
    told = console()
    missing = len(plan.missing)
    told.print(f"{name}, {scale} scale: {len(plan.runs)} runs, {len(plan.runs) - missing} of them done")
    try:
        failed = run_plan(plan, workers or cores(), told)
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
