"""A small plant, really inspected, the server before it, and SQL that knows nothing of the product."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from copperline.data import BoardPair, open_dataset, read_deeppcb, read_pair, write_image
from copperline.data.synthetic import write_synthetic_dataset
from copperline.evaluation.clean_boards import clean_board
from copperline.inspection import Detector, inspect_image
from copperline.reference import register
from copperline.settings import Settings
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardRecord,
    InspectionRecord,
    Judgement,
    inference_id_for,
    open_warehouse,
    record_dispositions,
    write_boards,
    write_inspection,
)

FIGURES = (Path(__file__).parent / "figures.sql").read_text(encoding="utf-8")
A_GROUP, GROUPS = 10, 6
LINES = ("LINE-1", "LINE-2", "LINE-3")
PRODUCTS = {"Motor controller": 1450, "Sensor hub": None}
DAYS = 20


def _pairs(folder: Path) -> list[BoardPair]:
    """DeepPCB's trainval list, a few boards of each group; without it drawn boards. Never the test list."""
    data = os.environ.get("COPPERLINE_DEEPPCB")
    if not data:
        write_synthetic_dataset(folder, train=1, test=A_GROUP * GROUPS, size=320, processes=1)
        drawn, _ = open_dataset(folder)
        return list(drawn.split("test"))
    dataset, _ = read_deeppcb(Path(data))
    groups = defaultdict(list)
    for split in ("train", "val"):
        for pair in dataset.split(split):
            groups[pair.board_group].append(pair)
    return [pair for group in sorted(groups)[:GROUPS] for pair in groups[group][:A_GROUP]]


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace: boards with and without defects, withheld and repaired ones, unknown lines, two reviewers."""
    folder = tmp_path_factory.mktemp("plant")
    workspace, stage = folder / "workspace", folder / "stage"
    settings = Settings(workspace=workspace, threads=1)
    detector = Detector.load("builtin:deeppcb", settings=settings)
    engine = open_warehouse(settings.warehouse)
    lot = random.Random(7)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    pairs = _pairs(folder / "drawn")
    for number, pair in enumerate(pairs):
        images = read_pair(pair)
        assert images[1] is not None
        test, reference = stage / f"{pair.board_id}_test.png", stage / f"{pair.board_id}_temp.png"
        clean = clean_board(images[0], register(*images).reference, pair.labels)
        # A tenth against the reference of a board of another product: withheld.
        other = read_pair(pairs[(number + len(pairs) // 2) % len(pairs)])[1] if number % 10 == 9 else None
        write_image(test, images[0] if number % 2 else clean)
        write_image(reference, images[1] if other is None else other)
        at = start + timedelta(hours=lot.randrange(DAYS * 24 - 4), seconds=lot.randrange(3600))
        if number % 12:
            product = lot.choice(list(PRODUCTS))
            write_boards(engine, [_record(pair.board_id, lot.choice(LINES), product, at)])
        record = _inspected(detector, test, reference, pair.board_id, at)
        write_inspection(engine, record, detector.taxonomy)
        _review(engine, record, number, at)
        if number % 20 == 5:  # repaired
            write_image(stage / f"{pair.board_id}_again.png", clean)
            later = at + timedelta(hours=2)
            again = _inspected(detector, stage / f"{pair.board_id}_again.png", reference, pair.board_id, later)
            write_inspection(engine, again, detector.taxonomy)
    engine.dispose()
    return workspace


def _record(board_id: str, line: str, product: str, at: datetime) -> BoardRecord:
    return BoardRecord(board_id, at.date(), line, product, None, at, None, "simulated", PRODUCTS[product])


def _inspected(detector: Detector, test: Path, reference: Path, board_id: str, at: datetime) -> InspectionRecord:
    record = inspect_image(detector, test, reference, board_id=board_id).to_record("AOI-1")
    return replace(record, inspected_at=at)


def _review(engine: Any, record: InspectionRecord, number: int, at: datetime) -> None:
    """A third of the calls and a few passed boards, by two people who do not always agree."""
    key, found = record.inspection_id, len(record.detections)

    def says(reviewer: str, *judgements: Judgement, minutes: int = 5) -> None:
        record_dispositions(engine, judgements, reviewer, decided_at=at + timedelta(minutes=minutes))

    if record.call is Call.PASS:
        if number % 5 == 0:
            says("ana", Judgement(key, Disposition.ESCAPE if number % 3 == 0 else Disposition.CONFIRMED))
    elif number % 3 == 0:
        says("ana", Judgement(key, Disposition.CONFIRMED))
        if number % 9 == 0:
            says("ben", Judgement(key, Disposition.FALSE_CALL, note="dust"), minutes=9)
    elif number % 7 == 0:
        says("ben", Judgement(key, Disposition.FALSE_CALL))
    elif number % 8 == 5 and found > 1:
        words = [Disposition.FALSE_CALL, *[Disposition.CONFIRMED] * (found - 2)]
        says("ben", *(Judgement(key, word, inference_id_for(key, n)) for n, word in enumerate(words)))


@pytest.fixture(scope="session")
def served(serve: Callable[..., Any], plant: Path) -> Iterator[str]:
    """The address of the dashboard of `plant`."""
    with serve(plant) as running:
        yield running.url
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="session")
def sql(plant: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Asks the warehouse's file through sqlite3 alone."""

    def rows(statement: str, **values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{plant / 'warehouse.db'}?mode=ro", uri=True)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    return rows


@pytest.fixture(scope="session")
def figures(plant: Path) -> Callable[..., dict[str, Any]]:
    """The counts of `figures.sql` for one line, or for all."""

    def asked(line: str | None = None) -> dict[str, Any]:
        connection = sqlite3.connect(f"file:{plant / 'warehouse.db'}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return dict(connection.execute(FIGURES, {"line": line}).fetchone())
        finally:
            connection.close()

    return asked
