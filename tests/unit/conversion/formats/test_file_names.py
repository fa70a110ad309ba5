import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcen_core.conversion.formats.file_names import distinct_file_names, original_stem, split_number, video_series
from qcen_core.conversion.formats.found_videos import FoundVideos
from qcen_core.conversion.frame_library import FoundVideo


@given(st.lists(st.text(max_size=6), max_size=12))
def test_names_are_distinct_and_safe(given_names):
    names = distinct_file_names([*given_names, *given_names, "a", "A", "a_2"])
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name and "/" not in name and not name.startswith(".") for name in names)


def test_names_with_a_number_put_behind_are_distinct_too():
    assert distinct_file_names(["a b", "a_b", "a_b_2", "A/b", "..", "c"]) == (
        "a_b", "a_b_2", "a_b_2_2", "A_b_3", "video_5", "c"
    )  # fmt: skip
    videos = FoundVideos()
    for name in ("a_3", "a b", "a/b", "a_b_2", "a.", "a"):
        videos.add(FoundVideo(name, 7, 11, ("0.png",)))
    names = [record.name for record in videos.records()]
    assert len(set(names)) == len(names) == 6


@pytest.mark.parametrize(
    ("file", "stem", "parts"),
    [
        ("x/pond_012.jpg", "pond_012", ("pond_", 12)),
        ("x/pond_012.v2.jpg", "pond_012.v2", ("pond_012.v", 2)),
        ("pond_mp4-12_jpg.rf.0a1b2c.jpg", "pond_mp4-12", ("pond_mp4-", 12)),
        ("0f3a9c21-pond_02.png", "pond_02", ("pond_", 2)),
        ("0f3a9c2-pond.png", "0f3a9c2-pond", ("0f3a9c2-pond", None)),
        ("0.png", "0", ("", 0)),
    ],
)
def test_what_names_are_made_of(file, stem, parts):
    assert original_stem(file) == stem
    assert split_number(stem) == parts


def test_series_are_numbered_and_of_one_size():
    files = ["a10.png", "a9.png", "b1.png", "b2.png", "c1.png", "d.png", "e1.png", "e01.png", "f1.png", "f2.png"]
    sizes = {2: (7, 11), 3: (7, 13), 8: None}
    assert video_series(files, lambda index: sizes.get(index, (7, 11))) == {"a": (1, 0), "f": (8, 9)}


def test_sizes_are_asked_for_until_two_differ():
    asked = []

    def size_of(index):
        asked.append(index)
        return (7, 11 + index)

    assert video_series([f"{n}.png" for n in range(1000)], size_of) == {}
    assert asked == [0, 1]
