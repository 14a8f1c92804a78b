"""Whole folders to a Snowflake stage and back: resumable, and checked byte for byte by SHA-256.

Beside the files lies `copperline-manifest.json`, which has each one's size and SHA-256. While a folder is being sent it
says `"complete": false` and has the files that are there so far; it says `true` only when the last file is there. A cut
in the middle leaves a folder that shows itself as incomplete, and sending it again sends what is missing.

Checksums are those of the manifest, and not the stage's MD5: on a stage that encrypts, that one is of what was
encrypted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from copperline.errors import DataError, StageError
from copperline.files import atomic_folder, require_replaceable, unwritable
from copperline.stage.snowflake_files import Entry, get_bytes, get_file, list_entries, put_bytes, put_file
from copperline.stage.stage_path import StagePath, require_path

if TYPE_CHECKING:
    from snowflake.snowpark import Session

MANIFEST = "copperline-manifest.json"
Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

_NOTED_FILES, _NOTED_BYTES = 50, 64 << 20  # after so much the manifest is written: more than this is never sent twice
_PADDING = 16  # what encryption on the client's side may add to a file, bytes


class SentFile(BaseModel):
    """A file as it was sent: its size in bytes and the hexadecimal SHA-256 of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: Annotated[str, Field(pattern=r"[0-9a-f]{64}")]


class Manifest(BaseModel):
    """What a folder on a stage has.

    Attributes:
        complete: False while it is being sent, and after a cut.
        files: path in the folder -> the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(1, ge=1, le=1)
    complete: bool
    files: dict[str, SentFile]

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, SentFile]) -> dict[str, SentFile]:
        for path in files:
            try:
                require_path(path, MANIFEST)
            except DataError as error:
                raise ValueError(str(error)) from error
            if not path or path == MANIFEST:
                raise ValueError(f"expected a file of the folder, found {path!r}")
        return files


@dataclass(frozen=True, slots=True)
class Transfer:
    """What came of sending or fetching a folder.

    Attributes:
        files, size: of the folder in all; bytes.
        moved: files that were sent or fetched; the others were there already.
    """

    files: int
    size: int
    moved: int


@dataclass(frozen=True, slots=True)
class FolderState:
    """A folder on a stage.

    Attributes:
        place: where it is.
        complete: whether all of its files are there.
        files, size: of those that are there and are what was sent; bytes.
    """

    place: StagePath
    complete: bool
    files: int
    size: int


def upload_folder(session: Session, folder: Path, place: StagePath, *, progress: Progress | None = None) -> Transfer:
    """Sends the files of a folder, and of its subfolders; those that are there with the same content are not sent.

    Files that a former folder of this place had and this one has not stay on the stage, out of the manifest. Hidden
    files are sent too; links to files are followed.

    Raises:
        DataError: the folder does not exist, has no file, or has one whose name no stage can have.
        StageError, SnowflakeError: the network failed, or Snowflake refuses; started again, it goes on.
    """
    wanted = _described(folder)
    there = _still_there(session, place)
    rest = {path: file for path, file in wanted.items() if there.get(path) != file}
    total, done = sum(file.size for file in wanted.values()), sum(wanted[p].size for p in wanted.keys() - rest.keys())
    sent = {path: file for path, file in wanted.items() if path not in rest}
    noted_files = noted_bytes = 0
    if rest:
        # Before the first file is replaced: the manifest of a former folder would call the mixture complete.
        _write(session, place, Manifest(complete=False, files=sent))
    for path, file in rest.items():
        put_file(session, place / path, folder / path)
        sent[path] = file
        done, noted_files, noted_bytes = done + file.size, noted_files + 1, noted_bytes + file.size
        if noted_files >= _NOTED_FILES or noted_bytes >= _NOTED_BYTES:
            _write(session, place, Manifest(complete=False, files=sent))
            noted_files = noted_bytes = 0
        if progress is not None:
            progress(done, total)
    before = _read(session, place) if not rest else None
    if before is None or not before.complete or before.files != wanted:
        _write(session, place, Manifest(complete=True, files=wanted))
    return Transfer(len(wanted), total, len(rest))


def download_folder(session: Session, place: StagePath, folder: Path, *, progress: Progress | None = None) -> Transfer:
    """Fetches a folder that `upload_folder` sent, into `folder`, which appears whole or stays as it was.

    What was fetched before a cut is kept beside it, in `.NAME.download`, and not fetched again; nor is what a former
    `folder` has with the same content. A folder that was not fetched from a stage is never replaced.

    Raises:
        DataError: there is no such folder on the stage, or `folder` cannot be written.
        StageError: the folder on the stage is incomplete or damaged.
        StageError, SnowflakeError: the network failed, or Snowflake refuses; started again, it goes on.
    """
    require_replaceable(folder, True, MANIFEST)
    manifest = _read(session, place)
    if manifest is None or not manifest.complete:
        raise _not_whole(place, manifest)
    kept = folder.absolute().with_name(f".{folder.absolute().name}.download")
    total, done, moved = sum(file.size for file in manifest.files.values()), 0, 0
    for path, file in manifest.files.items():
        if not _is_same(kept / path, file):
            if _is_same(folder / path, file):
                _copied(folder / path, kept / path)
            else:
                _fetch(session, place / path, file, kept / path)
                moved += 1
        done += file.size
        if progress is not None:
            progress(done, total)
    with atomic_folder(folder, overwrite=True, marker=MANIFEST) as partial:
        for path in manifest.files:
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (kept / path).replace(partial / path)
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    shutil.rmtree(kept, ignore_errors=True)
    return Transfer(len(manifest.files), total, moved)


def folder_states(session: Session, place: StagePath) -> list[FolderState]:
    """The folders below `place` that `upload_folder` sent or began to send, by path."""
    entries = list_entries(session, place)
    found = []
    for entry in entries:
        if entry.path.rpartition("/")[2] == MANIFEST:
            at = place.on_stage(entry.path.rpartition("/")[0])
            manifest = _read(session, at)
            if manifest is None:
                continue  # removed since it was listed
            there = _untouched(manifest, entries, at)
            size = sum(file.size for file in there.values())
            found.append(FolderState(at, manifest.complete and len(there) == len(manifest.files), len(there), size))
    return found


def _described(folder: Path) -> dict[str, SentFile]:
    """All files with their checksums; refuses what no stage can have before anything is sent."""
    if not folder.is_dir():
        raise DataError("expected a folder, found none", where=folder, fix="check the path")
    found = {}
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders.sort()
        for name in sorted(names):
            file = Path(parent, name)
            path = file.relative_to(folder).as_posix()
            if path == MANIFEST:
                continue  # of a folder that was fetched from a stage
            require_path(path, str(file))
            found[path] = _described_file(file)
    if not found:
        raise DataError("expected a folder with files, found none", where=folder, fix="check the path")
    return found


def _described_file(file: Path) -> SentFile:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            raise DataError("expected a file, found a pipe or device", where=file, fix="remove it")
        with file.open("rb") as opened:
            return SentFile(size=status.st_size, sha256=hashlib.file_digest(opened, "sha256").hexdigest())
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})", where=file, fix="check its rights, or remove it"
        ) from error


def _refuse(error: OSError) -> None:
    raise DataError(
        f"the folder cannot be listed ({error.strerror})", where=error.filename, fix="check its rights and its disk"
    ) from error


def _still_there(session: Session, place: StagePath) -> Mapping[str, SentFile]:
    """What a former try sent and the stage still has."""
    entries = list_entries(session, place)
    listed = any(entry.path == (place / MANIFEST).path for entry in entries)
    manifest = _read(session, place) if listed else None
    return {} if manifest is None else _untouched(manifest, entries, place)


def _untouched(manifest: Manifest, entries: Sequence[Entry], place: StagePath) -> dict[str, SentFile]:
    """The manifest's files without those that were since removed, cut or written by somebody else."""
    listed = {entry.path: entry for entry in entries}
    written = listed[(place / MANIFEST).path].changed_at
    found = {}
    for path, file in manifest.files.items():
        entry = listed.get((place / path).path)
        if entry is not None and file.size <= entry.size <= file.size + _PADDING and entry.changed_at <= written:
            found[path] = file
    return found


def _read(session: Session, place: StagePath) -> Manifest | None:
    """None: there is none."""
    try:
        text = get_bytes(session, place / MANIFEST)
    except DataError:
        return None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise StageError(
            f"the folder's manifest is damaged or of another version ({first['msg']})",
            where=str(place / MANIFEST),
            fix="remove it and send the folder again",
        ) from error


def _write(session: Session, place: StagePath, manifest: Manifest) -> None:
    put_bytes(session, place / MANIFEST, manifest.model_dump_json(indent=1).encode())


def _not_whole(place: StagePath, manifest: Manifest | None) -> DataError | StageError:
    if manifest is None:
        return DataError(
            f"expected a folder with {MANIFEST}, found none", where=str(place), fix="check the path, or send it first"
        )
    return StageError(
        f"expected a complete folder, found one of which {len(manifest.files)} files were sent",
        where=str(place),
        fix="send it again, which sends what is missing",
    )


def _is_same(path: Path, file: SentFile) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError:  # it is fetched then, and writing it says what is wrong
        return False


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise unwritable(target, error) from error


def _copied(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        raise unwritable(target, error) from error


def _fetch(session: Session, source: StagePath, file: SentFile, target: Path) -> None:
    # In a folder of its own: GET fetches whatever begins with the path, and `best.pt` must not bring `best.pt.old/...`
    # to where other files are.
    with _folder_beside(target) as folder:
        fetched = get_file(session, source, folder)
        if _is_same(fetched, file):
            fetched.replace(target)
            return
        raise StageError(
            f"expected a file of {file.size} bytes with SHA-256 {file.sha256[:12]}..., found another",
            where=str(source),
            fix="send the folder again; nothing was replaced here",
        )
