"""What the player is given: polygons that give back their masks, frames within their budget."""

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from report_pages import CATEGORIES, FRAMES, HEIGHT, WIDTH, disc, made_up_figures, write_evaluation

from qcen_core.ops.rle import encode
from qcen_core.resultfile import read_results
from qcen_core.trackfile import read_annotations
from qcen_core.visualization import player_data as module
from qcen_core.visualization.player_data import PICTURE_WIDTH, UNITS, player_data, polygons


def filled(drawn: list[list[int]], height: int) -> np.ndarray:
    """The even-odd filling of polygons that are told by their steps, as a canvas fills them."""
    outlines = [np.cumsum(np.array(polygon).reshape(-1, 2), axis=0).astype(np.int32) for polygon in drawn]
    canvas = np.zeros((height, UNITS), np.uint8)
    cv2.fillPoly(canvas, outlines, 1)  # several outlines at once: even-odd
    return canvas.astype(bool)


@pytest.mark.parametrize(("height", "width"), [(61, 97), (241, 389), (1051, 1471)])
@pytest.mark.parametrize("kind", ["disc", "ring", "two", "border"])
def test_polygons_give_back_their_mask(height, width, kind):
    rows, columns = np.indices((height, width))
    distance = np.hypot((rows - height * 0.53), (columns - width * 0.41)) / min(height, width)
    mask = {
        "disc": distance < 0.31,
        "ring": (distance < 0.37) & (distance > 0.19),
        "two": (distance < 0.17) | (columns > 0.83 * width),
        "border": (rows < 0.29 * height) & (columns < 0.37 * width),
    }[kind]
    canvas_height = round(UNITS * height / width)
    drawn = polygons(encode(mask), canvas_height)
    expected = cv2.resize(mask.astype(np.uint8), (UNITS, canvas_height), interpolation=cv2.INTER_NEAREST).astype(bool)
    found = filled(drawn, canvas_height)
    assert (expected & found).sum() / (expected | found).sum() > 0.96
    assert len(drawn) == {"disc": 1, "ring": 2, "two": 2, "border": 1}[kind]
    assert sum(len(polygon) for polygon in drawn) < 700


def test_a_mask_lost_at_this_size_is_still_a_dot():
    mask = np.zeros((1051, 4001), bool)
    mask[503, 2003] = True
    (square,) = polygons(encode(mask), 189)
    x, y = square[:2]
    assert abs(x - 2003 * UNITS / 4001) <= 2
    assert abs(y - 503 * 189 / 1051) <= 2
    assert polygons(encode(np.zeros((61, 97), bool)), 453) == []


def read(tmp_path):
    truth_file, results_file = write_evaluation(tmp_path)
    truth = read_annotations(truth_file)
    return truth, read_results(results_file, truth), tmp_path / "JPEGImages"


def test_tracks_and_frames_of_a_video(tmp_path):
    truth, results, root = read(tmp_path)
    data = player_data([(truth.videos[0], "note")], truth, results, root, {}, 0.3)
    (video,) = data["videos"]
    assert data["units"] == UNITS
    assert (video["name"], video["note"], video["height"]) == ("v1", "note", round(UNITS * HEIGHT / WIDTH))
    assert video["frames"] == list(range(FRAMES))
    image = cv2.imdecode(np.frombuffer(base64.b64decode(video["images"][3]), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert abs(int(image[9, 9, 0]) - 100) < 4
    assert [(track["id"], track["name"]) for track in video["truth"]] == [(10, "dog")]
    assert [(t["id"], t["name"], t["score"], t["verdict"]) for t in video["found"]] == [
        (1, "cat", 0.9, None),
        (2, "dog", 0.6, None),
    ]
    # The dog is on the true dog, the cat is on nothing.
    assert video["found"][1]["color"] == video["truth"][0]["color"] != video["found"][0]["color"]
    shape = filled(video["truth"][0]["shapes"][2], video["height"])
    rows, columns = np.nonzero(shape)
    seen = np.nonzero(disc(2))
    assert abs(rows.mean() * WIDTH / UNITS - seen[0].mean()) < 1
    assert abs(columns.mean() * WIDTH / UNITS - seen[1].mean()) < 1


def test_an_evaluation_says_who_follows_whom(tmp_path):
    truth, results, root = read(tmp_path)
    figures = made_up_figures()
    figures["worst"][0]["objects"][0]["matched"] = [[0, 6, 1]]
    (video,) = player_data([(truth.videos[0], "")], truth, results, root, figures, 0.3)["videos"]
    assert [track["verdict"] for track in video["found"]] == ["background", "right"]
    assert video["found"][0]["color"] == video["truth"][0]["color"] != video["found"][1]["color"]


def test_low_scores_are_left_out_and_lost_frames_leave_grey(tmp_path):
    truth, results, root = read(tmp_path)
    (root / "v1" / "00004.png").unlink()
    first, second = player_data([(v, "") for v in truth.videos], truth, results, root, {}, 0.7)["videos"]
    assert first["images"] is None
    assert len(second["images"]) == FRAMES
    assert [track["id"] for track in first["found"]] == [1]
    (no_root, _) = player_data([(v, "") for v in truth.videos], truth, results, None, {}, 0.7)["videos"]
    assert no_root["images"] is None
    assert no_root["frames"] == list(range(FRAMES))


def test_unlabelled_frames_are_left_out(tmp_path):
    truth, results, root = read(tmp_path)
    video = replace(truth.videos[1], unlabelled=frozenset({0, 1, 2, 5}))
    (shown,) = player_data([(video, "")], truth, results, root, {}, 0.3)["videos"]
    assert shown["frames"] == [3, 4, 6]
    assert [len(track["shapes"]) for track in (*shown["truth"], *shown["found"])] == [3, 3]


def test_boxes_stand_for_masks_that_nobody_knows(tmp_path):
    truth, results, root = read(tmp_path)
    boxes_only = replace(truth, tracks=tuple(replace(track, segmentations=None) for track in truth.tracks))
    (video, _) = player_data([(v, "") for v in truth.videos], boxes_only, results, root, {}, 0.3)["videos"]
    (polygon,) = video["truth"][0]["shapes"][0]
    corners = np.cumsum(np.array(polygon).reshape(-1, 2), axis=0) * WIDTH / UNITS
    x1, y1, x2, y2 = truth.tracks[0].boxes[0]
    assert np.abs(corners - [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]).max() < 0.1


def test_pictures_keep_to_their_budget(tmp_path, monkeypatch):
    files = tuple(f"{frame}.png" for frame in range(83))
    noise = np.random.default_rng(0)
    for file in files:
        cv2.imwrite(str(tmp_path / file), noise.integers(0, 256, (307, 719, 3), dtype=np.uint8))
    truth, results, _ = read(tmp_path / "other")
    video = replace(truth.videos[0], id=7, height=307, width=719, frame_files=files)
    free = replace(truth, videos=(video,), tracks=())

    def shown():
        return player_data([(video, "")], free, results, tmp_path, {}, 0.3)["videos"][0]

    whole = shown()
    assert len(whole["frames"]) == module.MOST_FRAMES
    assert (whole["frames"][0], whole["frames"][-1]) == (0, 82)
    size = sum(len(base64.b64decode(image)) for image in whole["images"])
    image = cv2.imdecode(np.frombuffer(base64.b64decode(whole["images"][0]), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == PICTURE_WIDTH
    monkeypatch.setattr(module, "BUDGET", size // 3)
    fewer = shown()
    assert len(fewer["frames"]) == len(fewer["images"])
    assert abs(len(fewer["frames"]) - module.MOST_FRAMES // 3) <= 1
    assert (fewer["frames"][0], fewer["frames"][-1]) == (0, 82)
    assert sum(len(base64.b64decode(image)) for image in fewer["images"]) < 0.4 * size
    assert free.categories == CATEGORIES
