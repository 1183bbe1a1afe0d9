"""How a network learns: one loop over steps."""

import math
import time
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from reslab.data.augment import draw, pad_crop_flip
from reslab.data.draws import torch_seed
from reslab.data.images import DataSet
from reslab.data.loader import Loader
from reslab.errors import SpecError
from reslab.evaluate import evaluate
from reslab.nets.network import NetworkSpec
from reslab.spec import replace
from reslab.train.optim import sgd
from reslab.train.recipe import Recipe
from reslab.train.record import Record, facts

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
) -> dict[str, Any]:
    """Train a network and keep its record in the run directory `out`. Returns what result.json holds.

    The network is that of the data's images and classes (`fitted`). Everything random is a pure function of the seed
    and the step; torch's own generator is seeded anew at each step. A loss that is no longer finite ends the run with
    status "diverged", a result like any other. Progress is shown on `console`.
    Raises SpecError where the network does not fit the data or `out` holds something else.
    """
    if network != fitted(network, data):
        raise SpecError(f"the network does not have the images and classes of {data.name}; train fitted(network, data)")
    place = torch.device(device)
    with Record(out, facts(network, recipe, data.name, seed, place)) as record:
        torch.manual_seed(torch_seed(seed, "weights", 0))
        model = network.build().to(place)
        loader = Loader(data, place)
        optimizer = sgd(model, recipe)
        meter = Meter(place)
        visible = console is not None and console.is_terminal
        for step in track(range(recipe.steps), "training", console=console, disable=not visible, transient=True):
            torch.manual_seed(torch_seed(seed, "dropout", step))
            images, labels = loader.batch(seed, step, recipe.batch)
            if recipe.augment:
                draws = draw(seed, step, recipe.batch, recipe.augment.pad)
                images = pad_crop_flip(images, draws, recipe.augment.pad, recipe.augment.flip)
            rate = recipe.schedule(step)
            for group in optimizer.param_groups:
                group["lr"] = rate

            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

            meter.add(loss, logits, labels)
            done = step + 1
            last = done == recipe.steps
            evaluates = last or done % recipe.evaluate_every == 0
            if not (evaluates or done % recipe.log_every == 0):
                continue
            line: dict[str, Any] = {"step": done, "rate": rate, **meter.read()}
            if not math.isfinite(line["train_loss"]):
                result = {"status": "diverged", "step": done, **meter.totals()}
                record.finish(result)
                return result
            if evaluates:
                test = evaluate(model, loader, loader.test)
                line |= {"test_loss": test.loss, "test_error": test.top1_error}
            record.log(**line)
            if console is not None:
                console.print(_told(line, recipe.steps), highlight=False)
            meter.resume()

        ended = evaluate(model, loader, loader.train)
        result = {"status": "finished", "step": recipe.steps, **meter.totals()}
        result |= {"test": test._asdict(), "train": ended._asdict()}
        record.finish(result)
    return result


class Meter:
    """Loss and error of the training batches between two readings, and the time that training them took.

    Sums stay on the device until they are read, so that no step waits for them.
    """

    def __init__(self, device: torch.device):
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        self.images = self.all_images = 0
        self.seconds = 0.0
        self.resume()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        wrong = (logits.detach().argmax(1) != labels).sum()
        self.sums += torch.stack([loss.detach().double() * len(labels), wrong.double()])
        self.images += len(labels)

    def read(self) -> dict[str, float]:
        """Mean loss, error in percent and images per second since the last reading; the clock stops until `resume`."""
        loss, wrong = self.sums.tolist()
        seconds = time.perf_counter() - self._since
        self.seconds += seconds
        self.all_images += self.images
        line = {
            "train_loss": loss / self.images,
            "train_error": 100 * wrong / self.images,
            "images_per_second": self.images / seconds,
        }
        self.sums.zero_()
        self.images = 0
        return line

    def resume(self) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()

    def totals(self) -> dict[str, float]:
        """Seconds of training, data included and evaluation left out, and images per second over the whole run."""
        return {"seconds": self.seconds, "images_per_second": self.all_images / self.seconds}


def _told(line: dict[str, Any], steps: int) -> str:
    text = f"step {line['step']}/{steps}  rate {line['rate']:g}  training error {line['train_error']:.2f} %"
    if "test_error" in line:
        text += f"  test error {line['test_error']:.2f} %"
    return f"{text}  {line['images_per_second']:,.0f} images/s"
