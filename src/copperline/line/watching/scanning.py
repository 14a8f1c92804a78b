"""The files that lie in a watched folder, as its file system tells of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TEMPORARY_ENDS = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", "~")
_TEMPORARY_STARTS = (".", "~")


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes when a file is written to.

    Attributes:
        size: bytes.
        mtime_ns: by the clock of the file system, which may not be ours: only ever compared with another one of it.
        inode: 0 where the file system has none.
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    def same_content_as(self, other: FileState) -> bool:
        """Whether nothing was written between the two. Some shares invent another inode after each reconnection."""
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True)
class Scan:
    """Attributes:
    files: state by path below the folder, with slashes.
    unreadable: subfolders that could not be listed, with the system's words.
    """

    files: dict[str, FileState]
    unreadable: dict[str, str]


def scan(folder: Path, leave_out: Iterable[Path] = ()) -> Scan:
    """Lists the files below `folder` that may be images of boards.

    Symbolic links are not followed, as they may lead out of the folder; hidden and temporary names are not looked at.

    Args:
        leave_out: folders that are not entered.

    Raises:
        OSError: `folder` itself cannot be listed; a share that went away shows itself so.
    """
    left_out = {os.path.normcase(path.absolute()) for path in leave_out}
    found = Scan({}, {})
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            entries = list(_entries(folder / below if below else folder))
        except OSError as error:
            if not below:
                raise
            found.unreadable[below] = error.strerror or str(error)
            continue
        for entry in entries:
            relative = f"{below}/{entry.name}" if below else entry.name
            _sort_in(entry, relative, found, waiting, left_out)
    return found


def is_temporary(name: str) -> bool:
    """Whether a name is that of a file which another program has not finished, or hides.

    >>> is_temporary("B1.png.part"), is_temporary("._B1.png"), is_temporary("B1.png")
    (True, True, False)
    """
    return name.lower().endswith(_TEMPORARY_ENDS) or name.startswith(_TEMPORARY_STARTS)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _sort_in(entry: os.DirEntry[str], relative: str, found: Scan, folders: list[str], left_out: set[str]) -> None:
    if is_temporary(entry.name):
        return
    try:
        if entry.is_dir(follow_symlinks=False):
            if os.path.normcase(Path(entry.path).absolute()) not in left_out:
                folders.append(relative)
        elif entry.is_file(follow_symlinks=False):
            # Not entry.stat(): on Windows that is what the folder remembers, which lags behind a file being written.
            found.files[relative] = FileState.of(Path(entry.path).stat(follow_symlinks=False))
    except FileNotFoundError:
        return  # gone since it was listed
    except OSError as error:
        found.unreadable[relative] = error.strerror or str(error)
