"""Folders on disk: what is listed, with which time of change."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copperline.errors import DataError, StageError
from copperline.stage import list_files, read_bytes

IMAGES = frozenset({".png"})


def test_images_of_all_subfolders_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.PNG", "a/notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    files = list_files(tmp_path, IMAGES)
    assert [file.location for file in files] == [tmp_path / "a" / "c.PNG", tmp_path / "b.png"]
    assert {file.size for file in files} == {5}


def test_a_copy_with_an_old_time_counts_as_changed_when_it_came(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    os.utime(path, (0, 0))
    (file,) = list_files(tmp_path, IMAGES)
    assert file.changed_at is not None
    assert abs(datetime.now(UTC) - file.changed_at) < timedelta(minutes=1)


def test_a_link_that_is_turned_to_another_file_counts_as_changed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("one", "two"):
        (tmp_path / "elsewhere" / name).write_bytes(b"1")
    link = tmp_path / "boards" / "a.png"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "elsewhere" / "one")
    (before,) = list_files(link.parent, IMAGES)
    time.sleep(0.02)  # the clock of a file system is coarse
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere" / "two")
    (after,) = list_files(link.parent, IMAGES)
    assert before.changed_at is not None
    assert after.changed_at is not None
    assert after.changed_at > before.changed_at


def test_a_folder_that_cannot_be_listed_is_said_and_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    # The tests may run as root, whom no right refuses.
    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(StageError, match=r"closed: the folder cannot be listed \(Permission denied\)"):
        list_files(tmp_path, IMAGES)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder with board images, found none"):
        list_files(tmp_path / "nowhere", IMAGES)
    with pytest.raises(DataError, match=r"a\.png: expected an image, but the file cannot be read"):
        read_bytes(tmp_path / "a.png")
