"""What a program does with networks, data and runs by their names. torch is imported when one of these is called."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reslab.errors import DataError

if TYPE_CHECKING:
    from reslab.analyse.analysis import Analysis
    from reslab.analyse.preserve import Mode
    from reslab.data.crops import Crops
    from reslab.evaluate import Evaluation
    from reslab.nets.modules import Network
    from reslab.nets.network import NetworkSpec
    from reslab.recipes.recipe import Recipe
    from reslab.runs.execution import Execution
    from reslab.use.export import Exported


def load(path: Path | str, classes: int | None = None) -> "Network":
    """The network of a run, of a weights file that reslab wrote, or of an export for Hugging Face, with its weights.

    It is a torch module in evaluation mode. Another number of `classes` makes its classifiers anew, with a warning.
    Raises DataError naming what is wrong with the file.
    """
    from reslab.weights.file import load

    return load(path, classes)


def recipe(name: str) -> "Recipe":
    """The recipe of a name ("paper-a-cifar"), a value to change by `replace`. Raises SpecError naming the nearest."""
    from reslab.recipes.named import recipe

    return recipe(name)


def train_network(
    network: "NetworkSpec | str",
    data: str,
    recipe: "Recipe | str",
    out: Path | str,
    seed: int = 0,
    *,
    weights: Path | str | None = None,
    execution: "Execution | None" = None,
) -> dict[str, Any]:
    """Train a network on a data set and keep its record in the run directory `out`. Returns what result.json holds.

    network: a spec or a name; it takes the data's images and classes
    data: a name from `reslab data list`, or folder:PATH
    weights: a run, or a file that reslab wrote, to begin with in place of fresh ones
    execution: device, precision, resume ..., as `reslab.runs.execution.Execution` says; None is the command's own
    Raises what `reslab.train.loop.train` and `reslab.train.start.start_from` raise.
    """
    from reslab.data.loader import load
    from reslab.errors import SpecError
    from reslab.nets import network as named
    from reslab.recipes.named import recipe as find
    from reslab.runs.execution import DEFAULT
    from reslab.train.loop import fitted, train
    from reslab.train.start import Start, start_from

    if recipe == "finetune" and weights is None:
        raise SpecError("recipe finetune: begins with weights that others trained; give weights")
    images = load(data)
    value = named(network) if isinstance(network, str) else network
    start = start_from(Path(weights), value, images) if weights is not None else Start(fitted(value, images))
    how = find(recipe) if isinstance(recipe, str) else recipe
    return train(start, how, images, Path(out), seed, execution or DEFAULT)


def evaluate_network(path: Path | str, data: str, crops: "Crops" = 1) -> "Evaluation":
    """Errors in percent and loss, on a data set's test images, of a network that `load` reads.

    Raises SpecError where its classes or channels are not the data's.
    """
    import torch

    from reslab.data.loader import load
    from reslab.evaluate import evaluate, match_labels, purpose_for
    from reslab.machine import find_device, tune_malloc
    from reslab.weights.file import built, read_weights
    from reslab.weights.preprocessing import loader_for

    tune_malloc()
    weights, images = read_weights(Path(path)), load(data, purpose=purpose_for(Path(path), data))
    images = match_labels(weights.network, images, str(path), weights.classes)
    place = torch.device(find_device("auto"))
    with loader_for(weights, images, place) as loader:
        return evaluate(built(weights).to(place), loader.views("test", crops))


def predict_pictures(
    path: Path | str, pictures: Sequence[Path | str] | Path | str, top: int = 5
) -> dict[Path, list[tuple[str, float]]]:
    """The `top` classes of each picture by its file, the most probable first, each with its probability.

    pictures: files, and folders with some, or one of these, seen as the evaluation of the network that `load` reads
    would see them
    Raises DataError naming the first file that cannot be read.
    """
    import torch

    from reslab.data.folder import picture_files
    from reslab.data.names import class_names
    from reslab.machine import find_device
    from reslab.use.predict import Predictor
    from reslab.weights.file import read_weights

    if isinstance(pictures, str | Path):
        pictures = [pictures]
    weights = read_weights(Path(path))
    names = [str(name) for name in class_names(weights.classes, weights.network.classes)]
    predictor = Predictor(weights, torch.device(find_device("auto")))
    guesses = [guess for some in predictor.predict(picture_files([*map(Path, pictures)]), top) for guess in some]
    if predictor.skipped:
        bad, reason = next(iter(predictor.skipped.items()))
        raise DataError(f"{bad}: {reason}")
    return {guess.file: [(names[place], chance) for place, chance in guess.best] for guess in guesses}


def export_network(path: Path | str, file_format: str, out: Path | str, int8: str | None = None) -> "Exported":
    """Write a network that `load` reads for other programs, checked: onnx, pt2, safetensors, torchvision, huggingface.

    int8: the data set that calibrates an onnx model in 8-bit integers and measures it
    See reslab.use.export.export.
    """
    from reslab.use.export import Int8, export

    return export(Path(path), file_format, Path(out), None if int8 is None else Int8(int8))


def analyse_networks(
    kind: Literal["responses", "gradients", "lesion"],
    networks: "Sequence[NetworkSpec | Path | str] | NetworkSpec | Path | str",
    data: str,
    images: int | None = None,
    mode: "Mode | None" = None,
    seed: int = 0,
) -> "Analysis":
    """What `reslab analyse KIND` finds; `.columns()` is a plain table, whose units docs/analyses.md describes.

    networks: names and specs (fresh weights under the seed), run directories, files of weights that reslab wrote, or
    one of these
    data: a name from `reslab data list`, or folder:PATH
    images: so many of its test images are seen; None is the command's own number
    mode: whether BN takes its running statistics or those of each batch ("eval", "train"); None is the command's own,
    the batch's for gradients. Fresh weights take the batch's in any mode.
    `reslab.pages.analysis.render` writes its page. Raises what the command tells.
    """
    from reslab.analyse import IMAGES, gradients_told, lesion_told, responses_told
    from reslab.analyse.conditions import Conditions
    from reslab.analyse.subject import subjects
    from reslab.data.loader import load
    from reslab.errors import SpecError
    from reslab.machine import find_device
    from reslab.nets.network import NetworkSpec

    looks = {"responses": responses_told.look, "gradients": gradients_told.look, "lesion": lesion_told.look}
    if kind not in looks:
        raise SpecError(f"no analysis {kind!r} of networks on images: choose from {', '.join(looks)}")
    if isinstance(networks, str | Path | NetworkSpec):
        networks = [networks]
    held, device = load(data), find_device("auto")
    found = subjects(networks, held, seed, device)
    usual: Mode = "train" if kind == "gradients" else "eval"
    return looks[kind](found, Conditions(held, images or IMAGES[kind], mode or usual, seed, device))
