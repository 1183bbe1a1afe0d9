"""How a network learns: one loop over steps."""

from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track

from reslab.data.batches import Loader, SplitName, positions
from reslab.data.images import DataSet, Images
from reslab.data.loader import make_loader
from reslab.data.picture import shown
from reslab.data.seeds import torch_seed
from reslab.distributed import any_rank, broadcast_from_rank0, gather, process_group
from reslab.errors import SpecError
from reslab.evaluate import Evaluation, evaluate
from reslab.machine import tune_malloc
from reslab.nets.network import NetworkSpec
from reslab.recipes.recipe import Recipe
from reslab.runs.checkpoint import BEST, restore, restore_best, save_checkpoint
from reslab.runs.execution import DEFAULT, Execution, choose, deterministic_mode
from reslab.runs.record import NullRecord, Record, facts, keep_recorded_choices
from reslab.spec import replace
from reslab.stop import Stop
from reslab.train.batch_size import check_batch_size
from reslab.train.estimate import forecast, needs_low_memory, work
from reslab.train.learner import Learner
from reslab.train.meter import Meter
from reslab.train.start import Start
from reslab.weights.file import Weights, read_weights, save_weights

N = TypeVar("N", bound=NetworkSpec)
_WORTH_TELLING = 5  # percent of the time


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
    """Train a network and keep its record in the run directory `out`. Returns what result.json holds.

    The network is that of the data's images and classes (`fitted`), with fresh weights, or what `start_from` made of a
    file, whose weights say how images are normalised. Everything random is a pure function of the seed and the step;
    torch's own generator is seeded anew at each step. A run that is resumed goes on from its last whole checkpoint and
    ends with the weights of one that never stopped. SIGTERM, SIGINT and SIGUSR1 end the run behind the step, saved,
    with status "stopped"; a loss or weights that are no longer finite end it with status "diverged", a result like any
    other, which names the batch. Started by torchrun, the ranks share each batch. Progress is shown on `console`.
    Raises SpecError where the network does not fit the data, `out` holds something else, or an exact resume is not to
    be had; DataError where a picture cannot be read.
    """
    start = network if isinstance(network, Start) else Start(network)
    network = start.network
    if recipe.freeze and start.source is None:
        raise SpecError(f"freeze {recipe.freeze}: leaves fresh weights as they are; begin with those of a run or file")
    if network != fitted(network, data):
        raise SpecError(f"the network does not have the images and classes of {data.name}; train fitted(network, data)")
    check_batch_size(network, recipe, recipe.batch)
    if any("\ud800" <= letter <= "\udfff" for letter in str(out)):
        raise SpecError(f"{shown(out)}: not a UTF-8 path, and safetensors cannot read files there; choose another out")
    execution = keep_recorded_choices(execution, out)
    tune_malloc(needs_low_memory(network, recipe.batch, execution.recompute))
    chosen = choose(execution, work(network, recipe))
    place = torch.device(chosen.device)
    if recipe.validation and data.validation is None:
        data = data.hold_out(recipe.validation)
    if recipe.best and data.validation is None:
        raise SpecError("best: chosen by validation images, and there are none; --set validation=0.1 holds some out")
    with (
        process_group() as ranks,
        Stop() as stop,
        deterministic_mode(execution.deterministic),
        make_loader(data, place, network.size, start.normalise, execution.on_bad) as loader,
    ):
        loader.check(recipe.augment, recipe.crops)
        console = console if ranks.first else None
        told = facts(start, recipe, data, seed, execution, chosen)
        recorded = Record(out, told, execution.resume != "never") if ranks.first else NullRecord()
        with recorded as record:
            if console is not None:
                for line in (*start.told(), *forecast(network, recipe, data, execution.recompute, chosen)):
                    console.print(line, highlight=False, soft_wrap=True)
            torch.manual_seed(torch_seed(seed, "weights", 0))
            bf16 = chosen.precision == "bf16"
            learner = Learner(start.build().to(place), recipe, execution.recompute, bf16, chosen.compile)
            run = _Run(out, seed, record, loader, learner, console)
            first = run.restore(execution.resume)
            return run.steps(first, stop)


class _Run:
    """A training under way."""

    def __init__(
        self,
        out: Path,
        seed: int,
        record: Record | NullRecord,
        loader: Loader,
        learner: Learner,
        console: Console | None,
    ):
        self.out = out
        self.seed = seed
        self.record = record
        self.loader = loader
        self.learner = learner
        self.recipe = learner.recipe
        self.ranks = learner.ranks
        self.console = console
        self.meter = Meter(loader.device)
        self.watched: SplitName = "test" if loader.data.validation is None else "validation"
        self.best: dict[str, Any] | None = None

    def restore(self, resume: str) -> int:
        """Bring the run to its last whole checkpoint; return the step that comes next, 0 where there is none."""
        folder = broadcast_from_rank0(self.record.checkpoint)
        if self.ranks.first:
            restore_best(self.out, folder)
        if folder is None:
            self.record.rewind(0)
            return 0
        differences = broadcast_from_rank0(self.record.differences())
        if differences and resume == "exact":
            raise SpecError(f"{self.out}: no exact resume: {differences}; --resume alone goes on statistically")
        told = restore(folder, self.learner)
        self.record.rewind(told["metrics_bytes"])
        self.record.resumed(told["step"])
        self.meter.restore(told["meter"], self.ranks.first)
        self.best = told.get("best")
        if self.console is not None:
            self.console.print(f"goes on behind step {told['step']}", highlight=False)
            if differences:
                self.console.print(f"statistical resume, not bit for bit: {differences}", highlight=False)
        return int(told["step"])

    def steps(self, first: int, stop: Stop) -> dict[str, Any]:
        """Learn from step `first` on, and tell how it ended."""
        recipe, learner, meter = self.recipe, self.learner, self.meter
        batches = self.loader.batches(self.seed, range(first, recipe.steps), recipe.batch, recipe.augment)
        visible = self.console is not None and self.console.is_terminal
        numbers = track(
            range(first, recipe.steps), "training", console=self.console, disable=not visible, transient=True
        )
        watched = None
        meter.resume()
        for step in numbers:
            with meter.waits():
                images, labels = next(batches)
            check_batch_size(learner.network.spec, recipe, len(labels) * self.ranks.total)
            torch.manual_seed(torch_seed(self.seed, "dropout", step, self.ranks.rank))
            loss, logits = learner.train_step(images, labels, step)
            meter.add(step, loss, logits, labels)
            if step == first and learner.compiles:
                meter.set_aside(recipe.batch)

            done = step + 1
            last, stops = done == recipe.steps, any_rank(stop.asked)
            evaluates = last or done % recipe.evaluate_every == 0
            logs = evaluates or done % recipe.log_every == 0
            saves = last or stops or done % recipe.checkpoint_every == 0
            if logs or saves:
                bad = meter.first_bad()
                if bad is None and saves and any_rank(not learner.is_finite()):
                    bad = step
                if bad is not None:
                    return self._diverged(bad)
            if logs:
                line: dict[str, Any] = {"step": done, "rate": recipe.rate(step), **meter.read()}
                if evaluates:
                    watched = evaluate(learner.eval_model(), self.loader.views(self.watched))
                    line |= {f"{self.watched}_loss": watched.loss, f"{self.watched}_error": watched.top1_error}
                    if recipe.best:
                        self._keep_best(done, watched)
                self.record.log(**line)
                self._tell(line)
            if saves:
                self._save(done, last)
            if stops and not last:
                return self.record.finish({"status": "stopped", "step": done, **meter.totals()})
            if logs or saves:
                meter.resume()

        network = learner.eval_model()
        result: dict[str, Any] = {"status": "finished", "step": recipe.steps, **meter.totals()}
        parts: list[SplitName] = ["test", "train"]
        if self.watched not in parts:
            parts.append(self.watched)
        for part in parts:
            crops = recipe.crops if part == "test" else 1
            known = watched if part == self.watched and crops == 1 else None
            result[part] = (known or evaluate(network, self.loader.views(part, crops)))._asdict()
        if self.best:
            network.load_state_dict(read_weights(self.out / BEST).state)
            result["best"] = self.best | {"test": evaluate(network, self.loader.views("test", recipe.crops))._asdict()}
        if skipped := gather(self.loader.skipped):
            result["skipped"] = skipped
        return self.record.finish(result)

    def _save(self, done: int, last: bool) -> None:
        kept = self._kept()
        told = {"meter": self.meter.told(), "metrics_bytes": self.record.synced(), "best": self.best}
        if self.ranks.first:
            learner = None if last else self.learner
            save_checkpoint(self.out, done, kept, learner, told, self.recipe.checkpoints_kept)

    def _keep_best(self, done: int, watched: Evaluation) -> None:
        best = self.best
        if best and (best["validation_error"], best["validation_loss"]) <= (watched.top1_error, watched.loss):
            return
        self.best = {"step": done, "validation_error": watched.top1_error, "validation_loss": watched.loss}
        kept = self._kept()
        if self.ranks.first:
            save_weights(kept, self.out / BEST)

    def _kept(self) -> Weights:
        """The weights to keep, with what using them takes."""
        network = self.learner.eval_model()
        state = {key: tensor.cpu() for key, tensor in network.state_dict().items()}
        data = self.loader.data
        return Weights(network.spec, state, self.loader.normalise, data.classes, isinstance(data.train, Images))

    def _diverged(self, step: int) -> dict[str, Any]:
        part = self.loader.split("train")
        batch = part.names(positions(self.seed, step, self.recipe.batch, len(part.labels)))
        result = {"status": "diverged", "step": step + 1, **self.meter.totals(), "batch": batch}
        return self.record.finish(result)

    def _tell(self, line: dict[str, Any]) -> None:
        if self.console is None:
            return
        steps, step = self.recipe.steps, line["step"]
        text = f"step {step}/{steps}  rate {line['rate']:.3g}  training error {line['train_error']:.2f} %"
        if f"{self.watched}_error" in line:
            text += f"  {self.watched} error {line[f'{self.watched}_error']:.2f} %"
        text += f"  {line['images_per_second']:,.0f} images/s"
        if line["waiting"] >= _WORTH_TELLING:
            text += f"  {line['waiting']:.0f} % of the time waiting for data"
        if step < steps and line["images_per_second"]:  # none where compilation was all that there was
            text += f"  {duration((steps - step) * self.recipe.batch / line['images_per_second'])} left"
        self.console.print(text, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "3 h 20 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
