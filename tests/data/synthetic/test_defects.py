"""What each defect does to the nets, measured on the whole image with OpenCV and not with the code under test."""

import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.synthetic import BoardStyle, DefectSize, DefectSizes, draw_board, draw_defects
from copperline.errors import DataError, SettingsError
from copperline.taxonomy import DEEPPCB

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


boards = st.integers(0, 20).map(golden_board)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("class_id", "nets_change", "laminate_change"),
    [(OPEN, 1, None), (SHORT, -1, None), (MOUSEBITE, 0, 0), (SPUR, 0, 0), (COPPER, 1, 0), (PIN_HOLE, 0, 1)],
)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_one_defect_does_to_the_nets_what_its_class_says(
    class_id: int, nets_change: int, laminate_change: int | None, golden: Image, seed: int
) -> None:
    image, labels = draw_defects(golden, np.random.default_rng(seed), classes=[class_id])
    assert labels.class_ids.tolist() in ([class_id], [])
    if len(labels):
        assert nets(image) - nets(golden) == nets_change
        assert laminate_change is None or laminate(image) - laminate(golden) == laminate_change
        lost = (golden < 128) & (image >= 128)
        gained = (golden >= 128) & (image < 128)
        removes_copper = class_id in (OPEN, MOUSEBITE, PIN_HOLE)
        assert lost.any() == removes_copper
        assert gained.any() != removes_copper


@settings(max_examples=25, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_many_defects_change_the_number_of_nets_by_the_sum(golden: Image, seed: int) -> None:
    image, labels = draw_defects(golden, np.random.default_rng(seed))
    count = np.bincount(labels.class_ids, minlength=6)
    assert nets(image) - nets(golden) == count[OPEN] - count[SHORT] + count[COPPER]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(golden=boards, seed=seeds)
def test_a_box_is_its_changed_pixels_and_the_margin(golden: Image, seed: int) -> None:
    image, labels = draw_defects(golden, np.random.default_rng(seed), sizes=EXACT)
    changed = (image != golden).astype(np.uint8)
    for (x1, y1, x2, y2), class_id in zip(labels.boxes.astype(int), labels.class_ids, strict=True):
        x, y, width, height = cv2.boundingRect(changed[y1:y2, x1:x2])
        left, top, right, bottom = EXACT.classes[DEEPPCB[int(class_id)].name].margins
        assert x1 == max(0, x1 + x - left)
        assert y1 == max(0, y1 + y - top)
        assert x2 == min(320, x1 + x + width + right) or x1 == 0
        assert y2 == min(320, y1 + y + height + bottom) or y1 == 0
        changed[y1:y2, x1:x2] = 0
    assert not changed.any(), "something changed outside of the boxes"


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
def test_a_mousebite_or_spur_two_pixels_larger_still_neither_cuts_nor_joins(class_id: int) -> None:
    for product in range(12):
        golden = golden_board(product)
        image, labels = draw_defects(golden, np.random.default_rng(product), classes=[class_id])
        if len(labels):
            wide = cv2.dilate((image != golden).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            larger = np.where(wide, 255 if class_id == MOUSEBITE else 0, golden).astype(np.uint8)
            assert nets(larger) == nets(golden)


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


def test_a_loop_is_not_opened_by_one_cut() -> None:
    golden = np.full((200, 200), 255, np.uint8)
    cv2.circle(golden, (100, 100), 60, 0, 14)
    _, labels = draw_defects(golden, np.random.default_rng(0), classes=[OPEN] * 3)
    assert len(labels) == 0


def test_two_ends_of_one_net_are_not_a_short() -> None:
    golden = np.full((200, 200), 255, np.uint8)
    cv2.polylines(golden, [np.array([[150, 80], [40, 80], [40, 110], [150, 110]])], False, 0, 12)
    _, labels = draw_defects(golden, np.random.default_rng(0), classes=[SHORT] * 3)
    assert len(labels) == 0


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


def test_areas_follow_their_settings() -> None:
    size = DefectSize(100, 40, (10, 10, 10, 10))
    rng = np.random.default_rng(0)
    areas = np.array([size.sample_area(rng) for _ in range(4000)])
    assert np.median(areas) == pytest.approx(100, rel=0.05)
    assert areas.min() == pytest.approx(40)
    assert (areas <= 40.001).mean() == pytest.approx(0.05, abs=0.015)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(SettingsError, match="small_area <= median_area, found 9 and 5"):
        DefectSize(5, 9, (1, 1, 1, 1))
    with pytest.raises(SettingsError, match="margins of 0 px or more"):
        DefectSize(5, 5, (1, -1, 1, 1))
    with pytest.raises(SettingsError, match="clearance 1 to 6"):
        DefectSizes(clearance=0)


def test_defects_go_into_a_scanned_reference() -> None:
    root = os.environ.get("COPPERLINE_DEEPPCB")
    if not root:
        pytest.skip("COPPERLINE_DEEPPCB does not name a copy of DeepPCB")
    reference = cv2.imread(str(Path(root, "group20085", "20085", "20085001_temp.jpg")), cv2.IMREAD_GRAYSCALE)
    image, labels = draw_defects(np.asarray(reference, np.uint8), np.random.default_rng(0), classes=range(6))
    count = np.bincount(labels.class_ids, minlength=6)
    assert len(labels) >= 4
    assert nets(image) - nets(reference) == count[OPEN] - count[SHORT] + count[COPPER]
