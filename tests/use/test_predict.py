"""A prediction is what the evaluation of the same network computes, for any picture, with names that people know."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from reslab import evaluate_network, predict_pictures
from reslab.cli import main
from reslab.data.digits import load_digits
from reslab.data.folder import picture_files
from reslab.data.loader import load, make_loader
from reslab.data.names import class_names, imagenet
from reslab.data.normalise import IMAGENET, MeanImage
from reslab.errors import DataError, SpecError
from reslab.nets import cifar_resnet, network
from reslab.spec import replace
from reslab.use.cam import overlay_files
from reslab.use.predict import Predictor
from reslab.weights.file import Weights, built, read_weights, save_weights

CPU = torch.device("cpu")


def reslab(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def weights_of(value, normalise=IMAGENET, classes=(), crop=None):
    torch.manual_seed(0)
    return Weights(value, value.build().state_dict(), normalise, classes, crop)


def small(classes):
    value = network("resnet18")
    return replace(value, units=(1, 1), widths=(8, 16), size=32, classes=classes)


@pytest.fixture
def folder(tmp_path):
    """Two classes of pictures of every kind: turned, grey, transparent, 16 bits, by palette, wide and high."""
    random = np.random.default_rng(0)
    for name in ("blue", "red"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
    for number in range(12):
        bytes_ = random.integers(0, 256, (40 + 5 * number, 70, 4), dtype=np.uint8)
        place = tmp_path / "pictures" / ("blue", "red")[number % 2]
        match number % 6:
            case 0:
                exif = Image.Exif()
                exif[0x0112] = 6
                Image.fromarray(bytes_[..., :3]).save(place / f"{number:02}.jpg", exif=exif)
            case 1:
                Image.fromarray(bytes_).save(place / f"{number:02}.png")
            case 2:
                Image.fromarray(bytes_[..., 0].astype(np.uint16) * 200).save(place / f"{number:02}.png")
            case 3:
                Image.fromarray(bytes_[..., 0]).save(place / f"{number:02}.jpg")
            case 4:
                Image.fromarray(bytes_[..., :3]).convert("P").save(place / f"{number:02}.gif")
            case _:
                Image.fromarray(bytes_[..., :3]).save(place / f"{number:02}.bmp")
    return tmp_path / "pictures"


@pytest.fixture
def file(tmp_path):
    """Weights of a network of pictures, with two classes."""
    save_weights(weights_of(small(2), classes=("blue", "red")), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def expected(weights, data, part="test"):
    """The probabilities that `evaluate` finds for the images of a part."""
    module = built(weights).to(memory_format=torch.channels_last)
    with make_loader(data, CPU, weights.network.size, weights.normalise) as loader, torch.inference_mode():
        return torch.cat([module(images).softmax(1) for images, _ in loader.views(part)])


def test_pictures_are_seen_as_evaluate_sees_a_folder(file, folder):
    weights, data = read_weights(file), load(f"folder:{folder}")
    for part in ("train", "test"):
        pictures = getattr(data, part)
        files = [pictures.folder / name for name in pictures.files]
        guesses = [guess for batch in Predictor(weights, CPU).predict(files, batch=3) for guess in batch]
        assert [guess.file for guess in guesses] == files
        for guess, chances in zip(guesses, expected(weights, data, part), strict=True):
            assert guess.best[0][0] == int(chances.argmax())
            assert dict(guess.best) == pytest.approx(dict(enumerate(chances.tolist())), abs=1e-6)


@pytest.mark.parametrize("crop", [None, "center", "square"])
def test_a_folder_is_evaluated_as_its_pictures_are_predicted(crop, folder, tmp_path):
    """Also by a network of whole images, which sees whole pictures then."""
    weights = weights_of(small(2), classes=("blue", "red"), crop=crop)
    save_weights(weights, tmp_path / "w.safetensors")
    test = load(f"folder:{folder}", purpose="evaluate").test
    result = predict_pictures(tmp_path / "w.safetensors", [test.folder / name for name in test.files], top=2)
    chances = [
        dict(classes)[("blue", "red")[label]] for classes, label in zip(result.values(), test.labels, strict=True)
    ]
    loss = evaluate_network(tmp_path / "w.safetensors", f"folder:{folder}").loss
    assert loss == pytest.approx(-np.log(chances).mean(), abs=1e-5)


def test_one_picture_may_be_given_alone(file, folder):
    pictures = sorted(path for path in folder.rglob("*") if path.is_file())
    assert predict_pictures(file, str(pictures[0])) == predict_pictures(file, [pictures[0]])
    assert len(predict_pictures(file, folder)) == len(pictures)


def test_a_program_gets_an_error_for_a_picture_that_cannot_be_read(file, folder):
    (folder / "words.png").write_text("no picture")
    with pytest.raises(DataError, match=r"words\.png: not a picture"):
        predict_pictures(file, [folder])


@pytest.mark.parametrize("crop", [None, "square"])
def test_small_images_saved_as_files_are_the_images_themselves(tmp_path, crop):
    digits = load_digits()
    value = replace(cifar_resnet(8), channels=1, size=8)
    weights = weights_of(value, MeanImage(digits.train.mean()), digits.classes, crop)
    chances = expected(weights, digits)[:20]
    for index in range(20):
        Image.fromarray(digits.test.pixels[index, 0]).save(tmp_path / f"{index:02}.png")
    guesses = [guess for batch in Predictor(weights, CPU).predict(picture_files([tmp_path])) for guess in batch]
    assert [guess.best[0][0] for guess in guesses] == chances.argmax(1).tolist()
    assert [guess.best[0][1] for guess in guesses] == pytest.approx(chances.amax(1).tolist(), abs=1e-6)
    assert np.array_equal(guesses[3].pixels, digits.test.pixels[3])


def test_whether_images_are_seen_whole_travels_with_the_weights(tmp_path):
    gradient = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (64, 64, 3))
    Image.fromarray(np.ascontiguousarray(gradient)).save(tmp_path / "gradient.png")
    widths = {}
    for crop in ("square", "center"):
        save_weights(weights_of(small(2), classes=("a", "b"), crop=crop), tmp_path / "w.safetensors")
        sight = Predictor(read_weights(tmp_path / "w.safetensors"), CPU).preprocessing
        seen = sight.read(tmp_path / "gradient.png")[0, 0].astype(int)
        widths[crop] = seen[-1] - seen[0]
    assert widths["center"] / widths["square"] == pytest.approx(224 / 256, abs=0.05)
    foreign = weights_of(cifar_resnet(8))  # others' CIFAR weights name no classes
    assert Predictor(foreign, CPU).preprocessing.crop == "square"
    assert Predictor(weights_of(small(2), classes=("a", "b")), CPU).preprocessing.crop == "center"


def test_a_network_that_cannot_see_pictures_is_refused():
    with pytest.raises(SpecError, match="2 channels cannot see pictures"):
        Predictor(weights_of(replace(cifar_resnet(8), channels=2), None), CPU)
    with pytest.raises(SpecError, match="do not say how"):
        Predictor(weights_of(replace(cifar_resnet(8), channels=1), None), CPU)


def test_damaged_weights_are_reported(folder):
    weights = weights_of(small(2), classes=("blue", "red"))
    weights.state["head.linear.bias"][0] = float("nan")
    with pytest.raises(DataError, match="not finite"):
        list(Predictor(weights, CPU).predict(picture_files([folder])))


def test_classes_have_the_names_of_the_weights_or_imagenets_or_numbers():
    assert [str(name) for name in class_names(("cat", "n02124075"), 2)] == ["cat", "Egyptian cat (n02124075)"]
    assert str(class_names(("\udc80",), 1)[0]) == r"'\udc80'"
    names = class_names((), 1000)
    assert len(imagenet()) == 1000
    assert (names[0].name, names[0].wordnet, names[999].name) == ("tench", "n01440764", "toilet tissue")
    assert names[281] == ("tabby", "n02123045")
    assert list(imagenet()) == sorted(imagenet())
    assert [name.name for name in class_names((), 3)] == ["class 0", "class 1", "class 2"]


def test_the_words_on_stdout(file, folder, capsys):
    assert reslab("predict", file, folder / "red" / "01.png", "--top", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder / "red" / "01.png")
    assert len(lines) == 2
    assert lines[1].endswith((" %  blue", " %  red"))


def test_json_is_one_list_in_the_order_of_the_files(file, folder, capsys):
    assert reslab("predict", file, folder, "--json", "--batch", 5) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert [entry["file"] for entry in result] == [str(path) for path in sorted(folder.rglob("*.*"))]
    for entry in result:
        first, second = entry["classes"]
        assert {first["name"], second["name"]} == {"blue", "red"}
        assert first["probability"] >= second["probability"]
        assert first["probability"] + second["probability"] == pytest.approx(1)
    assert captured.err.splitlines()[-1] == "12 of 12 pictures"


def test_bad_files_are_named_and_the_others_predicted(file, folder, capsys):
    whole = (folder / "blue" / "00.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[:300])
    (folder / "words.png").write_text("no picture")
    os.mkfifo(folder / "pipe.png")
    words = ["predict", file, folder, folder / "nowhere.jpg", "--batch", 2, "--json"]
    assert reslab(*words) == 3
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 12
    bad = {line.split(": ")[1]: line.split(": ")[2] for line in captured.err.splitlines() if line.startswith("skipped")}
    names = {"cut.jpg": "damaged", "words.png": "not a picture", "pipe.png": "not a regular file"}
    assert bad == {str(folder / name): reason for name, reason in {**names, "nowhere.jpg": "no such file"}.items()}
    assert reslab("predict", file, folder / "nowhere.jpg") == 3
    assert capsys.readouterr().out == ""


def test_folders_are_walked_in_order_without_what_is_hidden_or_no_picture(folder, tmp_path):
    (folder / "a" / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("a/deep/x.PNG", "a/b.jpg", "notes.txt", "paper.pdf", ".y.png", ".hidden/z.png"):
        (folder / name).write_bytes(b"")
    (folder / "a" / "loop").symlink_to(folder)
    result = [str(path.relative_to(folder)) for path in picture_files([folder])]
    assert result[:2] == ["a/b.jpg", "a/deep/x.PNG"]
    assert len(result) == 14
    assert picture_files([folder / "notes.txt"]) == [folder / "notes.txt"]
    assert len(picture_files([folder / "a" / "b.jpg", folder])) == 14


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["w.safetensors", "empty"], 3, "empty: has no pictures"),
        (["nothing.safetensors", "pictures"], 3, "nothing.safetensors: no such file"),
        (["w.safetensors", "pictures", "--cam", "w.safetensors"], 2, "--cam w.safetensors: not a folder"),
        (["w.safetensors", "pictures", "--device", "tpu"], 2, "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["w.safetensors", "pictures", "--top", "0"], 2, "--top"),
        (["w.safetensors"], 2, "IMAGE"),
    ],
)
def test_wrong_words_end_in_two_lines(words, code, message, file, folder, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert reslab("predict", *words) == code
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) <= 2 or err.startswith("Usage:")


def test_overlays_have_their_pictures_names_and_never_their_places(tmp_path):
    files = [tmp_path / name for name in ("a/cat.jpg", "b/cat.png", "b/Cat.gif", "cat-cam.png", "dog.png")]
    places = overlay_files(files, tmp_path)
    assert [place.name for place in places] == [
        "cat-2-cam.png", "cat-3-cam.png", "Cat-4-cam.png", "cat-cam-cam.png", "dog-cam.png",
    ]  # fmt: skip
    assert not set(places) & set(files)


def test_cam_writes_a_picture_for_each_and_leaves_the_files_alone(file, folder, capsys):
    (folder / "red" / "01-cam.png").write_bytes((folder / "red" / "01.png").read_bytes())
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    assert reslab("predict", file, folder, "--cam", folder / "red", "--batch", 5) == 0
    made = {path for path in folder.rglob("*.*") if path not in before}
    assert {path.parent for path in made} == {folder / "red"}
    assert len(made) == len(before) == 13
    assert {path.name for path in made} > {"00-cam.png", "01-2-cam.png", "01-cam-cam.png"}
    for path in made:
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (224, 224))
    assert {path: path.read_bytes() for path in before} == before


def test_heat_maps_of_a_class_of_ones_choice(file, folder, capsys):
    made = {}
    for word in ("blue", "0", "red"):
        assert reslab("predict", file, folder / "red", "--cam", folder / word, "--cam-class", word) == 0
        made[word] = [path.read_bytes() for path in sorted((folder / word).iterdir()) if "-cam" in path.name]
    assert made["blue"] == made["0"]
    assert made["blue"] != made["red"]
    capsys.readouterr()
    assert reslab("predict", file, folder, "--cam", folder / "out", "--cam-class", "gren") == 2
    assert "no class gren, nor a number from 0 to 1: did you mean red?" in capsys.readouterr().err
    assert reslab("predict", file, folder, "--cam-class", "red") == 2


def test_it_does_not_wait_for_what_it_does_not_need(file, folder):
    code = """
import sys
from reslab.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code
slow = {"scipy", "sklearn", "matplotlib", "torch._dynamo", "torch._inductor", "jinja2"}
assert not slow & set(sys.modules), slow & set(sys.modules)
"""
    words = ["predict", str(file), str(folder / "red" / "01.png")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_finds_the_same_classes(engine, file, folder, capsys):
    pytest.importorskip(engine)
    result = {}
    for name in ("torch", engine):
        assert reslab("predict", file, folder, "--engine", name, "--batch", 5, "--json") == 0
        result[name] = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in result[engine]] == [entry["file"] for entry in result["torch"]]
    for ours, theirs in zip(result["torch"], result[engine], strict=True):
        assert ours["classes"][0]["name"] == theirs["classes"][0]["name"]
        assert ours["classes"][0]["probability"] == pytest.approx(theirs["classes"][0]["probability"], abs=1e-4)
