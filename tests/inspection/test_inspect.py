from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from copperline.data.images import write_image
from copperline.errors import DataError
from copperline.inspection import CallPolicy, Detector, inspect_arrays, inspect_image
from copperline.taxonomy import Call
from copperline.warehouse import inspection_id_for


def test_the_json_has_what_its_readers_rely_on(detector: Detector, folder: Path) -> None:
    found = inspect_image(detector, folder / "B1_test.png", folder / "B1_temp.png").to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["call"] == "FAIL"
    assert found["board_id"] == "B1"
    assert 0.6 < found["registration_score"] < 1
    assert found["latency_ms"] > 0
    assert {(d["class"], *d["box"]) for d in found["detections"]} == {
        ("open", 20, 20, 40, 40),
        ("spur", 80, 20, 100, 40),
    }


def test_a_wrong_reference_withholds_the_call_and_reports_no_detections(detector: Detector, folder: Path) -> None:
    found = inspect_image(detector, folder / "B3_test.png", folder / "B3_temp.png")
    assert found.verdict.call is Call.WITHHELD
    assert len(found.verdict.detections) == 0
    assert found.verdict.registration_score is not None
    assert found.verdict.registration_score < 0.5
    lenient = inspect_image(
        detector, folder / "B3_test.png", folder / "B3_temp.png", policy=CallPolicy(withheld_below=0)
    )
    assert lenient.verdict.call is not Call.WITHHELD


def test_without_a_reference_there_is_no_score(detector: Detector, folder: Path) -> None:
    found = inspect_image(detector, folder / "B1_test.png", board_id="X9")
    assert found.verdict.call is Call.PASS
    assert found.to_dict()["registration_score"] is None
    assert found.to_dict()["reference"] is None
    assert found.board_id == "X9"


def test_the_record_names_exactly_what_was_inspected(detector: Detector, folder: Path) -> None:
    test, reference = folder / "B1_test.png", folder / "B1_temp.png"
    before = datetime.now(UTC)
    record = inspect_image(detector, test, reference).to_record("AOI-1")
    assert before <= record.inspected_at <= datetime.now(UTC)
    assert record.image_sha256 == hashlib.sha256(test.read_bytes()).hexdigest()
    assert record.reference_sha256 == hashlib.sha256(reference.read_bytes()).hexdigest()
    assert (record.width, record.height) == (160, 160)
    assert (record.station_id, record.model_name, record.model_version) == ("AOI-1", "difference", detector.version)
    assert json.loads(record.operating_point)["thresholds"]["open"] == 0.5
    assert len(record.detections) == 2


def test_every_inspection_measures_its_test_image(detector: Detector, folder: Path, bad: np.ndarray) -> None:
    measured = pytest.approx((bad.mean(), bad.std()))
    failed = inspect_image(detector, folder / "B1_test.png", folder / "B1_temp.png")
    assert (failed.verdict.brightness, failed.verdict.contrast) == measured
    record = failed.to_record("AOI-1")
    assert (record.brightness, record.contrast) == (failed.verdict.brightness, failed.verdict.contrast)
    shown = failed.to_dict()
    assert (shown["brightness"], shown["contrast"]) == (round(bad.mean(), 2), round(bad.std(), 2))

    alone = inspect_image(detector, folder / "B1_test.png")
    assert (alone.verdict.brightness, alone.verdict.contrast) == measured
    withheld = inspect_image(detector, folder / "B3_test.png", folder / "B3_temp.png")
    assert withheld.verdict.call is Call.WITHHELD
    assert withheld.verdict.contrast > 0


def test_a_colour_image_is_measured_in_grey(detector: Detector, golden: np.ndarray) -> None:
    coloured = np.stack([golden // 2, golden, golden // 3], axis=2)
    verdict = inspect_arrays(detector, coloured, golden)
    assert verdict.brightness == pytest.approx((0.114 / 2 + 0.587 + 0.299 / 3) * golden.mean(), abs=1)


def test_what_is_measured_does_not_change_the_id(detector: Detector, folder: Path) -> None:
    record = inspect_image(detector, folder / "B1_test.png", folder / "B1_temp.png").to_record("AOI-1")
    assert record.reference_sha256 is not None
    assert record.inspection_id == inspection_id_for(
        "B1",
        record.image_sha256,
        record.reference_sha256,
        "difference",
        detector.version,
        detector.operating_point_json,
    )


def test_the_same_inspection_has_the_same_id(detector: Detector, folder: Path) -> None:
    def inspection_id(detector: Detector, reference: Path | None) -> str:
        return inspect_image(detector, folder / "B1_test.png", reference).to_record("AOI-1").inspection_id

    first = inspection_id(detector, folder / "B1_temp.png")
    assert inspection_id(detector, folder / "B1_temp.png") == first
    assert inspection_id(detector, None) != first
    assert inspection_id(detector.with_operating_point(0.4), folder / "B1_temp.png") != first


def test_files_that_cannot_be_used_are_named(detector: Detector, folder: Path, golden: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"none\.png"):
        inspect_image(detector, folder / "none.png")
    with pytest.raises(DataError, match=r"B4_test\.png"):
        inspect_image(detector, folder / "B4_test.png")
    write_image(folder / "small.png", golden[:100])
    with pytest.raises(DataError, match=r"small\.png: .*160 x 160.*160 x 100"):
        inspect_image(detector, folder / "B1_test.png", folder / "small.png")


def test_arrays_are_inspected_as_files_are(detector: Detector, golden: np.ndarray, bad: np.ndarray) -> None:
    assert inspect_arrays(detector, bad, golden).call is Call.FAIL
    assert inspect_arrays(detector, golden, golden).call is Call.PASS
    with pytest.raises(DataError, match="160 x 100"):
        inspect_arrays(detector, golden, golden[:100])
