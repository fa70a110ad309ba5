from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcen_core.conversion.made.affine_warp import inverse_map, warp_boxes, warp_frame, warp_mask, warp_points
from qcen_core.conversion.made.camera_path import ANCHOR_IN_VIEW, CAMERA_PATH, CameraPath, clip_path
from qcen_core.conversion.made.pseudo_clips import (
    StillImage,
    StillObject,
    clip_size,
    make_pseudo_clip,
    write_pseudo_clips,
)
from qcen_core.errors import InputError
from qcen_core.ops import rle
from qcen_core.records import Category

SIZE, OUT = (157, 211), (96, 128)
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])
CATEGORIES = (Category(3, "dog"), Category(8, "car"))
SIZES = st.tuples(st.integers(40, 300), st.integers(40, 300))


def turned(degrees, scale, centre=(100.0, 80.0), to=(64.0, 48.0)):
    cos, sin = np.cos(np.radians(degrees)) * scale, np.sin(np.radians(degrees)) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, np.array(to) - linear @ np.array(centre)])


def blob(rng, size=SIZE):
    """A mask of two ellipses, not convex."""
    mask = np.zeros(size, np.uint8)
    for _ in range(2):
        centre = (int(rng.integers(60, 150)), int(rng.integers(50, 110)))
        cv2.ellipse(mask, centre, (int(rng.integers(8, 40)), int(rng.integers(8, 40))), 30, 0, 360, 1, -1)
    return mask.astype(bool)


def warped_by_hand(mask, matrix, size):
    """Every pixel of the frame on its own."""
    warped = np.zeros(size, bool)
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, _ = back @ np.array([column + 0.5, row + 0.5, 1])
            if 0 <= x < mask.shape[1] and 0 <= y < mask.shape[0]:
                warped[row, column] = mask[int(y), int(x)]
    return warped


def tight(mask):
    rows, columns = np.nonzero(mask)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def paths(seeds, **more):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        corner = rng.uniform((0, 0), (150, 100))
        anchor = (*corner, *(corner + rng.uniform(5, 60, 2)))
        yield anchor, clip_path(rng, SIZE, OUT, 14, anchor, **more)


# --- the map --------------------------------------------------------------------------------------------------------


def test_identity_gives_the_image_back():
    image = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
    assert (warp_frame(image, IDENTITY, SIZE) == image).all()


def test_whole_pixels_are_moved_exactly():
    image = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
    moved = warp_frame(image, IDENTITY - [[0, 0, 7], [0, 0, 5]], (90, 100))
    assert (moved == image[5:95, 7:107]).all()


def test_a_quarter_of_the_size_is_the_mean_of_pixels():
    image = np.random.default_rng(1).integers(0, 255, (48, 80, 3), np.uint8)
    mean = image.reshape(12, 4, 20, 4, 3).mean(axis=(1, 3))
    assert np.abs(warp_frame(image, IDENTITY / 4, (12, 20)) - mean).max() <= 0.5


@pytest.mark.parametrize(("degrees", "scale"), [(0, 2.0), (0, 0.43), (90, 1.0), (13, 0.7), (-8, 1.3)])
def test_a_frame_shows_its_points_where_the_map_leads_them(degrees, scale):
    matrix = turned(degrees, scale)
    ys, xs = np.mgrid[:160, :200] + 0.5
    image = np.stack([xs, ys, np.zeros_like(xs)], axis=-1).astype(np.uint8)  # a pixel tells where it is
    frame = warp_frame(image, matrix, OUT).astype(float)
    centres = np.stack(np.meshgrid(np.arange(OUT[1]) + 0.5, np.arange(OUT[0]) + 0.5), axis=-1)
    source = warp_points(centres, inverse_map(matrix))
    well_inside = ((source > 5) & (source < (195, 155))).all(axis=-1)
    assert well_inside.sum() > 1000
    # The image holds the whole part of x + 0.5, half a pixel less on average.
    assert np.abs(frame[..., :2] + 0.5 - source)[well_inside].max() < 1.1
    assert np.abs((frame[..., :2] + 0.5 - source)[well_inside].mean(axis=0)).max() < 0.1


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (0, 0.5), (17, 0.83), (-40, 1.9), (90, 0.31)])
def test_masks_against_every_pixel_on_its_own(degrees, scale):
    mask = blob(np.random.default_rng(3))
    matrix = turned(degrees, scale)
    assert (warp_mask(mask, matrix, OUT) == warped_by_hand(mask, matrix, OUT)).all()


def test_masks_without_pixels_or_out_of_view():
    assert not warp_mask(np.zeros(SIZE, bool), IDENTITY, OUT).any()
    mask = np.zeros(SIZE, bool)
    mask[140:150, 190:200] = True
    assert not warp_mask(mask, IDENTITY, OUT).any()


@settings(max_examples=30)
@given(degrees=st.floats(-180, 180), scale=st.floats(0.2, 4), half=st.tuples(st.floats(3, 50), st.floats(3, 50)))
def test_boxes_are_those_of_inscribed_ellipses(degrees, scale, half):
    matrix = turned(degrees, scale)
    box = np.array([[80 - half[0], 70 - half[1], 80 + half[0], 70 + half[1]]])
    around = np.linspace(0, 2 * np.pi, 20_001)
    rim = np.stack([80 + half[0] * np.cos(around), 70 + half[1] * np.sin(around)], axis=-1)
    led = warp_points(rim, matrix)
    expected = [*led.min(axis=0), *led.max(axis=0)]
    assert warp_boxes(box, matrix)[0] == pytest.approx(expected, abs=1e-4 * scale)


def test_ellipse_rule_against_a_finely_rasterised_ellipse():
    fine = 8
    matrix = turned(25, 0.9)
    ys, xs = (np.mgrid[: 96 * fine, : 128 * fine] + 0.5) / fine
    source = warp_points(np.stack([xs, ys], axis=-1), inverse_map(matrix))
    inside = (((source - (95, 75)) / (30, 12)) ** 2).sum(axis=-1) <= 1
    expected = np.array(tight(inside)) / fine
    assert np.abs(warp_boxes(np.array([[65.0, 63, 125, 87]]), matrix)[0] - expected).max() < 1 / fine


# --- the way of the camera ------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), size=SIZES, out=SIZES, length=st.integers(1, 20))
def test_windows_never_leave_the_image(seed, size, out, length):
    path = clip_path(np.random.default_rng(seed), size, out, length)
    assert path.shape == (length, 2, 3)
    corners = np.array([[0, 0], [out[1], 0], [0, out[0]], [out[1], out[0]]], float)
    for matrix in path:
        led = warp_points(corners, inverse_map(matrix))
        assert (led > -1e-6).all()
        assert (led < np.array(size[::-1]) + 1e-6).all()


def test_no_border_is_visible():
    white = np.full((*SIZE, 3), 255, np.uint8)
    for _, path in paths(range(8)):
        for matrix in path:
            assert (warp_frame(white, matrix, OUT) == 255).all()
            assert warp_mask(white[..., 0] > 0, matrix, OUT).all()


def test_paths_are_similarities_that_do_not_mirror():
    for _, path in paths(range(10)):
        linear = path[:, :, :2]
        scales = np.sqrt(np.linalg.det(linear))
        assert linear @ linear.transpose(0, 2, 1) == pytest.approx(scales[:, None, None] ** 2 * np.eye(2)[None])
        angles = np.arctan2(linear[:, 0, 1], linear[:, 0, 0])
        assert np.abs(angles).max() <= CAMERA_PATH.angle + 1e-9


def test_paths_are_smooth_and_go_somewhere():
    points = np.array([[0, 0], [OUT[1], 0], [0, OUT[0]], [OUT[1], OUT[0]], [31, 57]], float)
    ways = []
    for _, path in paths(range(60)):
        steps = np.array(
            [warp_points(warp_points(points, inverse_map(before)), after) - points for before, after in pairwise(path)]
        )
        limit = CAMERA_PATH.speed * min(OUT)
        assert np.linalg.norm(steps, axis=-1).max() <= limit + 1e-9
        # From frame to frame the way hardly changes.
        assert np.linalg.norm(np.diff(steps, axis=0), axis=-1).max() <= limit / 2
        ways.append(np.linalg.norm(steps.sum(axis=0), axis=-1).max())
    assert np.median(ways) > 0.1 * min(OUT)


def test_the_anchor_is_in_view_in_most_frames():
    for anchor, path in paths(range(80), strength=CameraPath(reach=(0.9, 0.9), speed=0.3)):
        middle = np.array([(anchor[0] + anchor[2]) / 2, (anchor[1] + anchor[3]) / 2])
        led = np.stack([warp_points(middle, matrix) for matrix in path])
        assert ((led >= 0) & (led < OUT[::-1])).all(axis=1).mean() >= ANCHOR_IN_VIEW


def test_large_objects_are_shown_whole():
    path = clip_path(np.random.default_rng(2), SIZE, OUT, 12, (0, 0, SIZE[1], SIZE[0]))
    assert np.sqrt(np.linalg.det(path[:, :, :2])).max() < 1.5 * max(OUT[0] / SIZE[0], OUT[1] / SIZE[1])


# --- clips ----------------------------------------------------------------------------------------------------------


def scene(seed=0):
    rng = np.random.default_rng(seed)
    masks = [blob(rng), blob(rng), blob(rng)]
    objects = [StillObject(tight(masks[0]), 0, rle.encode(masks[0])), StillObject(tight(masks[1]), 1)]
    objects.append(StillObject(tight(masks[2]), 1, rle.encode(masks[2]), is_crowd=True))
    return rng.integers(0, 255, (*SIZE, 3), np.uint8), objects, masks


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_a_clip(seed):
    pixels, objects, masks = scene(seed)
    clip = make_pseudo_clip(pixels, objects, np.random.default_rng(seed), OUT, 5, 9)
    assert clip.frames.shape == (5, *OUT, 3)
    assert clip.frames.dtype == np.uint8
    rng = np.random.default_rng(seed)
    path = clip_path(rng, SIZE, OUT, 5, objects[int(rng.integers(2))].box)
    assert [(t.id, t.video_id, t.class_id, t.is_crowd) for t in clip.tracks] == [
        (1, 9, 0, False),
        (2, 9, 1, False),
        (3, 9, 1, True),
    ]
    assert clip.tracks[1].segmentations is None
    for frame, matrix in enumerate(path):
        for index in (0, 2):
            expected = warped_by_hand(masks[index], matrix, OUT)
            assert clip.tracks[index].boxes[frame] == tight(expected)
            assert (rle.decode(clip.tracks[index].segmentations[frame]) == expected).all()
        expected = np.clip(warp_boxes(np.array([objects[1].box], float), matrix)[0], 0, (*OUT[::-1], *OUT[::-1]))
        assert clip.tracks[1].boxes[frame] == pytest.approx(tuple(expected))


def still_camera(objects, size=OUT):
    """The window is the image's middle, upright and at full scale, and does not move."""
    strength = CameraPath(zoom=(1, 1), zoom_change=0, angle=0, reach=(0, 0))
    return make_pseudo_clip(np.zeros((*size, 3), np.uint8), objects, np.random.default_rng(0), size, 2, 1, strength)


def test_a_camera_that_does_nothing_leaves_all_as_it_is():
    mask = blob(np.random.default_rng(4), OUT)
    clip = still_camera([StillObject(tight(mask), 0, rle.encode(mask)), StillObject((3.5, 4, 60, 70.25), 1)])
    assert clip.tracks[0].boxes == (tight(mask),) * 2
    assert clip.tracks[1].boxes == (pytest.approx((3.5, 4, 60, 70.25)),) * 2


@pytest.mark.parametrize(
    ("box", "labelled"),
    [
        ((10, 10, 14, 13), True),  # 12 pixels
        ((10, 10, 21, 11), False),  # 11
        ((-80, 10, 20, 30), True),  # a fifth in view
        ((-95, 10, 5, 30), False),  # a twentieth, 100 pixels
        ((-50, 10, -5, 30), False),
    ],
)
def test_too_little_in_view_is_not_labelled(box, labelled):
    looked_at = StillObject((40, 40, 60, 60), 0)
    tracks = still_camera([looked_at, StillObject(box, 1)]).tracks
    assert len(tracks) == 1 + labelled


def test_too_little_of_a_mask_is_not_labelled():
    # The frame shows the left half of the image.
    looked_at = StillObject((0, 0, 10, 40), 0)
    strength = CameraPath(zoom=(1, 1), zoom_change=0, angle=0, reach=(0, 0))
    for start, labelled in ((95, False), (80, True)):
        mask = np.zeros((40, 200), bool)
        mask[5:15, start : start + 100] = True
        objects = [StillObject(tight(mask), 1, rle.encode(mask), is_crowd=True), looked_at]
        pixels = np.zeros((40, 200, 3), np.uint8)
        clip = make_pseudo_clip(pixels, objects, np.random.default_rng(0), (40, 100), 2, 1, strength)
        assert len(clip.tracks) == 1 + labelled
        if labelled:
            assert clip.tracks[0].boxes == ((80, 5, 100, 15),) * 2


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (360, 480)), ((1080, 1920), (360, 640)), ((640, 427), (540, 360)), ((101, 67), (100, 68))],
)
def test_frame_sizes(size, expected):
    assert clip_size(*size) == expected


def images(folder):
    found = []
    for number, size in enumerate([(67, 101), (83, 61), (71, 73)]):
        file = folder / f"{number}.png"
        cv2.imwrite(str(file), np.full((*size, 3), 60 * number + 30, np.uint8))
        found.append(StillImage(file.name, file, *size, (StillObject((10, 10, 40, 50), number % 2),)))
    return found


def write_to(folder, pictures, seed=5, counts=None, **more):
    counts = {"train": 4, "holdout": 2} if counts is None else counts
    splits = {"train": pictures[:2], "holdout": pictures[2:]}
    return write_pseudo_clips(folder, splits, CATEGORIES, seed, counts, 3, **more)


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.jpg"))}


def test_written_clips(tmp_path):
    done = []
    dataset = write_to(tmp_path / "a", images(tmp_path), on_progress=lambda i, n: done.append((i, n)))
    assert [video.name for video in dataset.videos] == [*(f"train_0000{i}" for i in range(4)), *(
        f"holdout_0000{i}" for i in range(2)
    )]  # fmt: skip
    assert done[-1] == (6, 6)
    assert dataset.categories == CATEGORIES
    sizes = [(video.height, video.width) for video in dataset.videos]
    # Each image once before any comes again; frames keep its shape.
    assert set(sizes[:2]) == set(sizes[2:4]) == {clip_size(67, 101), clip_size(83, 61)}
    for video in dataset.videos:
        for file in video.frame_files:
            assert cv2.imread(str(tmp_path / "a" / file)).shape == (video.height, video.width, 3)
    assert sorted(track.id for track in dataset.tracks) == list(range(1, len(dataset.tracks) + 1))
    assert {track.video_id for track in dataset.tracks} == {video.id for video in dataset.videos}


def test_clips_depend_on_seed_split_and_index_alone(tmp_path):
    pictures = images(tmp_path)
    first = write_to(tmp_path / "a", pictures)
    again = write_to(tmp_path / "b", pictures)
    assert first == again
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    fewer = write_to(tmp_path / "c", pictures, counts={"holdout": 1, "train": 2})
    assert all(contents(tmp_path / "a")[name] == data for name, data in contents(tmp_path / "c").items())
    tracks_of = {video.name: [t.boxes for t in first.tracks if t.video_id == video.id] for video in first.videos}
    for video in fewer.videos:
        assert [t.boxes for t in fewer.tracks if t.video_id == video.id] == tracks_of[video.name]
    other = write_to(tmp_path / "d", pictures, seed=6)
    assert [t.boxes for t in other.tracks] != [t.boxes for t in first.tracks]
    assert tracks_of["train_00000"] != tracks_of["train_00002"]
    assert tracks_of["holdout_00000"] != tracks_of["holdout_00001"]


def test_one_size_for_all(tmp_path):
    dataset = write_to(tmp_path / "a", images(tmp_path), size=(48, 64))
    assert {(video.height, video.width) for video in dataset.videos} == {(48, 64)}


def test_images_that_are_not_as_stated(tmp_path):
    pictures = images(tmp_path)
    cv2.imwrite(str(pictures[2].file), np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(InputError, match="50 x 50 pixels, its record says 73 x 71"):
        write_to(tmp_path / "a", pictures, counts={"holdout": 1})
    pictures[2].file.unlink()
    with pytest.raises(InputError, match="cannot read"):
        write_to(tmp_path / "b", pictures, counts={"holdout": 1})
    with pytest.raises(InputError, match="no images for the split test"):
        write_to(tmp_path / "c", pictures, counts={"test": 1})
