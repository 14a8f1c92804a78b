"""Against a real HTTP server on this machine."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from copperline.data import download
from copperline.data.deeppcb import read_deeppcb
from copperline.data.download import DEEPPCB_TRAINVAL_SHA256, OfflineError, content_checksum, download_deeppcb
from copperline.errors import DataError


class Host:
    """Serves `archive`; `drops` says after how many bytes of the file the next answers break off."""

    def __init__(self) -> None:
        self.archive = b""
        self.ranges = True
        self.states_length = True
        self.drops: list[int] = []
        self.statuses: list[int] = []
        self.requests: list[str | None] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/master.zip"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.requests.append(asked)
        size, start = len(self.archive), int(asked[6:-1]) if asked and self.ranges else 0
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        if start >= size:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{size}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.states_length:
            request.send_header("Content-Length", str(size - start))
        request.end_headers()
        end = self.drops.pop(0) if self.drops else size
        request.wfile.write(self.archive[start:end])
        request.close_connection = True


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(download, "_CHUNK_BYTES", 100)
    host = Host()
    yield host
    host.server.shutdown()
    host.server.server_close()


def zipped(root: Path, extra: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(path, f"DeepPCB-master/PCBData/{path.relative_to(root)}")
        for name, content in {
            "DeepPCB-master/LICENSE": b"MIT",
            "DeepPCB-master/tools/x.cpp": b"",
            **(extra or {}),
        }.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def published(deeppcb: Path, host: Host) -> str:
    """The host has the archive; gives its content checksum."""
    host.archive = zipped(deeppcb)
    return content_checksum(deeppcb)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fetch(host: Host, target: Path, checksum: str, **options: object) -> Path:
    return download_deeppcb(target, host.url, checksum=checksum, retry_delay_s=0.0, **options)  # type: ignore[arg-type]


def test_downloads_verifies_and_leaves_only_the_data(host: Host, published: str, deeppcb: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    root = fetch(
        host, tmp_path / "data" / "deeppcb", published, progress=lambda done, total: steps.append((done, total))
    )
    assert root == tmp_path / "data" / "deeppcb" / "PCBData"
    assert steps[-1] == (len(host.archive), len(host.archive))
    assert names(root.parent) == ["LICENSE", "PCBData"]
    assert names(root.parent.parent) == ["deeppcb"]
    assert [p.board_id for p in read_deeppcb(root)[0]] == [p.board_id for p in read_deeppcb(deeppcb)[0]]


def test_what_is_there_is_verified_and_not_fetched_again(host: Host, published: str, tmp_path: Path) -> None:
    root = fetch(host, tmp_path / "d", published)
    assert fetch(host, tmp_path / "d", published) == root
    assert len(host.requests) == 1
    next(root.rglob("77000000_test.png")).write_bytes(b"changed")
    with pytest.raises(DataError, match=r"expected DeepPCB's boards .* found others"):
        fetch(host, tmp_path / "d", published)


def test_a_broken_connection_is_resumed_in_the_same_call(host: Host, published: str, tmp_path: Path) -> None:
    host.drops = [1000, 1500, 2500]
    fetch(host, tmp_path / "d", published)
    assert host.requests == [None, "bytes=1000-", "bytes=1500-", "bytes=2500-"]


def test_a_given_up_download_is_resumed_by_the_next_call(host: Host, published: str, tmp_path: Path) -> None:
    host.drops = [1000, 1000, 1000]
    with pytest.raises(OfflineError, match=r"the connection broke after 0\.0 MB .*run it again to go on from there"):
        fetch(host, tmp_path / "d", published)
    assert not (tmp_path / "d").exists()
    assert (tmp_path / ".d.zip.part").read_bytes() == host.archive[:1000]
    steps: list[int] = []
    fetch(host, tmp_path / "d", published, progress=lambda done, total: steps.append(done))
    assert host.requests[-1] == "bytes=1000-"
    assert steps[0] > 1000
    assert "d" in names(tmp_path)
    assert ".d.zip.part" not in names(tmp_path)


def test_a_host_without_ranges_is_asked_from_the_start(host: Host, published: str, tmp_path: Path) -> None:
    host.ranges = False
    host.drops = [1000]
    fetch(host, tmp_path / "d", published)
    assert host.requests == [None, "bytes=1000-"]


def test_a_host_that_states_no_length_is_fine(host: Host, published: str, tmp_path: Path) -> None:
    host.states_length = False
    totals: list[int | None] = []
    fetch(host, tmp_path / "d", published, progress=lambda done, total: totals.append(total))
    assert set(totals) == {None}


def test_a_part_that_is_whole_already_is_used(host: Host, published: str, tmp_path: Path) -> None:
    (tmp_path / ".d.zip.part").write_bytes(host.archive)
    fetch(host, tmp_path / "d", published)
    assert host.requests == [f"bytes={len(host.archive)}-"]


def test_a_part_of_another_archive_is_thrown_away(host: Host, published: str, tmp_path: Path) -> None:
    (tmp_path / ".d.zip.part").write_bytes(b"x" * 1000)
    fetch(host, tmp_path / "d", published)
    assert host.requests == ["bytes=1000-", None]
    (tmp_path / ".e.zip.part").write_bytes(b"x" * (len(host.archive) + 1))
    fetch(host, tmp_path / "e", published)
    assert host.requests[-1] is None


def test_a_busy_host_is_asked_again_a_missing_page_is_not(host: Host, published: str, tmp_path: Path) -> None:
    host.statuses = [503, 429]
    fetch(host, tmp_path / "d", published)
    host.statuses = [404]
    with pytest.raises(DataError, match="the host answers 404 Not Found") as caught:
        fetch(host, tmp_path / "e", published)
    assert not isinstance(caught.value, OfflineError)
    assert len(host.requests) == 4


def test_a_damaged_archive_is_refused_and_not_kept(host: Host, published: str, tmp_path: Path) -> None:
    good = host.archive
    place = good.index(b"10 10 30 30 1")
    for damaged in (good[:place] + b"99" + good[place + 2 :], good[:-40], b"<html>not found</html>"):
        host.archive = damaged
        with pytest.raises(DataError, match="expected a whole zip archive, found a damaged one"):
            fetch(host, tmp_path / "d", published)
        assert names(tmp_path) == ["PCBData"]  # the source of the archive


def test_other_content_is_refused(host: Host, published: str, deeppcb: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected DeepPCB's boards \(SHA-256 8c888eb3b028"):
        fetch(host, tmp_path / "d", DEEPPCB_TRAINVAL_SHA256)
    shutil.rmtree(deeppcb / "group77000")
    host.archive = zipped(deeppcb)
    with pytest.raises(DataError, match="the file cannot be read"):
        fetch(host, tmp_path / "d", published)
    (deeppcb / "trainval.txt").unlink()
    (deeppcb / "test.txt").unlink()
    host.archive = zipped(deeppcb)
    with pytest.raises(DataError, match=r"expected an archive with PCBData/trainval\.txt"):
        fetch(host, tmp_path / "d", published)
    assert names(tmp_path) == ["PCBData"]


@pytest.mark.parametrize(
    "name", ["DeepPCB-master/PCBData/../../../evil", "/etc/evil", "DeepPCB-master/PCBData/..\\..\\evil", "C:/evil"]
)
def test_paths_that_lead_outside_are_refused(
    host: Host, published: str, deeppcb: Path, tmp_path: Path, name: str
) -> None:
    host.archive = zipped(deeppcb, {name: b"evil"})
    with pytest.raises(DataError, match="do not use this archive"):
        fetch(host, tmp_path / "d", published)
    assert not list(tmp_path.rglob("*evil*"))
    assert not (tmp_path / "d").exists()


def test_links_and_bombs_are_refused(
    host: Host, published: str, deeppcb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO(zipped(deeppcb))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("DeepPCB-master/PCBData/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    host.archive = buffer.getvalue()
    with pytest.raises(DataError, match="found the link"):
        fetch(host, tmp_path / "d", published)
    monkeypatch.setattr(download, "_MAX_UNPACKED_BYTES", 1 << 20)
    host.archive = zipped(deeppcb, {"DeepPCB-master/PCBData/zeros": bytes(2 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="unpacked"):
        fetch(host, tmp_path / "d", published)


def test_without_a_network_it_says_what_else_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(OfflineError) as caught:
        download_deeppcb(tmp_path / "d", "http://127.0.0.1:9/master.zip", retry_delay_s=0.0)
    assert "no network" in str(caught.value)
    assert "give --data PATH" in str(caught.value)
    assert "run without it for synthetic boards" in str(caught.value)
    assert names(tmp_path) == []


def test_a_folder_of_something_else_is_left_alone(host: Host, published: str, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.tex").touch()
    with pytest.raises(DataError, match="the folder exists already"):
        fetch(host, tmp_path / "d", published)
    assert host.requests == []


def test_a_place_that_cannot_be_written_is_named(host: Host, published: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        fetch(host, tmp_path / "file" / "d", published)


def test_a_full_disk_keeps_what_was_received(
    host: Host, published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(DataError, match="d: cannot be written: No space left on device"):
            fetch(host, tmp_path / "d", published)
    assert names(tmp_path) == [".d.zip.part", "PCBData"]
    fetch(host, tmp_path / "d", published)
    assert host.requests == [None, f"bytes={len(host.archive)}-"]


def test_the_checksum_is_of_names_and_bytes_not_of_the_lists_order(deeppcb: Path) -> None:
    before = content_checksum(deeppcb)
    path = deeppcb / "trainval.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert content_checksum(deeppcb) == before
    next(deeppcb.rglob("77000000.txt")).write_text("1 2 3 4 1\n")
    assert content_checksum(deeppcb) != before


@pytest.mark.skipif("COPPERLINE_DEEPPCB" not in os.environ, reason="COPPERLINE_DEEPPCB is not set")
def test_the_pinned_checksum_is_the_real_data_sets() -> None:
    assert content_checksum(os.environ["COPPERLINE_DEEPPCB"]) == DEEPPCB_TRAINVAL_SHA256
