"""`copperline watch` on real folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from copperline.cli.watch_view import View, printable
from copperline.data.synthetic import write_synthetic_dataset
from copperline.line.watching import InspectedBoard, WatchSummary
from copperline.taxonomy import Call
from copperline.warehouse import open_warehouse, plant_counts

Run = Callable[..., Any]
QUICK = ("--model", "builtin:deeppcb", "--poll", "0.05", "--settle", "0.05", "--unfinished-wait", "0.3")


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_THREADS", "1")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("boards") / "drawn"
    write_synthetic_dataset(folder, train=1, test=3, size=320, processes=1)
    return sorted(folder.rglob("*_test.jpg"))


@pytest.fixture
def folder(tmp_path: Path, drawn: list[Path]) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for test in drawn[:3]:
        for path in (test, test.with_name(test.name.replace("_test", "_temp"))):
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_once_says_what_was_done(copperline: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "junk.png").write_bytes(b"no image")
    ran = copperline("watch", folder, "--once", "--json", "--workspace", tmp_path / "w", *QUICK)
    assert ran.status == 0
    said = ran.json
    assert (said["inspected"], said["new"], said["only_moved"], said["left"]) == (3, 3, 0, [])
    assert sum(said["calls"].values()) == 3
    assert [failure["path"] for failure in said["failed"]] == ["junk.png"]
    assert "junk.png: expected an image" in ran.err
    again = copperline("watch", folder, "--once", "--workspace", tmp_path / "w", *QUICK)
    assert again.status == 0
    assert "Inspected 0 boards" in again.out
    assert "Next: copperline dashboard" in again.out
    assert plant_counts(open_warehouse(f"sqlite:///{tmp_path / 'w' / 'warehouse.db'}")).boards == 3


def test_other_folders_and_a_pattern(copperline: Run, drawn: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "L7" / "Hub").mkdir(parents=True)
    (folder / "L7" / "Hub" / "B1.jpg").write_bytes(drawn[0].read_bytes())
    places = ("--done", tmp_path / "ok", "--failed", tmp_path / "bad", "--workspace", tmp_path / "w")
    pattern = ("--pattern", "{line}/{product}/{board}.{ext}")
    assert copperline("watch", folder, "--once", *pattern, *places, *QUICK).status == 0
    assert [p.name for p in (tmp_path / "ok").rglob("*.jpg")] == ["B1.jpg"]
    told = copperline(
        "sql", "SELECT factory_line_id, product_type FROM pcb_metadata", "--json", "--workspace", tmp_path / "w"
    )
    assert "L7" in told.out
    assert "Hub" in told.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pattern", "{bord}"], "unknown field {bord} at character 1 of"),
        (["--json"], "expected --once with --json"),
        (["--settle", "-1"], "expected settle of at least 0 s"),
        (["--done", "."], "outside the way"),
        (["--model", "7", "--once"], "7"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    copperline: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(folder)
    ran = copperline("watch", folder, "--workspace", folder.parent / "w", *arguments)
    assert ran.status == 1
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_folder_that_is_not_there(copperline: Run, tmp_path: Path) -> None:
    ran = copperline("watch", tmp_path / "none", "--once")
    assert (ran.status, ran.out) == (1, "")
    assert "expected a folder to watch, found none" in ran.err


def test_when_no_board_can_be_used_it_is_an_error(copperline: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "junk.png").write_bytes(b"no image")
    ran = copperline("watch", tmp_path / "in", "--once", "--workspace", tmp_path / "w", *QUICK)
    assert ran.status == 1
    assert "none could be" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(folder: Path, tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "copperline", "watch", str(folder), "--workspace", str(tmp_path / "w"), *QUICK]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            end = time.monotonic() + 40
            while len(list(folder.glob("done/*/*.jpg"))) < 6:
                assert time.monotonic() < end
                time.sleep(0.05)
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert "Inspected 3 boards (3 new)" in out
    assert "Watching" in err
    assert "Traceback" not in err


def test_a_terminal_shows_the_counts() -> None:
    console = Console(force_terminal=True, width=100, record=True)
    view, summary = View(console, "Watching in"), WatchSummary(trouble="the disk is full")
    with view.showing(summary):
        board = InspectedBoard("B\n1", "B1.png", "id", Call.FAIL, 2, 12.0)
        summary.add(board, new=True)
        view.inspected(board)
        view.notice("goes on")
    text = console.export_text()
    for words in ("1 boards: 0 PASS, 1 FAIL", "B\\n1: FAIL", "the disk is full", "goes on"):
        assert words in text
    assert printable("\udcff") == "\\udcff"
    assert json.dumps(summary.to_dict())
