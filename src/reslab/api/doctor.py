"""What is installed and configured on this machine."""

from typing import NamedTuple

PACKAGES = {
    **dict.fromkeys(("reslab", "torch", "numpy", "pillow", "safetensors", "pydantic", "typer", "rich"), ""),
    **dict.fromkeys(("jinja2", "matplotlib", "scikit-learn", "scipy"), ""),
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "onnx"),
    **{name: name for name in ("openvino", "ray", "tensorboard", "wandb")},
    "mlflow-skinny": "mlflow",
}
"""The packages that reslab uses, each with the extra that installs it, "" for those it always has."""
_PREFIXES = ("RESLAB_", "OMP_", "CUDA_VISIBLE_DEVICES", "WANDB_MODE", "WANDB_PROJECT", "MLFLOW_EXPERIMENT")
"""Of the variables of the environment that matter here; none of them holds a secret."""


class Health(NamedTuple):
    """What is installed and configured on this machine.

    memory: bytes; precision: what "auto" is here; compiler: its path, "" for none
    packages: version, "" if missing, and the extra that installs it; data: state by name; variables: of the environment
    """

    python: str
    processor: str
    cores: int
    memory: int
    gpus: list[str]
    precision: str
    precision_why: str
    compiler: str
    packages: dict[str, tuple[str, str]]
    data: dict[str, str]
    data_root: str
    variables: dict[str, str]


def installed_version() -> str:
    """The version of reslab."""
    from reslab.machine import package_version

    return package_version("reslab") or "unknown"


def examine_machine() -> Health:
    """Look at what is installed and configured on this machine; nothing is trained or downloaded."""
    import os
    import platform

    import torch

    from reslab.api.data import data_folders, list_data
    from reslab.machine import cores, find_compiler, find_device, find_precision, memory, processor

    device = find_device("auto")
    precision, why = find_precision("auto", device)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Health(
        python=platform.python_version(),
        processor=processor(),
        cores=cores(),
        memory=memory(),
        gpus=[torch.cuda.get_device_name(number) for number in range(gpus)],
        precision=precision,
        precision_why=why,
        compiler=find_compiler(),
        packages={name: (_version(name), extra) for name, extra in PACKAGES.items()},
        data={row.name: row.state for row in list_data()},
        data_root=str(data_folders()[1]),
        variables={name: os.environ[name] for name in sorted(os.environ) if name.startswith(_PREFIXES)},
    )


def _version(name: str) -> str:
    """A package's version; "" if it is missing."""
    from reslab.machine import package_version

    return package_version(name) or ""
