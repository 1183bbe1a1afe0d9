"""Everything that reslab does with networks, data and runs, by names. torch is imported when a function is called."""

from reslab.api.analyse import ANALYSES, AnalysisOption, AnalysisRow, analyse_networks, report_values
from reslab.api.bench import bench_network
from reslab.api.choices import REPORTS, RUNS
from reslab.api.console import is_first_rank, progress_console
from reslab.api.data import DataCheck, DataRow, check_data, data_folders, get_data, list_data
from reslab.api.evaluate import ClassDetails, EvaluationResult, evaluate_network, load
from reslab.api.networks import NetworkDescription, NetworkRow, describe_network, list_networks
from reslab.api.predict import Prediction, Predictions, predict_batches, predict_pictures
from reslab.api.study import (
    StudyCost,
    StudyReport,
    StudyRow,
    list_studies,
    plan_cost,
    plan_rows,
    plan_study,
    report_study,
    run_study,
    serve_study,
)
from reslab.api.train import Trained, recipe, train_network
from reslab.api.weights import convert_weights, export_network
from reslab.nets.table import aligned
from reslab.runs.execution import Execution
from reslab.stop import STOPPED, Interrupts

__all__ = [
    "ANALYSES", "REPORTS", "RUNS", "STOPPED", "AnalysisOption", "AnalysisRow", "ClassDetails", "DataCheck", "DataRow",
    "EvaluationResult", "Execution", "Interrupts",
    "NetworkDescription", "NetworkRow", "Prediction", "Predictions", "StudyCost",
    "StudyReport", "StudyRow", "Trained", "aligned", "analyse_networks", "bench_network", "check_data",
    "convert_weights", "data_folders", "describe_network", "evaluate_network", "export_network", "get_data",
    "is_first_rank", "list_data", "list_networks", "list_studies", "load", "plan_cost", "plan_rows", "plan_study",
    "predict_batches", "predict_pictures", "progress_console", "recipe", "report_study", "report_values", "run_study",
    "serve_study", "train_network",
]  # fmt: skip
