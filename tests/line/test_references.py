"""The shelf: fresh, bounded, and never an image that is not the one that was added."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import Engine

from copperline.data.images import Image
from copperline.errors import DataError, NotFoundError
from copperline.line import ReferenceShelf, references
from copperline.reference import Recipe, WhiteImages, condition
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import NewReference, ReferenceRecord, add_reference, open_warehouse, retire_reference
from copperline.workflows import golden_library


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(Settings(workspace=tmp_path / "w"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_warehouse(f"sqlite:///{tmp_path / 'w.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def shelf(engine: Engine, stage: Stage) -> ReferenceShelf:
    return ReferenceShelf(engine, WhiteImages(stage))


def image(seed: int, size: int = 64) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (size, size)).astype(np.uint8)


def add(
    engine: Engine,
    stage: Stage,
    seed: int,
    product: str = "Hub",
    revision: str = "",
    recipe: str | None = None,
    size: int = 64,
) -> ReferenceRecord:
    stored = stage.put(cv2.imencode(".png", image(seed, size))[1].tobytes())
    new = NewReference(product, revision, str(stored.path), stored.sha256, size, size, "ann", conditioning=recipe)
    return add_reference(engine, new)


def test_it_gives_the_newest_version_conditioned(engine: Engine, stage: Stage, shelf: ReferenceShelf) -> None:
    add(engine, stage, 1)
    newest = add(engine, stage, 2, recipe='{"copper":"bright"}')
    found = shelf.find("Hub")
    assert found is not None
    assert found.record.reference_id == newest.reference_id
    assert np.array_equal(found.image, condition(image(2), Recipe(copper="bright")))
    assert shelf.get(newest.reference_id) is found
    assert shelf.find("Other") is None


def test_a_new_version_counts_after_a_second(
    engine: Engine, stage: Stage, shelf: ReferenceShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(references.time, "monotonic", lambda: now[0])
    first = add(engine, stage, 1)
    assert _id(shelf) == first.reference_id
    second = add(engine, stage, 2)
    now[0] += 0.9 * references.FRESH_SECONDS
    assert _id(shelf) == first.reference_id
    now[0] += 0.2 * references.FRESH_SECONDS
    assert _id(shelf) == second.reference_id
    retire_reference(engine, second.reference_id)
    shelf.forget()
    assert _id(shelf) == first.reference_id


def _id(shelf: ReferenceShelf) -> str | None:
    found = shelf.find("Hub")
    return None if found is None else found.record.reference_id


def test_another_revision_is_never_taken_instead(engine: Engine, stage: Stage, shelf: ReferenceShelf) -> None:
    add(engine, stage, 1, revision="B")
    for _ in range(2):
        with pytest.raises(DataError, match="in revision C, found B"):
            shelf.find("Hub", "C")
    with pytest.raises(NotFoundError):
        shelf.get("nothing")


def test_an_image_that_was_changed_or_removed_is_told(engine: Engine, stage: Stage, shelf: ReferenceShelf) -> None:
    record = add(engine, stage, 1)
    Path(record.image_path).write_bytes(cv2.imencode(".png", image(9))[1].tobytes())
    with pytest.raises(DataError, match=f"as it was added, found other content.*retire {record.reference_id}"):
        shelf.find("Hub")
    Path(record.image_path).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        shelf.get(record.reference_id)
    Path(record.image_path).write_bytes(cv2.imencode(".png", image(1))[1].tobytes())
    assert shelf.get(record.reference_id).record == record


def test_memory_is_bounded_by_bytes_and_the_newest_stays(engine: Engine, stage: Stage) -> None:
    shelf = ReferenceShelf(engine, WhiteImages(stage), most_bytes=3 * 64 * 64)
    records = [add(engine, stage, n, product=f"P{n}") for n in range(5)]
    loaded = [shelf.get(r.reference_id) for r in records]
    assert list(shelf._images) == [r.reference_id for r in records[2:]]
    assert shelf.get(records[2].reference_id) is loaded[2]
    large = add(engine, stage, 9, product="Large", size=200)
    assert shelf.get(large.reference_id) is shelf.get(large.reference_id)
    assert list(shelf._images) == [large.reference_id]


def test_what_the_warehouse_said_is_bounded_too(shelf: ReferenceShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_MOST_ANSWERS", 5)
    for n in range(12):
        assert shelf.find(f"unknown {n}") is None
    assert len(shelf._current) <= 5


def test_many_threads_read_an_image_once(
    engine: Engine, stage: Stage, shelf: ReferenceShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = add(engine, stage, 1)
    loads, together = [], threading.Barrier(8)

    def counted(*arguments: object) -> golden_library.GoldenReference:
        loads.append(1)
        return golden_library.load_reference(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(references, "load_reference", counted)

    def ask(_: int) -> int:
        together.wait(timeout=10)
        return id(shelf.get(record.reference_id))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(loads) == 1
