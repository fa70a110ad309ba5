"""Every dependency has its reason in CONTRIBUTING.md and is imported somewhere."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT_NAMES = {
    "huggingface-hub": "huggingface_hub",
    "lightning-fabric": "lightning_fabric",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.split(r"[<>=~! ]", requirement)[0].lower() for requirement in project["dependencies"]}


def imported() -> set[str]:
    names = set()
    for path in [*ROOT.glob("qcen_core/**/*.py"), *ROOT.glob("qcen_cli/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module).split(".")[0])
    return names


def test_every_dependency_has_a_reason():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Dependencies")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")][2:]
    assert {name.strip() for row in rows for name in row.split(",")} == declared()


def test_every_dependency_is_used():
    assert {name for name in declared() if IMPORT_NAMES.get(name, name) not in imported()} == set()
