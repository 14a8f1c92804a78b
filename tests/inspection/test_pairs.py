"""Which boards there are, on disk and in an object store: the same rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from copperline.data.images import encode_image, write_image
from copperline.errors import DataError
from copperline.inspection import Detector, inspect_image, inspect_pairs, pairs_in
from copperline.stage import read_bytes


def put(s3: Any, **images: np.ndarray) -> None:
    for name, image in images.items():
        s3.put_object(Bucket="boards", Key=name.replace("__", "/") + ".png", Body=encode_image(image, ".png"))


def test_boards_of_an_object_store_are_paired_by_their_names(s3: Any, golden: np.ndarray) -> None:
    put(
        s3,
        lot__B1_test=golden,
        lot__B1_temp=golden,
        lot__AX7_1=golden,
        lot__C9=golden,
        gold__AX7=golden,
        gold__x__B2=golden,
    )
    pairs = pairs_in("s3://boards/lot", "s3://boards/gold")
    assert [(p.board_id, p.test_path, p.reference_path) for p in pairs] == [
        ("AX7_1", "s3://boards/lot/AX7_1.png", "s3://boards/gold/AX7.png"),
        ("B1", "s3://boards/lot/B1_test.png", "s3://boards/lot/B1_temp.png"),
        ("C9", "s3://boards/lot/C9.png", "s3://boards/gold/C9.png"),
    ]
    assert pairs[0].size == len(read_bytes("s3://boards/lot/AX7_1.png"))
    # The golden image of C9 is nowhere, so nothing is known of when it changed.
    assert [p.changed_at is None for p in pairs] == [False, False, True]
    assert [p.reference_path for p in pairs_in("s3://boards/lot")] == [None, "s3://boards/lot/B1_temp.png", None]


def test_golden_images_may_lie_elsewhere_than_boards(s3: Any, golden: np.ndarray, tmp_path: Path) -> None:
    put(s3, lot__AX7_1=golden)
    write_image(tmp_path / "AX7.png", golden)
    (pair,) = pairs_in("s3://boards/lot", tmp_path)
    assert pair.reference_path == tmp_path / "AX7.png"
    write_image(tmp_path / "again" / "AX7.png", golden)
    with pytest.raises(DataError, match="expected one reference for 'AX7'"):
        pairs_in("s3://boards/lot", tmp_path)


def test_rows_of_an_object_store_are_those_of_the_files(
    s3: Any, detector: Detector, golden: np.ndarray, bad: np.ndarray, tmp_path: Path
) -> None:
    put(s3, lot__B1_test=bad, lot__B1_temp=golden)
    s3.put_object(Bucket="boards", Key="lot/B2_test.png", Body=b"no image")
    for pair in pairs_in("s3://boards/lot"):
        (tmp_path / Path(str(pair.test_path)).name).write_bytes(read_bytes(pair.test_path))
    write_image(tmp_path / "B1_temp.png", golden)

    def rows(pairs: Any) -> tuple[Any, Any]:
        records: list[Any] = []
        summary = inspect_pairs(detector, pairs, lambda record: records.append(record) or True, station_id="AOI-1")
        return records, summary

    (stored,), summary = rows(pairs_in("s3://boards/lot"))
    (on_disk,), _ = rows(pairs_in(tmp_path))
    assert stored.inspection_id == on_disk.inspection_id
    assert stored.detections.boxes.tobytes() == on_disk.detections.boxes.tobytes()
    assert (stored.image_path, stored.reference_path) == ("s3://boards/lot/B1_test.png", "s3://boards/lot/B1_temp.png")
    (skipped,) = summary.skipped
    assert skipped.reason.startswith("s3://boards/lot/B2_test.png: expected an image")

    one = inspect_image(detector, "s3://boards/lot/B1_test.png", "s3://boards/lot/B1_temp.png")
    assert one.to_record("AOI-1").inspection_id == stored.inspection_id
    assert one.to_dict()["image"] == "s3://boards/lot/B1_test.png"


def test_nothing_below_a_url_is_said(s3: Any) -> None:
    with pytest.raises(DataError, match=r"^s3://boards/lot7: expected a folder with board images, found none"):
        pairs_in("s3://boards/lot7")
