"""What YOLO and COCO have in common: a data set written and read again is the same."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data import coco, yolo
from copperline.data.coco import read_coco, write_coco
from copperline.data.deeppcb import read_deeppcb
from copperline.data.images import write_image
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair
from copperline.data.yolo import read_yolo, write_yolo
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB, Taxonomy

Formats = pytest.mark.parametrize(("write", "read"), [(write_yolo, read_yolo), (write_coco, read_coco)])


def content(dataset: BoardDataset) -> list[tuple[Any, ...]]:
    return [
        (p.board_id, p.board_group, p.split, p.width, p.height, p.labels.boxes.tolist(), p.labels.class_ids.tolist())
        for p in sorted(dataset, key=lambda p: p.board_id)
    ]


@Formats
def test_round_trip_keeps_boards_labels_groups_and_bytes(
    deeppcb: Path, tmp_path: Path, write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    write(dataset, tmp_path / "out")
    again, report = read(tmp_path / "out")
    assert content(again) == content(dataset)
    assert report.skipped == ()
    assert report.boards == {"train": 2, "val": 2, "test": 1}
    originals = {p.board_id: p for p in dataset}
    for pair in again:
        original = originals[pair.board_id]
        assert pair.test_path.read_bytes() == original.test_path.read_bytes()
        assert pair.reference_path.read_bytes() == original.reference_path.read_bytes()
    part, _ = read(tmp_path / "out", splits=["test"])
    assert [p.board_id for p in part] == ["12000000"]


@Formats
def test_without_references_boards_are_read_singly(
    deeppcb: Path, tmp_path: Path, write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    alone = [BoardPair(p.board_id, p.board_group, p.split, p.test_path, None, p.labels, 64, 64) for p in dataset]
    write(BoardDataset("single", "test", tuple(alone)), tmp_path / "out")
    assert not (tmp_path / "out" / "references").exists()
    again, report = read(tmp_path / "out")
    assert report.boards_without_reference == len(again) == 5
    assert content(again) == content(dataset)


@Formats
def test_writing_is_all_or_nothing(
    deeppcb: Path, tmp_path: Path, write: Callable[..., Path], read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    write(dataset, tmp_path / "out")
    with pytest.raises(DataError, match="out: the folder exists already"):
        write(dataset, tmp_path / "out")
    write(BoardDataset("one", "test", dataset.pairs[:1]), tmp_path / "out", overwrite=True)
    assert len(read(tmp_path / "out")[0]) == 1

    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(yolo, "copy_into", full)
    monkeypatch.setattr(coco, "copy_into", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        write(dataset, tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


@Formats
def test_classes_are_matched_by_name(
    deeppcb: Path, tmp_path: Path, write: Callable[..., Path], read: Callable[..., Any]
) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    write(dataset, tmp_path / "out")
    order = [5, 4, 3, 2, 1, 0]
    turned = Taxonomy(
        tuple(type(DEEPPCB[0])(i, DEEPPCB[k].name, DEEPPCB[k].severity, DEEPPCB[k].colour) for i, k in enumerate(order))
    )
    again, _ = read(tmp_path / "out", turned)
    assert again.pairs[0].labels.class_ids.tolist() == [5, 0]
    with pytest.raises(
        DataError, match=r"expected classes of the taxonomy .*, found mousebite, spur, copper, pin-hole"
    ):
        read(tmp_path / "out", Taxonomy(DEEPPCB.classes[:2]))


coordinate = st.floats(0, 90, width=32)
extent = st.floats(0.5, 90, width=32)
label = st.tuples(coordinate, coordinate, extent, extent, st.integers(0, 5))


@Formats
@settings(max_examples=25, deadline=None, derandomize=True)
@given(labels=st.lists(label, max_size=6), split=st.sampled_from(SPLITS))
def test_any_boxes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    write: Callable[..., Path],
    read: Callable[..., Any],
    labels: list[tuple[float, float, float, float, int]],
    split: Any,
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    write_image(folder / "a.png", np.arange(97 * 101, dtype=np.uint32).astype(np.uint8).reshape(97, 101))
    boxes = [[x, y, min(x + w, 101), min(y + h, 97)] for x, y, w, h, _ in labels]
    expected = Detections.of(boxes, [class_id for *_, class_id in labels])
    pair = BoardPair("a", "g", split, folder / "a.png", None, expected, 101, 97)
    write(BoardDataset("any", "test", (pair,)), folder / "out")
    again = read(folder / "out")[0].pairs[0].labels
    assert again.class_ids.tolist() == expected.class_ids.tolist()
    assert np.abs(again.boxes - expected.boxes).max(initial=0) <= (1e-6 if read is read_yolo else 0) + 1e-5
    shutil.rmtree(folder)
