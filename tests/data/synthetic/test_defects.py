"""What each defect does to the copper, measured with OpenCV and not with the code under test."""

import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.synthetic import BoardStyle, DefectSizes, draw_board, draw_defects
from copperline.errors import DataError, SettingsError

Image = npt.NDArray[np.uint8]
OPEN, SHORT, MOUSEBITE, SPUR, COPPER, PIN_HOLE = range(6)
EXACT = DefectSizes(margin_jitter=0)


@cache
def golden_board(product: int) -> Image:
    return draw_board(BoardStyle.of_product(product), np.random.default_rng(product + 1), 320).image()


def nets(image: Image) -> int:
    return int(cv2.connectedComponents((image < 128).astype(np.uint8), connectivity=8)[0]) - 1


def laminate(image: Image) -> int:
    return int(cv2.connectedComponents((image >= 128).astype(np.uint8), connectivity=4)[0]) - 1


def large_pieces(mask: Image) -> int:
    """Pieces over 8 neighbours, without the flecks that a ragged stroke leaves."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= 24).sum())


boards = st.integers(0, 20).map(golden_board)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("class_id", range(6))
@settings(max_examples=15, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_one_defect_does_to_the_copper_around_it_what_its_class_says(class_id: int, golden: Image, seed: int) -> None:
    image, labels = draw_defects(golden, np.random.default_rng(seed), classes=[class_id])
    assert labels.class_ids.tolist() in ([class_id], [])
    lost, gained = (golden < 128) & (image >= 128), (golden >= 128) & (image < 128)
    assert lost.any() == (len(labels) > 0 and class_id in (OPEN, MOUSEBITE, PIN_HOLE))
    assert gained.any() == (len(labels) > 0 and class_id in (SHORT, SPUR, COPPER))
    if not len(labels):
        return
    changed = lost | gained
    near = cv2.dilate(changed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touches_laminate = bool((near & (golden >= 128)).any())
    touches_copper = bool((near & (golden < 128)).any())
    if class_id == PIN_HOLE:
        assert not touches_laminate
    elif class_id == COPPER:
        assert not touches_copper
    else:
        assert touches_laminate
        assert touches_copper


@settings(max_examples=20, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_an_open_cuts_and_a_mousebite_does_not(golden: Image, seed: int) -> None:
    for class_id in (OPEN, MOUSEBITE):
        image, labels = draw_defects(golden, np.random.default_rng(seed), classes=[class_id])
        for x1, y1, x2, y2 in labels.boxes.astype(int):
            window = np.s_[max(0, y1 - 15) : y2 + 15, max(0, x1 - 15) : x2 + 15]
            before, after = ((i[window] < 128).astype(np.uint8) for i in (golden, image))
            assert (large_pieces(after) > large_pieces(before)) == (class_id == OPEN)


def test_a_box_is_what_was_painted_and_the_margin() -> None:
    # On bare laminate and bare copper nothing that was painted is hidden.
    for level, class_id in ((255, COPPER), (0, PIN_HOLE)):
        golden = np.full((200, 200), level, np.uint8)
        for seed in range(20):
            image, labels = draw_defects(golden, np.random.default_rng(seed), classes=[class_id], sizes=EXACT)
            x, y, width, height = cv2.boundingRect((image != golden).astype(np.uint8))
            expected = np.array([x, y, x + width, y + height]) + np.array([-1, -1, 1, 1]) * EXACT.box_margin
            assert labels.boxes[0].tolist() == expected.clip(0, 200).tolist()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_nothing_changes_outside_of_the_boxes(golden: Image, seed: int) -> None:
    image, labels = draw_defects(golden, np.random.default_rng(seed))
    changed = image != golden
    for x1, y1, x2, y2 in labels.boxes.astype(int):
        assert changed[y1:y2, x1:x2].any()
        changed[y1:y2, x1:x2] = False
    assert not changed.any()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_boxes_are_apart_and_within_the_image(golden: Image, seed: int) -> None:
    _, labels = draw_defects(golden, np.random.default_rng(seed))
    covered = np.zeros(golden.shape, int)
    for x1, y1, x2, y2 in labels.boxes.astype(int):
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 320
        covered[y1:y2, x1:x2] += 1
    assert covered.max(initial=0) <= 1


@pytest.mark.parametrize("class_id", range(6))
def test_every_class_finds_its_place_on_most_boards(class_id: int) -> None:
    found = sum(
        len(draw_defects(golden_board(product), np.random.default_rng(0), classes=[class_id])[1])
        for product in range(20)
    )
    assert found >= 16


@pytest.mark.parametrize("class_id", [MOUSEBITE, SPUR])
def test_a_mousebite_or_spur_one_pixel_larger_still_neither_cuts_nor_joins(class_id: int) -> None:
    for product in range(12):
        golden = golden_board(product)
        image, labels = draw_defects(golden, np.random.default_rng(product), classes=[class_id])
        if len(labels):
            wide = cv2.dilate((image != golden).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            larger = np.where(wide, 255 if class_id == MOUSEBITE else 0, golden).astype(np.uint8)
            assert large_pieces((larger < 128).astype(np.uint8)) == large_pieces((golden < 128).astype(np.uint8))


def test_the_input_is_left_alone_and_the_same_seed_gives_the_same_result() -> None:
    golden = golden_board(0).copy()
    before = golden.copy()
    first, first_labels = draw_defects(golden, np.random.default_rng(3))
    second, second_labels = draw_defects(golden, np.random.default_rng(3))
    other, _ = draw_defects(golden, np.random.default_rng(4))
    assert np.array_equal(golden, before)
    assert np.array_equal(first, second)
    assert first_labels == second_labels
    assert len(first_labels) > 0
    assert not np.array_equal(first, other)


def test_a_grey_image_is_painted_in_its_own_greys() -> None:
    golden = np.where(golden_board(1) < 128, 60, 200).astype(np.uint8)
    image, labels = draw_defects(golden, np.random.default_rng(0))
    assert set(labels.class_ids.tolist()) & {OPEN, MOUSEBITE, PIN_HOLE}
    assert set(labels.class_ids.tolist()) & {SHORT, SPUR, COPPER}
    assert set(np.unique(image)) == {60, 200}


@pytest.mark.parametrize(("level", "possible"), [(255, {COPPER}), (0, {PIN_HOLE})])
def test_an_empty_and_a_full_board_take_only_what_is_possible_there(level: int, possible: set[int]) -> None:
    golden = np.full((200, 200), level, np.uint8)
    _, labels = draw_defects(golden, np.random.default_rng(0), classes=range(6))
    assert set(labels.class_ids.tolist()) == possible


def test_a_drill_hole_is_no_gap_to_be_bridged() -> None:
    golden = np.zeros((200, 200), np.uint8)
    cv2.circle(golden, (100, 100), 20, 255, cv2.FILLED)
    _, labels = draw_defects(golden, np.random.default_rng(0), classes=[SHORT] * 3)
    assert len(labels) == 0


def test_two_arms_of_one_trace_can_be_shorted() -> None:
    golden = np.full((200, 200), 255, np.uint8)
    cv2.polylines(golden, [np.array([[150, 80], [40, 80], [40, 110], [150, 110]])], False, 0, 12)
    image, labels = draw_defects(golden, np.random.default_rng(0), classes=[SHORT])
    assert len(labels) == 1
    assert laminate(image) == laminate(golden) + 1


def test_lengths_follow_the_scale() -> None:
    golden = np.full((400, 400), 255, np.uint8)
    sides = {}
    for scale in (1.0, 2.0):
        sizes = DefectSizes(scale=scale, margin_jitter=0, box_margin=0)
        drawn = [
            draw_defects(golden, np.random.default_rng(seed), classes=[COPPER], sizes=sizes)[1] for seed in range(30)
        ]
        sides[scale] = np.median([np.sqrt(labels.areas()[0]) for labels in drawn])
    assert 1.6 < sides[2.0] / sides[1.0] < 2.4


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((100, 100, 3), np.uint8), r"shape \(100, 100, 3\) of uint8"),
        (np.zeros((100, 100), np.float32), "of float32"),
        (np.zeros((100, 40), np.uint8), "at least 48 px per side, found 40 x 100"),
    ],
)
def test_a_wrong_image_is_refused(image: Image, message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw_defects(image, np.random.default_rng(0))


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(DataError, match="class ids 0 to 5, found 6"):
        draw_defects(golden_board(0), np.random.default_rng(0), classes=[6])


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(SettingsError, match="box_margin >= 0, margin_jitter >= 0 and scale > 0, found -1"):
        DefectSizes(box_margin=-1)
    with pytest.raises(SettingsError, match="clearance 0 to 6 and longest >= 4, found 7"):
        DefectSizes(clearance=7)


def test_defects_go_into_a_scanned_reference() -> None:
    root = os.environ.get("COPPERLINE_DEEPPCB")
    if not root:
        pytest.skip("COPPERLINE_DEEPPCB does not name a copy of DeepPCB")
    reference = cv2.imread(str(Path(root, "group20085", "20085", "20085001_temp.jpg")), cv2.IMREAD_GRAYSCALE)
    image, labels = draw_defects(np.asarray(reference, np.uint8), np.random.default_rng(0), classes=range(6))
    assert len(labels) >= 4
    assert (image != reference).any()
