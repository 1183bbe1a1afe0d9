"""A network as a folder that the Hugging Face Hub shows: config.json, model.safetensors and a card."""

import json
from pathlib import Path
from typing import Any

from reslab.disk import write_whole, written_whole
from reslab.nets import NAMED, name_of
from reslab.train.record import read_json
from reslab.weights.file import BESIDE, CONFIG, MODEL, Weights, described, save_weights

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

`config.json` says how images are normalised and what the classes are called; pixels are in 0..1 before. A mean image
is the tensor `images.mean` in `model.safetensors`.
"""
_LICENCE = """## Licence

Not stated. Whoever publishes these weights says here, and in the first lines of this file, under which licence; the
data that they were trained on has terms of its own. reslab's code is Apache-2.0.
"""


def write_folder(weights: Weights, source: Path, out: Path) -> None:
    """Write config.json, model.safetensors and README.md, all of them or nothing; `reslab.load` reads the folder.

    source: what the weights were read from; where it is a run, the card tells of its data and errors
    """
    with written_whole(out) as folder:
        write_whole(folder / CONFIG, (json.dumps(_config(weights), indent=2) + "\n").encode())
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
        BESIDE: described(weights),
    }


def card(weights: Weights, source: Path) -> str:
    """The text that the Hub shows, with the lines that it reads in front."""
    name = name_of(weights.network)
    run = read_json(source / "run.json") if (source / "run.json").is_file() else None
    kind = run["data"].partition(":")[0] if run else ""
    front = ["library_name: reslab", "pipeline_tag: image-classification", "license: unknown"]
    front += ["datasets:", f"- {_DATA_SETS[kind]}"] if kind in _DATA_SETS else []
    front += ["tags:", "- residual-networks", f"- {name}"]
    cost, shape = weights.network.cost(), "×".join(map(str, weights.network.input))
    about = f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds for an image of {shape}, "
    about += f"{weights.network.classes:,} classes."
    if name in NAMED:
        about += f" {NAMED[name].source}."
        about += f" {NAMED[name].deviation}" if NAMED[name].deviation else ""
    trained = _training(run, kind, source) if run else "Not known: these weights came without their run.\n"
    parts = ["---", *front, "---", "", f"# {name}", "", about, "", "## Training", "", trained, _LOAD, _LICENCE]
    return "\n".join(parts)


def _training(run: dict[str, Any], kind: str, source: Path) -> str:
    """What a run's record says, without the places of its files."""
    recipe, versions = run["recipe"], run["versions"]
    data = f"a folder of pictures of {len(run['data_set']['classes'])} classes" if kind == "folder" else kind
    told = f"On {data}: {recipe['steps']:,} steps of {recipe['batch']} images, seed {run['seed']}, "
    told += f"reslab {versions['reslab']}, torch {versions['torch']}.\n"
    result = read_json(source / "result.json") if (source / "result.json").is_file() else {}
    rows = [(part, result[part]) for part in ("test", "validation", "train") if part in result]
    if not rows:
        return told
    told += "\n| part | images | top-1 error, % | top-5 error, % | loss |\n|---|---:|---:|---:|---:|\n"
    for part, found in rows:
        errors = f"{found['top1_error']:.2f} | {found['top5_error']:.2f}"
        told += f"| {part} | {found['images']:,} | {errors} | {found['loss']:.4f} |\n"
    return told
