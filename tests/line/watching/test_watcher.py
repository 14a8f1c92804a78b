"""A watched folder with real files, the shipped model and a real warehouse."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from copperline.errors import SettingsError
from copperline.line import LineInspector
from copperline.line.inspector import Judged
from copperline.line.watching import Pattern, Watcher
from copperline.line.watching.placing import Placer
from copperline.stage import Stage
from copperline.taxonomy import Call
from copperline.warehouse import NewReference, add_reference, trace_board


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def test_boards_are_inspected_and_their_files_moved(place: Any, boards: Any) -> None:
    for number, (test, reference) in enumerate(boards[:3]):
        place.put(f"L{number}/B{number}_test.jpg", test)
        place.put(f"L{number}/B{number}_temp.jpg", reference)
    place.put("single.jpg", boards[3][0])
    place.put("readme.txt", b"left alone")
    summary = place.once(line_id="L9", station_id="AOI-7", product_type="Hub")
    assert (summary.inspected, summary.new, summary.failed, summary.left) == (4, 4, 0, ())
    assert place.board_ids() == ["B0", "B1", "B2", "single"]
    assert [row.registration_score is not None for row in place.rows()] == [True, True, True, False]
    assert {row.station_id for row in place.rows()} == {"AOI-7"}
    board = trace_board(place.engine, "B0")
    assert (board.line_id, board.product_type) == ("L9", "Hub")
    pairs = {f"L{n}/B{n}_{kind}.jpg" for n in range(3) for kind in ("test", "temp")}
    assert place.done() == pairs | {"single.jpg"}
    day = place.rows()[0].inspected_at.date().isoformat()
    assert {name.split("/")[0] for name in place.files("done")} == {day}
    assert place.files() - {f"done/{n}" for n in place.files("done")} == {"readme.txt"}
    assert [b.board_id for b in place.told.boards] == ["B0", "B1", "B2", "single"]


def test_what_the_path_says_of_a_board_is_kept(place: Any, boards: Any) -> None:
    place.put("L4/Hub/AOI-3/P77-B1.jpg", boards[0][0])
    place.once(pattern=Pattern("{line}/{product}/{station}/{panel}-{board}.{ext}"), line_id="other")
    board = trace_board(place.engine, "B1")
    assert (board.line_id, board.product_type, board.panel_id) == ("L4", "Hub", "P77")
    assert board.inspections[0].station_id == "AOI-3"


def test_the_library_has_the_reference_that_no_file_brings(place: Any, boards: Any) -> None:
    stored = Stage(place.settings).put(boards[0][1])
    new = NewReference("Hub", "", str(stored.path), stored.sha256, 320, 320, "ann")
    reference_id = add_reference(place.engine, new).reference_id
    place.put("B1_test.jpg", boards[0][0])
    place.put("B2.jpg", boards[0][0])
    place.once(product_type="Hub")
    assert [row.reference_id for row in place.rows()] == [reference_id] * 2
    assert {b.board_id: b.without_expected_reference for b in place.told.boards} == {"B1": True, "B2": False}


def test_a_board_without_a_reference_can_be_refused(place: Any, boards: Any) -> None:
    place.put("B1.jpg", boards[0][0])
    summary = place.once(line=place.line(requires_reference=True))
    assert (summary.inspected, summary.failed) == (0, 1)
    assert place.files("failed") == {"B1.jpg", "B1.jpg.reason.json"}
    assert "expected a golden reference" in place.told.failures[0].reason


def test_a_board_that_cannot_be_used_fails_with_its_reason_and_the_rest_goes_on(place: Any, boards: Any) -> None:
    test, reference = boards[0]
    place.put("junk.png", b"no image at all")
    place.put("empty.png", b"")
    place.put("cut.jpg", test[: len(test) // 2])
    place.put("B9_test.jpg", test)
    place.put("B9_temp.jpg", reference[:1000])
    place.put("new\nline.jpg", test)
    place.put("good.jpg", test)
    summary = place.once()
    assert (summary.inspected, summary.failed) == (1, 5)
    assert place.board_ids() == ["good"]
    failed = {"junk.png", "empty.png", "cut.jpg", "B9_test.jpg", "B9_temp.jpg", "new\nline.jpg"}
    assert place.files("failed") == failed | {f"{name}.reason.json" for name in failed}
    why = json.loads((place.folder / "failed/cut.jpg.reason.json").read_text())
    assert why["reason"] == "expected a whole image, found a truncated or damaged one"
    assert why["to_do"] == "export it again"
    assert why["copperline"]
    assert place.files() == {f"failed/{n}" for n in place.files("failed")} | {f"done/{n}" for n in place.files("done")}


def test_names_of_every_kind(place: Any, boards: Any) -> None:
    names = ["ü-Ж-板.jpg", "quote'\".jpg", "a b; DROP TABLE x.jpg", "x" * 251 + ".jpg", "-rf.jpg", "%s{0}.JPG"]
    for name, (test, _) in zip(names, boards, strict=False):
        place.put(name, test)
    (place.folder / "folder.jpg").mkdir()
    place.put("folder.jpg/inside.jpg", boards[7][0])
    not_text = os.fsencode(place.folder) + b"/\xff.jpg"
    Path(os.fsdecode(not_text)).write_bytes(boards[8][0])
    summary = place.once()
    assert (summary.inspected, summary.failed) == (7, 1)
    assert place.board_ids() == sorted([name[:-4] for name in names] + ["inside"])
    assert "printable characters" in place.told.failures[0].reason
    assert place.done() == {*names, "folder.jpg/inside.jpg"}


def test_links_hidden_and_temporary_files_are_left_alone(place: Any, boards: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "B1.jpg").write_bytes(boards[0][0])
    (place.folder / "linked.jpg").symlink_to(outside / "B1.jpg")
    (place.folder / "folder").symlink_to(outside)
    os.mkfifo(place.folder / "pipe.png")
    for name in (".hidden.jpg", "~B2.jpg", "B3.jpg.part", "B4.tmp", "B5.jpg.crdownload", ".trash/B6.jpg"):
        place.put(name, boards[0][0])
    summary = place.once()
    assert summary.inspected == summary.failed == 0
    assert (outside / "B1.jpg").exists()


def test_a_board_comes_twice_with_other_content(place: Any, boards: Any) -> None:
    """A machine that uses one name for all: every board is inspected, and none is written over."""
    for test, _ in boards[:3]:
        place.put("image.jpg", test)
        place.once()
    assert place.board_ids() == ["image"] * 3
    assert place.done() == {"image.jpg", "image-2.jpg", "image-3.jpg"}
    place.put("image.jpg", boards[1][0])
    assert place.once().only_moved == 1
    assert len(place.rows()) == 3


def test_the_same_image_with_another_reference_is_inspected_again(place: Any, boards: Any) -> None:
    for reference in (boards[0][1], boards[1][1], boards[1][1]):
        place.put("B1_test.jpg", boards[0][0])
        place.put("B1_temp.jpg", reference)
        place.once()
    assert [row.call for row in place.rows()].count(Call.WITHHELD) == 1
    assert len(place.rows()) == 2


def test_two_test_images_share_a_reference(place: Any, boards: Any) -> None:
    place.put("B1_test.jpg", boards[0][0])
    place.put("B1_test.jpeg", boards[0][0] + b"\0")
    place.put("B1_temp.jpg", boards[0][1])
    assert place.once().inspected == 2
    assert all(row.registration_score is not None for row in place.rows())
    assert place.done() == {"B1_test.jpg", "B1_test.jpeg", "B1_temp.jpg"}


def test_files_that_are_written_slowly_or_renamed_into_place(
    place: Any, boards: Any, running: Callable[..., Watcher]
) -> None:
    running(settle_s=0.1, unfinished_wait_s=5.0)
    slow, renamed, gap = boards[0][0], boards[1][0], boards[2][0]
    with (place.folder / "slow.jpg").open("wb") as stream:
        for at in range(0, len(slow), len(slow) // 8):
            stream.write(slow[at : at + len(slow) // 8])
            stream.flush()
            time.sleep(0.03)
    place.put("renamed.jpg.tmp", renamed).rename(place.folder / "renamed.jpg")
    # Half of it lies still for longer than a file needs to settle.
    half = place.put("gap.jpg", gap[: len(gap) // 2])
    time.sleep(0.4)
    with half.open("ab") as stream:
        stream.write(gap[len(gap) // 2 :])
    until(lambda: len(place.told.boards) == 3)
    assert place.board_ids() == ["gap", "renamed", "slow"]
    assert {row.board_id: Path(row.image_path).read_bytes() for row in place.rows()} == {
        "gap": gap,
        "renamed": renamed,
        "slow": slow,
    }
    assert place.told.failures == []


def test_events_wake_it_long_before_the_next_poll(place: Any, boards: Any, running: Callable[..., Watcher]) -> None:
    pytest.importorskip("watchdog")
    running(poll_s=60.0)
    until(lambda: (place.folder / ".copperline/watcher.json").exists())
    time.sleep(0.3)
    place.put("B1.jpg", boards[0][0])
    until(lambda: len(place.told.boards) == 1)


def test_polling_is_enough(
    place: Any, boards: Any, running: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.api import BaseObserver

    def refused(self: BaseObserver) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(BaseObserver, "start", refused)
    running()
    place.put("B1.jpg", boards[0][0])
    until(lambda: len(place.told.boards) == 1)


def test_a_share_that_goes_away_comes_back(place: Any, boards: Any, running: Callable[..., Watcher]) -> None:
    running()
    place.put("B1.jpg", boards[0][0])
    until(lambda: len(place.told.boards) == 1)
    away = place.folder.with_name("away")
    place.folder.rename(away)
    until(lambda: any("waiting, nothing is lost" in notice for notice in place.told.notices))
    (away / "B2.jpg").write_bytes(boards[1][0])
    away.rename(place.folder)
    until(lambda: len(place.told.boards) == 2)
    assert any("goes on" in notice for notice in place.told.notices)
    assert place.board_ids() == ["B1", "B2"]


def test_a_full_disk_stops_it_until_there_is_room(
    place: Any, boards: Any, running: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the stage, the warehouse and the done folder, each in turn."""
    full = {"stage", "warehouse", "done"}
    put, move, write = Stage.put, Placer.move, LineInspector.write

    def stage_put(self: Stage, data: bytes) -> Any:
        if "stage" in full:
            from copperline.files import unwritable

            cause = OSError(errno.ENOSPC, "No space left on device")
            raise unwritable(self.folder, cause) from cause
        return put(self, data)

    def line_write(self: LineInspector, judged: Any) -> Any:
        if "warehouse" in full:
            with self.engine.connect() as connection:
                connection.detach()  # the limit is this connection's, and stays with it
                connection.execute(text("PRAGMA max_page_count = 1"))
                from copperline.warehouse.failures import warehouse_errors

                with warehouse_errors("w"):
                    connection.execute(text("CREATE TABLE filler AS SELECT zeroblob(10000000)"))
        return write(self, judged)

    def place_move(self: Placer, *arguments: Any) -> Any:
        if "done" in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return move(self, *arguments)

    monkeypatch.setattr(Stage, "put", stage_put)
    monkeypatch.setattr(LineInspector, "write", line_write)
    monkeypatch.setattr(Placer, "move", place_move)
    for number in range(3):
        place.put(f"B{number}.jpg", boards[number][0])
    watcher = running()
    for what, words in (("stage", "No space left"), ("warehouse", "full"), ("done", "No space left")):
        until(lambda words=words: words in watcher.summary.trouble)  # type: ignore[misc]
        assert {f"B{n}.jpg" for n in range(3)} <= place.files()
        place.told.notices.clear()
        full.remove(what)
        until(lambda: any("goes on" in notice for notice in place.told.notices))
    until(lambda: len(place.told.boards) == 3)
    assert place.board_ids() == ["B0", "B1", "B2"]
    assert place.told.failures == []
    assert watcher.summary.trouble == ""


def test_it_can_be_ended_while_the_disk_is_full(
    place: Any, boards: Any, running: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Placer, *arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    place.put("B1.jpg", boards[0][0])
    with monkeypatch.context() as patched:
        patched.setattr(Placer, "move", full)
        watcher = running()
        until(lambda: "No space" in watcher.summary.trouble)
        place.stop.set()
        until(lambda: not (place.folder / ".copperline/watcher.json").exists())
    place.stop.clear()
    assert place.once().only_moved == 1
    assert place.done() == {"B1.jpg"}
    assert place.board_ids() == ["B1"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_a_locked_file_is_waited_for(place: Any, boards: Any, running: Callable[..., Watcher]) -> None:
    locked = place.put("B1.jpg", boards[0][0])
    locked.chmod(0)
    running()
    until(lambda: any("cannot be opened" in notice for notice in place.told.notices))
    locked.chmod(0o600)
    until(lambda: len(place.told.boards) == 1)


def test_a_file_that_is_locked_on_its_share_is_waited_for(
    place: Any, boards: Any, running: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows answers while the machine still has the file open."""
    opened, locked = os.open, threading.Event()
    locked.set()

    def refusing(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if locked.is_set() and str(path).endswith("B1.jpg"):
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", refusing)
    place.put("B1.jpg", boards[0][0])
    place.put("B2.jpg", boards[1][0])
    running()
    until(lambda: len(place.told.boards) == 1)
    until(lambda: any("B1.jpg: cannot be opened" in notice for notice in place.told.notices))
    assert place.board_ids() == ["B2"]
    locked.clear()
    until(lambda: len(place.told.boards) == 2)


def test_a_file_that_cannot_be_moved_yet_does_not_keep_the_others_waiting(
    place: Any, boards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows answers while a viewer has the file open. The move is tried again, the board not inspected again."""
    move, refused = Placer.move, []

    def refusing(self: Placer, file: Any, *more: Any) -> Any:
        if file.path == "B1.jpg" and not refused:
            refused.append(file)
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return move(self, file, *more)

    monkeypatch.setattr(Placer, "move", refusing)
    monkeypatch.setattr("copperline.line.watching.watcher._LONGEST_HOLD_S", 0.3)
    place.put("B1.jpg", boards[0][0])
    place.put("B2.jpg", boards[1][0])
    summary = place.once()
    assert (summary.inspected, summary.only_moved, len(place.rows())) == (2, 1, 2)
    assert place.done() == {"B1.jpg", "B2.jpg"}
    assert any("B1.jpg: cannot be moved" in notice for notice in place.told.notices)


def test_a_board_that_the_warehouse_refuses_does_not_stop_the_others(
    place: Any, boards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON inspections WHEN NEW.board_id = 'B1' "
                "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            )
        )
    for number in range(3):
        place.put(f"B{number}.jpg", boards[number][0])
    assert place.once().inspected == 2
    assert place.board_ids() == ["B0", "B2"]
    assert place.files("failed") == {"B1.jpg", "B1.jpg.reason.json"}
    assert "not this one" in place.told.failures[0].reason


def test_another_champion_takes_over(place: Any, boards: Any) -> None:
    other = place.detector.with_operating_point(0.9)
    place.put("B1.jpg", boards[0][0])
    place.put("B2.jpg", boards[1][0])
    os.utime(place.folder / "B1.jpg", ns=(1, 1))
    turns = iter([place.detector])
    place.once(latest=lambda: next(turns, other))
    assert len({row.operating_point for row in place.rows()}) == 2
    assert any("takes over" in notice for notice in place.told.notices)


def test_a_file_that_changes_while_its_board_is_judged_is_another_board(
    place: Any, boards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = LineInspector.judge

    def judging(self: LineInspector, prepared: Any) -> Judged:
        if not place.told.boards and not (place.folder / "seen").exists():
            (place.folder / "seen").touch()
            place.put("B1.jpg", boards[1][0])
        return judge(self, prepared)

    monkeypatch.setattr(LineInspector, "judge", judging)
    place.put("B1.jpg", boards[0][0])
    place.once()
    assert [Path(row.image_path).read_bytes() for row in sorted(place.rows(), key=lambda r: r.inspected_at)] == [
        boards[0][0],
        boards[1][0],
    ]
    assert place.done() == {"B1.jpg"}


def test_a_file_that_never_settles_is_left_there(place: Any, boards: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copperline.line.watching.watcher._PATIENCE_S", 0.3)
    path = place.put("B1.jpg", boards[0][0])
    place.put("B2.jpg", boards[1][0])
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.02):
            with path.open("ab") as stream:
                stream.write(b"\0")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        summary = place.once()
    finally:
        ended.set()
        writer.join()
    assert (summary.inspected, summary.left) == (1, ("B1.jpg",))


def test_a_folder_that_cannot_be_watched_is_refused(place: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder to watch, found none"):
        Watcher(place.line(), _options(tmp_path / "none"), place.told, place.stop).run()
    with pytest.raises(SettingsError, match="outside the way"):
        place.watcher(done=place.folder)
    with pytest.raises(SettingsError, match="outside the way"):
        place.watcher(failed=tmp_path)
    with pytest.raises(SettingsError, match="two folders apart"):
        place.watcher(done=tmp_path / "x", failed=tmp_path / "x")
    with pytest.raises(SettingsError, match="expected a line of printable characters"):
        place.watcher(line_id="L\n1")
    with pytest.raises(SettingsError, match="expected a station"):
        place.watcher(station_id="")
    with pytest.raises(SettingsError, match="expected poll of at least"):
        place.watcher(poll_s=0.0)
    (place.folder / "done").write_text("a file")
    with pytest.raises(SettingsError, match="can be written"):
        place.once()


def _options(folder: Path) -> Any:
    from copperline.line.watching import WatchOptions

    return WatchOptions(folder)


def test_committed_rows_outlive_a_power_failure(tmp_path: Path) -> None:
    from copperline.warehouse import open_warehouse

    for durable, synchronous in ((True, 2), (False, 1)):
        engine = open_warehouse(f"sqlite:///{tmp_path / 'w.db'}", durable=durable)
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == synchronous
        engine.dispose()
