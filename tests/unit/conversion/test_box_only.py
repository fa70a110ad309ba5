import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qcen_core.boxfile import read_boxes, write_boxes
from qcen_core.conversion.box_only import box_only, without_labels
from qcen_core.conversion.box_rows import collect_rows
from qcen_core.conversion.full_tracks import TrackAnnotations
from qcen_core.conversion.survey import Survey
from qcen_core.ops import rle
from qcen_core.records import Category, ObjectTrack, TrackDataset, VideoRecord

HEIGHT, WIDTH = 61, 101
CATEGORIES = (Category(9, "cat"), Category(4, "dog"))


def video(number, frames, unlabelled=()):
    files = tuple(f"v{number}/{i}.jpg" for i in range(frames))
    return VideoRecord(number, f"video{number}", HEIGHT, WIDTH, files, unlabelled=frozenset(unlabelled))


def track(number, corners, video_id=1, noise=0.0):
    """An object of 11 x 13 pixels at these corners, with masks."""
    boxes, masks = [], []
    for x, y in corners:
        boxes.append((float(x) + noise, float(y) + noise, float(x) + 11 + noise, float(y) + 13 + noise))
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[int(y) : int(y) + 13, int(x) : int(x) + 11] = True
        masks.append(rle.encode(mask))
    return ObjectTrack(100 * video_id + number, video_id, 0, tuple(boxes), tuple(masks))


def wandering_tracks(count, frames, video_id=1):
    """Objects of one category and one size, so that nothing but place and order could tell them apart."""
    rng = np.random.default_rng(count)
    return tuple(track(i, rng.integers(0, 40, (frames, 2)), video_id) for i in range(count))


def still_tracks(count, frames):
    """Objects that differ in nothing but the place where they stand."""
    return tuple(track(i, [(17 * i, 5 * i)] * frames) for i in range(count))


def to_boxes(videos, tracks, seed, chosen=None, root=Path()):
    source = TrackAnnotations(Path("source.json"), TrackDataset(CATEGORIES, videos, tracks))
    rows, problems = collect_rows(source)
    assert not problems
    chosen = range(len(videos)) if chosen is None else chosen
    return box_only(Survey(source, rows, tuple(chosen), source.unlabelled, ()), chosen, "zoo", root, seed)


def file_of(tmp_path, videos, tracks, seed):
    """The JSON text of the box-only file: all that an attacker has."""
    path = tmp_path / "boxes.json"
    write_boxes(to_boxes(videos, tracks, seed), path)
    return path.read_text()


def positions(boxes, tracks):
    """(frames, tracks) position of each track's box in the list of its frame."""
    found = []
    for frame, labels in enumerate(boxes.videos[0].labels):
        rows = [tuple(row) for row in labels.boxes.tolist()]
        found.append([rows.index(track.boxes[frame]) for track in tracks])
    return np.array(found)


@pytest.mark.parametrize("tracks", [wandering_tracks(4, 997), still_tracks(4, 997)], ids=["wandering", "still"])
def test_identity_cannot_be_read_from_the_order_of_boxes(tracks):
    place = positions(to_boxes((video(1, 997),), tracks, 5), tracks)
    for number in range(4):
        share = np.bincount(place[:, number], minlength=4) / len(place)
        assert np.abs(share - 0.25).max() < 0.06
        # Nor does the place in one frame say anything about the place in the next.
        pairs = np.bincount(4 * place[:-1, number] + place[1:, number], minlength=16) / (len(place) - 1)
        assert np.abs(pairs - 1 / 16).max() < 0.035


def noisy_tracks(count, frames):
    """Wandering objects; the numbers of each carry a trace of their own, as sums of another order would leave it."""
    rng = np.random.default_rng(8)
    places = np.stack([rng.permutation(41 * 41)[:count] for _ in range(frames)])
    return tuple(track(i, np.stack(divmod(places[:, i], 41), axis=1), noise=4e-6 * i) for i in range(count))


# Ways to number the rows of a frame by anything but their places, so that an object has the same number in each frame.
def by_position(frame, _):
    return np.arange(len(frame["boxes"]))


def one_further(frame, index):
    return (by_position(frame, index) + index) % len(frame["boxes"])


def to_and_fro(frame, index):
    return by_position(frame, index)[:: -1 if index % 2 else 1]


def by_trace(frame, _):
    return ranks(np.round(np.array(frame["boxes"])[:, 0] * 100 % 1, 6))


def by_spelling(frame, _):
    return ranks([len(json.dumps(box)) for box in frame["boxes"]])


def by_other_fields(frame, _):
    others = [key for key in frame if isinstance(frame[key], list) and key != "boxes"]
    return ranks([json.dumps([frame[key][row] for key in others]) for row in range(len(frame["boxes"]))])


def ranks(values):
    return np.argsort(np.argsort(values, kind="stable"))


def hits(text, tracks, attack):
    """How often an attack finds an object of one frame in the next."""
    found = []
    for index, frame in enumerate(json.loads(text)["videos"][0]["frames"]):
        corners = np.array(frame["boxes"])[:, None, :2]
        truth = np.abs(corners - [track.boxes[index][:2] for track in tracks]).sum(axis=2).argmin(axis=1)
        found.append(truth[np.argsort(attack(frame, index))])
    return np.mean(np.array(found[1:]) == found[:-1])


STILL, NOISY = still_tracks(5, 599), noisy_tracks(5, 599)
ORDERS = [by_position, one_further, to_and_fro, by_other_fields]


@pytest.mark.parametrize(
    ("tracks", "attack"),
    [*((STILL, attack) for attack in ORDERS), *((NOISY, attack) for attack in (*ORDERS, by_trace, by_spelling))],
)
def test_an_attack_on_the_written_file_does_no_better_than_chance(tmp_path, tracks, attack):
    share = hits(file_of(tmp_path, (video(1, 599),), tracks, 5), tracks, attack)
    assert abs(share - 1 / 5) < 4 * np.sqrt(0.2 * 0.8 / (5 * 598))


@pytest.mark.parametrize("attack", [by_position, by_trace])
def test_the_attacks_succeed_on_a_careless_file(attack):
    frames = zip(*[track.boxes for track in NOISY], strict=True)
    rows = [[[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes] for boxes in frames]
    if attack is by_trace:
        rows = [sorted(boxes) for boxes in rows]
    assert hits(json.dumps({"videos": [{"frames": [{"boxes": boxes} for boxes in rows]}]}), NOISY, attack) == 1


def test_numbers_of_the_file_carry_no_more_than_four_decimals(tmp_path):
    tracks = tuple(track(i, [(20.2 * i, 7.1 * i)] * 3, noise=4e-6 * i) for i in range(4))
    for frame in json.loads(file_of(tmp_path, (video(1, 3),), tracks, 0))["videos"][0]["frames"]:
        assert {tuple(box[2:]) for box in frame["boxes"]} == {(11.0, 13.0)}
        assert all(number == round(number, 4) for box in frame["boxes"] for number in box)


def test_order_of_the_tracks_plays_no_part_even_for_who_knows_the_seed(tmp_path):
    tracks = (*wandering_tracks(5, 7), replace(wandering_tracks(2, 7)[1], id=1, class_id=1))
    turned = tuple(replace(track, id=77 - i) for i, track in enumerate(reversed(tracks)))
    texts = [file_of(tmp_path, (video(1, 7),), order, 3) for order in (tracks, turned)]
    assert texts[0] == texts[1]
    assert file_of(tmp_path, (video(1, 7),), tracks, 4) != texts[0]


def test_the_same_boxes_come_out(tmp_path):
    tracks = (*wandering_tracks(3, 5), replace(wandering_tracks(1, 5)[0], class_id=1, is_crowd=True))
    tracks = (replace(tracks[0], boxes=(None, *tracks[0].boxes[1:])), *tracks[1:])
    made = to_boxes((video(1, 5),), tracks, 0, root=tmp_path)
    assert (made.name, made.frames_root, made.categories) == ("zoo", tmp_path, CATEGORIES)
    for frame, labels in enumerate(made.videos[0].labels):
        expected = sorted((t.boxes[frame], t.class_id, t.is_crowd) for t in tracks if t.boxes[frame] is not None)
        columns = (map(tuple, labels.boxes.tolist()), labels.class_ids.tolist(), labels.ignore.tolist())
        assert sorted(zip(*columns, strict=True)) == expected
        assert labels.labelled


def test_the_file_has_no_key_that_could_name_a_mask_or_an_identity(tmp_path):
    tracks = wandering_tracks(3, 5)
    text = file_of(tmp_path, (video(1, 5),), tracks, 0)
    keys = set()

    def walk(value):
        if isinstance(value, dict):
            keys.update(value)
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                walk(item)

    walk(json.loads(text))
    top, frame = {"format", "version", "name", "categories", "videos"}, {"file", "labelled"}
    assert keys == top | frame | {"id", "width", "height", "frames", "boxes", "category_ids", "ignore"}
    for track in tracks:
        for mask in track.segmentations:
            assert mask["counts"] not in text


def test_unlabelled_frames_stay_unlabelled(tmp_path):
    videos = (video(1, 4, unlabelled=(1, 3)), video(2, 2), video(3, 3, unlabelled=(0, 1, 2)))
    boxes = wandering_tracks(1, 4)[0].boxes
    first = replace(wandering_tracks(1, 4)[0], boxes=(boxes[0], None, None, None))
    write_boxes(to_boxes(videos, (first,), 0), tmp_path / "t.json")
    read = read_boxes(tmp_path / "t.json", tmp_path)
    assert [[frame.labelled for frame in clip.labels] for clip in read.videos] == [
        [True, False, True, False],
        [True, True],
        [False, False, False],
    ]
    assert [len(frame.boxes) for frame in read.videos[0].labels] == [1, 0, 0, 0]


def test_chosen_videos_keep_their_labels_whatever_their_order():
    videos = (video(1, 3), video(2, 2, unlabelled=(1,)), video(3, 4))
    tracks = [*wandering_tracks(2, 3, 1), *wandering_tracks(3, 2, 2), *wandering_tracks(1, 4, 3)]
    tracks[2:5] = [replace(track, boxes=(track.boxes[0], None)) for track in tracks[2:5]]
    for chosen in ((2, 0), (1,), (), (0, 1, 2), (1, 2)):
        made = to_boxes(videos, tuple(tracks), 0, chosen=chosen)
        assert [clip.id for clip in made.videos] == [index + 1 for index in chosen]
        for clip in made.videos:
            for frame, labels in enumerate(clip.labels):
                expected = [t.boxes[frame] for t in tracks if t.video_id == clip.id and t.boxes[frame]]
                assert sorted(map(tuple, labels.boxes.tolist())) == sorted(expected)
                assert labels.labelled == ((clip.id, frame) != (2, 1))


def test_videos_to_run_a_model_on_have_no_labels(tmp_path):
    made = without_labels((video(1, 2), video(2, 3)), CATEGORIES, "zoo", tmp_path)
    write_boxes(made, tmp_path / "t.json")
    read = read_boxes(tmp_path / "t.json", tmp_path)
    assert [len(clip.frame_files) for clip in read.videos] == [2, 3]
    assert not any(frame.labelled for clip in read.videos for frame in clip.labels)
