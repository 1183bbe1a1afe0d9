"""Folders of pictures: one class each, in an order that can be relied on, and refused where they mislead."""

import numpy as np
import pytest
from PIL import Image

from reslab.data.folder import load_folder, load_imagenet
from reslab.data.loader import load
from reslab.errors import DataError


def fill(folder, counts):
    """Small pictures in a folder for each class."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / name / f"{number}.png")


def test_train_and_val_are_read_by_class(tmp_path):
    fill(tmp_path / "train", {"cat": 3, "ant": 2})
    fill(tmp_path / "val", {"cat": 1, "ant": 2})
    data = load(f"folder:{tmp_path}")
    assert data.classes == ("ant", "cat")
    assert list(data.train.files) == ["ant/0.png", "ant/1.png", "cat/0.png", "cat/1.png", "cat/2.png"]
    assert data.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1]
    assert (data.channels, data.size) == (3, None)


def test_a_class_without_validation_pictures_is_no_error(tmp_path):
    fill(tmp_path / "train", {"a": 2, "b": 2})
    fill(tmp_path / "validation", {"b": 2})
    assert load_folder("f", tmp_path).test.labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("Train", None, "Test"),
        ("training", None, "testing"),
        ("TRAIN", None, "Valid"),
        ("train", "valid", "test"),
        ("Training", "Validation", "Testing"),
    ],
)
def test_parts_are_known_by_their_words_in_any_case(tmp_path, train, validation, test):
    fill(tmp_path / train, {"ant": 4, "cat": 4})
    fill(tmp_path / test, {"ant": 3, "cat": 3})
    if validation:
        fill(tmp_path / validation, {"ant": 2, "cat": 2})
    data = load_folder("f", tmp_path)
    assert data.classes == ("ant", "cat")
    assert (len(data.train.labels), len(data.test.labels)) == (8, 6)
    assert (len(data.validation.labels) if data.validation else None) == (4 if validation else None)


def test_valid_is_a_class_too_where_no_part_stands_beside_it(tmp_path):
    fill(tmp_path, {"valid": 5, "invalid": 5})
    assert load_folder("f", tmp_path).classes == ("invalid", "valid")


def test_what_is_no_part_beside_the_parts_is_passed_over(tmp_path):
    for part in ("train", "val", ".git", "__MACOSX", "__pycache__", "lost+found"):
        fill(tmp_path / part, {"ant": 2, "cat": 2})
    fill(tmp_path / "runs", {"resnet18": 1})
    (tmp_path / "labels.csv").write_text("")
    assert load_folder("f", tmp_path).classes == ("ant", "cat")


def test_without_train_and_val_a_fifth_of_each_class_is_the_test_part(tmp_path):
    fill(tmp_path, {"a": 20, "b": 10})
    data, again = load_folder("f", tmp_path), load_folder("f", tmp_path)
    assert np.bincount(data.test.labels).tolist() == [4, 2]
    assert set(data.train.files) | set(data.test.files) == {f"a/{n}.png" for n in range(20)} | {
        f"b/{n}.png" for n in range(10)
    }
    assert list(data.test.files) == list(again.test.files)
    assert data.test.digest() == again.test.digest()


def test_numbers_stand_in_their_order(tmp_path):
    fill(tmp_path, {"10": 2, "2": 2, "1": 2})
    assert load_folder("f", tmp_path).classes == ("1", "2", "10")
    fill(tmp_path, {"b": 2})
    assert load_folder("f", tmp_path).classes == ("1", "10", "2", "b")


def test_hidden_and_strange_files_are_passed_over(tmp_path):
    fill(tmp_path, {"a": 5, "b": 5, ".git": 3})
    (tmp_path / "a" / ".DS_Store").write_text("")
    (tmp_path / "a" / "._0.png").write_text("")
    (tmp_path / "a" / "notes.txt").write_text("")
    fill(tmp_path / "b", {"inner": 5})
    (tmp_path / "README.md").write_text("")
    data = load_folder("f", tmp_path)
    assert data.classes == ("a", "b")
    assert len(data.train.files) + len(data.test.files) == 15


def empty_class(root):
    fill(root / "train", {"a": 2, "b": 0})
    fill(root / "val", {"a": 2})


def class_in_validation_alone(root):
    fill(root / "train", {"a": 2})
    fill(root / "val", {"a": 2, "b": 1})


def unsorted_validation(root):
    fill(root / "train", {"a": 2})
    (root / "val").mkdir()
    Image.new("RGB", (8, 8)).save(root / "val" / "ILSVRC2012_val_00000001.JPEG")


def parts(*names):
    def make(root):
        for name in names:
            fill(root / name, {"a": 2, "b": 2})

    return make


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (empty_class, "train/b: a class without pictures"),
        (class_in_validation_alone, "val: class b has no training pictures"),
        (unsorted_validation, "val: has no folders, one for each class; sort its pictures"),
        (lambda root: fill(root / "train", {"a": 2}), "has train and no val beside it"),
        (lambda root: fill(root / "val", {"a": 2}), "has val and no train beside it"),
        (parts("val", "Test"), "has Test and no train beside it"),
        (parts("valid", "__MACOSX"), "has valid and no train beside it"),
        (parts("Training"), "has Training and no val beside it"),
        (parts("Train", "training", "val"), "has Train and training, two folders for one split; keep one"),
        (parts("train", "val", "validation"), "has val and validation, two folders for one split"),
        (
            parts("train", "test", "dev"),
            "has dev beside train, with the same classes, and the splits are train or training, val or valid or",
        ),
        (parts("Train", "extra"), "has extra beside Train, with the same classes"),
        (lambda root: fill(root, {"a": 2, "test": 2}), "has test and no train beside it"),
        (lambda root: fill(root, {"a": 2, "b": 1}), "b: one picture, and a class needs two"),
        (lambda root: fill(root, {"a": 5}), ": one class alone, a; classification takes two or more"),
        (lambda root: None, "has no folders, one for each class"),
    ],
)
def test_what_misleads_is_refused_with_its_folder(tmp_path, make, told):
    make(tmp_path)
    with pytest.raises(DataError) as caught:
        load_folder("f", tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_imagenet_must_have_its_thousand_classes(tmp_path):
    for part in ("train", "val"):
        fill(tmp_path / part, {"n01440764": 1, "n01443537": 1})
    with pytest.raises(DataError, match="2 classes, where ImageNet has n01440764 and 999 others"):
        load_imagenet("imagenet", tmp_path)
    for part in ("train", "val"):
        fill(tmp_path / part, {"tench": 1})
    with pytest.raises(DataError, match="class tench, where ImageNet has"):
        load(f"imagenet:{tmp_path}")
    with pytest.raises(DataError, match="no folder /nowhere"):
        load("imagenet:/nowhere")


def test_imagenet_may_have_other_folders_beside_its_parts(tmp_path):
    classes = {f"n{number:08}": 1 for number in range(1000)}
    for part in ("train", "val"):
        fill(tmp_path / part, classes)
    (tmp_path / "ILSVRC2012_devkit_t12" / "data").mkdir(parents=True)
    data = load_imagenet("imagenet", tmp_path)
    assert data.classes == tuple(classes)
    assert (len(data.train.labels), len(data.test.labels)) == (1000, 1000)
