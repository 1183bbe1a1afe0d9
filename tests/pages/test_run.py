"""The report of a run: counts that are right, mistakes that are shown, a page that loads nothing."""

import os
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from reslab.data.digits import load_digits
from reslab.data.loader import load, make_loader
from reslab.errors import DataError
from reslab.evaluate import Predictions, predictions
from reslab.nets import Conv, cifar_resnet
from reslab.pages.run import write_report
from reslab.pages.run_figures import confusion
from reslab.recipes.recipe import Recipe
from reslab.spec import replace
from reslab.train.loop import fitted, train

CPU = torch.device("cpu")
SMALL = cifar_resnet(8, widths=(4, 8, 16), stem=Conv(4, 3))
CLASSES = ("blue & <i>deep</i>", "green", "red")
COLOURS = {CLASSES[0]: (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}


def fill(folder, counts=(4, 4, 4)):
    for (name, colour), count in zip(COLOURS.items(), counts, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (16, 16), colour).save(folder / name / f"{number}.png")


@pytest.fixture
def pictures(tmp_path):
    fill(tmp_path / "data" / "train")
    fill(tmp_path / "data" / "val", (3, 2, 1))
    return load(f"folder:{tmp_path / 'data'}")


class TakesRedForGreen(nn.Module):
    """Logits (N, 3) for blue, green and red, by the colour that is strongest; red counts for green."""

    def forward(self, x):
        strongest = x.mean((2, 3)).argmax(1)  # 0 red, 1 green, 2 blue
        return torch.tensor([[0.0, 2.0, 1.0], [0.0, 3.0, 0.0], [4.0, 0.0, 0.0]])[strongest]


def test_the_confusion_matrix_counts_predictions(pictures):
    with make_loader(pictures, CPU, 16) as loader:
        predicted = predictions(TakesRedForGreen(), loader, "test")
    assert predicted.confusion(3).tolist() == [[3, 0, 0], [0, 2, 0], [0, 1, 0]]
    assert predicted.error() == pytest.approx(100 / 6)
    assert predicted.worst(5) == [5]
    chances = torch.tensor([0.0, 2.0, 1.0]).softmax(0)
    sides = predicted.confidence[5], predicted.true_probability[5]
    assert sides == pytest.approx((chances[1].item(), chances[2].item()))


def test_the_probabilities_of_crops_are_averaged(pictures):
    class Sides(nn.Module):
        """Sure of green for an image's first crop, of red for the others."""

        def forward(self, x):
            logits = torch.full((len(x), 3), -100.0)
            logits[:, 2] = 100.0
            logits[::10, 1] = 300.0
            return logits

    with make_loader(pictures, CPU, 16) as loader:
        predicted = predictions(Sides(), loader, "test", crops=10)
    assert predicted.predicted.tolist() == [2] * 6
    assert predicted.confidence == pytest.approx([0.9] * 6)


def test_pictures_that_cannot_be_read_do_not_shift_the_others(tmp_path, pictures):
    (tmp_path / "data" / "val" / CLASSES[0] / "1.png").write_bytes(b"damaged")
    with make_loader(pictures, CPU, 16, on_bad="skip") as loader:
        predicted = predictions(TakesRedForGreen(), loader, "test")
    assert len(predicted.labels) == 5
    assert predicted.images.names(np.array(predicted.worst(5))) == ["red/0.png"]


def test_the_worst_mistakes_come_first():
    labels = np.array([0, 0, 1, 1])
    true = np.array([0.3, 0.1, 0.9, 0.2])
    predicted = Predictions(None, labels, np.array([1, 1, 1, 0]), np.array([0.7, 0.9, 0.9, 0.8]), true)
    assert predicted.worst(9) == [1, 3, 0]
    assert predicted.worst(2) == [1, 3]


def test_the_page_has_everything_and_needs_nothing(pictures, tmp_path):
    how = Recipe(steps=2, batch=6, validation=0.25, best=True, evaluate_every=1, log_every=1)
    run = tmp_path / "run"
    result = train(replace(SMALL, size=16, classes=3), how, pictures, run)
    path = write_report(run, pictures, CPU)
    assert path == run / "report.html"
    page = path.read_text()
    wrong = round(result["best"]["test"]["top1_error"] * 6 / 100)
    assert wrong > 0
    assert f"({wrong} of 6 images)" in page
    assert page.count("data:image/png;base64,") - page.count("<image ") == wrong
    assert "<i>deep" not in page
    assert "blue &amp; &lt;i&gt;deep" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "best.safetensors" in page
    assert "9 train, 3 validation, 6 test" in page
    assert write_report(run, pictures, CPU).read_text() == page


def test_a_set_that_is_held_whole_has_a_page_too(tmp_path):
    digits = load_digits()
    train(fitted(SMALL, digits), Recipe(steps=1, batch=8), digits, tmp_path / "run")
    page = write_report(tmp_path / "run", digits, CPU).read_text()
    assert "with the last weights" in page
    assert page.count("<li><img ") == 24
    assert "best.safetensors" not in page


def test_names_of_any_script_and_of_none_are_shown(tmp_path):
    names = ["猫", "gün $x$", os.fsdecode(b"caf\xe9")]
    for part in ("train", "val"):
        for name, colour in zip(names, COLOURS.values(), strict=True):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            Image.new("RGB", (16, 16), colour).save(tmp_path / "data" / part / name / f"{name}.png")
    data = load(f"folder:{tmp_path / 'data'}")
    train(replace(SMALL, size=16, classes=3), Recipe(steps=1, batch=3), data, tmp_path / "run")
    page = write_report(tmp_path / "run", data, CPU).read_text()
    for name in ("猫", "gün $x$", r"'caf\udce9'"):
        assert re.search(rf"<text [^>]*>{re.escape(name)}</text>", page)


def test_many_classes_are_drawn_without_names():
    counts = np.eye(60, dtype=np.int64)
    counts[3, 4] = 1
    assert confusion(counts, tuple(f"class {index}" for index in range(60))).points == []
    named = confusion(counts[:30, :30], tuple(f"class {index}" for index in range(30)))
    assert "class 3 predicted as class 4: 1 of 2" in [point[3] for point in named.points]


def test_a_run_without_a_result_has_no_page(pictures, tmp_path):
    with pytest.raises(DataError, match=r"run\.json: No such file"):
        write_report(tmp_path, pictures, CPU)
