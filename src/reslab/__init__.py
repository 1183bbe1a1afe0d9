"""A laboratory for residual networks: `network("resnet20-cifar")` is a value to look at, change, count and build."""

import reslab.stop  # noqa: F401  before all others, whose import takes a second: signals end a command cleanly then too

# isort: split
from reslab.api import (
    Execution,
    analyse_networks,
    bench_network,
    check_data,
    convert_weights,
    evaluate_network,
    export_network,
    get_data,
    list_data,
    load,
    plan_study,
    predict_pictures,
    recipe,
    report_study,
    run_study,
    train_network,
)
from reslab.errors import DataError, ReslabError, SpecError
from reslab.machine import tune_openmp
from reslab.nets import Add, Dropped, Gated, ResNet, Scaled, cifar_resnet, network, networks, resnet
from reslab.spec import from_json, replace, to_json

__all__ = [
    "Add", "DataError", "Dropped", "Execution", "Gated", "ResNet", "ReslabError", "Scaled", "SpecError",
    "analyse_networks", "bench_network", "check_data", "cifar_resnet", "convert_weights", "evaluate_network",
    "export_network", "from_json", "get_data", "list_data", "load", "network", "networks", "plan_study",
    "predict_pictures", "recipe", "replace", "report_study", "resnet", "run_study", "to_json", "train_network",
]  # fmt: skip

tune_openmp()
