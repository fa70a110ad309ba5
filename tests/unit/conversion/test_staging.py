import os
import platform
import subprocess
import sys

import pytest

from qcen_core.conversion.staging import require_free, whole_folder
from qcen_core.errors import InputError


def test_the_folder_appears_with_all_its_files(tmp_path):
    out = tmp_path / "deep" / "set"
    with whole_folder(out) as folder:
        (folder / "a").write_text("1")
        assert not out.exists()
    assert (out / "a").read_text() == "1"
    assert list(out.parent.iterdir()) == [out]


def test_a_failure_leaves_what_was_there(tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    (out / "old").write_text("1")

    def interrupted():
        with whole_folder(out) as folder:
            (folder / "a").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in out.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_failure_leaves_no_folder_above_it(tmp_path):
    def interrupted():
        with whole_folder(tmp_path / "data" / "mine" / "set"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_an_old_folder_is_replaced(tmp_path):
    out = tmp_path / "set"
    out.mkdir()
    (out / "old").write_text("1")
    with whole_folder(out) as folder:
        (folder / "new").write_text("1")
    assert [path.name for path in out.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [out]


def test_only_folders_of_ours_are_overwritten(tmp_path):
    out = tmp_path / "set"
    require_free(out, "dataset.yaml", overwrite=False)
    out.mkdir()
    require_free(out, "dataset.yaml", overwrite=False)
    (out / "holiday.jpg").write_text("1")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not a folder with a"):
            require_free(out, "dataset.yaml", overwrite=overwrite)
    (out / "dataset.yaml").write_text("1")
    with pytest.raises(InputError, match=r"did not write: holiday\.jpg"):
        require_free(out, "dataset.yaml", overwrite=True)
    (out / "holiday.jpg").unlink()
    require_free(out, "dataset.yaml", overwrite=True)
    with pytest.raises(InputError, match="there already") as caught:
        require_free(out, "dataset.yaml", overwrite=False)
    assert "--overwrite" in caught.value.hint
    (tmp_path / "file").write_text("1")
    with pytest.raises(InputError, match="there already"):
        require_free(tmp_path / "file", "dataset.yaml", overwrite=True)


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    out = tmp_path / "set"
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from qcen_core.conversion.staging import whole_folder\n"
        "with whole_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a').write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    with whole_folder(out) as folder:
        (folder / "a").write_text("whole")
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_was_moved_aside_by_a_killed_process_comes_back(tmp_path):
    out = tmp_path / "set"
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = "".join(letter for letter in platform.node() if letter.isalnum())
    aside = tmp_path / f".set.{host}-{int(done.stdout)}.abc.old"
    aside.mkdir()
    (aside / "a").write_text("1")
    others = [
        tmp_path / f".set.{host}-{os.getpid()}.notes",
        tmp_path / ".set.elsewhere-1.abc.part",
    ]  # not ours to touch
    for other in others:
        other.mkdir()

    def fail():
        with whole_folder(out):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (out / "a").read_text() == "1"
    assert sorted(tmp_path.iterdir()) == sorted([out, *others])


def test_an_earlier_process_of_our_own_number_is_gone(tmp_path):
    out = tmp_path / "set"
    with whole_folder(out) as folder:
        name = folder.name
    (tmp_path / name).mkdir()
    with whole_folder(out) as folder:
        (folder / "a").write_text("1")
    assert list(tmp_path.iterdir()) == [out]
