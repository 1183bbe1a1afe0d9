"""How a network learns: one loop over steps."""

import math
import time
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from reslab.data.augment import draw, pad_crop_flip
from reslab.data.draws import torch_seed
from reslab.data.images import DataSet
from reslab.data.loader import Loader
from reslab.errors import SpecError
from reslab.evaluate import evaluate
from reslab.nets.modules import Network
from reslab.nets.network import NetworkSpec
from reslab.spec import replace
from reslab.train.checkpoint import restore, save_checkpoint
from reslab.train.optim import sgd
from reslab.train.recipe import Recipe
from reslab.train.record import Record, facts
from reslab.train.step import learn
from reslab.train.stop import Stop

N = TypeVar("N", bound=NetworkSpec)


def fitted(network: N, data: DataSet) -> N:
    """The network for a data set's images and classes."""
    return replace(network, channels=data.channels, size=data.size, classes=len(data.classes))


def find_device(word: str) -> str:
    """The device that a word says: "auto" is cuda where there is one. Raises SpecError where it is not to be had."""
    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if word not in ("cpu", "cuda"):
        raise SpecError(f"no device {word!r}: choose from auto, cpu, cuda")
    if word == "cuda" and not torch.cuda.is_available():
        raise SpecError("no cuda device here: use --device cpu")
    return word


def train(
    network: NetworkSpec,
    recipe: Recipe,
    data: DataSet,
    out: Path,
    seed: int = 0,
    device: str = "cpu",
    console: Console | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train a network and keep its record in the run directory `out`. Returns what result.json holds.

    The network is that of the data's images and classes (`fitted`). Everything random is a pure function of the seed
    and the step; torch's own generator is seeded anew at each step. With `resume` a run goes on from its last whole
    checkpoint and ends with the weights of one that never stopped. SIGTERM, SIGINT and SIGUSR1 end the run behind the
    step, saved, with status "stopped"; a loss that is no longer finite ends it with status "diverged", a result like
    any other. Progress is shown on `console`.
    Raises SpecError where the network does not fit the data or `out` holds something else.
    """
    if network != fitted(network, data):
        raise SpecError(f"the network does not have the images and classes of {data.name}; train fitted(network, data)")
    place = torch.device(device)
    with Stop() as stop, Record(out, facts(network, recipe, data.name, seed, place), resume) as record:
        torch.manual_seed(torch_seed(seed, "weights", 0))
        model = network.build().to(place)
        loader = Loader(data, place)
        optimizer = sgd(model, recipe)
        meter = Meter(place)
        first = _go_on(record, model, optimizer, meter, console) if resume else 0
        visible = console is not None and console.is_terminal
        test = None
        steps = track(range(first, recipe.steps), "training", console=console, disable=not visible, transient=True)
        for step in steps:
            torch.manual_seed(torch_seed(seed, "dropout", step))
            images, labels = loader.batch(seed, step, recipe.batch)
            if recipe.augment:
                draws = draw(seed, step, recipe.batch, recipe.augment.pad)
                images = pad_crop_flip(images, draws, recipe.augment.pad, recipe.augment.flip)
            rate = recipe.schedule(step)
            loss, logits = learn(model, optimizer, images, labels, rate)
            meter.add(loss, logits, labels)

            done = step + 1
            last = done == recipe.steps
            evaluates = last or done % recipe.evaluate_every == 0
            if evaluates or done % recipe.log_every == 0:
                line: dict[str, Any] = {"step": done, "rate": rate, **meter.read()}
                if not math.isfinite(line["train_loss"]):
                    return record.finish({"status": "diverged", "step": done, **meter.totals()})
                if evaluates:
                    test = evaluate(model, loader, loader.test)
                    line |= {"test_loss": test.loss, "test_error": test.top1_error}
                record.log(**line)
                _tell(line, recipe.steps, console)
                meter.resume()
            if last or stop.asked or done % recipe.checkpoint_every == 0:
                told = {"meter": meter.told(), "metrics_bytes": record.synced()}
                save_checkpoint(out, done, model, None if last else optimizer, told)
                meter.resume()
            if stop.asked and not last:
                return record.finish({"status": "stopped", "step": done, **meter.totals()})

        test = test or evaluate(model, loader, loader.test)  # none where only the result was missing
        ended = evaluate(model, loader, loader.train)
        result = {"status": "finished", "step": recipe.steps, **meter.totals()}
        return record.finish(result | {"test": test._asdict(), "train": ended._asdict()})


def _go_on(record: Record, model: Network, optimizer: torch.optim.SGD, meter: "Meter", console: Console | None) -> int:
    """Bring a run to its last checkpoint; return the step that comes next, 0 where there is none."""
    told = restore(record.out, model, optimizer)
    record.rewind(told["metrics_bytes"] if told else 0)
    if told is None:
        return 0
    meter.restore(told["meter"])
    differs = record.resumed(told["step"])
    if console is not None:
        console.print(f"goes on behind step {told['step']}", highlight=False)
        if differs:
            console.print(f"statistical resume, not bit for bit: {differs}", highlight=False)
    return int(told["step"])


class Meter:
    """Loss and error of the training batches between two readings, and the time that training them took.

    Sums stay on the device until they are read, so that no step waits for them.
    """

    def __init__(self, device: torch.device):
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        self.images = self.all_images = 0
        self.open_seconds = self.seconds = 0.0
        self._since = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        wrong = (logits.argmax(1) != labels).sum()
        self.sums += torch.stack([loss.double() * len(labels), wrong.double()])
        self.images += len(labels)

    def read(self) -> dict[str, float]:
        """Mean loss, error in percent and images per second since the last reading; the clock stops until `resume`."""
        loss, wrong = self.sums.tolist()
        self._pause()
        line = {
            "train_loss": loss / self.images,
            "train_error": 100 * wrong / self.images,
            "images_per_second": self.images / self.open_seconds,
        }
        self.seconds += self.open_seconds
        self.all_images += self.images
        self.sums.zero_()
        self.images, self.open_seconds = 0, 0.0
        return line

    def _pause(self) -> None:
        self.open_seconds += time.perf_counter() - self._since
        self._since = time.perf_counter()

    def resume(self) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()

    def told(self) -> dict[str, Any]:
        """All that it counted, for `restore`; the clock stops until `resume`."""
        self._pause()
        plain = {"images": self.images, "all_images": self.all_images}
        return plain | {"sums": self.sums.tolist(), "open_seconds": self.open_seconds, "seconds": self.seconds}

    def restore(self, told: dict[str, Any]) -> None:
        """Count on from what was told."""
        self.sums.copy_(torch.tensor(told["sums"], dtype=torch.float64))
        self.images, self.all_images = told["images"], told["all_images"]
        self.open_seconds, self.seconds = told["open_seconds"], told["seconds"]
        self.resume()

    def totals(self) -> dict[str, float]:
        """Seconds of training, data included and evaluation left out, and images per second over the whole run."""
        images, seconds = self.all_images + self.images, self.seconds + self.open_seconds
        return {"seconds": seconds, "images_per_second": images / seconds}


def _tell(line: dict[str, Any], steps: int, console: Console | None) -> None:
    if console is None:
        return
    text = f"step {line['step']}/{steps}  rate {line['rate']:g}  training error {line['train_error']:.2f} %"
    if "test_error" in line:
        text += f"  test error {line['test_error']:.2f} %"
    console.print(f"{text}  {line['images_per_second']:,.0f} images/s", highlight=False)
