from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.errors import DataError, ModelError, SettingsError
from copperline.inspection import Detector
from copperline.model_info import OperatingPoint
from copperline.registry import ModelCard, builtin, file_sha256
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Taxonomy


def faint(golden: Image) -> Image:
    """Differs by 0.3 at the first place and by 0.8 at the second."""
    test = golden.copy()
    test[25:35, 25:35] -= 77
    test[25:35, 85:95] -= 204
    return test


def classes(detections: Detections) -> list[str]:
    return [DEEPPCB[int(i)].name for i in detections.class_ids]


def test_what_passes_the_operating_point_is_detected(detector: Detector, golden: Image, bad: Image) -> None:
    found = detector(bad, golden)
    assert sorted(found.to_dicts(DEEPPCB), key=lambda d: d["box"]) == [
        {"class": "open", "confidence": 1.0, "box": [20.0, 20.0, 40.0, 40.0]},
        {"class": "spur", "confidence": 1.0, "box": [80.0, 20.0, 100.0, 40.0]},
    ]
    assert len(detector(golden, golden)) == 0
    assert len(detector(bad)) == 0


def test_the_operating_point_can_be_changed_for_all_or_single_classes(detector: Detector, golden: Image) -> None:
    test = faint(golden)
    assert classes(detector(test, golden)) == ["spur"]
    assert classes(detector.with_operating_point(0.2)(test, golden)) == ["spur", "open"]
    assert classes(detector.with_operating_point(0.9)(test, golden)) == []
    single = detector.operating_point.thresholds | {"spur": 0.9, "open": 0.25}
    changed = detector.with_operating_point(OperatingPoint(thresholds=single, criterion="test"))
    assert classes(changed(test, golden)) == ["open"]
    assert classes(detector(test, golden)) == ["spur"]


def test_the_operating_points_text_does_not_depend_on_the_order_of_classes(detector: Detector) -> None:
    thresholds = detector.operating_point.thresholds
    turned = OperatingPoint(thresholds=dict(reversed(thresholds.items())), criterion=detector.operating_point.criterion)
    assert detector.with_operating_point(turned).operating_point_json == detector.operating_point_json
    assert detector.with_operating_point(0.4).operating_point_json != detector.operating_point_json


def test_raw_predictions_go_down_to_the_floor(detector: Detector, golden: Image) -> None:
    test = faint(golden)
    assert detector.predict(test, golden).confidences.tolist() == pytest.approx([0.8, 0.3], abs=0.01)
    assert len(detector.predict(test, golden, floor=0.5)) == 1


def test_the_reference_is_registered_unless_it_is_already(detector: Detector, golden: Image) -> None:
    test = np.full_like(golden, 255)
    test[:, 42:46] = 0
    test[50:60, 20:140] = 0
    # Its upright trace now lies within the detector's first place.
    shifted = np.roll(test, -4, axis=1)
    assert "open" in classes(detector(test, shifted, registered=True))
    assert classes(detector(test, shifted)) == []


def test_colour_images_are_taken(detector: Detector, golden: Image, bad: Image) -> None:
    in_colour = [np.repeat(image[:, :, None], 3, axis=2) for image in (bad, golden)]
    assert detector(*in_colour) == detector(bad, golden)


def test_views_of_larger_arrays_are_taken(detector: Detector, golden: Image, bad: Image) -> None:
    assert detector(bad[:, ::-1][:, ::-1], golden) == detector(bad, golden)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((64, 64), np.float32), "64 x 64 float32"),
        (np.zeros((64, 64, 4), np.uint8), "64 x 64 x 4 uint8"),
        (np.zeros((0, 64), np.uint8), "an empty array"),
        ([[1, 2]], "list"),
    ],
)
def test_what_is_no_image_is_refused(detector: Detector, image: Image, found: str) -> None:
    with pytest.raises(DataError, match=found):
        detector(image)


def test_a_reference_of_another_size_is_refused(detector: Detector, golden: Image) -> None:
    with pytest.raises(DataError, match=r"160 x 160.*160 x 100"):
        detector(golden, golden[:100])


def test_loading_says_what_is_missing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match=r"none\.onnx"):
        Detector.load(tmp_path / "none.onnx", settings=settings)
    with pytest.raises(ModelError, match=r"no version of 'pcb-detector' has been registered"):
        Detector.load(settings=settings)


def test_without_a_registered_model_the_shipped_one_is_loaded(
    settings: Settings, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a factory meets it: nothing is registered, the name is left out, the row names what was used."""
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path)
    (tmp_path / "deeppcb.onnx").write_bytes(model_path.read_bytes())
    sha256 = file_sha256(model_path)
    card = ModelCard(
        name="deeppcb",
        network="difference",
        parameters=1,
        data_source="DeepPCB",
        data_hash="",
        splits={},
        seed=0,
        operating_point=OperatingPoint.uniform(DEEPPCB, 0.5),
        sha256=sha256,
        classes=DEEPPCB.names,
    )
    (tmp_path / "deeppcb.card.json").write_text(card.model_dump_json())
    for detector in (Detector.load(settings=settings), Detector.load("builtin:deeppcb", settings=settings)):
        assert (detector.name, detector.version) == ("deeppcb", sha256[:12])
    with pytest.raises(ModelError, match="so there is no '7'"):
        Detector.load("7", settings=settings)


def test_a_model_for_other_classes_is_refused_with_both_lists(detector: Detector) -> None:
    detector.require_classes(DEEPPCB, "boards")
    others = [replace(c, id=i) for i, c in enumerate(reversed(DEEPPCB.classes))]
    with pytest.raises(ModelError, match=r"boards: .*pin-hole, copper, .*; difference \w+ has open, short, "):
        detector.require_classes(Taxonomy(tuple(others)), "boards")


def test_a_file_is_called_by_its_name_and_hash(detector: Detector) -> None:
    assert detector.name == "difference"
    assert len(detector.version) == 12


def test_operating_points_that_cannot_be_used_are_refused(detector: Detector) -> None:
    with pytest.raises(SettingsError, match=r"\[0, 1\]"):
        detector.with_operating_point(1.5)
    with pytest.raises(ModelError, match="no threshold for open"):
        detector.with_operating_point(OperatingPoint(thresholds={"spur": 0.5}, criterion="test"))
