"""What a person is told of labels that can be read but are odd."""

from PIL import Image

from qcen_core.conversion.gather import gather_own


def write_yolo(root, names=None):
    for frame in range(2):
        picture = root / "images" / "walk" / f"{frame}.png"
        label = root / "labels" / "walk" / f"{frame}.txt"
        for path in (picture, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (31, 23)).save(picture)
        label.write_text("0 0.5 0.5 0.2 0.4\n4 0.5 0.5 0.4 0.2\n")
    if names is not None:
        (root / "classes.txt").write_text("\n".join(names))
    return root


def told(root):
    return gather_own(root, None, None, on_progress=None).notes


def test_classes_that_nothing_names_are_told(tmp_path):
    (note,) = [note for note in told(write_yolo(tmp_path)) if "names the classes" in note]
    assert "'class 0', 'class 4'" in note
    assert "classes.txt" in note


def test_classes_with_names_are_no_news(tmp_path):
    notes = told(write_yolo(tmp_path, ["cat", "dog", "cow", "hen", "owl"]))
    assert [note for note in notes if "names the classes" in note] == []
    assert len(notes) == 1
