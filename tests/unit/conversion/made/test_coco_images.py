import json

import cv2
import numpy as np
import pytest
from coco_folder import HEIGHT, WIDTH, build, ellipse

from qcen_core.conversion.made.coco_images import find_annotations, read_coco_images, read_masks, read_pixels
from qcen_core.errors import InputError


def train(root):
    return root / "annotations" / "instances_train2017.json"


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_images_without_a_file_are_counted(tmp_path):
    found = read_coco_images(train(build(tmp_path / "coco", images=3, missing=2)), None)
    assert [image.file.name for image in found.images] == [f"{i:012d}.png" for i in (10, 11, 12)]
    assert found.missing == 2
    assert [category.name for category in found.categories] == ["dog", "car", "chair"]
    assert [len(image.annotations) for image in found.images] == [3, 2, 3]


def test_polygons_and_both_kinds_of_run_lengths(tmp_path):
    found = read_coco_images(train(build(tmp_path / "coco", images=3)), None)
    car = ellipse((150, 60), (31, 29))
    for image in (found.images[0], found.images[2]):  # compressed, uncompressed
        np.testing.assert_array_equal(read_masks(image)[1], car)
    dog = read_masks(found.images[1])[0]
    corners = np.array([[11, 20], [83, 23], [79, 91], [30, 77]], np.float32)
    for y in range(0, HEIGHT, 5):
        for x in range(0, WIDTH, 7):
            distance = cv2.pointPolygonTest(corners, (x + 0.5, y + 0.5), True)
            if abs(distance) > 1:
                assert dog[y, x] == (distance > 0)
    crowd = read_masks(found.images[1])[1]
    assert crowd.sum() == 20 * 55


def test_pixels_are_rgb_and_damaged_files_are_told(tmp_path):
    root = build(tmp_path / "coco", images=3)
    first, second, third = read_coco_images(train(root), None).images
    assert read_pixels(first)[..., 0].max() > 200
    assert read_pixels(first)[..., 1:].max() == 0
    second.file.write_bytes(second.file.read_bytes()[:500])
    assert read_pixels(second) is None
    cv2.imwrite(str(third.file), np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
    assert read_pixels(third) is None


def test_annotation_files_of_a_folder(tmp_path):
    root = build(tmp_path / "coco")
    assert [file.name for file in find_annotations(root)] == ["instances_train2017.json", "instances_val2017.json"]
    train(root).unlink()
    assert [file.name for file in find_annotations(root)] == ["instances_val2017.json"]
    assert find_annotations(root / "some.json") == (root / "some.json",)
    with pytest.raises(InputError, match="annotations/instances_train"):
        find_annotations(tmp_path)


def test_images_elsewhere(tmp_path):
    root = build(tmp_path / "coco")
    (root / "train2017").rename(tmp_path / "pictures")
    with pytest.raises(InputError, match=r"none of its 5 images is in .*train2017") as raised:
        read_coco_images(train(root), None)
    assert "--frames" in raised.value.hint
    assert len(read_coco_images(train(root), tmp_path / "pictures").images) == 4
    (tmp_path / "all").mkdir()
    (tmp_path / "pictures").rename(tmp_path / "all" / "train2017")
    assert len(read_coco_images(train(root), tmp_path / "all").images) == 4


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("images"), 'no list "images"'),
        (lambda c: c.pop("annotations"), '"annotations" is missing'),
        (lambda c: c["images"][1].pop("width"), 'image 11: "width" is missing'),
        (lambda c: c["annotations"][2].pop("image_id"), 'annotation 3: "image_id" is missing'),
        (lambda c: c["categories"][0].update(name=7), "category 18: name is 7"),
    ],
)
def test_a_wrong_record_is_named(tmp_path, edit, message):
    path = train(build(tmp_path / "coco"))
    change(path, edit)
    with pytest.raises(InputError, match=message) as raised:
        read_coco_images(path, None)
    assert str(path) in raised.value.line()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([[1, 2, 3]], "three or more pairs"),
        ({"size": [HEIGHT, WIDTH], "counts": [4, 5]}, "do not fill"),
        ({"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}, "its size is"),
        ({"counts": "x"}, "neither run lengths"),
        (7, "neither run lengths"),
    ],
)
def test_a_wrong_mask_is_named(tmp_path, value, reason):
    path = train(build(tmp_path / "coco"))
    change(path, lambda content: content["annotations"][1].update(segmentation=value))
    with pytest.raises(InputError, match=f"annotation 2: unreadable mask: .*{reason}"):
        read_masks(read_coco_images(path, None).images[0])
