"""Small stores whose files were worked out by hand, and what other programs read of them."""

import csv
import json
import zipfile
from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from qcen_core.conversion.formats.coco import read_coco as prepare_coco
from qcen_core.conversion.formats.mot import read_mot as prepare_mot
from qcen_core.conversion.formats.youtubevis_file import YouTubeVisFile
from qcen_core.conversion.frame_library import FrameLibrary
from qcen_core.conversion.problems import Problem
from qcen_core.ops import rle
from qcen_core.records import Category, Rle, TrackResult
from qcen_core.resultfile import read_results as evaluation_reads
from qcen_core.resultfile import write_results as evaluation_writes
from qcen_core.trackfile import read_annotations
from qcen_core.trackforms.coco_vid import write_coco_vid
from qcen_core.trackforms.csv_table import CSV_COLUMNS, write_csv
from qcen_core.trackforms.mot import read_mot, write_mot
from qcen_core.trackforms.mots import read_mots_png, read_mots_text, write_mots_png, write_mots_text
from qcen_core.trackforms.palette_png import read_palette_png, voc_palette, write_palette_png
from qcen_core.trackforms.store import Sighting, StoredVideo, TrackStore, seen_by_mask
from qcen_core.trackforms.youtubevis_results import read_results, write_results, write_results_zip
from qcen_core.trackforms.youtubevis_tracks import write_tracks

HEIGHT, WIDTH = 5, 7


def rectangle(x1, y1, x2, y2, height=HEIGHT, width=WIDTH):
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return mask


FIRST, SECOND = rectangle(0, 0, 3, 2), rectangle(2, 1, 5, 5)  # both hold the pixel at x 2, y 1


@pytest.fixture
def store():
    """Two videos; in the first one, track 1 is seen in frames 0 and 2, and track 3, which is better, in frame 0."""
    with TrackStore([Category(7, "cat"), Category(4, "dog")]) as made:
        video = StoredVideo(11, "garden", HEIGHT, WIDTH, Fraction(25), Fraction(1, 50))
        made.add_video(video)
        made.add_frames(11, [(f, 2 * f, f"garden/{f:05d}.jpg") for f in range(3)])
        made.add_track(11, 1, 1, 0.5)
        made.add_track(11, 3, 0, 0.75)
        made.add_sightings(11, [seen_by_mask(1, f, s, rle.encode(FIRST)) for f, s in ((0, 0.5), (2, 0.25))])
        made.add_sightings(11, [seen_by_mask(3, 0, 0.875, rle.encode(SECOND))])
        made.add_video(StoredVideo(12, "street", 3, 2, Fraction(25), None))
        made.add_frames(12, [(0, None, "street/00000.jpg")])
        made.add_track(12, 1, 0, 1.0)
        made.add_sightings(12, [seen_by_mask(1, 0, 1.0, rle.encode(rectangle(0, 1, 2, 3, 3, 2)))])
        yield made


@pytest.fixture
def frames(tmp_path):
    """The pictures of the videos."""
    for name, count, height, width in (("garden", 3, HEIGHT, WIDTH), ("street", 1, 3, 2)):
        (tmp_path / "frames" / name).mkdir(parents=True)
        for frame in range(count):
            file = tmp_path / "frames" / name / f"{frame:05d}.jpg"
            cv2.imwrite(str(file), np.full((height, width, 3), 40 * frame, np.uint8))
    return tmp_path / "frames"


def masks_of(track):
    return [None if m is None else coco_mask.decode(m).astype(bool).tolist() for m in track.segmentations]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_results(store, tmp_path):
    path = tmp_path / "results.json"
    assert write_results(store, path) == ()
    records = json.loads(path.read_text())
    heads = [(r["video_id"], r["category_id"], r["score"]) for r in records]
    assert heads == [(11, 4, 0.5), (11, 7, 0.75), (12, 7, 1.0)]
    assert [len(r["segmentations"]) for r in records] == [3, 3, 1]
    first = records[0]["segmentations"]
    assert first[1] is None
    assert first[0] == first[2] == {"size": [5, 7], "counts": rle.encode(FIRST)["counts"]}
    # Read by pycocotools alone.
    assert (coco_mask.decode(first[0]) == FIRST).all()


def test_results_are_the_bytes_of_the_writer_of_evaluation(store, tmp_path):
    tracks = [
        TrackResult(video.id, track.id, track.class_id, track.score, masks)
        for video in store.videos()
        for track in store.tracks(video)
        for seen in [{s.frame: s.mask for s in track.sightings}]
        for masks in [tuple(seen.get(f) for f in range(store.frame_count(video)))]
    ]
    evaluation_writes(tracks, store.categories, tmp_path / "a.json")
    write_results(store, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    write_tracks(store, tmp_path / "tracks.json")
    read = evaluation_reads(tmp_path / "b.json", read_annotations(tmp_path / "tracks.json"))
    assert [(r.video_id, r.class_id, r.score, r.segmentations) for r in read] == [
        (r.video_id, r.class_id, r.score, r.segmentations) for r in tracks
    ]


def test_results_in_a_zip(store, tmp_path):
    write_results(store, tmp_path / "results.json")
    for name in ("a.zip", "b.zip"):
        write_results_zip(tmp_path / "results.json", tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.namelist() == ["results.json"]
        assert packed.read("results.json") == (tmp_path / "results.json").read_bytes()
        assert packed.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_results_without_videos_take_sizes_from_masks(store, tmp_path):
    write_results(store, tmp_path / "results.json")
    with TrackStore(()) as back:
        assert read_results(back, tmp_path / "results.json") == ()
        names = [(v.id, v.name, v.height, v.width) for v in back.videos()]
        assert names == [(11, "video_11", 5, 7), (12, "video_12", 3, 2)]
        assert back.categories == (Category(4, "class 4"), Category(7, "class 7"))
        assert [back.frame_count(video) for video in back.videos()] == [3, 1]


def test_tracks_are_read_as_annotations(store, tmp_path):
    path = tmp_path / "tracks.json"
    assert write_tracks(store, path, least_score=0.5) == ()
    dataset = read_annotations(path)
    assert dataset.categories == store.categories
    assert [(v.id, v.name, v.frame_files) for v in dataset.videos][1] == (12, "street", ("street/00000.jpg",))
    # The second video's ids go on after those of the first.
    assert [(t.id, t.video_id, t.class_id) for t in dataset.tracks] == [(1, 11, 1), (3, 11, 0), (4, 12, 0)]
    assert dataset.tracks[0].boxes == ((0, 0, 3, 2), None, None)  # 0.25 in frame 2 is below 0.5
    assert dataset.tracks[1].boxes == ((2, 1, 5, 5), None, None)
    annotation = json.loads(path.read_text())["annotations"][2]
    assert (annotation["track_id"], annotation["score"], annotation["scores"]) == (1, 1.0, [1.0])
    assert annotation["areas"] == [4]


def test_tracks_are_read_by_prepare(store, tmp_path):
    write_tracks(store, tmp_path / "tracks.json")
    items = list(YouTubeVisFile(tmp_path / "tracks.json").objects())
    assert [(i.video, i.class_id, list(i.frames)) for i in items] == [(0, 1, [0, 2]), (0, 0, [0]), (1, 0, [0])]
    assert items[0].boxes == [(0, 0, 3, 2), (0, 0, 3, 2)]


def test_mot(store, tmp_path):
    assert write_mot(store, tmp_path / "mot") == ()
    folder = tmp_path / "mot" / "garden"
    assert (folder / "gt" / "gt.txt").read_text() == (
        "1,1,0,0,3,2,0.5,2,1\n"
        "1,3,2,1,3,4,0.875,1,1\n"
        "3,1,0,0,3,2,0.25,2,1\n"
    )  # fmt: skip
    assert (folder / "gt" / "labels.txt").read_text() == "cat\ndog\n"
    lines = (folder / "seqinfo.ini").read_text().splitlines()
    assert {"name=garden", "frameRate=25", "seqLength=3", "imWidth=7", "imHeight=5"} <= set(lines)


def test_mot_is_read_by_prepare(store, frames, tmp_path):
    write_mot(store, tmp_path / "mot")
    labels = prepare_mot(tmp_path / "mot", FrameLibrary(frames))
    items = list(labels.annotations.objects())
    assert not [item for item in items if isinstance(item, Problem)]
    names = [video.name for video in labels.annotations.videos]
    categories = [category.name for category in labels.annotations.categories]
    found = {(names[i.video], categories[i.class_id], i.track, *zip(i.frames, i.boxes, strict=True)) for i in items}
    assert found == {
        ("garden", "dog", 1, (0, (0, 0, 3, 2)), (2, (0, 0, 3, 2))),
        ("garden", "cat", 3, (0, (2, 1, 5, 5))),
        ("street", "cat", 1, (0, (0, 1, 2, 3))),
    }
    assert not any(item.ignore for item in items)


def test_coco_vid_is_read_by_prepare(store, frames, tmp_path):
    write_coco_vid(store, tmp_path / "coco.json")
    annotations = prepare_coco(tmp_path / "coco.json", FrameLibrary(frames)).annotations
    items = list(annotations.objects())
    assert not [item for item in items if isinstance(item, Problem)]
    names = [video.name for video in annotations.videos]
    categories = [category.name for category in annotations.categories]
    found = {(names[i.video], categories[i.class_id], i.track, i.frames[0], i.boxes[0]) for i in items}
    assert found == {
        ("garden", "dog", 1, 0, (0, 0, 3, 2)),
        ("garden", "dog", 1, 2, (0, 0, 3, 2)),
        ("garden", "cat", 3, 0, (2, 1, 5, 5)),
        ("street", "cat", 1, 0, (0, 1, 2, 3)),
    }
    masks = [i for i in annotations.with_masks([0]) if i.track == 3]
    assert masks[0].masks == (rle.encode(SECOND),)
    content = json.loads((tmp_path / "coco.json").read_text())
    assert content["images"][3] == {
        "id": 4, "video_id": 12, "frame_id": 0, "file_name": "street/00000.jpg", "width": 2, "height": 3,
    }  # fmt: skip
    assert [a["image_id"] for a in content["annotations"]] == [1, 1, 3, 4]
    assert content["tracks"][1] == {"id": 3, "video_id": 11, "category_id": 7, "score": 0.75}


def test_a_table(store, tmp_path):
    assert write_csv(store, tmp_path / "tracks.csv") == ()
    with (tmp_path / "tracks.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == CSV_COLUMNS
    assert head[:11] == ["frame", "time_s", "track_id", "class", "score", "x", "y", "w", "h", "area", "video"]
    assert rows[1][:-1] == [
        "0", "0.000000", "3", "cat", "0.875", "2", "1", "3", "4", "12", "garden", "0.75", "5", "7",
    ]  # fmt: skip
    assert rows[2][:5] == ["2", "0.080000", "1", "dog", "0.25"]  # 4 ticks of 1/50 s
    assert rows[3][:2] == ["0", ""]
    assert (rle.decode(Rle(size=[5, 7], counts=rows[1][-1])) == SECOND).all()


def test_palette_png(store, tmp_path):
    notes = write_palette_png(store, tmp_path / "png")
    assert notes == ("a PNG holds one track a pixel; 1 mask lost pixels to better ones",)
    assert sorted(f.name for f in (tmp_path / "png" / "garden").iterdir()) == [
        "00000.png", "00001.png", "00002.png", "tracks.csv",
    ]  # fmt: skip
    with Image.open(tmp_path / "png" / "garden" / "00000.png") as image:
        assert image.mode == "P"
        pixels = np.array(image)
        colors = np.array(image.convert("RGB"))
    expected = np.where(SECOND, 3, np.where(FIRST, 1, 0))  # 0.875 lies above 0.5
    assert (pixels == expected).all()
    assert colors[0, 0].tolist() == [128, 0, 0]
    assert colors[4, 4].tolist() == [128, 128, 0]
    with Image.open(tmp_path / "png" / "garden" / "00001.png") as image:
        assert not np.array(image).any()
    assert (tmp_path / "png" / "garden" / "tracks.csv").read_text() == "track_id,class,score\n1,dog,0.5\n3,cat,0.75\n"


def test_the_palette_is_that_of_voc():
    """Some colours that the data set documents."""
    colors = np.array(voc_palette()).reshape(256, 3).tolist()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
    assert {index: tuple(colors[index]) for index in known} == known
    assert colors[255] == [224, 224, 192]
    assert len(set(map(tuple, colors))) == 256


def test_pixels_of_nobody_are_left_out(tmp_path):
    (tmp_path / "film").mkdir()
    pixels = np.where(FIRST, 2, 0).astype(np.uint8)
    pixels[4, 6] = 255
    Image.fromarray(pixels).save(tmp_path / "film" / "1.png")
    with TrackStore(()) as store:
        assert read_palette_png(store, tmp_path) == ("left out: pixels that belong to nobody in 1 frame",)
        (track,) = store.tracks(store.videos()[0])
        assert (track.id, track.score, store.categories[track.class_id].name) == (2, None, "object")
        assert (rle.decode(track.sightings[0].mask) == FIRST).all()


def test_ids_beyond_a_palette_make_16_bit_png(tmp_path):
    with TrackStore([Category(1, "cat")]) as store:
        store.add_video(StoredVideo(1, "film", HEIGHT, WIDTH))
        store.add_frames(1, [(0, None, None)])
        store.add_track(1, 255, 0, None)
        store.add_sightings(1, [seen_by_mask(255, 0, None, rle.encode(FIRST))])
        (note,) = write_palette_png(store, tmp_path / "png")
    assert "16-bit" in note
    with Image.open(tmp_path / "png" / "film" / "00000.png") as image:
        assert image.mode == "I;16"
        assert (np.array(image) == np.where(FIRST, 255, 0)).all()


def test_mots(store, tmp_path):
    write_mots_text(store, tmp_path / "text")
    lines = (tmp_path / "text" / "garden" / "gt" / "gt.txt").read_text().splitlines()
    assert [line.split()[:5] for line in lines] == [
        ["1", "1003", "1", "5", "7"],  # cat, track 3
        ["1", "2001", "2", "5", "7"],  # dog, track 1, without the pixel that is the cat's
        ["3", "2001", "2", "5", "7"],
    ]
    below = rle.decode(Rle(size=[5, 7], counts=lines[1].split()[5]))
    assert (below == (FIRST & ~SECOND)).all()
    write_mots_png(store, tmp_path / "png")
    assert (tmp_path / "png" / "garden" / "instances" / "labels.txt").read_text() == "cat\ndog\n"
    with Image.open(tmp_path / "png" / "garden" / "instances" / "00000.png") as image:
        assert image.mode == "I;16"
        assert (np.array(image) == np.where(SECOND, 1003, np.where(FIRST, 2001, 0))).all()


def test_mots_as_others_write_it(tmp_path):
    """KITTI MOTS counts frames from 0, has numbers that two classes share, and regions to ignore as class 10."""
    counts = rle.encode(FIRST)["counts"]
    lines = [f"0 1001 1 5 7 {counts}", f"2 2001 2 5 7 {counts}", f"2 10000 10 5 7 {counts}"]
    (tmp_path / "0002.txt").write_text("\n".join(lines))
    with TrackStore(()) as store:
        assert read_mots_text(store, tmp_path / "0002.txt") == ("left out: 1 region to ignore",)
        (video,) = store.videos()
        assert (video.name, store.frame_count(video)) == ("0002", 3)
        found = [(t.id, store.categories[t.class_id].name, t.sightings[0].frame) for t in store.tracks(video)]
        assert found == [(1001, "class 1", 0), (2001, "class 2", 2)]


def test_class_10_is_passed_over_in_mots(tmp_path):
    with TrackStore([Category(n, f"kind {n}") for n in range(1, 13)]) as store, TrackStore(()) as back:
        store.add_video(StoredVideo(1, "film", HEIGHT, WIDTH))
        store.add_frames(1, [(0, None, None)])
        store.add_track(1, 5, 9, None)
        store.add_sightings(1, [seen_by_mask(5, 0, None, rle.encode(FIRST))])
        write_mots_png(store, tmp_path / "png")
        read_mots_png(back, tmp_path / "png")
        with Image.open(tmp_path / "png" / "film" / "instances" / "00000.png") as image:
            assert set(np.unique(np.array(image)).tolist()) == {0, 11_005}
        assert [c.name for c in back.categories] == [c.name for c in store.categories]
        assert [(t.id, t.class_id) for t in back.tracks(back.videos()[0])] == [(5, 9)]


def test_numbers_that_do_not_fit_are_new_ones(tmp_path):
    with TrackStore([Category(1, "cat")]) as store:
        store.add_video(StoredVideo(1, "film", HEIGHT, WIDTH))
        store.add_frames(1, [(0, None, None)])
        for track, mask in ((4, FIRST), (1000, SECOND & ~FIRST)):
            store.add_track(1, track, 0, None)
            store.add_sightings(1, [seen_by_mask(track, 0, None, rle.encode(mask))])
        assert write_mots_png(store, tmp_path / "png") == ("tracks of video film were numbered anew",)
    with Image.open(tmp_path / "png" / "film" / "instances" / "00000.png") as image:
        assert set(np.unique(np.array(image)).tolist()) == {0, 1001, 1002}


def test_mot_that_does_not_count(tmp_path):
    (tmp_path / "gt").mkdir()
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=film\nseqLength=4\nimWidth=7\nimHeight=5\n")
    (tmp_path / "gt" / "gt.txt").write_text("1,2,0.5,1,2,3,1,1,0.3\n2,2,1,1,2,3,0,1,1\n3,-1,1,1,2,3,0.5,1,1\n")
    with TrackStore(()) as store:
        notes = read_mot(store, tmp_path)
        assert notes == ("left out as not counting: 1 box", "left out: 1 box without an id")
        (video,) = store.videos()
        assert (video.height, video.width, store.frame_count(video)) == (5, 7, 4)
        (track,) = store.tracks(video)
        assert track.sightings == (Sighting(2, 0, 1.0, (0.5, 1.0, 2.5, 4.0), None),)
