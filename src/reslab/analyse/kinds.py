"""Subjects of one kind, the same network under several seeds, and the kinds that a paper compares."""

from collections.abc import Iterable, Sequence
from dataclasses import replace as with_part

import numpy as np

from reslab.analyse.analysis import Finding
from reslab.analyse.subject import Subject
from reslab.nets import Add, ResNet
from reslab.nets.network import NetworkSpec
from reslab.spec import replace
from reslab.stats import Sample, compare

Kinds = dict[NetworkSpec, list[Subject]]


def kinds(subjects: Iterable[Subject]) -> Kinds:
    """The subjects by their network, in the order given."""
    found: Kinds = {}
    for subject in subjects:
        found.setdefault(subject.spec, []).append(subject)
    return found


def name(subjects: Sequence[Subject]) -> str:
    """What figures call a kind: its network, or what the user calls its only subject."""
    return subjects[0].label if len(subjects) == 1 else f"{subjects[0].kind} (n = {len(subjects)})"


def counterparts(found: Kinds) -> list[tuple[NetworkSpec, NetworkSpec]]:
    """Each residual network with the plain one of the same layers, where both are there. A sec. 3.3."""
    residual = [spec for spec in found if isinstance(spec, ResNet) and spec.shortcut]
    pairs = ((spec, replace(spec, shortcut=None, merge=Add())) for spec in residual)
    return [(spec, plain) for spec, plain in pairs if plain in found]


def deeper(found: Kinds) -> list[tuple[NetworkSpec, NetworkSpec]]:
    """Residual networks that differ in depth alone, each with the next deeper one."""
    residual = sorted((spec for spec in found if isinstance(spec, ResNet) and spec.shortcut), key=lambda s: s.depth)
    pairs: list[tuple[NetworkSpec, NetworkSpec]] = []
    for place, spec in enumerate(residual):
        alike = [other for other in residual[place + 1 :] if replace(spec, units=other.units) == other]
        pairs += [(spec, other) for other in alike[:1] if other.depth > spec.depth]
    return pairs


def judged(
    claim: str, source: str, what: str, sides: tuple[Sample | float, Sample | float], of: tuple[list[Subject], ...]
) -> Finding:
    """A claim that the first side is lower than the second; `of` are the subjects of both, a number stands for itself.

    what: which figure of a network is compared; those of which it is not finite are left out, and named
    """
    left_out: list[str] = []
    lower, higher = (_finite(side, subjects, left_out) for side, subjects in zip(sides, of, strict=True))
    judgement, _ = compare(lower, higher)
    words = [_said(side, subjects) for side, subjects in zip((lower, higher), of, strict=True)]
    few = any(not side.exact and side.n < 2 for side in (lower, higher))
    told = f"{what}: {' and '.join(words)}" + "; two runs of each decide" * few
    return Finding(claim, source, judgement, told + f"; left out: {', '.join(left_out)}" * bool(left_out))


def _finite(side: Sample | float, subjects: Sequence[Subject], left_out: list[str]) -> Sample:
    if not isinstance(side, Sample):
        return Sample((side,), exact=True)
    left_out += [one.label for one, value in zip(subjects, side.values, strict=True) if not np.isfinite(value)]
    return with_part(side, values=tuple(value for value in side.values if np.isfinite(value)))


def _said(side: Sample, subjects: Sequence[Subject]) -> str:
    if side.exact:
        return f"the bound {side}"
    return " ".join(filter(None, (subjects[0].kind, mean(side.values), f"(n = {side.n})")))


def not_finite(found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What is said of values that are infinite or no numbers; `found` are the networks and moments that have some."""
    moments: dict[str, list[str]] = {}
    for label, moment in found:
        moments.setdefault(label, []).append(moment)
    if not moments:
        return ()
    named = "; ".join(f"{label} ({', '.join(those)})" for label, those in moments.items())
    return (f"Values that are not finite in {named}: tables and figures leave them out, no claim is judged by them.",)


def mean(values: Sequence[float]) -> str:
    """The mean of some runs with its spread, in three digits, whatever their magnitude; "" where it is not finite."""
    found = Sample(tuple(values))
    if not found.values or not np.isfinite(found.values).all():
        return ""
    return f"{found.mean:.3g}" + (f" ± {found.std:.2g}" if found.std is not None else "")
