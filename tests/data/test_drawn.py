from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.drawn import (
    distorted,
    drawn_pair,
    drawn_scans,
    holes_moved,
    is_binarised,
    require_drawable,
    scanner_of,
)
from copperline.errors import SettingsError
from copperline.taxonomy import DEEPPCB, DefectClass, Severity, Taxonomy


def board(grey: bool = False) -> np.ndarray:
    """Traces, and a round pad with a drill hole at (200, 60)."""
    image = np.full((160, 256), 255, np.uint8)
    for y in (20, 60, 100, 140):
        image[y - 5 : y + 5, :150] = 0
    cv2.circle(image, (200, 60), 34, 0, -1)
    cv2.circle(image, (200, 60), 14, 255, -1)
    return cv2.GaussianBlur(np.where(image, 170, 90).astype(np.uint8), (0, 0), 1.0) if grey else image


def outside_boxes(shape: tuple[int, int], boxes: np.ndarray) -> np.ndarray:
    mask = np.ones(shape, bool)
    for x1, y1, x2, y2 in boxes.astype(int):
        mask[y1:y2, x1:x2] = False
    return mask


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_the_test_image_is_another_scan_with_defects(seed: int) -> None:
    golden = board()
    pair = drawn_pair(golden, np.random.default_rng(seed), box_margin=4)
    assert np.array_equal(golden, board())
    # Outside of the boxes only edges differ, by less than two pixels.
    near_edge = cv2.morphologyEx(golden, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    different = (pair.test != golden) & outside_boxes(golden.shape, pair.labels.boxes)
    assert different.any()
    assert not (different & ~near_edge).any()


@pytest.mark.parametrize(("dx", "dy"), [(1.5, -0.5), (-3.1, 3.1)])
def test_a_drill_hole_moves_and_nothing_else(dx: float, dy: float) -> None:
    moved = holes_moved(board(), dx, dy)
    rows, columns = np.nonzero(moved[40:80, 180:220] > 127)
    assert abs(len(rows) - 14 * 14 * np.pi) < 60  # it stays as large
    assert columns.mean() - 20 == pytest.approx(dx, abs=0.5)
    assert rows.mean() - 20 == pytest.approx(dy, abs=0.5)
    around_hole = np.hypot(*np.ogrid[-60:100, -200:56]) < 14 + 9
    assert np.array_equal(moved[~around_hole], board()[~around_hole])


@pytest.mark.parametrize(("copper", "laminate"), [(0, 255), (60, 190)])
def test_a_moved_hole_takes_nothing_with_it_that_lies_near(copper: int, laminate: int) -> None:
    pad = np.full((100, 100), laminate, np.uint8)
    cv2.circle(pad, (50, 50), 21, copper, -1)
    cv2.circle(pad, (50, 50), 14, laminate, -1)  # leaves a ring of 7 px
    moved = holes_moved(pad, 4.4, 0)
    distance = np.hypot(*np.ogrid[-50:50, -50:50])
    assert np.array_equal(moved[distance > 20.5], pad[distance > 20.5])
    from_new_centre = np.hypot(*np.ogrid[-50:50, -54.4:45.6:100j])
    assert set(np.unique(moved[(distance < 20) & (from_new_centre > 16)])) == {copper}
    assert set(np.unique(moved[from_new_centre < 12])) == {laminate}


def test_laminate_that_is_no_drill_hole_stays() -> None:
    square_ring = np.full((160, 160), 255, np.uint8)
    square_ring[30:130, 30:130] = 0
    square_ring[45:55, 40:120] = 255  # a slot
    square_ring[100:116, 34:50] = 255  # a hole with a sliver of copper left beside it
    square_ring[100:116, 28:36] = 255
    assert np.array_equal(holes_moved(square_ring, 1.5, 1.5), square_ring)


def test_distortion_moves_edges_by_a_few_pixels_and_not_all_alike() -> None:
    ruler = np.full((480, 480), 255, np.uint8)
    ruler[:, 240:] = 0
    offsets = np.array([(distorted(ruler, np.random.default_rng(seed)) > 127).sum(axis=1) - 240 for seed in range(30)])
    assert 0.3 < np.abs(offsets).mean() < 2
    assert np.abs(offsets).max() < 10
    assert np.ptp(offsets, axis=1).max() > 3
    assert np.abs(np.diff(offsets, axis=1)).max() <= 1  # smoothly


def test_box_margin_is_the_room_around_what_was_painted() -> None:
    sides = {}
    for margin in (2, 20):
        pair = drawn_pair(board(), np.random.default_rng(3), classes=[5] * 3, box_margin=margin)
        assert len(pair.labels)
        sides[margin] = float((pair.labels.boxes[:, 2:] - pair.labels.boxes[:, :2]).mean())
    assert sides[20] > sides[2] + 20


@pytest.mark.parametrize("grey", [False, True])
def test_scans_differ_where_nothing_was_drawn(grey: bool) -> None:
    golden = board(grey)
    assert is_binarised(golden) != grey
    pair = drawn_scans(golden, np.random.default_rng(1), box_margin=10)
    assert len(pair.labels)
    mask = outside_boxes(golden.shape, pair.labels.boxes)
    assert (pair.test != pair.reference)[mask].mean() > 0.005
    # The same board all the same.
    assert (np.abs(pair.test.astype(int) - pair.reference)[mask] > 60).mean() < 0.1
    if not grey:
        assert set(np.unique(pair.test)) == set(np.unique(pair.reference)) == {0, 255}


def test_a_scanner_is_chosen_before_the_image_is_moved() -> None:
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 4), (64, 16))
    moved = cv2.warpAffine(stripes, np.array([[1, 0, 0.5], [0, 1, 0]]), stripes.shape[::-1])
    assert is_binarised(stripes)
    assert not is_binarised(moved)  # as many edges as no board has
    assert set(np.unique(scanner_of(stripes)(moved, np.random.default_rng(0)))) <= {0, 255}


def test_same_state_gives_the_same_pair() -> None:
    first, second = (drawn_scans(board(), np.random.default_rng(5), box_margin=10) for _ in range(2))
    assert np.array_equal(first.test, second.test)
    assert np.array_equal(first.reference, second.reference)
    assert first.labels == second.labels


def test_only_the_classes_of_the_taxonomy_can_be_drawn() -> None:
    require_drawable(DEEPPCB)
    with pytest.raises(SettingsError, match="scratch"):
        require_drawable(Taxonomy((DefectClass(0, "scratch", Severity.MINOR, "#000000"),)))
