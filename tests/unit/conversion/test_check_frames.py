from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qcen_core.conversion.check_frames import check_frames
from qcen_core.conversion.frame_library import upright_size
from qcen_core.records import VideoRecord
from qcen_core.video.frame_folder import read_image

HEIGHT, WIDTH = 61, 101
ORIENTATION = 0x0112
# How the stored picture has to be changed to be seen upright.
UPRIGHT = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image.transpose(1, 0, 2), 2),
    8: np.rot90,
}


def picture():
    """Smooth colours that differ in every corner."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([2 * x, 4 * y, 255 - x - 2 * y], axis=-1).astype(np.uint8)


def faults(tmp_path, *names, height=HEIGHT, width=WIDTH):
    return check_frames([VideoRecord(3, "pond", height, width, names)], tmp_path, None)


def oriented(number):
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


def mode(name):
    return lambda image: image.convert(name)


def sixteen_bits(image):
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


# Name, how the picture is changed before it is saved, how it is saved, what colours have to come out, and how exactly.
GREY = np.asarray(Image.fromarray(picture()).convert("L"))[..., None].repeat(3, axis=2)
GOOD = [
    ("baseline.jpg", mode("RGB"), {"quality": 95}, picture(), 8),
    ("progressive.jpeg", mode("RGB"), {"quality": 95, "progressive": True}, picture(), 8),
    ("full_colour.JPG", mode("RGB"), {"quality": 95, "subsampling": 0}, picture(), 6),
    ("grey.jpg", mode("L"), {"quality": 95}, GREY, 6),
    ("cmyk.jpg", mode("CMYK"), {"quality": 98}, picture(), 12),
    ("plain.png", mode("RGB"), {}, picture(), 0),
    ("grey.png", mode("L"), {}, GREY, 0),
    ("sixteen_bits.png", sixteen_bits, {}, GREY, 1),
    ("transparent.png", mode("RGBA"), {}, picture(), 0),
    ("grey_transparent.png", mode("LA"), {}, GREY, 0),
    ("palette.png", lambda image: image.quantize(256), {}, picture(), 40),
    ("plain.bmp", mode("RGB"), {}, picture(), 0),
    ("plain.tif", mode("RGB"), {}, picture(), 0),
    ("packed.tiff", mode("RGB"), {"compression": "tiff_lzw"}, picture(), 0),
    ("plain.webp", mode("RGB"), {"lossless": True}, picture(), 0),
]


@pytest.mark.parametrize(("name", "change", "options", "colours", "tolerance"), GOOD, ids=[case[0] for case in GOOD])
def test_every_usual_kind_of_picture_passes_and_is_decoded(tmp_path, name, change, options, colours, tolerance):
    change(Image.fromarray(picture())).save(tmp_path / name, **options)
    assert faults(tmp_path, name) == []
    image = read_image(tmp_path / name)
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert np.abs(image.astype(int) - colours).max() <= tolerance
    assert upright_size(tmp_path / name) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_sizes_are_those_of_the_upright_picture(tmp_path, orientation, ending):
    name = f"frame.{ending}"
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(ending, {})
    Image.fromarray(picture()).save(tmp_path / name, exif=oriented(orientation), **options)
    expected = UPRIGHT[orientation](picture())
    height, width = expected.shape[:2]
    assert ((height, width) == (WIDTH, HEIGHT)) == (orientation > 4)
    assert faults(tmp_path, name, height=height, width=width) == []
    assert upright_size(tmp_path / name) == (height, width)
    image = read_image(tmp_path / name)
    assert image.shape == (height, width, 3)
    assert np.abs(image.astype(int) - expected).max() <= 6
    (problem,) = faults(tmp_path, name, height=width, width=height)
    assert problem.kind == "wrong frame size"
    assert ("EXIF" in problem.cause, "without that mark" in problem.hint) == ((orientation > 4,) * 2)


def test_a_turned_frame_of_quite_another_size_is_not_blamed_on_its_mark(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "frame.jpg", exif=oriented(6))
    (problem,) = faults(tmp_path, "frame.jpg", height=59, width=97)
    assert problem.cause == "the frame is 61 x 101, the annotations say 97 x 59"
    assert problem.kind == "wrong frame size"


ENDINGS = {
    "jpg": {"quality": 95},
    "jpeg": {"quality": 95, "progressive": True},
    "png": {},
    "webp": {},
    "bmp": {},
    "tif": {},
    "tiff": {"compression": "tiff_lzw"},
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow adds its own to its error
@pytest.mark.parametrize("kept", ["half", "all but 300 bytes", "all but the end mark", "all but a byte", "a few bytes"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_is_cut_off_is_told(tmp_path, ending, kept):
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    path = tmp_path / f"frame.{ending}"
    Image.fromarray(noise).save(path, **ENDINGS[ending])
    assert faults(tmp_path, path.name) == []
    whole = path.read_bytes()
    size = {"half": len(whole) // 2, "a few bytes": 11}.get(kept)
    left_out = {"all but 300 bytes": 300, "all but the end mark": 2 if "j" in ending else 12}.get(kept, 1)
    path.write_bytes(whole[: len(whole) - left_out if size is None else size])
    (problem,) = faults(tmp_path, path.name)
    assert problem.kind == "unreadable frame file"
    assert problem.place == f"{path}: video 3, frame 0"
    assert problem.cause.startswith("cannot be decoded: ")
    assert "\n" not in problem.cause


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("<html>not found</html>")


def folder(path):
    path.unlink()
    path.mkdir()


def other_size(path):
    Image.new("RGB", (HEIGHT, WIDTH)).save(path)


def floats(path):
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (Path.unlink, "missing frame file"),
        (folder, "missing frame file"),
        (empty, "unreadable frame file"),
        (text, "unreadable frame file"),
        (floats, "unreadable frame file"),
        (other_size, "wrong frame size"),
    ],
)
def test_every_kind_of_fault(tmp_path, spoil, kind):
    for name in ("good.png", "bad.png"):
        Image.fromarray(picture()).save(tmp_path / name)
    spoil(tmp_path / "bad.png")
    (problem,) = faults(tmp_path, "good.png", "bad.png", "good.png")
    assert (problem.kind, problem.video, problem.loses_labels) == (kind, 0, True)
    assert problem.place == f"{tmp_path / 'bad.png'}: video 3, frame 1"
    assert problem.hint


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a\0b.jpg", "\ud800.jpg", "good.png/frame.jpg"])
def test_names_that_no_file_can_have(tmp_path, name):
    Image.fromarray(picture()).save(tmp_path / "good.png")
    (problem,) = faults(tmp_path, name)
    assert problem.kind in ("missing frame file", "unreadable frame file")


def test_problems_come_in_the_order_of_the_videos_with_their_indices(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "good.png")
    videos = [
        VideoRecord(10 * i, f"v{i}", HEIGHT, WIDTH, ("good.png",) * (i + 1) + ("gone.png",) * (i % 2))
        for i in range(12)
    ]
    calls = []
    problems = check_frames(videos, tmp_path, lambda *done: calls.append(done))
    assert calls == [(i + 1, 12) for i in range(12)]
    assert [(p.video, p.place.split(": ")[1]) for p in problems] == [
        (i, f"video {10 * i}, frame {i + 1}") for i in range(1, 12, 2)
    ]


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "webp"])
def test_damaged_files_raise_nothing(tmp_path, ending):
    rng = np.random.default_rng(3)
    Image.fromarray(picture()).save(tmp_path / f"good.{ending}")
    good = np.frombuffer((tmp_path / f"good.{ending}").read_bytes(), np.uint8)
    for _ in range(60):
        bad = good.copy()
        bad[rng.integers(0, min(len(good), 90), 3)] = rng.integers(0, 256, 3)
        (tmp_path / f"bad.{ending}").write_bytes(bad.tobytes())
        found = faults(tmp_path, f"bad.{ending}")
        assert {problem.kind for problem in found} <= {"unreadable frame file", "wrong frame size"}
        if not found:
            assert read_image(tmp_path / f"bad.{ending}").shape == (HEIGHT, WIDTH, 3)
