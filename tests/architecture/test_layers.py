"""Imports run downward only: a room never imports a room above it or beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = (
    {"errors"},
    {"config", "records", "jsonfile"},
    {"boxfile", "stored_config", "structures"},
    {"ops", "prepared", "video"},
    {"trackfile"},
    {"resultfile"},
    {"conversion", "data", "model", "method", "evaluation", "trackforms", "visualization"},
    {"inference"},
    {"training"},
    {"qcen_cli"},
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted([*ROOT.glob("qcen_core/**/*.py"), *ROOT.glob("qcen_cli/**/*.py")])
ENTRANCE = ROOT / "qcen_core" / "__init__.py"  # names the verbs of several rooms; holds no other import


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "qcen_core" and len(parts) > 1 else parts[0]


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every module of ours that is imported, inside functions and under TYPE_CHECKING, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] in {"qcen_core", "qcen_cli"})


def wrong_imports(room: str, source: str) -> list[str]:
    wrong = []
    for line, name in imported_modules(source):
        target = room_of(name)
        if target != room and LEVEL[target] >= LEVEL[room]:
            wrong.append(f"line {line}: {room} (level {LEVEL[room]}) imports {name} (level {LEVEL[target]})")
    return wrong


def test_every_room_has_a_level():
    rooms = {room_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in MODULES} - {"__init__"}
    assert rooms <= set(LEVEL)


@pytest.mark.parametrize("path", [path for path in MODULES if path != ENTRANCE], ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downward(path):
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert wrong_imports(room, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "from qcen_core.method import losses"),
        ("data", "def f():\n    from qcen_core.training.trainer import train"),
        ("records", "import qcen_core.config"),
        ("evaluation", "from qcen_core import visualization"),
        ("inference", "import qcen_cli.main"),
    ],
)
def test_a_wrong_arrow_is_seen(room, source):
    assert len(wrong_imports(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("training", "from qcen_core.method.losses import total_loss\nimport torch"),
        ("method", "from qcen_core.method.matching import match"),
        ("qcen_cli", "from qcen_core.training.trainer import train"),
    ],
)
def test_a_right_arrow_passes(room, source):
    assert wrong_imports(room, source) == []


def test_the_command_line_imports_the_engine_inside_commands_only():
    """At the top of a module of the command line only the light `qcen_core.errors` may be imported."""
    for path in ROOT.glob("qcen_cli/*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
        top += [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        engine = {name for name in top if name and name.startswith("qcen_core")}
        assert engine <= {"qcen_core.errors"}, path.name
