"""Signals and gradients as a table, a figure and claims. C eqs. 5 to 8; B sec. 3.3."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from reslab.analyse.analysis import Analysis, Finding, cell
from reslab.analyse.conditions import Conditions, part
from reslab.analyse.gradients import Gradients, gradients
from reslab.analyse.gradients_drawn import Measured, drawings
from reslab.analyse.kinds import Kinds, judged, kinds, mean, name, not_finite
from reslab.analyse.preserve import Mode, Told
from reslab.analyse.subject import INITIAL, Subject
from reslab.nets import Gated, ResNet
from reslab.stats import Judgement, Sample
from reslab.table import Column

VANISHED = 0.01
"""The product of shortcut factors below which the shortcuts carry next to nothing back."""
HEALTHY = 0.1
"""The least share of the last unit's gradient that must arrive behind the stem, for it not to have vanished."""

_ABOUT = (
    "Signal: the root mean square of the output behind the stem and behind every unit. Gradient: the norm of the "
    "derivative of one image's cross-entropy by that output, root mean square over images. Dotted: the gradient that "
    "the shortcuts alone would carry back from the last unit, the product of their factors. Paper C, eqs. 5 to 8."
)
_NOTES = (
    "The shortcut's factor is 1 for an addition, its scale where it is scaled, 1 − p where it is dropped (in "
    "expectation), and where it is gated the measured mean of 1 − g. A shortcut with weights has none: behind it the "
    "product begins anew. A plain network has no shortcut.",
    "The residuals add to what the shortcuts carry, so that the measured gradient may lie above the dotted line, and a "
    "ReLU behind the addition, or a shortcut that leaves out every other pixel, takes some of it away.",
    "A channel is dead where a ReLU gives zero for it in every image and position. A network has died where what "
    "its head averages is zero for every image.",
)
_INITIAL = "Initial weights are measured with the statistics of each batch, as BN's running statistics are empty then."


def look(subjects: Sequence[Subject], conditions: Conditions, told: Told | None = None) -> Analysis:
    """Measure and tell signals and gradients of subjects at every moment that they have."""
    began = time.monotonic()
    measured: dict[tuple[str, str], Gradients] = {}
    for index, subject in enumerate(subjects):
        seen = conditions.seen(subject)
        for number, (moment, network) in enumerate(subject.states.items()):
            mode: Mode = "train" if moment == INITIAL else conditions.mode
            heard = part(part(told, index, len(subjects)), number, len(subject.states))
            measured[subject.label, moment] = gradients(network, seen, mode, heard)
    found = kinds(subjects)
    return Analysis(
        kind="gradients",
        title=f"Signals and gradients on {conditions.data.name}",
        about=_ABOUT,
        table=_table(found, measured),
        drawings=drawings(found, measured),
        findings=tuple(_findings(found, measured)),
        facts=conditions.facts(subjects, began) | conditions.statistics(subjects),
        notes=(*_NOTES, _INITIAL),
        warnings=not_finite(key for key, one in measured.items() if not one.finite()),
        tables={"values": _values(measured)},
        networks={subject.label: subject.kind for subject in subjects},
    )


def _table(found: Kinds, measured: Measured) -> list[Column]:
    """Means over the runs of each kind, at every moment that one of them has."""
    rows = []
    for subjects in found.values():
        for moment in dict.fromkeys(moment for subject in subjects for moment in subject.states):
            group = [measured[subject.label, moment] for subject in subjects if moment in subject.states]
            means = [mean(values) for values in zip(*map(_told, group), strict=True)]
            died = sum(one.died for one in group)
            rows.append((name(subjects), moment, *means, f"{died} of {len(group)}"))
    titles = (
        "network",
        "weights",
        "signal behind the stem",
        "behind the last unit",
        "gradient: stem over last unit",
        "product of the shortcuts' factors",
        "dead channels, %",
        "died",
    )
    cells = zip(*rows, strict=True)
    return [Column(title, list(column), at > 1) for at, (title, column) in enumerate(zip(titles, cells, strict=True))]


def _told(one: Gradients) -> tuple[float, ...]:
    dead = one.dead[~np.isnan(one.dead)]
    return one.signal[0], one.signal[-1], one.ratio(), one.product(), 100 * dead.mean() if dead.size else np.nan


def _values(measured: Measured) -> list[Column]:
    lines = [
        (label, moment, block, *map(cell, numbers))
        for (label, moment), one in measured.items()
        for block, *numbers in zip(
            one.blocks, one.signal, one.gradient, one.predicted(), one.factor, one.dead, strict=True
        )
    ]
    titles = ("network", "weights", "behind", "signal", "gradient", "by shortcuts alone", "factor", "dead share")
    cells = zip(*lines, strict=True)
    return [Column(title, list(column), at > 2) for at, (title, column) in enumerate(zip(titles, cells, strict=True))]


def _findings(found: Kinds, measured: Measured) -> list[Finding]:
    """What A and C say of gradients, at a network's first moment, and B of networks that die, at its last."""
    findings = []
    for of in found.values():
        firsts = [measured[subject.label, next(iter(subject.states))] for subject in of]
        lasts = [measured[subject.label, list(subject.states)[-1]] for subject in of]
        findings += [*_carried(of, firsts), *_product(of, firsts)]
        died = sum(one.died for one in lasts)
        claim = f"The network is alive, its last maps are not all zero: {of[0].kind}"
        broken = sum(not np.isfinite(one.signal).all() for one in lasts)
        judgement: Judgement = "does not hold" if died else "not decided" if broken else "holds"
        told = f"{died} of {len(lasts)} died" + f"; the values of {broken} are not finite" * bool(broken)
        findings.append(Finding(claim, "B sec. 3.3", judgement, told))
    return findings


def _carried(of: list[Subject], firsts: list[Gradients]) -> Iterator[Finding]:
    """Whether the gradient arrives behind the stem: over identity shortcuts, and in a plain network."""
    ratio = Sample(tuple(one.ratio() for one in firsts))
    if any(one.gradient[-1] == 0 for one in firsts):
        return
    what = f"gradient behind the stem over that behind the last unit, {next(iter(of[0].states))} weights"
    factors = np.concatenate([one.factor[~np.isnan(one.factor)] for one in firsts])
    if factors.size and (factors == 1).all():
        claim = "Identity shortcuts carry the gradient back undiminished"
        yield judged(f"{claim}: {of[0].kind}", "C sec. 2, eq. 5", what, (1.0, ratio), (of, of))
    if isinstance(of[0].spec, ResNet) and of[0].spec.shortcut is None:
        claim = "BN keeps the gradient of a plain network from vanishing"
        yield judged(f"{claim}: {of[0].kind}", "A sec. 4.1", what, (HEALTHY, ratio), (of, of))


def _product(of: list[Subject], firsts: list[Gradients]) -> Iterator[Finding]:
    """Whether factors below 1 vanish, so that what comes back must come through the weights."""
    factors = np.array([one.factor[1:] for one in firsts])
    if not (factors < 1).all():
        return
    product = Sample(tuple(one.product() for one in firsts))
    claim = f"Shortcut factors below 1 multiply to next to nothing: {of[0].kind}"
    what = f"product of {factors.shape[1]} factors, {next(iter(of[0].states))} weights"
    if (factors == factors[0]).all() and not _gated(of[0]):  # given, and no seed changes them
        judgement: Judgement = "holds" if product.values[0] < VANISHED else "does not hold"
        yield Finding(claim, "C sec. 3, eq. 8", judgement, f"{what}: {product.values[0]:.3g}, the bound {VANISHED}")
    else:
        yield judged(claim, "C sec. 3, eq. 8", what, (product, VANISHED), (of, of))


def _gated(subject: Subject) -> bool:
    return isinstance(subject.spec, ResNet) and isinstance(subject.spec.merge, Gated)
