"""DeepPCB from its public home: resumed, verified, and there as a whole or not at all.

Not re-exported by the package, because it brings in an HTTP client that reading data does not need.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import requests

from copperline.data.deeppcb import TRAINVAL_LIST, find_deeppcb
from copperline.data.labels import read_lines
from copperline.errors import DataError
from copperline.files import atomic_folder, require_replaceable, unwritable

DEEPPCB_ARCHIVE = "https://github.com/tangsanli5201/DeepPCB/archive/refs/heads/master.zip"

# `content_checksum("PCBData")` of the published data set: 1,000 pairs, 3,000 files. The archive itself has no lasting
# checksum, because the host packs it anew from time to time; the boards in it must not change.
DEEPPCB_TRAINVAL_SHA256 = "8c888eb3b0287c1e5dd6b208a43236303310c0cc81316da9c24affb24cf49ed4"

Progress = Callable[[int, int | None], None]

_MAX_FAILURES = 3  # in a row, without a byte gained
_CHUNK_BYTES = 1 << 16  # also what is lost at most when a connection breaks
_TIMEOUT_S = (10.0, 60.0)  # to connect, between two chunks
_MAX_UNPACKED_BYTES = 2 << 30
_KEPT_AT_ROOT = frozenset({"LICENSE", "README.md"})


class OfflineError(DataError):
    """The network, or the host, cannot be reached. What was received is kept; the next call goes on from there."""


class _ArchiveError(DataError):
    """What was received is damaged, unsafe or has other content: not worth keeping."""


def download_deeppcb(
    folder: str | Path,
    url: str = DEEPPCB_ARCHIVE,
    progress: Progress | None = None,
    *,
    checksum: str = DEEPPCB_TRAINVAL_SHA256,
    retry_delay_s: float = 0.5,
) -> Path:
    """Downloads DeepPCB, unless it is there already, and verifies it.

    The archive is received into a `.part` file beside `folder`, and gone on with after an interruption, in this
    call or a later one. Then each file's CRC-32 and the content checksum are verified, and `folder` appears.

    Args:
        folder: becomes the data set: `PCBData`, with DeepPCB's licence beside.
        url: a zip of a DeepPCB checkout.
        progress: called with the bytes received so far, and the bytes in all if the host says so.
        checksum: expected `content_checksum`.
        retry_delay_s: pause after the first failure in a row, doubled after the second.

    Returns:
        The folder with the lists, `folder/PCBData`.

    Raises:
        OfflineError: no network, or the connection broke three times in a row without a byte gained.
        DataError: the host refuses, the archive is damaged, unsafe or of other content, the folder holds something
            else or cannot be written.
    """
    folder = Path(folder)
    existing = find_deeppcb(folder)
    if existing is not None:
        _require_checksum(existing, checksum, folder)
        return existing
    require_replaceable(folder, False, "PCBData")
    part = folder.absolute().with_name(f".{folder.absolute().name}.zip.part")
    resumed = _size(part) > 0
    try:
        _fetch_and_unpack(url, part, folder, progress, checksum, retry_delay_s)
    except _ArchiveError:
        if not resumed:
            raise
        # The host may have packed anew since the last call: halves of two archives make none. Once more, from zero.
        _fetch_and_unpack(url, part, folder, progress, checksum, retry_delay_s)
    return folder / "PCBData"


def content_checksum(root: str | Path) -> str:
    """Hexadecimal SHA-256 over the pairs of trainval.txt: for each of their files (test image, reference,
    annotation), in the order of the names, the name relative to `root`, a zero byte, and the SHA-256 of its bytes.

    Raises DataError if the list or a file is missing.
    """
    root = Path(root)
    names: set[str] = set()
    for number, line in read_lines(root / TRAINVAL_LIST):
        fields = line.split()
        if len(fields) != 2:
            raise DataError(
                f"expected an image and its annotation file, found {line[:80]!r}",
                where=root / TRAINVAL_LIST,
                line=number,
            )
        image = PurePosixPath(fields[0])
        names |= {str(image.parent / f"{image.stem}_{kind}{image.suffix}") for kind in ("test", "temp")}
        names.add(str(PurePosixPath(fields[1])))
    whole = hashlib.sha256()
    for name in sorted(names):
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise DataError(f"the file cannot be read ({error.strerror})", where=root / name) from error
        whole.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return whole.hexdigest()


def _fetch_and_unpack(
    url: str, part: Path, folder: Path, progress: Progress | None, checksum: str, retry_delay_s: float
) -> None:
    """Keeps `part` if the network or the disk fails, so that the next call goes on from there."""
    _fetch(url, part, progress, retry_delay_s)
    try:
        _unpack(part, folder, checksum, url)
    except _ArchiveError:
        part.unlink()
        raise
    part.unlink()


def _fetch(url: str, part: Path, progress: Progress | None, retry_delay_s: float) -> None:
    """Receives until the file is whole; raises OfflineError after too many failures in a row."""
    failures, most = 0, _size(part)
    while True:
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            return _receive(url, part, progress)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            failures = 1 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            if failures == _MAX_FAILURES or isinstance(error, requests.ConnectTimeout):
                raise _offline(url, part, error) from error
            time.sleep(retry_delay_s * 2 ** (failures - 1))
        except requests.RequestException as error:
            raise DataError(f"the download failed ({_brief(error)})", where=url, fix="check the address") from error
        except OSError as error:
            raise unwritable(part, error) from error


def _receive(url: str, part: Path, progress: Progress | None) -> None:
    """One request, which goes on from what `part` holds. Raises a requests exception if the connection breaks."""
    held = _size(part)
    # Without compression on the way, byte counts are those of the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range", "").rpartition("/")[2] == str(held):
                return
            part.unlink()
            raise requests.ConnectionError("the host's archive is shorter than what was received before")
        if response.status_code >= 500 or response.status_code == requests.codes.too_many_requests:
            raise requests.ConnectionError(f"the host answers {response.status_code}")
        if not response.ok:
            raise DataError(f"the host answers {response.status_code} {response.reason}", where=url, fix=_OTHER_WAYS)
        continues = response.status_code == requests.codes.partial_content and response.headers.get(
            "Content-Range", f"bytes {held}-"
        ).startswith(f"bytes {held}-")
        start = held if continues else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        received = start
        with part.open("ab" if continues else "wb") as stream:
            for chunk in response.iter_content(_CHUNK_BYTES):
                stream.write(chunk)
                received += len(chunk)
                if progress is not None:
                    progress(received, total)
        if total is not None and received < total:
            raise requests.ConnectionError(f"the connection ended after {received} of {total} bytes")


def _unpack(part: Path, folder: Path, checksum: str, url: str) -> None:
    """Extracts the boards beside `folder`, verifies them and moves them into place."""
    with atomic_folder(folder, marker="PCBData") as temporary:
        try:
            with zipfile.ZipFile(part) as archive:
                for member, target in _members(archive, url):
                    path = temporary / target
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(member) as source, path.open("wb") as sink:
                        shutil.copyfileobj(source, sink)  # verifies the CRC-32 at the end of each file
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise _ArchiveError(
                f"expected a whole zip archive, found a damaged one ({error})", where=url, fix="download it again"
            ) from error
        root = find_deeppcb(temporary / "PCBData")
        if root is None:
            raise _ArchiveError(
                f"expected an archive with PCBData/{TRAINVAL_LIST}, found none", where=url, fix=_OTHER_WAYS
            )
        try:
            _require_checksum(root, checksum, url)
        except DataError as error:
            raise _ArchiveError(error.problem, where=url, fix=error.fix) from error


def _members(archive: zipfile.ZipFile, url: str) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files to extract, with their paths below the data set's folder; refuses paths that lead elsewhere."""
    members = []
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            raise _unsafe(url, f"the path {member.filename!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _unsafe(url, f"the link {member.filename!r}")
        below = PurePosixPath(*path.parts[1:])  # the host puts all into one folder named for the branch
        if not member.is_dir() and below.parts and (below.parts[0] == "PCBData" or str(below) in _KEPT_AT_ROOT):
            members.append((member, below))
    if sum(member.file_size for member, _ in members) > _MAX_UNPACKED_BYTES:
        raise _unsafe(url, f"more than {_MAX_UNPACKED_BYTES >> 30} GiB unpacked")
    return members


def _require_checksum(root: Path, checksum: str, where: str | Path) -> None:
    found = content_checksum(root)
    if found != checksum:
        raise DataError(
            f"expected DeepPCB's boards (SHA-256 {checksum[:12]}...), found others ({found[:12]}...)",
            where=where,
            fix="remove the folder and download again, or give a copy that you trust",
        )


_OTHER_WAYS = "give --data PATH with a copy of DeepPCB or run without it for synthetic boards"


def _offline(url: str, part: Path, error: Exception) -> OfflineError:
    held = _size(part)
    if held:
        problem = f"the connection broke after {held / 1e6:.1f} MB ({_brief(error)})"
        return OfflineError(problem, where=url, fix=f"run it again to go on from there, or {_OTHER_WAYS}")
    return OfflineError(f"no network ({_brief(error)})", where=url, fix=_OTHER_WAYS)


def _brief(error: Exception) -> str:
    """The innermost reason: HTTP clients wrap it several times."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return str(error).rpartition(": ")[2][:120] or type(error).__name__


def _unsafe(url: str, what: str) -> _ArchiveError:
    return _ArchiveError(
        f"expected an archive of images and lists, found {what}", where=url, fix="do not use this archive"
    )


def _size(path: Path) -> int:
    """Bytes; 0 if there is no such file or it is out of reach (which writing to it will tell)."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
