"""A tiny COCO folder: train images are all red, val images all green, so that a pixel tells where it comes from."""

import json

import cv2
import numpy as np

from qcen_core.ops import rle

HEIGHT, WIDTH = 157, 401
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 62, "name": "chair"}]


def blocks(rng, channel, low, high):
    """Coarse noise in one colour channel (RGB order)."""
    coarse = rng.integers(low, high, (HEIGHT // 9 + 1, WIDTH // 9 + 1), np.uint8)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., channel] = np.kron(coarse, np.ones((9, 9), np.uint8))[:HEIGHT, :WIDTH]
    return image


def ellipse(centre, axes):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    return mask.astype(bool)


def uncompressed(mask):
    flat = mask.T.ravel().astype(int)
    changes = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": ([0] if flat[0] else []) + runs}


def build(root, *, images=4, splits=("train", "val"), missing=1):
    """Writes the folder: each image shows a dog as polygon, a car as RLE (every other image) and a crowd.

    `missing` images of each split have a record but no file.
    """
    (root / "annotations").mkdir(parents=True)
    for number, split in enumerate(splits):
        rng = np.random.default_rng([5, number])
        folder = root / f"{split}2017"
        folder.mkdir()
        content = {"images": [], "annotations": [], "categories": CATEGORIES}

        def add(image_id, category, segmentation, crowd=0, content=content):
            record = {"id": len(content["annotations"]) + 1, "image_id": image_id, "category_id": category}
            content["annotations"].append(record | {"segmentation": segmentation, "iscrowd": crowd})

        for i in range(images + missing):
            image_id = 100 * number + 10 + i
            name = f"{image_id:012d}.png"
            record = {"id": image_id, "file_name": name, "height": HEIGHT, "width": WIDTH}
            content["images"].append(record)
            pixels = blocks(rng, number, 0, 90)
            dog = [11, 20, 83, 23, 79, 91, 30, 77]
            objects = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.array(dog).reshape(-1, 2)], 1).astype(bool)
            add(image_id, 18, [dog])
            if i % 2 == 0:
                car = ellipse((150, 60), (31, 29))
                objects |= car
                add(image_id, 3, rle.encode(car) if i % 4 == 0 else uncompressed(car))
            crowd = np.zeros((HEIGHT, WIDTH), bool)
            crowd[130:150, 5:60] = True
            add(image_id, 18, uncompressed(crowd), crowd=1)
            pixels[objects] = blocks(rng, number, 10, 255)[objects]
            if i < images:
                cv2.imwrite(str(folder / name), pixels[..., ::-1])
        (root / "annotations" / f"instances_{split}2017.json").write_text(json.dumps(content))
    return root
