"""A laboratory for residual networks: `network("resnet20-cifar")` is a value to look at, change, count and build."""

import reslab.stop  # noqa: F401  before all others, whose import takes a second: signals end a command cleanly then too

# isort: split
from importlib import import_module
from typing import TYPE_CHECKING, Any

from reslab.machine import tune_openmp

if TYPE_CHECKING:
    from reslab.api import (
        Execution,
        analyse_networks,
        bench_network,
        check_data,
        compare_runs,
        convert_weights,
        draw_network,
        evaluate_network,
        export_network,
        get_data,
        judge_file,
        list_data,
        list_runs,
        load,
        own_study,
        plan_study,
        predict_pictures,
        recipe,
        report_study,
        resume_run,
        run_study,
        train_network,
    )
    from reslab.errors import DataError, ReslabError, SpecError
    from reslab.nets import Add, Dropped, Gated, ResNet, Scaled, cifar_resnet, network, networks, resnet
    from reslab.spec import from_json, replace, to_json

__all__ = [
    "Add", "DataError", "Dropped", "Execution", "Gated", "ResNet", "ReslabError", "Scaled", "SpecError",
    "analyse_networks", "bench_network", "check_data", "cifar_resnet", "compare_runs", "convert_weights",
    "draw_network", "evaluate_network", "export_network", "from_json", "get_data", "judge_file", "list_data",
    "list_runs", "load", "network", "networks", "own_study", "plan_study", "predict_pictures", "recipe",
    "replace", "report_study", "resnet", "resume_run", "run_study", "to_json", "train_network",
]  # fmt: skip

__version__ = "0.1.0"

tune_openmp()


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for, so that the command line's help need not wait for it."""
    if name in __all__:
        for place in ("errors", "spec", "nets", "api"):
            module = import_module(f"reslab.{place}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
