"""Golden candidates are checked against each other, with the shipped model on drawn boards."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board, draw_defects, misregister
from copperline.detections import box_iou
from copperline.errors import DataError
from copperline.inspection import Detector
from copperline.taxonomy import DEEPPCB
from copperline.workflows.referencing import (
    DIFFERENCE,
    Candidate,
    EarlierVersion,
    check_candidates,
    suspicions_as_detections,
)

SIZE = 416


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("builtin:deeppcb", threads=1)


@lru_cache
def golden(seed: int = 3) -> Image:
    return draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), SIZE).image()


def scan(board: Image, seed: int) -> Image:
    rng = np.random.default_rng(seed)
    return binarised_scan(misregister(board, ScanSettings(), rng), ScanSettings(), rng)


def candidates(*images: Image) -> list[Candidate]:
    return [Candidate(Path(f"{n}.png"), b"", image, image) for n, image in enumerate(images)]


@pytest.mark.parametrize("class_id", range(6))
def test_the_one_board_with_a_defect_is_found_and_not_taken(detector: Detector, class_id: int) -> None:
    damaged, labels = draw_defects(golden(), np.random.default_rng(class_id + 10), classes=[class_id])
    assert len(labels) == 1
    scanned = binarised_scan(damaged, ScanSettings(), np.random.default_rng(5))
    check = check_candidates(candidates(scan(golden(), 1), scanned, scan(golden(), 2)), detector)
    assert check.compared_with == "the consensus"
    clean = (check.candidates[0], check.candidates[2])
    assert [c.suspicions for c in clean] == [(), ()]
    boxes = np.array([s.box for s in check.candidates[1].suspicions], np.float32)
    assert (box_iou(boxes, labels.boxes) > 0.2).any()
    assert check.best != 1
    assert DEEPPCB[class_id].name in {s.defect_class for s in check.candidates[1].suspicions}


def test_clean_boards_are_not_suspected(detector: Detector) -> None:
    for seed in range(4):
        check = check_candidates(candidates(*(scan(golden(seed), n) for n in range(4))), detector)
        assert [c.suspicions for c in check.candidates] == [()] * 4
        assert check.strangers == ()
        closest = min(check.candidates, key=lambda c: c.difference or 0)
        assert check.candidates[check.best] == closest


def test_of_two_nobody_knows_which_has_the_defect(detector: Detector) -> None:
    damaged, _ = draw_defects(golden(), np.random.default_rng(11), classes=[1])
    check = check_candidates(candidates(scan(golden(), 1), scan(damaged, 2)), detector)
    assert check.compared_with == "the other candidate"
    assert all(c.suspicions for c in check.candidates)


def test_a_large_stain_is_told_even_if_no_class_fits(detector: Detector) -> None:
    images = [scan(golden(), n) for n in range(3)]
    cv2.rectangle(images[2], (120, 130), (260, 240), 255, -1)
    found = check_candidates(candidates(*images), detector).candidates[2].suspicions
    assert any(s.box[0] < 200 < s.box[2] and s.box[1] < 190 < s.box[3] for s in found), found


def test_another_board_is_a_stranger(detector: Detector) -> None:
    check = check_candidates(candidates(scan(golden(), 1), scan(golden(8), 2), scan(golden(), 3)), detector)
    assert [c.path.name for c in check.strangers] == ["1.png"]
    assert check.best != 1
    assert check.candidates[1].suspicions == ()


def test_one_alone_is_compared_with_the_earlier_version_or_nothing(detector: Detector) -> None:
    alone = check_candidates(candidates(scan(golden(), 1)), detector)
    assert (alone.compared_with, alone.candidates[0].score, alone.best) == (None, None, 0)
    earlier = EarlierVersion(4, golden())
    same = check_candidates(candidates(scan(golden(), 1)), detector, earlier=earlier)
    assert (same.compared_with, same.candidates[0].suspicions) == ("version 4", ())
    other = check_candidates(candidates(scan(golden(8), 1)), detector, earlier=earlier)
    assert len(other.strangers) == 1
    of_another_size = check_candidates(candidates(golden()[:300]), detector, earlier=earlier)
    assert of_another_size.compared_with is None


def test_focus_and_light_are_told(detector: Detector) -> None:
    grey = np.asarray(60 + cv2.GaussianBlur(golden(), (0, 0), 1) / 255.0 * 120, np.uint8)
    blunt = np.asarray(cv2.GaussianBlur(grey, (0, 0), 3), np.uint8)
    bright = np.asarray(np.clip(grey * 1.6, 0, 255), np.uint8)
    sloped = np.asarray(grey * np.linspace(1.5, 0.5, SIZE)[None, :], np.uint8)
    images = [grey, grey.copy(), grey.copy(), blunt, bright, sloped]
    parts = [Candidate(Path(f"{n}.png"), b"", i, golden()) for n, i in enumerate(images)]
    told = [" ".join(c.warnings) for c in check_candidates(parts, detector).candidates]
    assert told[:3] == ["", "", ""]
    assert "out of focus" in told[3]
    assert "another light" in told[4]
    assert "badly lit" in told[5]


def test_boxes_are_in_pixels_of_the_file(detector: Detector) -> None:
    images = [scan(golden(), n) for n in range(3)]
    cv2.rectangle(images[2], (120, 130), (260, 240), 255, -1)
    at_full = check_candidates(candidates(*images), detector).candidates[2].suspicions
    at_half = check_candidates(candidates(*images), detector, scale=2).candidates[2].suspicions
    np.testing.assert_allclose([s.box for s in at_half], np.array([s.box for s in at_full]) / 2, atol=0.06)


def test_suspicions_can_be_drawn(detector: Detector) -> None:
    images = [scan(golden(), n) for n in range(3)]
    cv2.rectangle(images[2], (120, 130), (260, 240), 255, -1)
    suspicions = check_candidates(candidates(*images), detector).candidates[2].suspicions
    detections, taxonomy = suspicions_as_detections(suspicions, detector.taxonomy)
    assert len(detections) == len(suspicions)
    assert taxonomy.names == (*DEEPPCB.names, DIFFERENCE)
    assert len(suspicions_as_detections((), detector.taxonomy)[0]) == 0


def test_images_of_two_sizes_are_refused(detector: Detector) -> None:
    with pytest.raises(DataError, match="first one's size 416 x 416, found 416 x 300"):
        check_candidates(candidates(golden(), golden()[:300]), detector)
