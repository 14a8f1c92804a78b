"""A watcher that is killed at any moment, and started again: every board once in the warehouse, every file in done.

Each new process has another champion, which must not inspect again what was inspected.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Loads all modules once, and starts a process of its own for each line on stdin:
# [kill_after, root, point, threshold, done].
# The point says where that process kills itself, the N-th time that something is done; empty: nowhere.
NURSERY = """
import itertools, json, os, shutil, signal, sys, threading, time, traceback
from pathlib import Path
from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.line.watching import Pattern, Watcher, WatchOptions
from copperline.line.watching import placing
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import open_warehouse

class Quiet:
    def inspected(self, board): pass
    def failed(self, board): pass
    def notice(self, text): pass

def killing(owner, name, wanted, before):
    original, numbers = getattr(owner, name), itertools.count(1)  # boards are staged by several threads
    def call(*arguments, **more):
        number = next(numbers)
        if before and number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(*arguments, **more)
        if not before and number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(owner, name, call)

POINTS = {
    "staged": (Stage, "put", False),
    "judged": (LineInspector, "judge", False),
    "unwritten": (LineInspector, "write", True),
    "written": (LineInspector, "write", False),
    "moved": (placing.Placer, "move", False),
    "copied": (placing, "_copy", False),
    "half copied": (shutil, "copystat", True),
    "reasoned": (placing, "_write_reason", False),
}

def watch(root, point, threshold, done):
    if point:
        number, what = point.split(" ", 1)
        owner, name, before = POINTS[what]
        killing(owner, name, int(number), before)
    settings = Settings(workspace=Path(root) / "w")
    engine = open_warehouse(settings.warehouse, durable=True)
    detector = Detector.load("builtin:deeppcb", threads=1).with_operating_point(threshold)
    options = WatchOptions(Path(root) / "in", Path(done) if done else None, poll_s=0.05, settle_s=0.05,
                           pair_wait_s=0.2, unfinished_wait_s=0.2)
    line = LineInspector(detector, engine, Stage(settings))
    Watcher(line, options, Quiet(), threading.Event()).run(once=True)

for line in sys.stdin:
    kill_after, *asked = json.loads(line)
    child = os.fork()
    if not child:
        try:
            watch(*asked)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    end = time.monotonic() + (kill_after or 60.0)
    ended, status = 0, 0
    while not ended:
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended and time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            ended, status = os.waitpid(child, 0)
        time.sleep(0.005)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Nursery:
    """Starts watchers, each in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked, self._told = process.stdin, process.stdout

    def run(
        self,
        root: Path,
        point: str = "",
        threshold: float = 0.5,
        done: Path | None = None,
        kill_after: float | None = None,
    ) -> int:
        """The exit status; negative: of the signal that ended it."""
        asked = [kill_after, str(root), point, threshold, "" if done is None else str(done)]
        self._asked.write(json.dumps(asked) + "\n")
        self._asked.flush()
        return int(self._told.readline())


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def fill(place: Any, boards: Any) -> set[str]:
    for number, (test, reference) in enumerate(boards):
        place.put(f"L{number % 2}/B{number:02}_test.jpg", test)
        place.put(f"L{number % 2}/B{number:02}_temp.jpg", reference)
    return place.files()  # type: ignore[no-any-return]


def require_each_once(place: Any, put: set[str], boards: Any) -> None:
    assert place.board_ids() == [f"B{number:02}" for number in range(len(boards))]
    # Compared with its own reference, whatever was moved when.
    assert all(row.registration_score is not None for row in place.rows())
    assert place.done() == put
    assert place.files() == {f"done/{name}" for name in place.files("done")}


@pytest.mark.parametrize(
    "point",
    ["2 staged", "3 judged", "1 unwritten", "2 unwritten", "1 written", "2 written", "1 moved", "2 moved", "5 moved"],
)
def test_killed_at_a_chosen_point(place: Any, boards: Any, nursery: Nursery, tmp_path: Path, point: str) -> None:
    put = fill(place, boards[:4])
    assert nursery.run(tmp_path, point) == -signal.SIGKILL
    left = {name for name in place.files() if not name.startswith("done/")}
    assert left
    assert nursery.run(tmp_path, threshold=0.9) == 0
    require_each_once(place, put, boards[:4])


def test_killed_at_many_moments(place: Any, boards: Any, nursery: Nursery, tmp_path: Path) -> None:
    put = fill(place, boards)
    dice = random.Random(7)
    killed = 0
    for threshold in (0.4, 0.5, 0.6, 0.7, 0.8):
        killed += nursery.run(tmp_path, threshold=threshold, kill_after=dice.uniform(0.1, 0.5)) == -signal.SIGKILL
    assert killed
    assert nursery.run(tmp_path, threshold=0.9) == 0
    require_each_once(place, put, boards)


@pytest.mark.parametrize("point", ["2 copied", "2 half copied"])
def test_killed_between_two_file_systems(
    place: Any, boards: Any, nursery: Nursery, tmp_path: Path, elsewhere: Path, point: str
) -> None:
    put = fill(place, boards[:3])
    assert nursery.run(tmp_path, point, done=elsewhere) == -signal.SIGKILL
    assert nursery.run(tmp_path, threshold=0.9, done=elsewhere) == 0
    assert place.board_ids() == ["B00", "B01", "B02"]
    found = {path.relative_to(elsewhere).as_posix().split("/", 1)[1] for path in elsewhere.rglob("*") if path.is_file()}
    assert found == put
    assert place.files() == set()


@pytest.mark.parametrize("point", ["1 reasoned", "1 moved"])
def test_killed_while_a_board_fails(place: Any, boards: Any, nursery: Nursery, tmp_path: Path, point: str) -> None:
    place.put("B1.png", b"no image at all")
    place.put("B2.jpg", boards[0][0][:500])
    assert nursery.run(tmp_path, point) == -signal.SIGKILL
    assert nursery.run(tmp_path) == 0
    assert place.files() == {f"failed/{n}{end}" for n in ("B1.png", "B2.jpg") for end in ("", ".reason.json")}
    assert place.board_ids() == []
