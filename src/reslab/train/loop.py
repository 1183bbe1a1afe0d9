"""The training loop."""

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track

from reslab.data.batches import Loader, positions
from reslab.data.crops import Crops, EvalCrop
from reslab.data.images import DataSet, Images
from reslab.data.loader import make_loader
from reslab.data.picture import shown
from reslab.data.seeds import torch_seed
from reslab.distributed import any_rank, broadcast_from_rank0, gather, process_group
from reslab.errors import SpecError
from reslab.evaluate import Evaluation, evaluate, renew_bn_statistics
from reslab.machine import tune_malloc
from reslab.nets import name_of
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.runs.answers import AnswerRecorder, Answers
from reslab.runs.checkpoint import TrainingState, read_checkpoint, restore_best, save_checkpoint
from reslab.runs.contents import Best, Metrics, Progress, Result, RunRecord, Split
from reslab.runs.execution import DEFAULT, Execution, choose, deterministic_mode
from reslab.runs.record import NullRecord, Record, described, environment, keep_recorded_choices
from reslab.runs.run import BEST, EvalSplit, Run
from reslab.spec import replace
from reslab.stop import Stop
from reslab.train import estimate
from reslab.train.batch_size import check_batch_size, check_shares
from reslab.train.learner import Learner
from reslab.train.meter import Meter
from reslab.train.start import Start
from reslab.train.step import has_fixed_buffers, make_step
from reslab.train.timing import Slowdown, fastest_threads
from reslab.train.trackers import Tracker, must_be_installed
from reslab.weights.file import Weights, not_finite, read_weights, save_weights

N = TypeVar("N", bound=NetworkSpec)
_LONG_WAIT = 5  # percent of the time
_TOP5_ABOVE = 10  # classes: of fewer, five are half of them or more


def fitted(network: N, data: DataSet) -> N:
    """The network for a data set's images and classes; pictures are cropped to the size that it has."""
    size = data.size or network.size
    return replace(network, channels=data.channels, size=size, classes=len(data.classes))


def train(
    network: NetworkSpec | Start,
    recipe: Recipe,
    data: DataSet,
    out: Path,
    seed: int = 0,
    execution: Execution = DEFAULT,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a network in the run directory `out`. Returns the content of result.json.

    The network is for the data's images and classes (`fitted`), with fresh weights, or is what `start_from` made of a
    file, whose weights determine the normalisation. Everything random is a pure function of the seed and the step:
    torch's own generator is seeded at each step. A resumed run continues from its last whole checkpoint and ends with
    the weights of an uninterrupted one. SIGTERM, SIGINT, SIGHUP and SIGUSR1, or the time
    `execution.stop_after`, end the run after the step, saved, with status "stopped"; a loss or weights that are not
    finite end it with status "diverged", a result like any other, with the images of the batch. Under torchrun the
    ranks share each batch. Progress is printed on `console`.
    Raises SpecError if the network does not fit the data, if `out` holds something else, or if an exact resume is
    impossible; DataError if a picture cannot be read.
    """
    start = network if isinstance(network, Start) else Start(network)
    network = start.network
    data = _with_validation(data, recipe)
    _check(start, recipe, data, out)
    must_be_installed(execution.log)
    execution = keep_recorded_choices(execution, out)
    tune_malloc(estimate.needs_low_memory(network, recipe.batch, execution.recompute))
    chosen = choose(execution, estimate.work(network, recipe), network.cost().convolutions, recipe.steps)
    device = torch.device(chosen.device)
    with (
        process_group() as ranks,
        Stop(execution.stop_after) as stop,
        fastest_threads(network, recipe, execution, chosen, is_new=not Run(out).exists) as chosen,
        deterministic_mode(execution.deterministic),
        make_loader(data, device, network.size, start.normalise, execution.on_bad) as loader,
    ):
        check_shares(recipe, ranks.total)
        loader.check(recipe.augment, recipe.crops)
        run_record = RunRecord(
            network=start.network,  # type: ignore[arg-type]
            name=name_of(start.network),
            weights=start.source,
            recipe=recipe,
            data=data.name,
            data_set=described(data),
            seed=seed,
            **environment(execution, chosen),
        )
        with (
            Record(out, run_record, execution.resume != "never") if ranks.first else NullRecord() as record,
            Tracker(execution.log if ranks.first else None, out, console) as tracker,
        ):
            reporter = _Reporter(console if ranks.first else None, recipe, tracker)
            reporter.print(start.messages())
            reporter.print(estimate.messages(network, recipe, data, execution.recompute, chosen))
            torch.manual_seed(torch_seed(seed, "weights", 0))
            bf16 = chosen.precision == "bf16"
            learner = Learner(
                start.build(recipe.zero_head).to(device),
                recipe,
                execution.recompute,
                bf16,
                chosen.compile,
                captured=device.type == "cuda" and has_fixed_buffers(loader, recipe),
            )
            training = _Training(out, seed, record, loader, learner, reporter)
            return tracker.ended(training.run(training.restore(execution.resume), stop))


def _check(start: Start, recipe: Recipe, data: DataSet, out: Path) -> None:
    """Raises SpecError for a training that cannot be."""
    if recipe.freeze and start.source is None:
        raise SpecError(f"freeze {recipe.freeze}: fresh weights would stay as they are; give those of a run or file")
    if start.network != fitted(start.network, data):
        raise SpecError(f"the network does not have the images and classes of {data.name}; train fitted(network, data)")
    check_batch_size(start.network, recipe, recipe.batch)
    if any("\ud800" <= letter <= "\udfff" for letter in str(out)):
        raise SpecError(f"{shown(out)}: not a UTF-8 path, and safetensors cannot read files there; choose another out")


def _with_validation(data: DataSet, recipe: Recipe) -> DataSet:
    """The data set with the validation images that a recipe asks for."""
    if recipe.validation and data.validation is None:
        return data.hold_out(recipe.validation)
    if recipe.best and data.validation is None:
        raise SpecError("best: chosen by validation images, and there are none; --set validation=0.1 holds some out")
    return data


class _Reporter:
    """Prints the progress of a training on a console, if there is one, and logs it to a tracker."""

    def __init__(self, console: Console | None, recipe: Recipe, tracker: Tracker):
        self._console = console
        self._recipe = recipe
        self._tracker = tracker
        self._slowdown = Slowdown()

    def print(self, lines: Iterable[str]) -> None:
        if self._console is not None:
            for line in lines:
                self._console.print(line, highlight=False, soft_wrap=not self._console.is_terminal)

    def steps(self, first: int) -> Iterable[int]:
        """The steps from `first` on, with a progress bar on a terminal."""
        hidden = self._console is None or not self._console.is_terminal
        steps = range(first, self._recipe.steps)
        return track(steps, "training", console=self._console, disable=hidden, transient=True)

    def log(self, line: Metrics, split: EvalSplit) -> None:
        self._tracker.log(line)
        left = self._recipe.steps - line.step
        text = f"step {line.step}/{self._recipe.steps}  rate {line.rate:.3g}  training error {line.train_error:.2f} %"
        if (error := line.error(split)) is not None:
            text += f"  {split} error {error:.2f} %"
        text += f"  {line.images_per_second:,.0f} images/s"
        if line.waiting >= _LONG_WAIT:
            text += f"  {line.waiting:.0f} % of the time waiting for data"
        if left and line.images_per_second:  # 0 if all steps since the last log were compilation
            text += f"  {duration(left * self._recipe.batch / line.images_per_second)} left"
        self.print([text])
        if message := self._slowdown.message(line.images_per_second):
            self.print([message])

    def stopped(self, step: int, images_per_second: float) -> None:
        """What is left of a run that stops."""
        left = self._recipe.steps - step
        text = f"{left:,} of {self._recipe.steps:,} steps are left"
        if images_per_second:
            text += f", about {duration(left * self._recipe.batch / images_per_second)}"
        self.print([text])


class _NotFiniteError(Exception):
    """A loss or weight that is not finite at a step, counted from 0."""

    def __init__(self, step: int):
        self.step = step


class _Training:
    """A training in progress."""

    def __init__(
        self, out: Path, seed: int, record: Record | NullRecord, loader: Loader, learner: Learner, reporter: _Reporter
    ):
        self.out = out
        self.seed = seed
        self.record = record
        self.loader = loader
        self.learner = learner
        self.reporter = reporter
        self.recipe = learner.recipe
        self.ranks = learner.ranks
        self.meter = Meter(loader.device)
        self.eval_split: EvalSplit = "test" if loader.data.validation is None else "validation"
        self.evaluation: Evaluation | None = None  # the last one of the eval split
        self.answers: Answers | None = None  # of the last weights for the test split
        self.best: Best | None = None

    def restore(self, resume: str) -> int:
        """Restore the last whole checkpoint; return the next step, 0 without a checkpoint."""
        folder = broadcast_from_rank0(self.record.checkpoint)
        if self.ranks.first:
            restore_best(self.out, folder)
        if folder is None:
            self.record.rewind(0)
            return 0
        differences = broadcast_from_rank0(self.record.differences())
        if differences and resume == "exact":
            raise SpecError(f"{self.out}: no exact resume: {differences}; --resume alone resumes statistically")
        state = read_checkpoint(folder)
        self.learner.load(state)
        progress = state.progress
        self.record.rewind(progress.metrics_bytes)
        self.record.resumed(progress.step)
        self.meter.load(progress.meter, self.ranks.first)
        self.best = progress.best
        self.reporter.print([f"resumes after step {progress.step}"])
        if differences:
            self.reporter.print([f"statistical resume, not bit for bit: {differences}"])
        return progress.step

    def run(self, first: int, stop: Stop) -> dict[str, Any]:
        """Train from step `first` on; return the content of result.json."""
        try:
            result = self._steps(first, stop) or self._final_result()
            return self.record.finish(result, self.answers if result.status == "finished" else None)
        except _NotFiniteError as error:
            split, batch = self.loader.split("train"), self.recipe.batch
            images = split.names(positions(self.seed, error.step, batch, len(split.labels)))
            result = Result("diverged", error.step + 1, **self.meter.totals(), batch=tuple(images))
            return self.record.finish(result)

    def _steps(self, first: int, stop: Stop) -> Result | None:
        """Train; None at the end, or the result of a stop."""
        recipe, learner, meter = self.recipe, self.learner, self.meter
        one_step = make_step(learner, meter, self.loader, self.seed, first, self._graph)
        meter.resume()
        for step in self.reporter.steps(first):
            one_step.take(step)
            if step == first and learner.compiles:
                meter.compiled(recipe.batch)

            done = step + 1
            last, stops = done == recipe.steps, any_rank(stop.asked)
            evaluates = last or done % recipe.evaluate_every == 0
            logs = evaluates or done % recipe.log_every == 0
            saves = last or stops or done % recipe.checkpoint_every == 0
            if not (logs or saves):
                continue
            if (bad := meter.first_bad()) is not None:
                raise _NotFiniteError(bad)
            if saves and any_rank(not learner.is_finite()):
                raise _NotFiniteError(step)
            if last and recipe.bn_statistics == "anew":
                renew_bn_statistics(learner.eval_model(), self.loader.views("train", 1))
            if logs:
                self._log(done, evaluates)
            if saves:
                self._save(done, last)
            if stops and not last:
                totals = meter.totals()
                self.reporter.stopped(done, totals["images_per_second"])
                return Result("stopped", done, **totals)
            meter.resume()
        return None

    def _graph(self, outcome: str) -> None:
        """Record whether the step is a CUDA graph."""
        self.record.graph(outcome)
        self.reporter.print([f"CUDA graph of the step: {outcome}"])

    def _log(self, done: int, evaluates: bool) -> None:
        line = Metrics(step=done, rate=self.recipe.rate(done - 1), **self.meter.since_last_log())
        if evaluates:
            self.evaluation = evaluation = self._evaluate(self.eval_split, done)
            changes: dict[str, Any] = {
                f"{self.eval_split}_loss": evaluation.loss,
                f"{self.eval_split}_error": evaluation.top1_error,
            }
            if len(self.loader.data.classes) > _TOP5_ABOVE:
                changes[f"{self.eval_split}_top5_error"] = evaluation.top5_error
            line = dataclasses.replace(line, **changes)
            if self.recipe.best:
                self._keep_best(done, evaluation)
        self.record.log(line)
        self.reporter.log(line, self.eval_split)

    def _evaluate(self, split: Split, done: int, crops: Crops = 1) -> Evaluation:
        network = self.learner.eval_model()
        data = self.loader.data
        keeps = split == "test" and done == self.recipe.steps
        recorder = AnswerRecorder(len(data.classes), len(data.test.labels)) if keeps else None
        evaluation = evaluate(network, self.loader.views(split, crops), recorder)
        if not math.isfinite(evaluation.loss) or not_finite(network.state_dict()):
            raise _NotFiniteError(done - 1)
        if recorder is not None:
            self.answers = recorder.answers
        return evaluation

    def _final_result(self) -> Result:
        """Evaluate the last weights and, if they are kept, the best ones."""
        recipe, totals = self.recipe, self.meter.totals()
        evaluations: dict[str, Any] = {}
        wanted: list[tuple[Split, Crops]] = [("test", recipe.crops), ("train", 1), (self.eval_split, 1)]
        for split, crops in wanted:
            if split not in evaluations:  # the eval split may be the test split, whose crops are the recipe's
                known = self.evaluation if split == self.eval_split and crops == 1 else None
                evaluations[split] = known or self._evaluate(split, recipe.steps, crops)
        best, answers = self.best, self.answers
        if best is not None:
            self.learner.eval_model().load_state_dict(read_weights(self.out / BEST).state)
            best = dataclasses.replace(best, test=self._evaluate("test", recipe.steps, recipe.crops))
            self.answers = answers
        return Result("finished", recipe.steps, **totals, **evaluations, best=best, skipped=gather(self.loader.skipped))

    def _save(self, done: int, last: bool) -> None:
        learner, weights = self.learner, self._weights()
        progress = Progress(done, self.meter.state(), self.record.synced(), self.best)
        if self.ranks.first:
            state = TrainingState(weights, progress)
            if not last:
                state = state._replace(training=learner.training_state(), optimizer=learner.optimizer_state())
            save_checkpoint(self.out, state, self.recipe.checkpoints_kept)

    def _keep_best(self, done: int, evaluation: Evaluation) -> None:
        best = self.best
        if best and (best.validation_error, best.validation_loss) <= (evaluation.top1_error, evaluation.loss):
            return
        self.best = Best(done, evaluation.top1_error, evaluation.loss)
        weights = self._weights()
        if self.ranks.first:
            save_weights(weights, self.out / BEST)

    def _weights(self) -> Weights:
        """The weights to save, with their normalisation and classes."""
        network = self.learner.eval_model()
        state = {key: tensor.cpu() for key, tensor in network.state_dict().items()}
        data = self.loader.data
        crop: EvalCrop = "square" if isinstance(data.train, Images) else "center"
        return Weights(network.spec, state, self.loader.normalise, data.classes, crop)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "3 h 20 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
