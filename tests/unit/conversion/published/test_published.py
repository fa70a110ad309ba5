import json
import re
import stat
import zipfile

import cv2
import numpy as np
import pytest

from qcen_core.conversion.published import published_layouts, zips
from qcen_core.conversion.published.annotation_head import read_head
from qcen_core.conversion.published.categories import OFFICIAL_CATEGORIES, OVIS, YTVIS2019, YTVIS2021
from qcen_core.conversion.published.finder import find_published
from qcen_core.errors import InputError

PICTURE = cv2.imencode(".jpg", np.full((13, 17, 3), 90, np.uint8))[1].tobytes()
LABEL = {"id": 1, "video_id": 1, "category_id": 1, "iscrowd": 0, "bboxes": [[1, 2, 3, 4], None]}


def names_of(split, videos=1):
    return [[f"{split}{number}/{frame:05d}.jpg" for frame in (0, 5)] for number in range(videos)]


def content_of(split, categories=YTVIS2021, labels=None, videos=1):
    records = [
        {"id": number, "file_names": files, "length": 2, "height": 13, "width": 17}
        for number, files in enumerate(names_of(split, videos), start=1)
    ]
    return {
        "info": {"year": 2021},
        "videos": records,
        "categories": [{"id": i, "name": name, "supercategory": "object"} for i, name in enumerate(categories, 1)],
        "annotations": [LABEL] if labels is None else labels,
    }


def files_of(annotations, frames, split="train", **content):
    """Path -> bytes of one split."""
    files = {annotations: json.dumps(content_of(split, **content)).encode()}
    for video in names_of(split, content.get("videos", 1)):
        files |= {f"{frames}/{name}" if frames else name: PICTURE for name in video}
    return files


def lay(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def pack(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as written:
        for name, data in files.items():
            written.writestr(name, data)
    return path


def test_official_lists():
    assert [len(names) for names in OFFICIAL_CATEGORIES.values()] == [40, 40, 25]
    assert all(len(set(names)) == len(names) for names in OFFICIAL_CATEGORIES.values())
    assert list(YTVIS2021) == sorted(YTVIS2021)
    # What the 2021 edition changed, by its official page, and two words it renamed.
    assert set(YTVIS2019) - set(YTVIS2021) == {"eagle", "owl", "ape", "hand", "sedan"}
    assert set(YTVIS2021) - set(YTVIS2019) == {"bird", "flying_disc", "squirrel", "whale", "car"}
    assert (OVIS[12], OVIS[24], YTVIS2019[39]) == ("Giant_panda", "Vehical", "tennis_racket")


LAYOUTS = [
    ("train.json", "train/JPEGImages"),
    ("train/instances.json", "train/JPEGImages"),
    ("instances_train_sub.json", "train/JPEGImages"),
    ("annotations/instances_train_sub.json", "train"),
    ("annotations/train.json", "train_all_frames/JPEGImages"),
    ("annotations/annotations_train.json", "train"),
    ("annotations_train.json", "train"),
    ("annotations_train.json", "Images/train"),
    ("train.json", "JPEGImages"),
    ("train.json", "train/train/JPEGImages"),
    ("train.json", "train/train"),
    ("train/train/instances.json", "train/train/JPEGImages"),
    ("instances.json", "JPEGImages"),
    ("train.json", ""),
]


@pytest.mark.parametrize("wrapper", ["", "ytvis_2021", "OVIS/ovis"])
@pytest.mark.parametrize(("annotations", "frames"), LAYOUTS)
def test_layouts(tmp_path, annotations, frames, wrapper):
    root = lay(tmp_path / "data" / wrapper, files_of(annotations, frames))
    found = find_published("ytvis2021", tmp_path / "data", None)
    (split,) = found.splits
    assert (split.name, split.labelled) == ("train", True)
    assert split.annotations.samefile(root / annotations)
    assert split.frames.samefile(root / frames)
    assert found.notes[0] == f"train: 1 videos, annotations {split.annotations}, frames {split.frames}"
    assert "train: 1 of 2,985 training videos: an excerpt" in found.notes
    assert "valid: no annotation file found" in found.notes


@pytest.mark.parametrize("called", ["valid", "val"])
@pytest.mark.parametrize(("annotations", "frames"), [pair for pair in LAYOUTS if "train" in pair[0]])
def test_all_splits(tmp_path, annotations, frames, called):
    valid_file, valid_frames = (text.replace("train", called) for text in (annotations, frames))
    files = files_of(annotations, frames, categories=OVIS)
    files |= files_of(valid_file, valid_frames, "valid", categories=OVIS, labels=[])
    lay(tmp_path, files)
    found = find_published("ovis", tmp_path, None)
    assert [(split.name, split.labelled) for split in found.splits] == [("train", True), ("valid", False)]
    assert found.splits[1].annotations == tmp_path / valid_file
    assert (found.splits[1].frames / "valid0/00000.jpg").is_file()
    assert any(note.startswith("valid: 1 videos, for inference only") for note in found.notes)


@pytest.mark.parametrize("nothing", ["null", "[ ]", None])
def test_valid_without_annotations(tmp_path, nothing):
    lay(tmp_path, files_of("train.json", "train") | files_of("valid.json", "valid", "valid"))
    content = content_of("valid")
    del content["annotations"]
    text = json.dumps(content)
    if nothing is not None:
        text = text[:-1] + f', "annotations": {nothing}}}'
    (tmp_path / "valid.json").write_text(text)
    found = find_published("ytvis2021", tmp_path, None)
    assert [split.labelled for split in found.splits] == [True, False]


def test_a_split_folder_as_the_source(tmp_path):
    lay(tmp_path / "train", files_of("instances.json", "JPEGImages"))
    lay(tmp_path / "valid", files_of("instances.json", "JPEGImages", "valid", labels=[]))
    assert find_published("ytvis2021", tmp_path / "train", None).splits[0].frames == tmp_path / "train/JPEGImages"
    with pytest.raises(InputError, match="no training annotations"):
        find_published("ytvis2021", tmp_path / "valid", None)


def test_of_several_sets_the_asked_one_is_taken(tmp_path):
    for folder, categories in (("a_ovis", OVIS), ("b_2019", YTVIS2019), ("c_2021", YTVIS2021)):
        lay(tmp_path / folder, files_of("train.json", "train/JPEGImages", categories=categories))
    lay(tmp_path / "a_ovis", files_of("valid.json", "valid", "valid", categories=OVIS, labels=[]))
    found = find_published("ytvis2021", tmp_path, None)
    assert [split.frames for split in found.splits] == [tmp_path / "c_2021/train/JPEGImages"]
    assert f"valid: {tmp_path / 'a_ovis/valid.json'} holds the videos of ovis; left out" in found.notes
    assert f"train: {tmp_path / 'a_ovis/train.json'} found, too; not used" in found.notes


def test_frames_are_where_most_of_the_files_are(tmp_path):
    lay(tmp_path, files_of("train.json", "JPEGImages", videos=40))
    lay(tmp_path / "train", {names_of("train", 40)[0][0]: PICTURE})
    assert find_published("ytvis2021", tmp_path, None).splits[0].frames == tmp_path / "JPEGImages"


def test_wrong_set(tmp_path):
    lay(tmp_path, files_of("train.json", "train", categories=YTVIS2021))
    with pytest.raises(InputError) as caught:
        find_published("ytvis2019", tmp_path, None)
    assert caught.value.cause == "these are the annotations of ytvis2021, not of ytvis2019"
    assert caught.value.hint == "--dataset ytvis2021"
    assert caught.value.place == str(tmp_path / "train.json")


@pytest.mark.parametrize(
    ("categories", "note"),
    [
        ([name for name in YTVIS2019 if name != "hand"], "train: not the official categories: without hand"),
        ([*YTVIS2019, "wolf"], "train: not the official categories: with wolf"),
        (YTVIS2019[::-1], "train: the official categories under other ids"),
        (
            YTVIS2019[:33],
            "train: not the official categories: without boat, eagle, earless_seal, frog, mouse and 2 more",
        ),
    ],
)
def test_other_categories_are_told(tmp_path, categories, note):
    lay(tmp_path, files_of("train.json", "train", categories=categories))
    assert note in find_published("ytvis2019", tmp_path, None).notes


def test_spelling_of_categories_does_not_matter(tmp_path):
    lay(tmp_path, files_of("train.json", "train", categories=[name.replace("_", " ").title() for name in YTVIS2019]))
    notes = find_published("ytvis2019", tmp_path, None).notes
    assert not any("official categories" in note for note in notes)


def test_numbers_of_videos_are_told(tmp_path):
    lay(tmp_path, files_of("train.json", "train", categories=OVIS, videos=608))
    assert "train: 608 videos, the official training set has 607" in find_published("ovis", tmp_path, None).notes
    lay(tmp_path, files_of("train.json", "train", categories=OVIS, videos=607))
    assert not any("607" in note for note in find_published("ovis", tmp_path, None).notes[1:])


@pytest.mark.parametrize("layout", ["meta", "masks"])
def test_youtube_vos(tmp_path, layout):
    meta = {"videos": {"003234408d": {"objects": {"1": {"category": "penguin", "frames": ["00000"]}}}}}
    files = {"train/JPEGImages/003234408d/00000.jpg": PICTURE}
    files |= {"train/meta.json": json.dumps(meta).encode()} if layout == "meta" else {}
    files |= {"train/Annotations/003234408d/00000.png": b"png"} if layout == "masks" else {}
    lay(tmp_path / "vos", files)
    for source in (tmp_path, tmp_path / "vos", pack(tmp_path / "zips" / "train.zip", files)):
        with pytest.raises(
            InputError, match=re.escape("YouTube-VOS (one mask png a frame), not YouTube-VIS")
        ) as caught:
            find_published("ytvis2019", source, tmp_path / "out")
        assert "https://youtube-vos.org/dataset/vis/" in caught.value.hint
        assert "train.json" in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["ytvis2019", "ytvis2021", "ovis"])
def test_nothing_there(tmp_path, name):
    lay(tmp_path, {"meta.json": b'{"videos": []}', "readme.txt": b"x"})
    with pytest.raises(InputError, match=f"no training annotations of {name} there") as caught:
        find_published(name, tmp_path, None)
    assert "https://" in caught.value.hint
    assert "train" in caught.value.hint
    assert "\n" not in caught.value.hint


def test_wrong_sources(tmp_path):
    with pytest.raises(InputError, match="no published data set is called ytvis"):
        find_published("ytvis", tmp_path, None)
    with pytest.raises(InputError, match="no such file or folder"):
        find_published("ovis", tmp_path / "nowhere", None)
    lay(tmp_path, {"train.tar": b"x"})
    with pytest.raises(InputError, match="neither a folder nor a zip"):
        find_published("ovis", tmp_path / "train.tar", None)


def test_frames_missing(tmp_path):
    lay(tmp_path, files_of("train.json", "train") | files_of("valid.json", "elsewhere/deep/down", "valid"))
    found = find_published("ytvis2021", tmp_path, None)
    assert "valid: annotations found, frames missing; left out" in found.notes
    assert [split.name for split in found.splits] == ["train"]
    for path in (tmp_path / "train").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(InputError, match="frames that it names are missing") as caught:
        find_published("ytvis2021", tmp_path, None)
    assert "train/JPEGImages/train0/00000.jpg" in caught.value.hint
    assert caught.value.place == str(tmp_path / "train.json")


def test_training_file_without_annotations(tmp_path):
    lay(tmp_path, files_of("train.json", "train", labels=[]))
    with pytest.raises(InputError, match="no annotations to learn from"):
        find_published("ytvis2021", tmp_path, None)


def test_no_videos(tmp_path):
    lay(tmp_path, files_of("train.json", "train", videos=0))
    with pytest.raises(InputError, match="lists no frames"):
        find_published("ytvis2021", tmp_path, None)


@pytest.mark.parametrize("kept", [0, 1, 100, -2])
def test_json_that_is_cut_off(tmp_path, kept):
    files = files_of("train.json", "train")
    files["train.json"] = files["train.json"][:kept]
    lay(tmp_path, files)
    with pytest.raises(InputError, match="not valid JSON" if kept else "the file is empty") as caught:
        find_published("ytvis2021", tmp_path, None)
    assert caught.value.place == str(tmp_path / "train.json")
    assert "download it again" in caught.value.hint


@pytest.mark.parametrize("annotations", [[{"id": 1, "bboxes": [[float("nan"), 1, 2, 3]]}], []])
def test_a_file_with_nan_is_read_as_other_readers_do(tmp_path, annotations):
    lay(tmp_path, files_of("train.json", "train"))
    content = json.loads((tmp_path / "train.json").read_text())
    content |= {"annotations": annotations, "info": {"version": float("nan")}}
    (tmp_path / "train.json").write_text(json.dumps(content), encoding="utf-8-sig")
    head = read_head(tmp_path / "train.json")
    assert head.labelled == bool(annotations)
    assert [video.file_names for video in head.videos] == [video["file_names"] for video in content["videos"]]
    assert [category.name for category in head.categories] == [item["name"] for item in content["categories"]]


@pytest.mark.parametrize("content", [b"[]", b'{"images": [], "categories": []}', b'{"videos": {}, "categories": []}'])
def test_other_json(tmp_path, content):
    lay(tmp_path, {"train.json": content})
    with pytest.raises(InputError, match="not YouTube-VIS annotations"):
        find_published("ytvis2021", tmp_path, None)


@pytest.mark.parametrize("name", ["/etc/passwd.jpg", "../a.jpg", "a/../../b.jpg", "..\\b.jpg", "C:\\b.jpg"])
def test_frame_files_stay_in_the_frames_folder(tmp_path, name):
    content = content_of("train")
    content["videos"][0]["file_names"][1] = name
    lay(tmp_path, {"train.json": json.dumps(content).encode()})
    with pytest.raises(InputError, match="points outside the frames folder") as caught:
        find_published("ytvis2021", tmp_path, None)
    assert caught.value.place.endswith("train.json: video 1")


def test_dots_in_names_are_no_way_up(tmp_path):
    content = content_of("train")
    content["videos"][0]["file_names"] = ["what...is/a..b.jpg"]
    lay(tmp_path, {"train.json": b"\xef\xbb\xbf" + json.dumps(content).encode()})
    assert read_head(tmp_path / "train.json").videos[0].file_names == ["what...is/a..b.jpg"]


@pytest.mark.parametrize("inside", ["", "train/", "ytvis_2021/train/"])
def test_one_zip(tmp_path, inside):
    files = files_of(f"{inside}instances.json", f"{inside}JPEGImages")
    source = pack(tmp_path / "train.zip", files | {f"{inside}Annotations/a/0.png": b"x", "readme.md": b"x"})
    seen = []
    found = find_published("ytvis2021", source, tmp_path / "out", lambda done, of: seen.append((done, of)))
    assert found.splits[0].annotations == tmp_path / "out" / "train" / inside / "instances.json"
    assert (found.splits[0].frames / "train0/00005.jpg").read_bytes() == PICTURE
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == 3
    # Again, with all of it there: nothing is unpacked a second time.
    assert find_published("ytvis2021", source, tmp_path / "out", lambda *_: pytest.fail("unpacked")) == found


def test_a_folder_of_zips(tmp_path):
    folder = tmp_path / "downloads"
    pack(folder / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    pack(folder / "valid.zip", files_of("valid/instances.json", "valid/JPEGImages", "valid", labels=[]))
    pack(folder / "valid_submission_sample.zip", {"results.json": b"[]"})
    found = find_published("ytvis2021", folder, tmp_path / "out")
    assert [(split.name, split.labelled) for split in found.splits] == [("train", True), ("valid", False)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train", "valid"]


@pytest.mark.parametrize("zip_name", ["annotations.zip", "annotations_train.json.zip", "ovis-labels.zip"])
def test_annotations_in_a_zip_of_their_own(tmp_path, zip_name):
    files = files_of("annotations_train.json", "train", categories=OVIS)
    pack(tmp_path / "zips" / zip_name, {"annotations_train.json": files.pop("annotations_train.json")})
    pack(tmp_path / "zips" / "train.zip", files)
    found = find_published("ovis", tmp_path / "zips", tmp_path / "out")
    assert found.splits[0].frames == tmp_path / "out" / "train" / "train"


def test_only_frames_in_a_zip(tmp_path):
    files = files_of("annotations_train.json", "train", categories=OVIS)
    lay(tmp_path / "ovis", {"annotations_train.json": files.pop("annotations_train.json")})
    pack(tmp_path / "ovis" / "train.zip", files)
    found = find_published("ovis", tmp_path / "ovis", tmp_path / "out")
    assert found.splits[0].annotations == tmp_path / "ovis" / "annotations_train.json"
    assert found.splits[0].frames == tmp_path / "out" / "train" / "train"


def test_zips_are_left_alone_where_training_is_unpacked(tmp_path):
    lay(tmp_path, files_of("train/instances.json", "train/JPEGImages"))
    pack(tmp_path / "train.zip", {"a.json": b"{}"})
    pack(tmp_path / "test.zip", {"a.json": b"{}"})
    notes = find_published("ytvis2021", tmp_path, None).notes
    assert f"{tmp_path / 'test.zip'}: left as it is; unpack it to use what it holds" in notes
    assert not any("train.zip" in note for note in notes)


def test_a_check_unpacks_nothing(tmp_path):
    pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    for source in (tmp_path, tmp_path / "train.zip"):
        with pytest.raises(InputError, match=re.escape("still in zips: train.zip")) as caught:
            find_published("ytvis2021", source, None)
        assert caught.value.hint == "unpack them, or run without --check"


def test_zips_without_annotations_are_not_unpacked(tmp_path):
    pack(tmp_path / "train.zip", {"train/JPEGImages/a/0.jpg": PICTURE})
    with pytest.raises(InputError, match="no training annotations of ytvis2019"):
        find_published("ytvis2019", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_zips_of_one_name(tmp_path):
    for folder in ("ytvis_2019", "ytvis_2021"):
        pack(tmp_path / folder / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    with pytest.raises(InputError, match=re.escape("several zips are called train.zip")):
        find_published("ytvis2021", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "train/../../evil.jpg", "C:/evil.jpg", "..\\evil.jpg"])
def test_zip_members_stay_in_their_folder(tmp_path, name):
    source = pack(tmp_path / "in" / "train.zip", files_of("train/instances.json", "train/JPEGImages") | {name: b"x"})
    with pytest.raises(InputError, match="would be written outside of its folder") as caught:
        find_published("ytvis2021", source, tmp_path / "out")
    assert caught.value.place == str(source)
    assert not list(tmp_path.rglob("evil*"))


def test_links_in_zips_are_refused(tmp_path):
    source = pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    with zipfile.ZipFile(source, "a") as written:
        link = zipfile.ZipInfo("train/link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        written.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        find_published("ytvis2021", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kept", [0, 100, -30])
def test_truncated_zip(tmp_path, kept):
    source = pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    source.write_bytes(source.read_bytes()[:kept])
    with pytest.raises(InputError, match="cut off or damaged") as caught:
        find_published("ytvis2021", tmp_path, tmp_path / "out")
    assert (caught.value.place, caught.value.hint) == (str(source), "download it again")


def test_damaged_zip_leaves_nothing(tmp_path):
    source = pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    data = bytearray(source.read_bytes())
    place = data.index(PICTURE) + len(PICTURE) // 2
    data[place] ^= 0xFF
    source.write_bytes(data)
    with pytest.raises(InputError, match="cut off or damaged"):
        find_published("ytvis2021", source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_something_else_in_the_way_is_not_touched(tmp_path):
    source = pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    lay(tmp_path / "out" / "train", {"mine.txt": b"x"})
    with pytest.raises(InputError, match="there already"):
        find_published("ytvis2021", source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "train").iterdir()] == ["mine.txt"]


def test_too_little_room(tmp_path, monkeypatch):
    source = pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    usage = zips.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(zips.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(InputError, match="GB are free"):
        find_published("ytvis2021", source, tmp_path / "out")


def test_encrypted_zip(tmp_path):
    source = pack(tmp_path / "train.zip", files_of("train/instances.json", "train/JPEGImages"))
    data = bytearray(source.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            data[place + offset] |= 1
    source.write_bytes(data)
    with pytest.raises(InputError, match="cannot be unpacked here"):
        find_published("ytvis2021", source, tmp_path / "out")


def test_a_folder_of_many_videos_is_not_searched(tmp_path):
    names = [f"v{number}/0.jpg" for number in range(published_layouts.MOST_WRAPPERS + 1)]
    lay(tmp_path / "train", dict.fromkeys(names, PICTURE))
    assert published_layouts.data_folders(tmp_path) == [tmp_path, tmp_path / "train"]
