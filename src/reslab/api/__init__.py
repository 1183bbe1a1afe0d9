"""Everything that reslab does with networks, data and runs, by names. torch is imported when a function is called."""

from typing import TYPE_CHECKING, Any

from reslab.api.analyse import ANALYSES, AnalysisOption, AnalysisRow, analyse_networks, report_values
from reslab.api.bench import bench_network
from reslab.api.choices import REPORTS, RUNS
from reslab.api.compare import ComparisonReport, compare_runs, comparison_lines, judge_file
from reslab.api.console import is_first_rank, progress_console
from reslab.api.data import DataCheck, DataRow, check_data, data_folders, get_data, list_data
from reslab.api.doctor import Health, examine_machine, installed_version
from reslab.api.evaluate import ClassDetails, EvaluationResult, evaluate_network, load
from reslab.api.networks import NetworkDescription, NetworkRow, describe_network, draw_network, list_networks
from reslab.api.predict import Prediction, Predictions, predict_batches, predict_pictures
from reslab.api.recipes import RecipeRow, list_recipes, recipe_fields, recipe_text
from reslab.api.review import Review, report_review
from reslab.api.runs import RunRow, list_runs
from reslab.api.study import (
    StudyCost,
    StudyReport,
    StudyRow,
    claim_prospect,
    list_studies,
    new_study,
    own_study,
    plan_cost,
    plan_resolution,
    plan_rows,
    plan_study,
    report_study,
    run_study,
    serve_study,
)
from reslab.api.train import RunSettings, Trained, recipe, report_run, resume_run, run_settings, train_network
from reslab.api.weights import convert_weights, export_network, export_path
from reslab.columns import aligned, fits, wrapped
from reslab.stop import STOPPED, Interrupts

if TYPE_CHECKING:
    from reslab.runs.execution import Execution

__all__ = [
    "ANALYSES", "REPORTS", "RUNS", "STOPPED", "AnalysisOption", "AnalysisRow", "ClassDetails", "ComparisonReport",
    "DataCheck", "DataRow", "EvaluationResult", "Execution", "Health", "Interrupts", "NetworkDescription",
    "NetworkRow", "Prediction", "Predictions", "RecipeRow", "Review", "RunRow", "RunSettings", "StudyCost",
    "StudyReport", "StudyRow", "Trained", "aligned", "analyse_networks", "bench_network", "check_data",
    "claim_prospect", "compare_runs", "comparison_lines", "convert_weights", "data_folders", "describe_network",
    "draw_network", "evaluate_network", "examine_machine", "export_network", "export_path", "fits", "get_data",
    "installed_version", "is_first_rank", "judge_file", "list_data", "list_networks", "list_recipes", "list_runs",
    "list_studies", "load", "new_study", "own_study", "plan_cost", "plan_resolution", "plan_rows", "plan_study",
    "predict_batches", "predict_pictures", "progress_console", "recipe", "recipe_fields", "recipe_text",
    "report_review", "report_run", "report_study", "report_values", "resume_run", "run_settings", "run_study",
    "serve_study", "train_network", "wrapped",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """What takes time to import, when it is asked for."""
    if name == "Execution":
        from reslab.runs.execution import Execution

        return Execution
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
