"""What a run keeps of its answers for the test images: read as written, or refused by name."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from reslab.data.digits import load_digits
from reslab.data.in_memory import InMemoryLoader
from reslab.errors import DataError
from reslab.evaluate import Details, evaluate, predictions
from reslab.nets import Conv, cifar_resnet
from reslab.recipes.recipe import Recipe
from reslab.recipes.schedule import Drops
from reslab.runs.answers import AnswerRecorder, Answers, disagreement, read_answers, write_answers, wrong_answers
from reslab.runs.contents import Result
from reslab.runs.record import Record
from reslab.runs.run import ANSWERS, Run
from reslab.runs.transfer import pack
from reslab.spec import replace
from reslab.train.loop import fitted, train
from reslab.weights.file import built

QUICK = Recipe(steps=6, batch=32, schedule=Drops(), evaluate_every=3, log_every=3)


def answers(labels, predicted, confidence=None):
    confidence = [0.5] * len(labels) if confidence is None else confidence
    return Answers(np.array(labels, np.uint8), np.array(predicted, np.uint8), np.array(confidence, np.float16))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    digits, out = load_digits(), tmp_path_factory.mktemp("runs") / "run"
    network = fitted(cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3)), digits)
    train(network, replace(QUICK, validation=0.1, best=True), digits, out, seed=1)
    return Run(out)


def test_a_run_keeps_what_its_last_weights_answered(run):
    """Not the best ones', which are evaluated after them."""
    digits = load_digits()
    with InMemoryLoader(digits, torch.device("cpu"), run.weights.normalise) as loader:
        expected = predictions(built(run.weights), loader, "test")
    kept = run.answers
    assert (kept.labels == expected.labels).all()
    assert (kept.predicted == expected.predicted).mean() > 0.98  # trained in bfloat16 where that is faster
    assert kept.labels.dtype == np.uint8
    assert kept.confidence == pytest.approx(expected.confidence, abs=0.02)
    assert 100 * kept.wrong.mean() == pytest.approx(run.result.test.top1_error)
    assert (run.path / ANSWERS).stat().st_size < 2000
    assert ANSWERS in pack(run.path)


def test_calibration_is_that_of_an_evaluation(run):
    torch.manual_seed(0)
    scores, labels = torch.randn(500, 300).mul(3).log_softmax(1), torch.randint(300, (500,))
    scores[:400] = scores[:400].scatter(1, labels[:400, None], 4.0).log_softmax(1)
    details, recorder = Details(300), AnswerRecorder(300, 500)
    for each in (details, recorder):
        evaluate(torch.nn.Identity(), [(scores[:200], labels[:200]), (scores[200:], labels[200:])], each)
    assert recorder.answers.labels.dtype == np.uint16
    assert recorder.answers.calibration_error == pytest.approx(details.calibration_error, abs=0.1)
    assert details.calibration_error > 5


def test_images_that_were_left_out_leave_no_answers():
    recorder = AnswerRecorder(10, 3)
    evaluate(torch.nn.Identity(), [(torch.eye(10)[:2], torch.tensor([0, 1]))], recorder)
    assert recorder.answers is None


def test_a_run_begun_anew_loses_its_old_answers(run, tmp_path):
    again = tmp_path / "run"
    shutil.copytree(run.path, again, ignore=shutil.ignore_patterns("checkpoints"))
    result = json.loads((again / "result.json").read_text())
    (again / "result.json").write_text(json.dumps(result | {"status": "stopped"}))
    with Record(again, run.record) as record:
        assert Run(again).answers is None
        record.finish(Result("diverged"))
    assert Run(again).answers is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole safetensors file"),
        (b"\xff" * 40, "not a whole safetensors file"),
        (save({"labels": np.zeros(3, np.uint8)}), "does not hold a label"),
        (save({**answers([0, 1], [1, 1])._asdict(), "confidence": np.zeros(3, np.float16)}), "does not hold a label"),
        (save({**answers([0, 1], [1, 1])._asdict(), "labels": np.zeros((2, 2), np.uint8)}), "does not hold a label"),
        (save({**answers([0, 1], [1, 1])._asdict(), "predicted": np.zeros(2)}), "does not hold a label"),
    ],
)
def test_damage_is_named(content, message, tmp_path):
    (tmp_path / ANSWERS).write_bytes(content)
    with pytest.raises(DataError, match=rf"answers\.safetensors: {message}"):
        Run(tmp_path).answers  # noqa: B018


def test_answers_are_read_as_written(tmp_path):
    kept = answers([0, 1, 2], [0, 2, 2], [0.25, 0.5, 1.0])
    write_answers(kept, tmp_path / ANSWERS)
    for one, other in zip(read_answers(tmp_path / ANSWERS), kept, strict=True):
        assert one.dtype == other.dtype
        assert (one == other).all()


def test_disagreement_is_the_mean_over_pairs_of_runs():
    runs = [answers([0, 0, 0, 0], each) for each in ([0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 2, 2])]
    assert disagreement(runs) == pytest.approx((25 + 50 + 50) / 3)
    assert disagreement(runs[:1]) is None


def test_wrong_answers_are_of_the_same_images():
    one, other = answers([0, 1], [0, 0]), answers([0, 1], [1, 1])
    assert wrong_answers([one, other]).tolist() == [[False, True], [True, False]]
    assert wrong_answers([one, answers([1, 1], [1, 1])]) is None
    assert wrong_answers([]) is None
