"""One watcher for a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from copperline.errors import SettingsError
from copperline.line.watching.locking import FolderLock

HOLD = """
import sys
from pathlib import Path
from copperline.line.watching.locking import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_watcher_is_told_who_the_first_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "held\n"
            with (
                pytest.raises(SettingsError, match=rf"found that process {other.pid} on .* does"),
                FolderLock(tmp_path),
            ):
                pass
        finally:
            other.kill()
        other.wait(10)
        # Killed, it holds nothing any more.
        with FolderLock(tmp_path):
            pass


def test_the_folder_keeps_its_name(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        first = lock.folder_id()
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    with FolderLock(moved) as lock:
        assert lock.folder_id() == first
    moved.rename(tmp_path)


def test_a_folder_that_was_mounted_again_is_locked_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with FolderLock(folder) as lock:
        lock.renew()
        shutil.rmtree(folder)
        folder.mkdir()
        lock.renew()
        assert (folder / ".copperline" / "watch.lock").exists()
        lock.renew()


def test_a_folder_that_is_away_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot"), FolderLock(tmp_path / "away"):
        pass
