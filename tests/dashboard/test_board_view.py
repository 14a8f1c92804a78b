from __future__ import annotations

import base64

import cv2
import numpy as np

from copperline.dashboard import board_view
from copperline.detections import Detections
from copperline.evaluation import compare_board
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, DefectClass, Severity, Taxonomy


def test_a_large_image_is_sent_below_two_megapixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3000, 5000), np.uint8).astype(np.uint8)
    small = board_view.reduced(image)
    assert 1_500_000 < small.size < 2_000_000
    assert abs(small.shape[1] / small.shape[0] - 5 / 3) < 0.01
    sent = board_view.picture(small, 5000, 3000)
    assert (sent.x, sent.y, sent.width, sent.height) == (0, 0, 5000, 3000)
    assert sent.uri.startswith("data:image/jpeg;base64,")  # noise, as a photograph, is large as a PNG


def test_a_small_image_is_sent_as_it_is() -> None:
    image = np.kron(np.eye(8, dtype=np.uint8), np.full((20, 20), 255, np.uint8))
    sent = board_view.picture(board_view.reduced(image), 160, 160).uri.removeprefix("data:image/png;base64,")
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(sent), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(decoded, image)


def test_the_difference_tells_lighter_from_darker() -> None:
    reference = np.full((40, 60), 255, np.uint8)
    reference[:, 30:] = 0
    test = reference.copy()
    test[5, 5], test[5, 40] = 0, 255
    shown = board_view.difference(test, reference)
    assert shown.shape == (40, 60, 3)
    blue, _, red = shown[5, 5].astype(int)
    assert blue > red  # darker than the reference
    blue, _, red = shown[5, 40].astype(int)
    assert red > blue
    assert (shown[20, 10] == 255).all()


def test_a_window_lies_in_the_image() -> None:
    assert board_view.around((600, 400, 640, 480), 640, 480) == (320, 160, 640, 480)
    assert board_view.around((0, 0, 600, 400), 640, 480) == (0, 0, 640, 480)
    x1, y1, x2, y2 = board_view.around((5000, 5000, 5020, 5010), 16000, 16000)
    assert (x2 - x1, y2 - y1) == (160, 160)
    assert x1 <= 5000 < 5020 <= x2
    assert y1 <= 5000 < 5010 <= y2


def test_the_plants_colours_go_by_name() -> None:
    of_model = Taxonomy(
        (DefectClass(0, "spur", Severity.MINOR, "#000000"), DefectClass(1, "scratch", Severity.MAJOR, "#111111"))
    )
    shown = board_view.display_taxonomy(of_model, Settings().taxonomy)
    assert shown[0].colour == DEEPPCB.by_name("spur").colour
    assert shown[0].severity is Severity.MINOR
    assert shown[1].colour == "#111111"


def test_the_table_says_what_the_ground_truth_is() -> None:
    called = Detections.of([[0, 0, 10, 10], [50, 0, 60, 10], [90, 90, 99, 99]], [1, 2, 3], [0.9, 0.8, 0.7])
    labels = Detections.of([[1, 0, 10, 10], [50, 0, 60, 10], [70, 0, 80, 9]], [1, 0, 5])
    rows = board_view.finding_rows(called, DEEPPCB, labels, compare_board(called, labels))
    assert [row.truth for row in rows] == ["found, IoU 0.90", "false: is open", "false", "missed", "missed"]
    assert [row.defect_class for row in rows] == ["short", "mousebite", "spur", "open", "pin-hole"]
    assert [row.missed for row in rows] == [False, False, False, True, True]
    assert rows[0].severity == "critical"
    assert rows[3].confidence is None
    assert [row.truth for row in board_view.finding_rows(called, DEEPPCB)] == ["", "", ""]
