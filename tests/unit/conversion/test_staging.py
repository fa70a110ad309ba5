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
    require_free(out, "dataset.yaml", overwrite=True)
    with pytest.raises(InputError, match="there already") as caught:
        require_free(out, "dataset.yaml", overwrite=False)
    assert "--overwrite" in caught.value.hint
    (tmp_path / "file").write_text("1")
    with pytest.raises(InputError, match="there already"):
        require_free(tmp_path / "file", "dataset.yaml", overwrite=True)
