"""Drawn boards, the shipped model and a watcher on real folders."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from copperline.data.synthetic import write_synthetic_dataset
from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.line.watching import FailedBoard, InspectedBoard, Listener, Watcher, WatchOptions, WatchSummary
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import open_warehouse
from copperline.warehouse.tables import inspections

Board = tuple[bytes, bytes]


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> list[Board]:
    """Test image and reference of some drawn boards, 320 px, as JPEG files."""
    folder = tmp_path_factory.mktemp("boards") / "drawn"
    write_synthetic_dataset(folder, train=1, test=11, size=320, processes=1)
    tests = sorted(folder.rglob("*_test.jpg"))
    return [(t.read_bytes(), t.with_name(t.name.replace("_test", "_temp")).read_bytes()) for t in tests]


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector.load("builtin:deeppcb", threads=1)


@dataclass
class Told(Listener):
    """What a watcher tells, kept."""

    boards: list[InspectedBoard] = field(default_factory=list)
    failures: list[FailedBoard] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def inspected(self, board: InspectedBoard) -> None:
        self.boards.append(board)

    def failed(self, board: FailedBoard) -> None:
        self.failures.append(board)

    def notice(self, text: str) -> None:
        self.notices.append(text)


class Place:
    """A watched folder with its warehouse."""

    def __init__(self, root: Path, detector: Detector) -> None:
        self.folder = root / "in"
        self.folder.mkdir()
        self.settings = Settings(workspace=root / "w")
        self.engine: Engine = open_warehouse(self.settings.warehouse)
        self.detector = detector
        self.told = Told()
        self.stop = threading.Event()

    def watcher(self, *, line: LineInspector | None = None, latest: Any = None, **options: Any) -> Watcher:
        times = {"poll_s": 0.05, "settle_s": 0.05, "pair_wait_s": 0.3, "unfinished_wait_s": 0.4}
        watched = WatchOptions(self.folder, **{**times, **options})
        return Watcher(line or self.line(), watched, self.told, self.stop, latest=latest)

    def line(self, **more: Any) -> LineInspector:
        return LineInspector(self.detector, self.engine, Stage(self.settings), **more)

    def once(self, **options: Any) -> WatchSummary:
        return self.watcher(**options).run(once=True)

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def rows(self) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(inspections).order_by(inspections.c.board_id)))

    def board_ids(self) -> list[str]:
        return [row.board_id for row in self.rows()]

    def files(self, below: str = "") -> set[str]:
        """Names below a folder of the watched one, without what the watcher keeps for itself."""
        root = self.folder / below
        found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if path.parts[0] != ".copperline"}

    def done(self) -> set[str]:
        """Of done files, without their day."""
        return {name.split("/", 1)[1] for name in self.files("done")}


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again a tenth of a second later at first, not half a second."""
    monkeypatch.setattr("copperline.line.watching.watcher._RETRY_S", 0.1)
    monkeypatch.setattr("copperline.line.watching.finishing.FIRST_DELAY_S", 0.1)


@pytest.fixture
def place(tmp_path: Path, detector: Detector) -> Iterator[Place]:
    place = Place(tmp_path, detector)
    yield place
    place.engine.dispose()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


@pytest.fixture
def running(place: Place) -> Iterator[Callable[..., Watcher]]:
    """Starts a watcher on a thread; it is ended with the test."""
    threads: list[threading.Thread] = []

    def start(**options: Any) -> Watcher:
        watcher = place.watcher(**options)
        threads.append(threading.Thread(target=watcher.run, daemon=True))
        threads[-1].start()
        return watcher

    yield start
    place.stop.set()
    for thread in threads:
        thread.join(20.0)
        assert not thread.is_alive()
