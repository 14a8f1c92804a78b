"""Files are moved whole, never over another one, and to the same place however often it is tried."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from copperline.line.watching.intake import FoundFile
from copperline.line.watching.placing import ChangedError, GoneError, Placer
from copperline.line.watching.scanning import FileState


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in", "done", "failed"):
        (tmp_path / name).mkdir()
    return tmp_path / "in"


def put(folder: Path, name: str, data: bytes) -> FoundFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return FoundFile(name, FileState.of(path.stat()), 0.0)


def test_a_file_keeps_its_relative_path(folder: Path, tmp_path: Path) -> None:
    moved = Placer(folder).move(put(folder, "L1/Hub/B1.png", b"1"), tmp_path / "done")
    assert moved == tmp_path / "done/L1/Hub/B1.png"
    assert moved.read_bytes() == b"1"
    assert not (folder / "L1/Hub/B1.png").exists()


def test_another_file_of_the_same_name_gets_a_number(folder: Path, tmp_path: Path) -> None:
    placer, done = Placer(folder), tmp_path / "done"
    for data in (b"1", b"2", b"3"):
        placer.move(put(folder, "B1.png", data), done)
    assert {p.name: p.read_bytes() for p in done.iterdir()} == {"B1.png": b"1", "B1-2.png": b"2", "B1-3.png": b"3"}
    # A new process knows nothing of the numbers, and the same bytes count as moved.
    assert Placer(folder).move(put(folder, "B1.png", b"2"), done) == done / "B1-2.png"
    assert Placer(folder).move(put(folder, "B1.png", b"4"), done) == done / "B1-4.png"
    assert list(folder.iterdir()) == []


def test_what_was_written_to_since_is_not_moved(folder: Path, tmp_path: Path) -> None:
    file = put(folder, "B1.png", b"1")
    (folder / "B1.png").write_bytes(b"another board")
    with pytest.raises(ChangedError):
        Placer(folder).move(file, tmp_path / "done")
    assert (folder / "B1.png").read_bytes() == b"another board"
    (folder / "B1.png").unlink()
    with pytest.raises(GoneError):
        Placer(folder).move(file, tmp_path / "done")


def test_a_move_to_another_file_system_is_whole(folder: Path, elsewhere: Path) -> None:
    data = os.urandom(3 << 20)
    file = put(folder, "B1.png", data)
    os.utime(folder / "B1.png", ns=(1, 10**18))
    file = FoundFile(file.path, FileState.of((folder / "B1.png").stat()), 0.0)
    moved = Placer(folder).move(file, elsewhere)
    assert moved.read_bytes() == data
    assert moved.stat().st_mtime_ns == 10**18
    assert list(folder.iterdir()) == []
    # The process ended between the copy and the removal: the next move only removes.
    again = put(folder, "B1.png", data)
    assert Placer(folder).move(again, elsewhere) == moved
    assert [p.name for p in elsewhere.iterdir()] == ["B1.png"]
    assert list(folder.iterdir()) == []


def test_a_full_disk_leaves_the_file_where_it_is(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(reader: object, writer: object, length: int) -> None:
        raise OSError(28, "No space left on device")

    file = put(folder, "B1.png", b"1")
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        Placer(folder).move(file, elsewhere)
    assert list(elsewhere.iterdir()) == []
    assert (folder / "B1.png").read_bytes() == b"1"


def test_the_reason_lies_beside_the_file(folder: Path, tmp_path: Path) -> None:
    failed = tmp_path / "failed"
    long = "x" * 251 + ".png"
    for name in ("B1.png", long, "line\nbreak\"'ü.png"):
        moved = Placer(folder).move(put(folder, name, b"1"), failed, reason={"reason": f"none: {name}"})
        reasons = [p for p in failed.iterdir() if p.name.startswith(name[:9]) and p.name.endswith(".reason.json")]
        assert moved.name == name
        assert json.loads(reasons[0].read_text(encoding="utf-8")) == {"reason": f"none: {name}"}
    assert len(list(failed.iterdir())) == 6
    # A second one of the longest name a file may have.
    second = Placer(folder).move(put(folder, long, b"2"), failed, reason={})
    assert second.name.endswith("x-2.png")
    assert len(os.fsencode(second.name)) == 255


def test_a_file_in_the_way_of_a_folder_is_gone_around(folder: Path, tmp_path: Path) -> None:
    placer, done = Placer(folder), tmp_path / "done"
    placer.move(put(folder, "B1.png", b"1"), done)
    moved = placer.move(put(folder, "B1.png/B2.png", b"2"), done)
    assert moved == done / "B1-2.png" / "B2.png"
    (folder / "B1.png").rmdir()


def test_a_folder_that_is_away_is_not_made(folder: Path, tmp_path: Path) -> None:
    """The mount point of a share; inside the watched folder it is the same file system."""
    file = put(folder, "B1.png", b"1")
    with pytest.raises(FileNotFoundError):
        Placer(folder).move(file, tmp_path / "share", "2026-03-02")
    assert not (tmp_path / "share").exists()
    assert Placer(folder).move(file, folder / "done", "2026-03-02") == folder / "done/2026-03-02/B1.png"


def test_a_link_in_the_done_folder_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    done, other = tmp_path / "done", tmp_path / "other.png"
    other.write_bytes(b"1")
    (done / "B1.png").symlink_to(other)
    assert Placer(folder).move(put(folder, "B1.png", b"1"), done) == done / "B1-2.png"
    assert other.read_bytes() == b"1"
