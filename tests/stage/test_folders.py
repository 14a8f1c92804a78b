"""Whole folders to a stage and back, on real files of Snowpark's local testing; cuts raise what the connector does."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from copperline.errors import CopperlineError, DataError, SnowflakeError, StageError
from copperline.stage import StagePath, folders
from copperline.stage.folders import MANIFEST, download_folder, folder_states, upload_folder
from copperline.stage.snowflake_files import get_bytes, list_entries, put_bytes

PLACE = StagePath("PCB_CV", "PUBLIC", "MODEL_STAGE", "runs/train 1")
FILES = {"weights/best.pt": b"w" * 5000, "weights/last.pt": b"l" * 5000, "args.json": b"{}", "Zeichnung ä.png": b"\x89"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    files.pop(MANIFEST, None)
    return files


class Cut:
    """File operations of a session whose network is cut after so many files were sent or fetched."""

    def __init__(self, session: Any, after: int) -> None:
        self.real, self.left, self.moved = session.file, after, 0

    def _move(self, place: str) -> None:
        from snowflake.connector.errors import OperationalError

        if not place.endswith(MANIFEST):
            self.left -= 1
            self.moved += 1
        if self.left < 0:
            raise OperationalError(msg="While putting file(s) there was an error: 'reset'", errno=253003)

    def put_stream(self, stream: Any, place: str, **options: Any) -> Any:
        self._move(place)
        return self.real.put_stream(stream, place, **options)

    def get(self, place: str, target: str, **options: Any) -> Any:
        self._move(place)
        return self.real.get(place, target, **options)


@pytest.fixture
def cut(snowpark: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    real = snowpark.file

    def make(after: int) -> Cut:
        monkeypatch.setattr(type(snowpark), "file", real)
        operations = Cut(snowpark, after)
        monkeypatch.setattr(type(snowpark), "file", operations)
        return operations

    return make


def test_a_folder_comes_back_as_it_was(snowpark: Any, run: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    sent = upload_folder(snowpark, run, PLACE, progress=lambda *done: told.append(done))
    assert (sent.files, sent.moved, sent.size) == (4, 4, 10_003)
    assert told[-1] == (10_003, 10_003)
    back = tmp_path / "back"
    fetched = download_folder(snowpark, PLACE, back)
    assert (fetched.files, fetched.moved) == (4, 4)
    assert content(back) == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"run", "back"}  # nothing is left beside it
    assert get_bytes(snowpark, PLACE / "weights/best.pt") == FILES["weights/best.pt"]  # under its own name


def test_what_is_there_is_not_moved_again(snowpark: Any, run: Path, tmp_path: Path, cut: Any) -> None:
    upload_folder(snowpark, run, PLACE)
    download_folder(snowpark, PLACE, tmp_path / "back")
    (run / "args.json").write_bytes(b"[]")
    assert upload_folder(snowpark, run, PLACE).moved == 1
    assert upload_folder(snowpark, run, PLACE).moved == 0
    operations = cut(after=1)
    assert download_folder(snowpark, PLACE, tmp_path / "back").moved == 1
    assert operations.moved == 1
    assert content(tmp_path / "back") == {**FILES, "args.json": b"[]"}


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_cut_while_sending_leaves_an_incomplete_folder_that_is_finished_later(
    snowpark: Any, run: Path, tmp_path: Path, cut: Any, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_NOTED_FILES", 1)
    cut(after)
    with pytest.raises(SnowflakeError, match="runs/train 1"):
        upload_folder(snowpark, run, PLACE)
    cut(99)
    (state,) = folder_states(snowpark, PLACE.parent)
    assert (state.place, state.complete, state.files) == (PLACE, False, after)
    with pytest.raises(StageError, match=f"found one of which {after} files were sent; send it again"):
        download_folder(snowpark, PLACE, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    operations = cut(99)
    assert upload_folder(snowpark, run, PLACE).moved == 4 - after == operations.moved
    (state,) = folder_states(snowpark, PLACE.parent)
    assert (state.complete, state.files, state.size) == (True, 4, 10_003)
    download_folder(snowpark, PLACE, tmp_path / "back")
    assert content(tmp_path / "back") == FILES


def test_a_cut_while_a_folder_is_replaced_does_not_leave_a_mixture_that_looks_whole(
    snowpark: Any, run: Path, tmp_path: Path, cut: Any
) -> None:
    upload_folder(snowpark, run, PLACE)
    for path in FILES:
        (run / path).write_bytes(b"new " + FILES[path])
    cut(2)
    with pytest.raises(SnowflakeError):
        upload_folder(snowpark, run, PLACE)
    cut(99)
    with pytest.raises(StageError, match="expected a complete folder"):
        download_folder(snowpark, PLACE, tmp_path / "back")


def test_a_cut_while_fetching_changes_nothing_here_and_goes_on_later(
    snowpark: Any, run: Path, tmp_path: Path, cut: Any
) -> None:
    back = tmp_path / "back"
    upload_folder(snowpark, run, PLACE)
    download_folder(snowpark, PLACE, back)
    for path in FILES:
        (run / path).write_bytes(b"new " + FILES[path])
    upload_folder(snowpark, run, PLACE)
    cut(2)
    with pytest.raises(SnowflakeError):
        download_folder(snowpark, PLACE, back)
    assert content(back) == FILES
    operations = cut(99)
    assert download_folder(snowpark, PLACE, back).moved == 2 == operations.moved
    assert content(back) == {path: b"new " + data for path, data in FILES.items()}


def test_a_file_that_is_damaged_on_the_stage_is_told_and_replaces_nothing(
    snowpark: Any, run: Path, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    upload_folder(snowpark, run, PLACE)
    download_folder(snowpark, PLACE, back)
    (back / "args.json").write_bytes(b"mine")  # so that it has to be fetched
    put_bytes(snowpark, PLACE / "args.json", b"[]")
    with pytest.raises(StageError, match=r"args\.json: expected a file of 2 bytes with SHA-256 44136fa355b3"):
        download_folder(snowpark, PLACE, back)
    assert (back / "args.json").read_bytes() == b"mine"


def test_a_file_that_somebody_else_wrote_since_is_sent_again(snowpark: Any, run: Path, tmp_path: Path) -> None:
    upload_folder(snowpark, run, PLACE)
    put_bytes(snowpark, PLACE / "args.json", b"[]")  # of the same size
    stage = snowpark._conn.stage_registry['PCB_CV"."PUBLIC"."MODEL_STAGE']._working_directory
    later = time.time() + 5  # a stage tells whole seconds
    os.utime(Path(stage) / PLACE.path / "args.json", (later, later))
    (state,) = folder_states(snowpark, PLACE)
    assert (state.complete, state.files) == (False, 3)
    assert upload_folder(snowpark, run, PLACE).moved == 1
    download_folder(snowpark, PLACE, tmp_path / "back")
    assert content(tmp_path / "back") == FILES


def test_a_file_whose_name_begins_like_another_is_not_brought_with_it(
    snowpark: Any, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GET takes a path for a prefix, which local testing does not."""
    real = snowpark.file

    class Prefixed:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def get(self, place: str, target: str) -> Any:
            found = real.get(place, target)
            if place.endswith("args.json"):
                (Path(target) / "Zeichnung ä.png").write_bytes(b"of args.json.old/Zeichnung")
            return found

    upload_folder(snowpark, run, PLACE)
    monkeypatch.setattr(type(snowpark), "file", Prefixed())
    download_folder(snowpark, PLACE, tmp_path / "back")
    assert content(tmp_path / "back") == FILES


def test_a_file_that_is_gone_from_the_stage_shows_and_is_sent_again(snowpark: Any, run: Path) -> None:
    upload_folder(snowpark, run, PLACE)
    stage = snowpark._conn.stage_registry['PCB_CV"."PUBLIC"."MODEL_STAGE']._working_directory
    (Path(stage) / PLACE.path / "weights/last.pt").unlink()
    (state,) = folder_states(snowpark, PLACE)
    assert (state.complete, state.files) == (False, 3)
    assert upload_folder(snowpark, run, PLACE).moved == 1


def test_folders_below_folders_and_the_stage_itself_are_told_apart(snowpark: Any, run: Path) -> None:
    stage = StagePath("PCB_CV", "PUBLIC", "MODEL_STAGE")
    assert folder_states(snowpark, stage) == []
    upload_folder(snowpark, run, stage)
    upload_folder(snowpark, run, stage / ".hidden")
    states = folder_states(snowpark, stage)
    assert [(str(state.place), state.complete) for state in states] == [
        ("@PCB_CV.PUBLIC.MODEL_STAGE/.hidden", True),
        ("@PCB_CV.PUBLIC.MODEL_STAGE", True),
    ]


@pytest.mark.parametrize("name", ["it's.pt", "a*.pt", " a.pt", "a\\b.pt", "a\n.pt"])
def test_a_name_that_no_stage_can_have_is_refused_before_anything_is_sent(snowpark: Any, run: Path, name: str) -> None:
    (run / name).write_bytes(b"1")
    with pytest.raises(DataError, match="expected a path that a stage can have"):
        upload_folder(snowpark, run, PLACE)
    assert list_entries(snowpark, PLACE) == []


@pytest.mark.parametrize(
    "manifest",
    [
        b"no json",
        b"[]",
        json.dumps({"format": 2, "complete": True, "files": {}}).encode(),
        json.dumps({"complete": True, "files": {"../../evil": {"size": 1, "sha256": "0" * 64}}}).encode(),
        json.dumps({"complete": True, "files": {"/etc/passwd": {"size": 1, "sha256": "0" * 64}}}).encode(),
        json.dumps({"complete": True, "files": {"a": {"size": -1, "sha256": "0" * 64}}}).encode(),
        json.dumps({"complete": True, "files": {"a": {"size": 1, "sha256": "0"}}}).encode(),
    ],
)
def test_a_manifest_that_is_damaged_or_leads_out_of_the_folder_is_refused(
    snowpark: Any, tmp_path: Path, manifest: bytes
) -> None:
    put_bytes(snowpark, PLACE / MANIFEST, manifest)
    with pytest.raises(StageError, match="manifest is damaged or of another version"):
        download_folder(snowpark, PLACE, tmp_path / "deep" / "back")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_sent_or_fetched_is_said(snowpark: Any, run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder, found none"):
        upload_folder(snowpark, tmp_path / "nowhere", PLACE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected a folder with files, found none"):
        upload_folder(snowpark, tmp_path / "empty", PLACE)
    with pytest.raises(DataError, match=f"expected a folder with {MANIFEST}, found none"):
        download_folder(snowpark, PLACE, tmp_path / "back")
    upload_folder(snowpark, run, PLACE)
    with pytest.raises(DataError, match=f"expected a folder with {MANIFEST} to overwrite"):
        download_folder(snowpark, PLACE, run)
    assert content(run) == FILES
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CopperlineError, match="cannot be written"):
        download_folder(snowpark, PLACE, tmp_path / "file" / "back")


def test_the_manifest_is_plain_json_that_other_tools_can_read(snowpark: Any, run: Path) -> None:
    upload_folder(snowpark, run, PLACE)
    manifest = json.load(io.BytesIO(get_bytes(snowpark, PLACE / MANIFEST)))
    assert manifest["complete"] is True
    assert manifest["files"]["args.json"] == {
        "size": 2,
        "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    }
