"""A batch that is started again: what is done, what is missing, what changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, update

from copperline.data.images import write_image
from copperline.inspection import Detector, ImagePair, inspect_pairs, pairs_in, still_to_do
from copperline.settings import Settings
from copperline.warehouse import open_warehouse, write_inspection
from copperline.warehouse.tables import inspections

COARSE_S = 0.02  # times of a file system are those of the kernel's last tick


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_warehouse(settings.warehouse)
    yield engine
    engine.dispose()


@pytest.fixture
def done(detector: Detector, engine: Engine, folder: Path) -> tuple[ImagePair, ...]:
    """All boards of the folder but one are inspected."""
    time.sleep(COARSE_S)
    pairs = pairs_in(folder)
    inspect_pairs(detector, pairs[:-1], partial(write_inspection, engine), station_id="AOI-1")
    time.sleep(COARSE_S)
    return pairs


def missing(engine: Engine, detector: Detector, folder: Path, tolerance_s: float = 0) -> list[str]:
    return [pair.board_id for pair in still_to_do(engine, detector, pairs_in(folder), tolerance_s=tolerance_s)]


@pytest.mark.usefixtures("done")
def test_what_has_no_row_is_missing_and_a_damaged_board_too(engine: Engine, detector: Detector, folder: Path) -> None:
    assert missing(engine, detector, folder) == ["B4", "B5"]


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize("name", ["B1_test.png", "B1_temp.png"])
def test_a_file_that_changes_is_inspected_again(
    engine: Engine, detector: Detector, folder: Path, name: str, bad: np.ndarray
) -> None:
    write_image(folder / name, bad)
    assert missing(engine, detector, folder) == ["B1", "B4", "B5"]


@pytest.mark.usefixtures("done")
def test_another_model_or_operating_point_is_another_inspection(
    engine: Engine, detector: Detector, folder: Path
) -> None:
    assert len(missing(engine, detector.with_operating_point(0.25), folder)) == 5
    other = Detector(detector.model, detector.name, "another", detector.operating_point)
    assert len(missing(engine, other, folder)) == 5


def test_another_reference_is_another_inspection(
    engine: Engine, detector: Detector, done: tuple[ImagePair, ...]
) -> None:
    alone = [ImagePair(pair.board_id, pair.test_path, None, pair.changed_at) for pair in done]
    assert len(still_to_do(engine, detector, alone, tolerance_s=0)) == 5


@pytest.mark.usefixtures("done")
def test_clocks_that_differ_by_less_than_the_tolerance_miss_nothing(
    engine: Engine, detector: Detector, folder: Path
) -> None:
    # As rows of a machine whose clock is 50 s ahead.
    with engine.begin() as connection:
        ahead = connection.execute(select(func.max(inspections.c.inspected_at))).scalar_one() + timedelta(seconds=50)
        connection.execute(update(inspections).values(inspected_at=ahead))
    assert missing(engine, detector, folder, tolerance_s=0) == ["B4", "B5"]
    assert missing(engine, detector, folder, tolerance_s=60) == ["B1", "B2", "B3", "B4", "B5"]


def test_where_the_time_of_change_is_not_told_all_is_inspected(
    engine: Engine, detector: Detector, done: tuple[ImagePair, ...]
) -> None:
    unknown = [ImagePair(pair.board_id, pair.test_path, pair.reference_path) for pair in done]
    assert len(still_to_do(engine, detector, unknown, tolerance_s=0)) == 5


def test_a_row_is_as_old_as_the_reading_of_its_images(
    engine: Engine, detector: Detector, folder: Path, monkeypatch: pytest.MonkeyPatch, bad: np.ndarray
) -> None:
    """A file that is replaced while its old content goes through the network must be inspected again."""
    time.sleep(COARSE_S)
    pairs = pairs_in(folder)[:1]
    raw = detector.model.raw

    def replaced_meanwhile(images: np.ndarray) -> np.ndarray:
        time.sleep(COARSE_S)
        write_image(folder / "B1_test.png", bad)
        time.sleep(COARSE_S)
        return raw(images)

    monkeypatch.setattr(detector.model, "raw", replaced_meanwhile)
    before = datetime.now(UTC)
    inspect_pairs(detector, pairs, partial(write_inspection, engine), station_id="AOI-1")
    assert missing(engine, detector, folder)[0] == "B1"
    with engine.connect() as connection:
        inspected_at = connection.execute(select(inspections.c.inspected_at)).scalar_one()
    assert before <= inspected_at <= datetime.now(UTC) - timedelta(seconds=2 * COARSE_S)


def test_thousands_of_boards_are_asked_for_in_parts(engine: Engine, detector: Detector, folder: Path) -> None:
    time.sleep(COARSE_S)
    (first, *_) = pairs_in(folder)
    many = [ImagePair(f"N{i}", first.test_path, None, first.changed_at) for i in range(1200)]
    inspect_pairs(detector, many[700:702], partial(write_inspection, engine), station_id="AOI-1")
    # Both rows are of the same file, so all that name it count as done: a file is one board.
    assert len(still_to_do(engine, detector, many[:600], tolerance_s=0)) == 600
    assert still_to_do(engine, detector, many[700:702], tolerance_s=0) == ()
