from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_video import HEIGHT, WIDTH, make_video

from qcen_core.conversion.frame_library import FoundVideo, FrameLibrary, upright_size
from qcen_core.errors import InputError


def pictures(folder, *names, size=(53, 31)):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ("0.png",):
        Image.new("RGB", size).save(folder / name)
    return folder


def test_a_folder_of_frames_is_a_video_called_like_itself(tmp_path):
    library = FrameLibrary(pictures(tmp_path / "pond", "10.png", "9.png", "0100.JPG"))
    assert library.names == ("pond",)
    found = library.only()
    assert found == FoundVideo("pond", 31, 53, ("9.png", "10.png", "0100.JPG"))
    assert library.get("pond") is found
    assert library.root == tmp_path / "pond"
    assert library.opened == (found,)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("pond", "pond"),
        ("pond/img1", "pond"),
        ("pond/JPEGImages", "pond"),
        ("JPEGImages/pond", "JPEGImages/pond"),
        ("park/pond", "park/pond"),
        ("park/pond/images", "park/pond"),
        ("park/pond/frames/rgb", "park/pond"),
        ("park/img1/pond/img", "park/img1/pond"),
        ("img1", "root"),
        ("frames/images", "root"),
        (".", "root"),
        ("wet pond.v2", "wet pond.v2"),
    ],
)
def test_names_are_paths_without_what_says_only_frames(tmp_path, folder, name):
    root = tmp_path / "root"
    pictures(root / folder)
    library = FrameLibrary(root)
    assert library.names == (name,)
    assert library.get(name).files == ("0.png" if folder == "." else f"{folder}/0.png",)


def test_folders_at_any_depth_and_only_those_with_pictures(tmp_path):
    for folder in ("a/one/img1", "a/two", "b", "b/c"):
        pictures(tmp_path / folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no frame")
    (tmp_path / "texts" / "0.png").mkdir()
    pictures(tmp_path / ".thumbnails")
    pictures(tmp_path / "d" / ".cache")
    pictures(tmp_path / "only_hidden", ".0.png")
    library = FrameLibrary(tmp_path)
    assert library.names == ("a/one", "a/two", "b", "b/c")
    assert library.only() is None
    assert library.opened == ()


def test_hidden_files_and_others_are_no_frames(tmp_path):
    pictures(tmp_path / "pond", "0.png", "1.png", "._0.png")
    (tmp_path / "pond" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "pond" / "gt.txt").write_text("")
    assert FrameLibrary(tmp_path).get("pond").files == ("pond/0.png", "pond/1.png")


def test_lookup_is_exact_then_by_the_last_part_and_never_a_guess(tmp_path):
    for folder in ("park/pond", "park/lake", "wood/lake", "Sea.view", "sky.mp4.frames"):
        pictures(tmp_path / folder)
    library = FrameLibrary(tmp_path)

    def name_of(asked):
        found = library.get(asked)
        return None if found is None else found.name

    assert name_of("park/pond") == "park/pond"
    assert name_of("park\\pond") == "park/pond"
    assert name_of("/park/pond/") == "park/pond"
    assert name_of("park/pond.mp4") == "park/pond"
    assert name_of("pond") == "park/pond"
    assert name_of("POND.MOV") == "park/pond"
    assert name_of("/data/upload/3/pond.mp4") == "park/pond"
    assert name_of("lake") is None
    assert name_of("lake.mp4") is None
    assert name_of("wood/lake") == "wood/lake"
    assert name_of("wood/lake.avi") == "wood/lake"
    assert name_of("sea.view") == "Sea.view"
    assert name_of("Sea.view.mp4") == "Sea.view"
    assert name_of("Sea") is None
    assert name_of("on") is None
    assert name_of("park") is None
    for nothing in ("", "/", ".", "..", ".mp4", "nowhere"):
        assert name_of(nothing) is None
    assert len({id(library.get("pond")), id(library.get("park/pond"))}) == 1


def test_two_sources_of_one_name_keep_their_whole_paths(tmp_path):
    pictures(tmp_path / "pond" / "img1")
    pictures(tmp_path / "pond" / "rgb", "0.png", "1.png")
    make_video(tmp_path / "lake.mp4", 2)
    make_video(tmp_path / "lake.avi", 3)
    library = FrameLibrary(tmp_path)
    assert library.names == ("lake.avi", "lake.mp4", "pond/img1", "pond/rgb")
    assert library.get("pond") is None
    assert library.get("lake") is None
    assert len(library.get("pond/rgb").files) == 2
    assert len(library.get("lake.avi").files) == 3
    assert library.get("lake.mp4").video_file == tmp_path / "lake.mp4"


def test_require_names_what_is_there(tmp_path):
    for number in range(7):
        pictures(tmp_path / f"clip{number}")
    library = FrameLibrary(tmp_path)
    assert library.require("clip3", "x.xml: task 2").name == "clip3"
    with pytest.raises(InputError) as caught:
        library.require("pond", "x.xml: task 2")
    assert caught.value.place == "x.xml: task 2"
    assert "'pond'" in caught.value.cause
    assert caught.value.hint == "--frames holds: clip0, clip1, clip2, clip3, clip4 ..."


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".MKV"])
def test_video_files(tmp_path, suffix):
    path = make_video(tmp_path / "park" / f"pond.v1{suffix}", 5)
    (tmp_path / "park" / "notes.txt").write_text("no video")
    expected = FoundVideo("park/pond.v1", HEIGHT, WIDTH, tuple(f"park/pond.v1/00000{i}.jpg" for i in range(5)), path)
    library = FrameLibrary(tmp_path)
    assert library.names == ("park/pond.v1",)
    assert library.get(f"pond.v1{suffix}") == expected
    single = FrameLibrary(path)
    assert single.root == tmp_path / "park"
    assert single.only().files[0] == "pond.v1/000000.jpg"


def test_turned_videos_are_upright(tmp_path):
    found = FrameLibrary(make_video(tmp_path / "pond.mp4", 2, rotation=90)).only()
    assert (found.height, found.width) == (WIDTH, HEIGHT)


def test_pictures_and_video_files_side_by_side(tmp_path):
    pictures(tmp_path, "0.png")
    make_video(tmp_path / "lake.mp4", 2)
    assert FrameLibrary(tmp_path).names == ("lake", tmp_path.name)


def test_nothing_to_find(tmp_path):
    with pytest.raises(InputError, match="no such folder of frames"):
        FrameLibrary(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither frames nor videos") as caught:
        FrameLibrary(tmp_path)
    assert caught.value.place == str(tmp_path)


def test_nothing_is_opened_before_it_is_asked_for(tmp_path):
    pictures(tmp_path / "pond")
    for path in (tmp_path / "lake" / "0.jpg", tmp_path / "sea.mp4"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"damaged")
    library = FrameLibrary(tmp_path)
    assert library.get("pond").files == ("pond/0.png",)
    for name in ("lake", "sea"):
        with pytest.raises(InputError) as caught:
            library.get(name)
        assert caught.value.place.startswith(str(tmp_path))
    assert [found.name for found in library.opened] == ["pond"]


def found_with(*names):
    return FoundVideo("pond", 31, 53, tuple(f"pond/{name}" for name in names))


def test_numbers_with_gaps_tell_which_frames_are_missing():
    found = found_with("f_005.png", "f_006.png", "f_009.png")
    assert [found.frame_index(number, 0) for number in range(-1, 7)] == [None, 0, 1, None, None, 2, None, None]
    assert [found.frame_index(number, 1) for number in range(7)] == [None, 0, 1, None, None, 2, None]


@pytest.mark.parametrize(
    "names",
    [
        ("7.png", "8.png", "9.png"),  # no gaps
        ("a.png", "b.png", "c.png"),  # no numbers
        ("a1.png", "b1.png", "b2.png"),  # no counting
        ("a9.png", "b2.png", "c5.png"),  # no counting either
        ("0.png", "5.png", "x.png"),  # one without a number
        ("1_of_9.png", "2_of_9.png", "3_of_9.png"),
        ("00000.png", "00005.png", "00010.png"),  # one frame in five was kept
        ("00000.png", "00005.png", "00015.png"),
        ("7.png", "9.png", "x3.png"),
    ],
)
def test_else_the_order_of_the_files_counts(names):
    found = found_with(*names)
    assert [found.frame_index(number, 0) for number in range(-1, 4)] == [None, 0, 1, 2, None]
    assert [found.frame_index(number, 1) for number in range(5)] == [None, 0, 1, 2, None]


@given(numbers=st.sets(st.integers(0, 40), min_size=1), first=st.integers(0, 1))
def test_every_frame_has_one_number(numbers, first):
    ordered = sorted(numbers)
    found = found_with(*(f"{number:04d}.jpg" for number in ordered))
    asked = range(-2, 50)
    indices = [found.frame_index(number, first) for number in asked]
    assert [index for index in indices if index is not None] == list(range(len(ordered)))
    for number, index in zip(asked, indices, strict=True):
        if index is not None and any(b - a == 1 for a, b in pairwise(ordered)):
            assert ordered[index] - ordered[0] == number - first
        elif index is not None:
            assert index == number - first


def test_links_that_lead_back_are_not_followed_for_ever(tmp_path):
    root = tmp_path / "root"
    pictures(root / "a" / "pond")
    pictures(tmp_path / "elsewhere" / "sea")
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    (root / "a" / "pond" / "self").symlink_to(root / "a" / "pond", target_is_directory=True)
    (root / "0").symlink_to(root / "a", target_is_directory=True)
    (root / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(root, target_is_directory=True)
    assert FrameLibrary(root).names == ("a/pond", "b/sea")


def test_sizes_of_what_is_no_picture(tmp_path):
    (tmp_path / "0.png").write_text("no picture")
    for path in (tmp_path / "0.png", tmp_path / "1.png", tmp_path):
        with pytest.raises(InputError) as caught:
            upright_size(path)
        assert caught.value.place == str(path)
