from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.dashboard.lab_sources import LabSource, synthetic_source, upload_source
from copperline.dashboard.lab_trial import LabTrial, View, run_trial
from copperline.data.images import Image, write_image
from copperline.data.synthetic import synthetic_pair
from copperline.inspection import Detector, inspect_image
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB

TEST, REFERENCE, LABELS = synthetic_pair(7, 320)


def png(image: Image) -> bytes:
    encoded: bytes = cv2.imencode(".png", image)[1].tobytes()
    return encoded


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load("builtin:deeppcb", settings=Settings(workspace=tmp_path_factory.mktemp("w")), threads=1)


def uploaded(test: Image, reference: Image | None = None) -> LabSource:
    pair = None if reference is None else ("b_temp.png", lambda: png(reference))
    return upload_source((1,), ("b_test.png", lambda: png(test)), pair)


@pytest.fixture(scope="module")
def drawn(detector: Detector) -> LabTrial:
    return run_trial(detector, synthetic_source(7, 320).load())


def test_json_is_of_the_shape_that_inspect_prints(detector: Detector, tmp_path: Path) -> None:
    paths = [tmp_path / "b_test.png", tmp_path / "b_temp.png"]
    for path, image in zip(paths, (TEST, REFERENCE), strict=True):
        write_image(path, image)
    expected = inspect_image(detector, *paths).to_dict()
    found = json.loads(run_trial(detector, uploaded(TEST, REFERENCE).load()).json(detector.operating_point))
    assert list(found) == list(expected)
    for same in ("board_id", "call", "registration_score", "model", "model_version"):
        assert found[same] == expected[same]
    assert found["image"] == "b_test.png"
    assert [d["class"] for d in found["detections"]] == [d["class"] for d in expected["detections"]]
    boxes = [[d["box"] for d in result["detections"]] for result in (found, expected)]
    np.testing.assert_allclose(*boxes, atol=0.5)


def test_ground_truth_is_compared_where_the_classes_agree(drawn: LabTrial) -> None:
    compared = drawn.compared(drawn.trial.verdict(drawn.detector.operating_point))
    assert compared is not None
    assert compared.found == len(LABELS)
    assert compared.missed == 0


def test_without_reference_there_is_one_view(detector: Detector) -> None:
    done = run_trial(detector, uploaded(TEST).load())
    assert done.views == (View.TEST,)
    assert done.truth() is None
    assert json.loads(done.json(detector.operating_point))["reference"] is None


def test_the_saved_picture_has_the_boxes_drawn_in(drawn: LabTrial) -> None:
    verdict = drawn.trial.verdict(drawn.detector.operating_point)
    saved = cv2.imdecode(np.frombuffer(drawn.png(verdict, DEEPPCB, labels=True), np.uint8), cv2.IMREAD_COLOR)
    assert saved.shape == (320, 320, 3)
    assert (saved.max(axis=2) != saved.min(axis=2)).any()


def test_a_large_board_is_shown_reduced_and_close_up_as_it_is(detector: Detector) -> None:
    test, reference = np.tile(TEST, (6, 5)), np.tile(REFERENCE, (6, 5))
    steps: list[tuple[int, int]] = []
    done = run_trial(detector, uploaded(test, reference).load(), lambda tiles, total: steps.append((tiles, total)))
    assert steps[0] == (0, steps[-1][1])
    assert steps[-1][0] == steps[-1][1] > 1
    assert done.is_reduced
    assert (done.width, done.height) == (1600, 1920)
    assert done.nbytes > test.nbytes
    whole = done.pictures_of(View.TEST)[0]
    assert (whole.width, whole.height) == (1600, 1920)
    close = done.close_up(View.TEST, (700, 900, 860, 1060))
    encoded = np.frombuffer(base64.b64decode(close.uri.split(",")[1]), np.uint8)
    assert np.array_equal(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), test[900:1060, 700:860])
    # The same defects in each of the thirty boards, in px of the whole.
    verdict = done.trial.verdict(detector.operating_point)
    assert len(verdict.detections) >= 20 * len(LABELS)
    assert verdict.detections.boxes[:, 3].max() > 1600
