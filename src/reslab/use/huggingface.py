"""Folders for the Hugging Face Hub: config.json, model.safetensors and a card."""

import json
from pathlib import Path
from typing import Any

from reslab.columns import counted
from reslab.disk import write_whole, written_whole
from reslab.nets import NAMED, name_of
from reslab.runs.contents import Result
from reslab.runs.run import BEST, Run
from reslab.weights.file import CONFIG, METADATA, MODEL, Weights, metadata, save_weights
from reslab.weights.preprocessing import preprocessing

_DATA_SETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
    "imagenet": "ILSVRC/imagenet-1k",
}
_LOAD = """## Load it

```python
import reslab

network = reslab.load("FOLDER")  # where these files lie; a torch module in evaluation mode
```

`config.json` says how a picture is cut and brought to size (`preprocessing`), how images are normalised (`reslab`;
pixels are in 0..1 before) and the names of the classes. A mean image is the tensor `images.mean` in
`model.safetensors`. `reslab predict FOLDER IMAGE...` does all of it.
"""
_LICENCE = """## Licence

Not stated. Whoever publishes these weights says here, and in the first lines of this file, under which licence; the
data that they were trained on has terms of its own. reslab's code is Apache-2.0.
"""


def write_folder(weights: Weights, source: Path, out: Path) -> None:
    """Write config.json, model.safetensors and README.md, all of them or nothing; `reslab.load` reads the folder.

    source: the file or run of the weights; for a run, or its best weights, the card has the data and errors
    """
    with written_whole(out) as folder:
        write_whole(folder / CONFIG, (json.dumps(_config(weights), indent=2, allow_nan=False) + "\n").encode())
        save_weights(weights, folder / MODEL)
        write_whole(folder / "README.md", card(weights, source).encode())


def _config(weights: Weights) -> dict[str, Any]:
    labels = {str(index): name for index, name in enumerate(weights.classes)}
    return {
        "model_type": "reslab",
        "architectures": [name_of(weights.network)],
        "num_labels": weights.network.classes,
        "id2label": labels,
        "label2id": {name: int(index) for index, name in labels.items()},
        "preprocessing": preprocessing(weights).metadata() if weights.network.channels in (1, 3) else None,
        METADATA: metadata(weights),
    }


def card(weights: Weights, source: Path) -> str:
    """The model card: metadata for the Hub, then the text that it shows."""
    name = name_of(weights.network)
    run = _run(source)
    kind = run.record.data.partition(":")[0] if run else ""
    front = ["library_name: reslab", "pipeline_tag: image-classification", "license: unknown"]
    front += ["datasets:", f"- {_DATA_SETS[kind]}"] if kind in _DATA_SETS else []
    front += ["tags:", "- residual-networks", f"- {name}"]
    cost, shape = weights.network.cost(), "×".join(map(str, weights.network.input))
    about = f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds for an image of {shape}, "
    about += f"{weights.network.classes:,} classes."
    if name in NAMED:
        about += f" {NAMED[name].source}."
        about += f" {NAMED[name].deviation}" if NAMED[name].deviation else ""
    trained = _training(run, source.name == BEST, kind) if run else "Not known: these weights came without their run.\n"
    parts = ["---", *front, "---", "", f"# {name}", "", about, "", "## Training", "", trained, _LOAD, _LICENCE]
    return "\n".join(parts)


def _run(source: Path) -> Run | None:
    """The run that weights came from; None if there is none."""
    run = Run(source.parent if source.name == BEST else source)
    return run if run.exists else None


def _training(run: Run, best: bool, kind: str) -> str:
    """The section on training, from a run's record, without paths of its files; best: of its best weights."""
    record, recipe = run.record, run.record.recipe
    data = f"a folder of pictures of {len(record.data_set.classes)} classes" if kind == "folder" else kind
    text = f"On {data}: {counted(recipe.steps, 'step')} of {counted(recipe.batch, 'image')}, seed {record.seed}, "
    text += f"reslab {record.versions.get('reslab')}, torch {record.versions.get('torch')}.\n"
    if record.weights:
        text += f"It began with the weights of another file, SHA-256 {record.weights.sha256}.\n"
    result = run.result or Result("stopped")
    evaluations = {"test": result.test, "validation": result.validation, "train": result.train}
    if best:
        evaluations = {"test": result.best.test if result.best else None}
        if result.best:
            text += f"These are its weights of step {result.best.step:,}, the best on the validation images: "
            text += f"an error of {result.best.validation_error:.2f} %.\n"
    elif result.status != "finished" and run.newest:
        status = result.status if run.result else "not finished"
        text += f"It is {status}: these are its weights of step {run.newest.step:,}.\n"
    rows = [(split, evaluation) for split, evaluation in evaluations.items() if evaluation]
    if not rows:
        return text
    text += "\n| split | images | top-1 error, % | top-5 error, % | loss |\n|---|---:|---:|---:|---:|\n"
    for split, row in rows:
        text += f"| {split} | {row.images:,} | {row.top1_error:.2f} | {row.top5_error:.2f} | {row.loss:.4f} |\n"
    return text
