"""The page of groups of runs: what differs between them, a table with n and spread, curves, pairs and claims."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reslab.drawing import COLOURS, Drawing, line, style
from reslab.pages.page import Page
from reslab.papers.claims import METRICS
from reslab.stats import CONFIDENCE
from reslab.study.groups import MANY, Comparison, Contrast, Group
from reslab.table import Column

_POINTS = 60  # points of a curve that show their values, at most
_TITLE = 48  # letters of all groups' names in the page's title
_LONGEST = 36  # letters of a group's name in a figure
_HIGHEST = 40.0  # inches of a figure, which many groups share
_FORM = ".4g"


def render(comparison: Comparison, out: Path) -> Path:
    """Write report.html and the files beside it into `out`. Returns the page's path."""
    claims, pairs = comparison.contrasts(), comparison.pairs()
    values = {
        "comparison": comparison,
        "title": title(comparison),
        "metric": metric_title(comparison.metric),
        "answer": answer(comparison, pairs),
        "claims": claims,
        "pairs": pairs,
        "of_lowest": _is_of_lowest(pairs),
        "confidence": CONFIDENCE,
    }
    page = Page(
        "groups.html",
        values,
        tables={name: table for name, table in tables(comparison, claims, pairs).items() if table[0].values},
        drawings=drawings(comparison),
        results=_results(comparison, claims, pairs),
    )
    return page.write(out / "report.html")


def tables(comparison: Comparison, claims: Sequence[Contrast], pairs: Sequence[Contrast]) -> dict[str, list[Column]]:
    """The groups as "table", and "settings", "pairs", "claims" and "runs"; the files beside the page."""
    return {
        "table": _groups(comparison),
        "settings": _settings(comparison),
        "pairs": _contrasts(pairs),
        "claims": _contrasts(claims),
        "runs": _runs(comparison),
    }


def drawings(comparison: Comparison) -> dict[str, Drawing]:
    """The curves, where there are some, and the last values of all runs."""
    finals = {"finals": _finals(comparison)}
    if any(comparison.metric in run.curves for group in comparison.groups for run in group.runs):
        return {"curves": _curves(comparison)} | finals
    return finals


def metric_title(metric: str) -> str:
    """A metric of reslab in words, another's as it is called."""
    return next((str(text) for known, text in METRICS.items() if known == metric), metric)


def title(comparison: Comparison) -> str:
    """The metric, and the groups where they are few."""
    names = ", ".join(group.name for group in comparison.groups)
    what = names if len(names) <= _TITLE else f"{len(comparison.groups)} groups"
    return f"{metric_title(comparison.metric)}: {what}"


def answer(comparison: Comparison, pairs: Sequence[Contrast]) -> str:
    """The lowest and the highest mean in a sentence, and how many pairs differ."""
    samples = {group.name: comparison.sample(group.name, comparison.metric) for group in comparison.groups}
    means = {name: sample.mean for name, sample in samples.items() if sample.mean is not None}
    if len(means) < 2:
        return "There are not two groups to compare."
    low, *_, high = sorted(means, key=means.__getitem__)  # of equal ones two
    ends = " and ".join(
        f"{name} has the {word}, {samples[name]:{_FORM}} (n = {samples[name].n})"
        for name, word in ((low, "lowest"), (high, "highest"))
    )
    decided = sum(pair.jointly == "holds" for pair in pairs)
    of = "the pair differs" if len(pairs) == 1 else f"{decided} of {len(pairs)} pairs differ"
    if _is_of_lowest(pairs):
        of = f"{decided} of the {len(pairs)} others differ from the lowest"
    if len(pairs) == 1 and not decided:
        of = "whether they differ is not decided"
    together = ", all pairs together" if len(pairs) > 1 else ""
    return f"{ends}; {of} at {100 * CONFIDENCE:g} % confidence{together}."


def _is_of_lowest(pairs: Sequence[Contrast]) -> bool:
    """Whether all pairs have the group with the lowest mean, because there are many groups."""
    return len(pairs) >= MANY and len({pair.claim.lower for pair in pairs}) == 1


def _groups(comparison: Comparison) -> list[Column]:
    """Every group with its number of runs and its metrics."""
    groups = comparison.groups
    table = [Column("group", [group.name for group in groups], numbers=False)]
    table.append(Column("n", [_count(comparison, group) for group in groups]))
    values = [comparison.sample(group.name, comparison.metric).values for group in groups]
    for metric in (comparison.metric, *(metric for metric in comparison.metrics if metric != comparison.metric)):
        samples = [comparison.sample(group.name, metric) for group in groups]
        table.append(Column(metric_title(metric), samples, form=_FORM, empty="–"))
        if metric == comparison.metric:
            table.append(Column("least", [min(each, default=None) for each in values], form=_FORM, empty="–"))
            table.append(Column("greatest", [max(each, default=None) for each in values], form=_FORM, empty="–"))
    return table


def _settings(comparison: Comparison) -> list[Column]:
    """A line for each setting in which groups differ, a column for each group; none where one setting names them."""
    keys = list(dict.fromkeys(key for group in comparison.groups for key in group.fields))
    if len(keys) < 2:
        return [Column("setting", [])]
    values = [
        Column(group.name, [group.fields.get(key, "") for key in keys], numbers=False) for group in comparison.groups
    ]
    return [Column("setting", keys, numbers=False), *values]


def _count(comparison: Comparison, group: Group) -> int | str:
    n = comparison.sample(group.name, comparison.metric).n
    return n if n == len(group.runs) else f"{n} of {len(group.runs)}"


def _contrasts(contrasts: Sequence[Contrast]) -> list[Column]:
    """Two sides of each, the difference of their means and its interval."""
    intervals = [contrast.interval or (None, None) for contrast in contrasts]
    return [
        Column("lower", [str(contrast.claim.lower) for contrast in contrasts], numbers=False),
        Column("higher", [str(contrast.claim.higher) for contrast in contrasts], numbers=False),
        Column("lower's", [contrast.lower for contrast in contrasts], form=_FORM, empty="–"),
        Column("higher's", [contrast.higher for contrast in contrasts], form=_FORM, empty="–"),
        Column("difference", [contrast.difference for contrast in contrasts], form=_FORM, empty="–"),
        Column("interval from", [low for low, _ in intervals], form=_FORM, empty="–"),
        Column("to", [high for _, high in intervals], form=_FORM, empty="–"),
        Column("is lower", [contrast.judgement for contrast in contrasts], numbers=False),
        Column("all together", [contrast.jointly for contrast in contrasts], numbers=False),
    ]


def _runs(comparison: Comparison) -> list[Column]:
    runs = [(group.name, run) for group in comparison.groups for run in group.runs]
    table = [
        Column("group", [name for name, _ in runs], numbers=False),
        Column("seed", [run.seed for _, run in runs]),
        Column("run", [run.name for _, run in runs], numbers=False),
    ]
    return table + [
        Column(metric_title(metric), [run.values.get(metric) for _, run in runs], form=_FORM, empty="–")
        for metric in comparison.metrics
    ]


def _curves(comparison: Comparison) -> Drawing:
    """The metric over the steps: means over the seeds, bands from minimum to maximum."""
    with style():
        figure = Figure(figsize=(7.0, min(_HIGHEST, 3.6 + 0.2 * -(-len(comparison.groups) // 2))), layout="constrained")
        drawing = Drawing(figure, "Lines: means over the seeds; bands: minimum to maximum.")
        ax = figure.subplots()
        for index, group in enumerate(comparison.groups):
            _curve(drawing, ax, group, comparison.metric, line(index))
        ax.set(xlabel="step", ylabel=metric_title(comparison.metric).removeprefix("final "))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=9)
    return drawing


def _curve(drawing: Drawing, ax: Axes, group: Group, metric: str, look: dict[str, Any]) -> None:
    by_step: dict[float, list[float]] = {}
    for run in group.runs:
        for step, value in run.curves.get(metric, ()):
            by_step.setdefault(step, []).append(value)
    steps = sorted(by_step)
    means = [sum(by_step[step]) / len(by_step[step]) for step in steps]
    ax.plot(steps, means, linewidth=2, label=_label(group), **look)
    if len(group.runs) > 1:
        lows, highs = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
        ax.fill_between(steps, lows, highs, color=look["color"], alpha=0.12, linewidth=0)
    every = max(1, len(steps) // _POINTS)
    for step, mean in list(zip(steps, means, strict=True))[every - 1 :: every]:
        drawing.points.append((ax, step, mean, f"{group.name}, step {step:,g}: {mean:{_FORM}}"))


def _label(group: Group) -> str:
    return group.name if len(group.name) <= _LONGEST else f"{group.name[: _LONGEST - 1]}…"


def _finals(comparison: Comparison) -> Drawing:
    """The last value of every run: a faint mark for each, a strong one for the mean."""
    groups = comparison.groups
    with style():
        figure = Figure(figsize=(7.0, min(_HIGHEST, 0.9 + 0.34 * len(groups))), layout="constrained")
        drawing = Drawing(figure, "The last value: a faint mark for each run, a strong one for the mean.")
        ax = figure.subplots()
        for place, group in enumerate(groups):
            sample = comparison.sample(group.name, comparison.metric)
            if sample.mean is not None:
                ax.plot(sample.values, [place] * sample.n, "o", color=COLOURS[0], markersize=5, alpha=0.35)
                ax.plot([sample.mean], [place], "o", color=COLOURS[0], markersize=8)
                drawing.points.append((ax, sample.mean, place, f"{group.name}: {sample:{_FORM}} (n = {sample.n})"))
        ax.set_yticks(range(len(groups)), [_label(group) for group in groups])
        ax.set(xlabel=metric_title(comparison.metric), ylim=(len(groups) - 0.5, -0.5))
    return drawing


def _results(comparison: Comparison, claims: Sequence[Contrast], pairs: Sequence[Contrast]) -> dict[str, Any]:
    """The content of the page, as plain JSON types, with what the index of all reports reads."""
    runs = sum(len(group.runs) for group in comparison.groups)
    return {
        "title": title(comparison),
        "source": comparison.source,
        "scale": "compared",
        "command": comparison.command,
        "confidence": CONFIDENCE,
        "metric": comparison.metric,
        "groups": [_group(comparison, group) for group in comparison.groups],
        "claims": [_claim(contrast) for contrast in claims],
        "pairs": [_claim(contrast) for contrast in pairs],
        "cost": {"runs": runs, "planned": runs},
        "notes": list(comparison.notes),
    }


def _group(comparison: Comparison, group: Group) -> dict[str, Any]:
    samples = {metric: comparison.sample(group.name, metric) for metric in comparison.metrics}
    return {
        "group": group.name,
        "fields": dict(group.fields),
        "runs": [{"name": run.name, "seed": run.seed, **run.values} for run in group.runs],
        "measured": {
            metric: {"n": sample.n, "mean": sample.mean, "std": sample.std} for metric, sample in samples.items()
        },
    }


def _claim(contrast: Contrast) -> dict[str, Any]:
    return {
        "claim": str(contrast.claim),
        "judgement": contrast.judgement,
        "jointly": contrast.jointly,
        "difference": contrast.difference,
        "interval": contrast.interval,
    }
