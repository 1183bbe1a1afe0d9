"""The answer to a study's question in a sentence, made from its verdicts and numbers."""

from collections import Counter
from collections.abc import Sequence
from statistics import mean
from typing import Literal, NamedTuple

from reslab.papers.claims import METRICS
from reslab.stats import Judgement
from reslab.study.plan import Plan, PlannedRun
from reslab.study.verdict import Verdict

_ERRORS = ("test_error", "train_error", "top5_error")
_SINGULAR = {"millions": "million", "billions": "billion"}
Tone = Literal["holds", "does not hold", "not decided"]


class Answer(NamedTuple):
    """The answer in a word or two, the numbers that it rests on, and the judgement that colours it."""

    word: str
    numbers: str
    tone: Tone

    def __str__(self) -> str:
        return f"{self.word}: {self.numbers}" if self.numbers else f"{self.word}."


def answer(plan: Plan, verdicts: Sequence[Verdict]) -> Answer:
    """Yes if every claim of the study holds; the numbers of the claim with the largest difference of errors."""
    counts = Counter(verdict.judgement for verdict in verdicts)
    word, tone = _word(counts)
    if not counts:
        return Answer(word, "no claim of the study can be judged at this scale.", tone)
    if tone == "not decided" and (text := _unfinished(plan, verdicts)):
        return Answer(word, f"so far, {text}. {count_text(counts, len(verdicts))}.", tone)
    shown = [lead for judgement in _leading(counts) if (lead := _lead(verdicts, judgement))]
    sentences = "; but ".join(map(_numbers, shown))
    if not sentences:
        return Answer(word, "no run has finished." if plan.runs else "", tone)
    return Answer(word, f"{sentences}. {count_text(counts, len(verdicts))}.", tone)


def _word(counts: Counter[Judgement]) -> tuple[str, Tone]:
    holds, fails = counts["holds"], counts["does not hold"]
    undecided = counts.total() > holds + fails
    if not holds and not fails:
        return "Not decided", "not decided"
    if holds and fails:
        return "Only in part", "not decided"
    word = "Yes" if holds else "No"
    return f"{word}, as far as it is decided" if undecided else word, "holds" if holds else "does not hold"


def _leading(counts: Counter[Judgement]) -> tuple[Judgement, ...]:
    """The judgements whose claims the answer names."""
    decided: tuple[Judgement, ...] = ("holds", "does not hold")
    return tuple(judgement for judgement in decided if counts[judgement]) or ("not decided",)


def _lead(verdicts: Sequence[Verdict], judgement: Judgement) -> Verdict | None:
    """The claim of a judgement that says most: of two rows and of errors if there is one, the largest difference."""
    judged = [verdict for verdict in verdicts if verdict.judgement == judgement and verdict.difference is not None]

    def weight(verdict: Verdict) -> tuple[bool, bool, float]:
        claim = verdict.claim
        return len(claim.rows) == 2, claim.metric in _ERRORS, abs(verdict.difference or 0.0)

    return max(judged, key=weight, default=None)


def _numbers(verdict: Verdict) -> str:
    """ResNet-56 has 2.36 ± 0.73 % final test error where plain-56 has 60.14 ± 9.08 % (n = 4)."""
    claim, lower, higher = verdict.claim, verdict.lower, verdict.higher
    title, unit = METRICS[claim.metric]
    unit = f" {_SINGULAR.get(unit, unit)}" if unit else ""
    sides = [
        f"{name} has {sample}{unit}" if isinstance(side, str) else f"the bound is {sample}{unit}"
        for side, name, sample in zip((claim.lower, claim.higher), verdict.names, (lower, higher), strict=True)
    ]
    counts = sorted({sample.n for sample in (lower, higher) if not sample.exact})
    seeds = f" (n = {' and '.join(map(str, counts))})" if counts else ""
    return (
        f"{sides[0]} {title}, {sides[1]}{seeds}"
        if not isinstance(claim.lower, str)
        else (f"{sides[0]} {title} where {sides[1]}{seeds}")
    )


def _unfinished(plan: Plan, verdicts: Sequence[Verdict]) -> str:
    """The two rows of a claim on test errors at the last step that both have reached, where a run has not ended."""
    for verdict in verdicts:
        claim = verdict.claim
        if claim.metric != "test_error" or len(claim.rows) < 2 or verdict.difference is not None:
            continue
        sides = [plan.runs_of(row) or plan.begun_of(row) for row in claim.rows]
        evaluated = [_evaluated(plan, runs) for runs in sides]
        if common := evaluated[0].keys() & evaluated[1].keys():
            step = max(common)
            errors = [
                f"{mean(errors[step]):.2f} % {plan.eval_split} and {_training_error(runs, step):.2f} % training error"
                for errors, runs in zip(evaluated, sides, strict=True)
            ]
            seeds = " and ".join(str(count) for count in sorted({len(errors[step]) for errors in evaluated}))
            return (
                f"at step {step:,} of {sides[0][0].recipe.steps:,}, {verdict.names[0]} has {errors[0]} where "
                f"{verdict.names[1]} has {errors[1]} (n = {seeds})"
            )
    return ""


def _evaluated(plan: Plan, runs: Sequence[PlannedRun]) -> dict[int, list[float]]:
    """The errors of some runs on the eval split, by step."""
    errors: dict[int, list[float]] = {}
    for planned in runs:
        for line in planned.run.metrics:
            if (error := line.error(plan.eval_split)) is not None:
                errors.setdefault(line.step, []).append(error)
    return errors


def _training_error(runs: Sequence[PlannedRun], step: int) -> float:
    """The mean error of the training batches in the last evaluation interval before a step."""
    errors = []
    for planned in runs:
        first = step - planned.recipe.evaluate_every
        errors += [line.train_error for line in planned.run.metrics if first < line.step <= step]
    return mean(errors)


def count_text(counts: Counter[Judgement], total: int) -> str:
    """Of 4 claims, 3 hold and 1 is not decided."""
    verbs: dict[Judgement, tuple[str, str]] = {
        "holds": ("holds", "hold"),
        "does not hold": ("does not hold", "do not hold"),
        "not decided": ("is not decided", "are not decided"),
        "not run": ("is not run", "are not run"),
    }
    if total == 1:
        return f"The claim {next(verb for judgement, (verb, _) in verbs.items() if counts[judgement])}"
    if counts["holds"] == total:
        return f"All {total} claims hold"
    if counts["not decided"] == total:
        return f"None of {total} claims is decided"
    words = [f"{count} {verb[count > 1]}" for judgement, verb in verbs.items() if (count := counts[judgement])]
    return f"Of {total} claims, {', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]}"
