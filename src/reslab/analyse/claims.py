"""Published claims, tested on networks under several seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_field
from typing import Any

import numpy as np

from reslab.analyse.inputs import Groups, Subject
from reslab.nets import Add, ResNet
from reslab.nets.network import NetworkSpec
from reslab.spec import replace
from reslab.stats import Judgement, Sample, comparison


@dataclass(frozen=True)
class ClaimResult:
    """A published claim, its source, its judgement, and the evidence: the measured numbers with their n.

    key: by which a statement of the review names claims of its kind; "" where none does
    """

    claim: str
    source: str
    judgement: Judgement
    evidence: str
    key: str = ""


def group_label(group: Sequence[Subject]) -> str:
    """The label of a group in figures and tables: its network with n, or the label of its only subject."""
    return group[0].label if len(group) == 1 else f"{group[0].kind} (n = {len(group)})"


def counterparts(groups: Groups) -> list[tuple[NetworkSpec, NetworkSpec]]:
    """Each residual network with the plain one of the same layers, where both are given. A sec. 3.3."""
    residual = [spec for spec in groups if isinstance(spec, ResNet) and spec.shortcut]
    bare: dict[str, Any] = {"shortcut": None, "merge": Add(), "pooled_shortcut": False}
    bare |= {"zero_last_bn": False, "initialisation": "he"}  # the others would start, and stay, at 0
    pairs = ((spec, replace(spec, **bare)) for spec in residual)
    return [(spec, plain) for spec, plain in pairs if plain in groups]


def deeper(groups: Groups) -> list[tuple[NetworkSpec, NetworkSpec]]:
    """Residual networks that differ in depth alone, each with the next deeper one."""
    residual = sorted((spec for spec in groups if isinstance(spec, ResNet) and spec.shortcut), key=lambda s: s.depth)
    pairs: list[tuple[NetworkSpec, NetworkSpec]] = []
    for place, spec in enumerate(residual):
        alike = [other for other in residual[place + 1 :] if vars(spec) | {"units": other.units} == vars(other)]
        pairs += [(spec, other) for other in alike[:1] if other.depth > spec.depth]
    return pairs


def test_claim(
    claim: str,
    source: str,
    metric: str,
    sides: tuple[Sample | float, Sample | float],
    of: tuple[list[Subject], ...],
    least: float = 0.0,
) -> ClaimResult:
    """Test a claim that the first side is lower than the second.

    sides: the metric over the subjects of a group, or a fixed bound; values that are not finite are left out
    of: the subjects of both sides
    least: the least difference that is worth the claim
    """
    left_out: list[str] = []
    lower, higher = (_finite(side, subjects, left_out) for side, subjects in zip(sides, of, strict=True))
    judgement = comparison(lower, higher, least=least).judgement
    texts = [_side_text(side, subjects) for side, subjects in zip((lower, higher), of, strict=True)]
    few = any(not side.exact and side.n < 2 for side in (lower, higher))
    evidence = f"{metric}: {' and '.join(texts)}" + "; two runs of each decide" * few
    return ClaimResult(claim, source, judgement, evidence + f"; left out: {', '.join(left_out)}" * bool(left_out))


def _finite(side: Sample | float, subjects: Sequence[Subject], left_out: list[str]) -> Sample:
    if not isinstance(side, Sample):
        return Sample((side,), exact=True)
    left_out += [one.label for one, value in zip(subjects, side.values, strict=True) if not np.isfinite(value)]
    return with_field(side, values=tuple(value for value in side.values if np.isfinite(value)))


def _side_text(side: Sample, subjects: Sequence[Subject]) -> str:
    if side.exact:
        return f"the bound {side}"
    return f"{subjects[0].kind}{f' {side:.3g}' if side.n else ''} (n = {side.n})"


def non_finite_warning(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The warning that names the (network, checkpoint) pairs with values that are not finite."""
    checkpoints: dict[str, list[str]] = {}
    for label, checkpoint in pairs:
        checkpoints.setdefault(label, []).append(checkpoint)
    if not checkpoints:
        return ()
    named = "; ".join(f"{label} ({', '.join(some)})" for label, some in checkpoints.items())
    return (f"Values that are not finite in {named}: tables and figures leave them out, no claim is judged by them.",)
