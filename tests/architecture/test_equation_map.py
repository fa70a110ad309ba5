"""The table of docs/method.md names every loss, and every name in it exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
METHOD = ROOT / "docs" / "method.md"
LOSSES = ROOT / "qcen_core" / "method" / "losses.py"
NAME = re.compile(r"`(qcen_core(?:\.\w+)+)`")


def named_functions() -> list[str]:
    """The dotted names in the first column of the tables."""
    rows = [line.strip() for line in METHOD.read_text(encoding="utf-8").splitlines() if line.strip().startswith("|")]
    return [name for row in rows for name in NAME.findall(row.split("|")[1])]


def defined_functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_name_in_the_map_exists():
    names = named_functions()
    assert names, "docs/method.md has no table of equations"
    for name in names:
        module, _, function = name.rpartition(".")
        path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file(), f"{name}: no module {module}"
        assert function in defined_functions(path), f"{name}: no such function"


def test_every_loss_is_in_the_map():
    losses = {f"qcen_core.method.losses.{name}" for name in defined_functions(LOSSES) if not name.startswith("_")}
    assert losses, "losses.py defines no function"
    assert losses <= set(named_functions())
