"""Folders of pictures: one class each, in an order that can be relied on, and refused where they mislead."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reslab.data.folder import load_folder, load_imagenet, picture_files, walk
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
    ("make", "message"),
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
def test_what_misleads_is_refused_with_its_folder(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(DataError) as caught:
        load_folder("f", tmp_path)
    assert message in str(caught.value)
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
    put(tmp_path / "val.tar", b"")
    with pytest.raises(DataError, match=r"val.tar: a file, not a folder; if it is an archive, extract it"):
        load(f"folder:{tmp_path / 'val.tar'}")
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


def put(path, content=None, **options):
    """A picture, or a file with some bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        Image.new("RGB", (8, 8)).save(path, **options)
    else:
        path.write_bytes(content)


def test_an_evaluation_takes_all_pictures_of_a_folder_without_splits(tmp_path):
    fill(tmp_path, {"a": 20, "b": 10, "c": 0})
    data = load(f"folder:{tmp_path}", purpose="evaluate")
    assert data.classes == ("a", "b", "c")
    assert np.bincount(data.test.labels).tolist() == [20, 10]
    assert len(data.train.labels) == 0
    assert (data.channels, data.size) == (3, None)


@pytest.mark.parametrize("name", ["val", "test", "Valid"])
def test_an_evaluation_takes_a_test_split_alone(tmp_path, name):
    fill(tmp_path / name, {"a": 3, "b": 2})
    assert load_folder("f", tmp_path, "evaluate").test.labels.tolist() == [0, 0, 0, 1, 1]


def test_an_evaluation_has_the_classes_of_the_training_folder_and_reads_none_of_its_pictures(tmp_path):
    fill(tmp_path / "train", {"a": 0, "b": 1, "c": 1})
    fill(tmp_path / "test", {"c": 2})
    fill(tmp_path / "val", {"a": 9})
    data = load_folder("f", tmp_path, "evaluate")
    assert data.classes == ("a", "b", "c")
    assert data.test.labels.tolist() == [2, 2]


def test_training_pictures_alone_are_evaluated_by_their_own_path(tmp_path):
    fill(tmp_path / "train", {"a": 1, "b": 1})
    with pytest.raises(DataError, match=r"has train and no val beside it; evaluate folder:.*train for its pictures"):
        load_folder("f", tmp_path, "evaluate")
    assert len(load_folder("f", tmp_path / "train", "evaluate").test.labels) == 2


def tiny(root):
    """tiny-imagenet's layout: 3 training pictures of each of two classes, 4 of val, 2 of test without labels."""
    for name in ("n01443537", "n01629819"):
        for number in range(3):
            put(root / "train" / name / "images" / f"{name}_{number}.JPEG")
        put(root / "train" / name / f"{name}_boxes.txt", b"x\t0\t0\t63\t63\n")
    for number in range(4):
        put(root / "val" / "images" / f"val_{number}.JPEG")
    for number in range(2):
        put(root / "test" / "images" / f"test_{number}.JPEG")
    lines = [f"val_{number}.JPEG\t{('n01629819', 'n01443537')[number % 2]}\t0\t0\t9\t9\n" for number in range(4)]
    put(root / "val" / "val_annotations.txt", "".join(lines).encode())


@pytest.mark.parametrize("purpose", ["train", "evaluate"])
def test_tiny_imagenets_annotations_are_its_labels(tmp_path, purpose):
    tiny(tmp_path)
    data = load_folder("f", tmp_path, purpose)
    assert data.classes == ("n01443537", "n01629819")
    assert data.test.labels.tolist() == [1, 0, 1, 0]
    assert list(data.test.files) == [f"images/val_{number}.JPEG" for number in range(4)]
    assert data.validation is None
    assert data.passed_over[-1] == f"{tmp_path}/test/"
    assert len(load_folder("f", tmp_path / "val", "evaluate").test.labels) == 4


def test_annotations_that_are_damaged_or_of_other_pictures_are_refused(tmp_path):
    tiny(tmp_path)
    put(tmp_path / "val" / "val_annotations.txt", b"val_0.JPEG n01443537\n")
    with pytest.raises(DataError, match=r"val_annotations.txt: not a text of lines of file and class"):
        load_folder("f", tmp_path)
    put(tmp_path / "val" / "val_annotations.txt", b"x.JPEG\tn01443537\n")
    with pytest.raises(DataError, match=r"has none of the pictures that its val_annotations.txt lists"):
        load_folder("f", tmp_path)
    put(tmp_path / "val" / "val_annotations.txt", b"val_0.JPEG\tn00000000\n")
    with pytest.raises(DataError, match="class n00000000 has no training pictures"):
        load_folder("f", tmp_path)


def test_some_of_imagenets_classes_can_be_evaluated(tmp_path):
    fill(tmp_path / "val", {"n01440764": 1, "n02102040": 2})
    data = load(f"imagenet:{tmp_path}", purpose="evaluate")
    assert (data.classes, data.test.labels.tolist()) == (("n01440764", "n02102040"), [0, 1, 1])


JPEG = b"\xff\xd8\xff\xe0"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"


def test_content_decides_where_the_ending_does_not(tmp_path, caplog):
    for name in ("a", "b"):
        fill(tmp_path, {name: 5})
        put(tmp_path / name / "noending", format="JPEG")
        put(tmp_path / name / "photo.jpg_large", format="PNG")
        put(tmp_path / name / "scan.mpo", format="JPEG")
        put(tmp_path / name / "IMG_1.HEIC", HEIC)
        put(tmp_path / name / "paper.pdf", b"%PDF-1.4\n")
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b")
    put(tmp_path / "outside.png")
    data = load_folder("f", tmp_path)
    assert len(data.train.files) + len(data.test.files) == 16
    assert sorted(Path(file).name for file in data.passed_over) == [
        "IMG_1.HEIC", "IMG_1.HEIC", "link", "outside.png", "paper.pdf", "paper.pdf", "pipe",
    ]  # fmt: skip
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("passed over, not readable as pictures: 2 .heic, 2 no ending, 2 .pdf, 1 .png; convert .heic")
    pictures, others = walk(tmp_path)
    assert (len(pictures), len(others)) == (17, 6)
    assert [path.name for path in picture_files([tmp_path])] == [Path(file).name for file in pictures]


@pytest.fixture
def nested(tmp_path):
    """Makes folders within each other, of any depth; Python's own rmtree cannot remove them."""

    def make(*names):
        here = Path.cwd()
        os.chdir(tmp_path)
        try:
            for name in names:
                Path(name).mkdir()
                os.chdir(name)
            Image.new("RGB", (8, 8)).save("x.png")
        finally:
            os.chdir(here)
        return tmp_path

    yield make
    subprocess.run(["rm", "-rf", tmp_path / "a"], check=True)


def test_folders_of_any_depth_are_walked(nested):
    assert walk(nested("a", *["d"] * 1500)) == (["a/" + "d/" * 1500 + "x.png"], [])


def test_folders_that_the_system_cannot_name_are_refused(nested):
    with pytest.raises(DataError, match=r"a/d/d.*: File name too long") as caught:
        walk(nested("a", *["d"] * 2500))
    assert len(str(caught.value)) < 300


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    fill(tmp_path, {"a": 2, "b": 2})
    with pytest.raises(DataError, match="missing: No such file"):
        walk(tmp_path / "missing")
    with pytest.raises(DataError, match=r"missing: has no pictures|no such file"):
        (tmp_path / "missing").mkdir()
        picture_files([tmp_path / "missing"])
