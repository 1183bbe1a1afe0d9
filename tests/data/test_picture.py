"""Pictures as people have them: every readable one is read as it looks, every other named with its reason."""

import io
import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from reslab.data.crops import View, views
from reslab.data.picture import PictureError, check_picture, crop_and_resize, formats

RED, BLUE = (200, 30, 40), (20, 40, 210)


def halves(mode="RGB", size=(64, 48)):
    """A picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, *size))
    return picture.convert(mode)


def whole(width, height):
    return [View((0, 0, width, height), False)]


def look(path, size=16):
    (picture,) = crop_and_resize(path, whole, size)
    assert (picture.mode, picture.size) == ("RGB", (size, size))
    return np.asarray(picture).astype(int)


def assert_halves(array, tolerance=12):
    assert abs(array[4, 1] - RED).max() <= tolerance
    assert abs(array[4, -2] - BLUE).max() <= tolerance


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGB", "a.png"), ("RGB", "a.jpg"), ("CMYK", "a.jpg"), ("P", "a.png"), ("RGBA", "a.png"), ("RGB", "a.webp"),
        ("RGB", "a.bmp"), ("P", "a.gif"), ("CMYK", "a.tif"),
    ],
)  # fmt: skip
def test_every_mode_and_format_looks_as_it_is(tmp_path, mode, name):
    path = tmp_path / name
    halves(mode).save(path)
    assert_halves(look(path), tolerance=12 if name != "a.gif" else 40)


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path):
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    array = look(tmp_path / "a.png", 64)
    np.testing.assert_allclose(array[..., 0], values / 257, atol=1)
    assert check_picture(tmp_path / "a.png").reason == "16 bits"


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_by_what_their_white_is(tmp_path, top):
    ramp = np.tile(np.linspace(0, top, 40, dtype=np.float32), (40, 1))
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    row = look(tmp_path / "a.tif")[0, :, 0]
    assert row[0] < 15 and row[-1] > 240  # the middle crop of it


def test_transparency_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.save(tmp_path / "a.png")
    assert (look(tmp_path / "a.png") == 255).all()
    palette = Image.new("P", (40, 40), 0)
    palette.save(tmp_path / "b.png", transparency=0)
    assert (look(tmp_path / "b.png") == 255).all()
    assert check_picture(tmp_path / "b.png").reason == "transparent"


STORED = {  # the pixels in the file, by their orientation tag
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_a_picture_turned_by_exif_stands_upright(tmp_path, turned, ending):
    """Four quarters of different colours, each in its corner, wide enough that a swap of the sides is seen."""
    upright = Image.new("RGB", (96, 48), RED)
    upright.paste(BLUE, (48, 0, 96, 24))
    upright.paste((30, 200, 60), (0, 24, 48, 48))
    stored = upright if STORED[turned] is None else upright.transpose(STORED[turned])
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / f"a.{ending}"
    stored.save(path, exif=exif, **({"quality": 100} if ending in ("jpg", "webp") else {}))
    sizes = []
    (picture,) = crop_and_resize(path, lambda w, h: [*whole(w, h), sizes.append((w, h))][:1], 16)
    array = np.asarray(picture).astype(int)
    assert sizes == [(96, 48)]
    for (row, column), colour in {(3, 3): RED, (3, 12): BLUE, (12, 3): (30, 200, 60), (12, 12): RED}.items():
        assert abs(array[row, column] - colour).max() <= 12
    assert ("turned by EXIF" in check_picture(path).reason) == (turned != 1)


def test_a_large_jpeg_decoded_small_looks_the_same(tmp_path):
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((1600, 1200))
    smooth.save(tmp_path / "a.jpg", quality=95)
    smooth.save(tmp_path / "a.png")
    for box in (lambda w, h: views(1, w, h), lambda w, h: [View((100, 50, 700, 650), True)]):
        (one,), (other,) = (crop_and_resize(tmp_path / name, box, 112) for name in ("a.jpg", "a.png"))
        assert abs(np.asarray(one).astype(int) - np.asarray(other)).mean() < 2


def test_one_pixel_is_a_picture(tmp_path):
    Image.new("RGB", (1, 1), RED).save(tmp_path / "a.png")
    assert (look(tmp_path / "a.png") == RED).all()
    assert check_picture(tmp_path / "a.png").reason == "1×1 pixels"


def truncated(path):
    halves(size=(300, 200)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:1000])


def bomb(path):
    """A PNG that says it has 30,000 x 30,000 pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    raw = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        raw += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (truncated, "damaged: "),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("a text"), "not a picture"),
        (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0 almost"), "damaged: "),
        (bomb, "decompression bomb"),
        (lambda path: path.symlink_to("nowhere"), "a link to nothing"),
        (lambda path: path.mkdir(), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: None, "no such file"),
    ],
    ids=["truncated", "empty", "text", "half", "bomb", "dangling", "folder", "fifo", "missing"],
)
def test_what_cannot_be_read_is_named_with_its_reason(tmp_path, make, message):
    path = tmp_path / "a.jpg"
    make(path)
    with pytest.raises(PictureError) as caught:
        crop_and_resize(path, whole, 8)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in caught.value.reason
    check = check_picture(path)
    assert (check.bad, check.odd) == (True, False)
    assert message in check.reason


def test_a_picture_of_more_pixels_than_pillow_likes_is_read_without_a_warning(tmp_path):
    Image.new("L", (9600, 9400), 77).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (look(tmp_path / "a.png") == 77).all()
    assert check_picture(tmp_path / "a.png").reason == "grey"


def test_the_limit_is_of_the_pixels_in_memory(tmp_path, monkeypatch):
    """A JPEG of more is decoded at a smaller scale, at least 1/8."""
    monkeypatch.setattr("reslab.data.picture._LARGEST_DECODED", 100_000)
    for name in ("a.jpg", "a.png", "a.tif"):
        halves(size=(800, 600)).save(tmp_path / name)
    assert_halves(look(tmp_path / "a.jpg"))
    assert check_picture(tmp_path / "a.jpg").reason == ""
    for name in ("a.png", "a.tif"):
        with pytest.raises(PictureError, match=r"0 megapixels, at most 0 are read; scale it down, or it is a decomp"):
            look(tmp_path / name)
    with pytest.raises(PictureError, match="decompression bomb"):
        crop_and_resize(tmp_path / "a.jpg", whole, 800)


def test_programs_are_never_started_for_a_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(PictureError, match="not a picture"):
        look(tmp_path / "a.png")


def test_negative_or_fractional_pixels_are_refused_and_not_guessed(tmp_path):
    for strange in (-3.5, np.nan, np.inf, 70_000):
        values = np.full((8, 8), 0.5, np.float32)
        values[3, 3] = strange
        Image.fromarray(values).save(tmp_path / "a.tif")
        with pytest.raises(PictureError, match="neither 8 nor 16 bits"):
            crop_and_resize(tmp_path / "a.tif", whole, 8)


@pytest.mark.parametrize("name", [b"new\nline.png", b"\xff\xfe.png", "ünï \U0001f600.png".encode(), b"-rf *.png"])
def test_odd_names_are_read_and_can_be_printed(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    halves().save(path, "PNG")
    assert_halves(look(path))
    path.write_bytes(b"no more")
    check = check_picture(path)
    assert check.bad
    assert "\n" not in check.file
    check.file.encode()
    code = "import sys, pathlib, reslab.data.picture as p; print(p.check_picture(pathlib.Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True)
    assert done.returncode == 0


def test_oddities_are_reported(tmp_path):
    halves("L").save(tmp_path / "grey.png")
    halves("CMYK").save(tmp_path / "print.jpg")
    halves().save(tmp_path / "png.jpg", "PNG")
    halves().save(tmp_path / "good.png")
    halves("P").save(tmp_path / "film.gif", save_all=True, append_images=[Image.new("P", (64, 48), 3)])
    reasons = {path.name: check_picture(path).reason for path in tmp_path.iterdir()}
    assert reasons == {
        "grey.png": "grey",
        "print.jpg": "mode CMYK",
        "png.jpg": "a PNG file by its content",
        "good.png": "",
        "film.gif": "several frames, the first is used",
    }


def test_damaged_exif_does_not_hide_the_picture(tmp_path):
    halves().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00garbage that is no TIFF header at all")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_halves(look(tmp_path / "a.jpg"))


def test_what_pillow_says_of_a_damaged_picture_is_not_printed(tmp_path):
    halves().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\x00")
    with pytest.warns(UserWarning, match="EXIF"), Image.open(tmp_path / "a.jpg") as picture:
        picture.getexif()
    code = "import sys; from pathlib import Path; from reslab.data.picture import check_picture as c\n"
    code += "assert not c(Path(sys.argv[1])).bad"
    words = [sys.executable, "-W", "default", "-c", code, tmp_path / "a.jpg"]
    assert subprocess.run(words, check=True, capture_output=True).stderr == b""


def pictures():
    """A picture in every format that Pillow writes, in every mode that it takes, by format and mode."""
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {}
    for kind in sorted(set(formats()) & set(Image.SAVE)):
        for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I", "F", "CMYK"):
            for options in ({}, {"exif": exif, "save_all": True}):
                file = io.BytesIO()
                try:
                    halves(mode).save(file, kind, **options)
                except (OSError, ValueError, KeyError):  # a mode that the format has not
                    continue
                files[f"{kind} {mode} {len(options)}"] = file.getvalue()
    return files


def damaged(draws, raw):
    """The bytes of a file with something else in some places, rather in its first ones."""
    raw = bytearray(raw)
    for _ in range(draws.randint(1, 6)):
        at, other = (draws.randrange(min(len(raw), draws.choice((200, 1 << 20))) + 1) for _ in range(2))
        length = draws.choice((1, 1, 2, 4, 8, 64))
        match draws.randrange(5):
            case 0:
                raw[at : at + 1] = bytes([draws.randrange(256)])
            case 1:
                raw[at : at + length] = draws.choice((b"\xff", b"\x00", b"\x7f")) * length
            case 2:
                raw[at : at + length] = raw[other : other + length]
            case 3:
                raw[at:at] = raw[other : other + length] * draws.choice((1, 2, 50))
            case _:
                del raw[at : at + draws.choice((length, len(raw)))]
    return bytes(raw)


def read_damaged(folder, seeds):
    """Each format's damaged pictures are read, or named with a reason of one line, within seconds."""
    path, files = folder / "a", pictures()
    assert len(files) > 80
    for seed in seeds:
        draws = random.Random(seed)
        for name, raw in files.items():
            path.write_bytes(damaged(draws, raw))
            begin = time.process_time()
            try:
                assert look(path).shape == (16, 16, 3)
            except PictureError as error:
                assert error.reason.isprintable(), (seed, name, error)
            except BaseException as error:
                raise AssertionError(f"seed {seed}, {name}: {type(error).__name__}") from error
            assert check_picture(path).reason.isprintable(), (seed, name)
            assert time.process_time() - begin < 15, (seed, name)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_picture_is_read_or_named(tmp_path):
    read_damaged(tmp_path, range(2))


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_picture_is_read_or_named_for_long(tmp_path):
    start = int(os.environ.get("RESLAB_FUZZ_SEED", "1000"))
    print(f"RESLAB_FUZZ_SEED={start}")
    read_damaged(tmp_path, range(start, start + 60))
