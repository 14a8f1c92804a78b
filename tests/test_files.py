from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from copperline.errors import DataError
from copperline.files import atomic_file, atomic_folder, copy_into, file_name


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with atomic_file(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    with pytest.raises(KeyError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert target.read_text() == "whole"
    assert names(target.parent) == ["a.txt"]


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic_folder(tmp_path / "set", marker="m") as temporary:
        (temporary / "half").touch()
        raise KeyError
    assert names(tmp_path) == []
    with atomic_folder(tmp_path / "set", marker="m") as temporary:
        (temporary / "m").touch()
    assert names(tmp_path) == ["set"]


def test_an_existing_folder_is_swapped_only_on_request_and_if_it_is_ours(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder, file in ((ours, "m"), (other, "thesis.tex")):
        folder.mkdir()
        (folder / file).write_text("old")
    with pytest.raises(DataError, match="ours: the folder exists already"), atomic_folder(ours, marker="m"):
        pass
    with (
        pytest.raises(DataError, match="other: expected a folder with m"),
        atomic_folder(other, overwrite=True, marker="m"),
    ):
        pass
    with pytest.raises(KeyError), atomic_folder(ours, overwrite=True, marker="m"):
        raise KeyError
    assert (ours / "m").read_text() == "old"
    with atomic_folder(ours, overwrite=True, marker="m") as temporary:
        (temporary / "m").write_text("new")
    assert (ours / "m").read_text() == "new"
    assert names(tmp_path) == ["other", "ours"]


def test_if_the_swap_fails_the_old_folder_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "set"
    target.mkdir()
    (target / "m").write_text("old")
    replace = Path.replace

    def fail_into_place(self: Path, to: Path) -> Path:
        if to == target and not (self / "old").exists() and (self / "new").exists():
            raise OSError(errno.EIO, "input/output error")
        return replace(self, to)

    monkeypatch.setattr(Path, "replace", fail_into_place)
    with (
        pytest.raises(DataError, match="cannot be written: input/output error"),
        atomic_folder(target, overwrite=True, marker="m") as temporary,
    ):
        (temporary / "new").touch()
    assert (target / "m").read_text() == "old"
    assert names(tmp_path) == ["set"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_a_data_error_and_leaves_nothing(tmp_path: Path, code: int) -> None:
    with (
        pytest.raises(DataError, match=f"cannot be written: {os.strerror(code)}; free space or choose"),
        atomic_folder(tmp_path / "set", marker="m") as temporary,
    ):
        (temporary / "half").touch()
        raise OSError(code, os.strerror(code))
    assert names(tmp_path) == []


def test_copying_gives_the_bytes_and_names_a_lost_source(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"board")
    assert copy_into(tmp_path / "a", tmp_path / "x" / "b") == b"board"
    assert (tmp_path / "x" / "b").read_bytes() == b"board"
    with pytest.raises(DataError, match="lost: the file cannot be read"):
        copy_into(tmp_path / "lost", tmp_path / "c")


@pytest.mark.parametrize("board_id", ["", "..", "a/b", "a\\b", "a:b", "a\nb", ".hidden"])
def test_an_id_that_is_no_file_name_is_refused(board_id: str) -> None:
    with pytest.raises(DataError, match="expected a board id"):
        file_name(board_id, ".png")
