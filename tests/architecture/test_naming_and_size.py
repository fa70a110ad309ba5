"""Names, docstrings and sizes: what keeps the code readable file by file."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted([*ROOT.glob("qcen_core/**/*.py"), *ROOT.glob("qcen_cli/**/*.py")])
LONGEST_FILE = 350
VAGUE = {"utils", "util", "misc", "helpers", "helper", "common"}
LEAKING = re.compile(r"mask|segment|polygon|rle|track|identit|instance|(^|_)ids?($|_)")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def class_fields(path: Path, name: str) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return [node.target.id for node in found.body if isinstance(node, ast.AnnAssign)]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert VAGUE.isdisjoint({path.stem, *path.relative_to(ROOT).parts}), "a name that says nothing"
    assert text.count("\n") <= LONGEST_FILE, "split it"
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or node.name == "__getattr__", f"{node.name} has no docstring"
    if path.name == "__init__.py" and path.parent.name != "qcen_core":
        assert len(tree.body) == 1, "holds a docstring only"


def test_a_box_target_has_no_room_for_a_mask_or_an_identity():
    fields = class_fields(ROOT / "qcen_core" / "structures.py", "BoxTarget")
    assert fields == ["boxes", "labels", "ignored"]
    assert not [name for name in fields if LEAKING.search(name)]


def test_frame_boxes_have_no_room_for_a_mask_or_an_identity():
    fields = set(class_fields(ROOT / "qcen_core" / "records.py", "FrameBoxes"))
    assert {name for name in fields if LEAKING.search(name)} == {"class_ids"}
