"""Picture files as batches: every file once, at its place, and never another in its stead."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from reslab.data.batches import positions
from reslab.data.crops import InceptionCrop, PadCropFlip, ScaleJitter
from reslab.data.folder import load_folder
from reslab.data.image_folder import ImageFolderLoader
from reslab.data.normalise import IMAGENET, MeanStd
from reslab.data.picture import PictureError
from reslab.errors import DataError, SpecError

PLAIN = MeanStd((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train and val of two classes, every picture of one grey value that is its own."""
    root = tmp_path_factory.mktemp("pictures")
    value = 0
    for part, count in (("train", 7), ("val", 5)):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                value += 8
                Image.new("RGB", (40, 30), (value,) * 3).save(root / part / name / f"{number}.png")
    return root


def grey(images):
    return (images.mean((1, 2, 3)) * 255).round().int().tolist()


def test_a_batch_has_the_pictures_of_its_positions(folder):
    data = load_folder("f", folder)
    with ImageFolderLoader(data, CPU, 16, PLAIN) as loader:
        batches = list(loader.batches(3, range(2, 7), 4, None))
    for step, (images, labels) in zip(range(2, 7), batches, strict=True):
        where = positions(3, step, 4, 14)
        assert images.shape == (4, 3, 16, 16)
        assert grey(images) == [8 * (1 + index) for index in where]
        assert labels.tolist() == data.train.labels[where].tolist()


@pytest.mark.parametrize("crops", [1, 10, 144])
def test_every_test_picture_is_seen_once_in_all_its_crops(folder, crops):
    with ImageFolderLoader(load_folder("f", folder), CPU, 8, PLAIN) as loader:
        batches = list(loader.views("test", crops))
    values = [value for images, _ in batches for value in grey(images)]
    assert values == [8 * (15 + index) for index in range(10) for _ in range(crops)]
    assert [label for _, labels in batches for label in labels.tolist()] == [0] * 5 + [1] * 5


def test_values_are_normalised_by_channel(folder):
    with ImageFolderLoader(load_folder("f", folder), CPU, 8) as loader:
        images, _ = next(loader.views("test"))
    expected = (np.float32(8 * 15 / 255) - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    np.testing.assert_allclose(images[0, :, 3, 3].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("augment", [ScaleJitter(), InceptionCrop()])
def test_what_is_drawn_is_a_function_of_seed_and_step(folder, augment):
    data = load_folder("f", folder)

    def batch(seed, steps):
        with ImageFolderLoader(data, CPU, 16) as loader:
            return list(loader.batches(seed, steps, 6, augment))[-1][0]

    assert torch.equal(batch(1, range(5, 6)), batch(1, range(6)))
    assert not torch.equal(batch(1, range(5, 6)), batch(2, range(5, 6)))


def test_a_wrong_augmentation_is_refused(folder):
    with (
        ImageFolderLoader(load_folder("f", folder), CPU, 16) as loader,
        pytest.raises(SpecError, match="pictures take scale"),
    ):
        loader.check(PadCropFlip())


@pytest.fixture
def spoilt(folder, tmp_path):
    """The same with two damaged files, one in each part."""
    import shutil

    shutil.copytree(folder, tmp_path / "p")
    for name in ("train/a/3.png", "val/b/4.png"):
        (tmp_path / "p" / name).write_bytes(b"not a picture")
    return tmp_path / "p"


def test_a_bad_file_ends_the_run_by_its_name(spoilt):
    with ImageFolderLoader(load_folder("f", spoilt), CPU, 16, PLAIN) as loader:
        with pytest.raises(PictureError, match=r"train/a/3\.png: not a picture"):
            list(loader.batches(0, range(4), 4, None))
        with pytest.raises(PictureError, match=r"val/b/4\.png: not a picture"):
            list(loader.views("test"))


def test_a_skipped_file_leaves_its_batch_smaller_and_is_reported(spoilt):
    data = load_folder("f", spoilt)
    with ImageFolderLoader(data, CPU, 16, PLAIN, on_bad="skip") as loader:
        for step, (images, labels) in zip(range(7), loader.batches(0, range(7), 4, None), strict=True):
            where = [index for index in positions(0, step, 4, 14) if index != 3]
            assert grey(images) == [8 * (1 + index) for index in where]
            assert labels.tolist() == data.train.labels[where].tolist()
        for crops in (1, 144):
            assert sum(len(labels) for _, labels in loader.views("test", crops)) == 9
        assert loader.skipped == {
            str(spoilt / "train/a/3.png"): "not a picture",
            str(spoilt / "val/b/4.png"): "not a picture",
        }


def test_a_batch_of_bad_files_alone_is_an_error(spoilt):
    for path in (spoilt / "train").rglob("*.png"):
        path.write_bytes(b"")
    with (
        ImageFolderLoader(load_folder("f", spoilt), CPU, 16, on_bad="skip") as loader,
        pytest.raises(DataError, match="none of a batch's pictures"),
    ):
        next(loader.batches(0, range(4), 4, None))


def test_nothing_runs_on_in_the_background(folder):
    before = threading.active_count()
    with ImageFolderLoader(load_folder("f", folder), CPU, 16) as loader:
        next(loader.batches(0, range(1000), 4, None))
    assert threading.active_count() == before
