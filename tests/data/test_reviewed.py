"""Crops around what was judged: nothing unjudged in them, nothing judged lost without a word."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data.reviewed import CROP_SIDE, SMALLEST_SIDE, Cut, Finding, JudgedPlace, crops_around, whole_image

DEFECT, FALSE, UNJUDGED = Finding.DEFECT, Finding.FALSE_CALL, Finding.UNJUDGED


@st.composite
def images(draw: st.DrawFn) -> tuple[list[JudgedPlace], int, int]:
    width, height = draw(st.integers(60, 900)), draw(st.integers(60, 900))
    places = []
    for _ in range(draw(st.integers(1, 12))):
        w, h = draw(st.floats(2, min(width, 150))), draw(st.floats(2, min(height, 150)))
        x, y = draw(st.floats(0, width - w)), draw(st.floats(0, height - h))
        finding = draw(st.sampled_from((DEFECT, FALSE, UNJUDGED)))
        places.append(JudgedPlace((x, y, min(x + w, width), min(y + h, height)), finding, draw(st.integers(0, 5))))
    return places, width, height


def holds(cut: Cut, place: JudgedPlace) -> bool:
    x1, y1, x2, y2 = place.box
    return x1 >= cut.x and y1 >= cut.y and x2 <= cut.x + cut.width and y2 <= cut.y + cut.height


def touches(cut: Cut, place: JudgedPlace) -> bool:
    x1, y1, x2, y2 = place.box
    return x1 < cut.x + cut.width and x2 > cut.x and y1 < cut.y + cut.height and y2 > cut.y


@settings(max_examples=300, deadline=None, derandomize=True)
@given(images())
def test_a_crop_holds_whole_what_was_judged_and_nothing_else(image: tuple[list[JudgedPlace], int, int]) -> None:
    places, width, height = image
    crops, left = crops_around(places, width, height)
    for cut in crops:
        assert 0 <= cut.x <= width - cut.width
        assert 0 <= cut.y <= height - cut.height
        assert not any(touches(cut, place) for place in places if place.finding is UNJUDGED)
        # Every defect that is in it is in it whole, and labelled; so is every false call that is whole.
        defects = [p for p in places if p.finding is DEFECT and touches(cut, p)]
        assert all(holds(cut, place) for place in defects)
        assert len(cut.labels) == len(defects)
        labels = list(zip(cut.labels.class_ids.tolist(), cut.labels.shifted(cut.x, cut.y).boxes.tolist(), strict=True))
        for place in defects:
            # To float32's rounding; sorting both alike would not survive it.
            assert any(of == place.class_id and box == pytest.approx(place.box, abs=0.01) for of, box in labels)
        assert len(cut.false_calls) == sum(p.finding is FALSE and holds(cut, p) for p in places)
        for boxes in (cut.labels.boxes, cut.false_calls.boxes):
            assert (boxes >= 0).all()
            assert (boxes[:, 0::2] <= cut.width).all()
            assert (boxes[:, 1::2] <= cut.height).all()
    for place in places:
        if place.finding is not UNJUDGED:
            assert (place in left) != any(holds(cut, place) for cut in crops)
    assert all(place in places for place in left)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(images(), st.randoms(use_true_random=False))
def test_the_order_of_the_places_does_not_matter(
    image: tuple[list[JudgedPlace], int, int], shuffled: random.Random
) -> None:
    places, width, height = image
    again = list(places)
    shuffled.shuffle(again)
    assert crops_around(places, width, height) == crops_around(again, width, height)


def test_what_lies_near_comes_in_one_crop_and_the_crop_gives_way() -> None:
    near = [JudgedPlace((100, 100, 130, 130), DEFECT, 1), JudgedPlace((160, 120, 180, 150), FALSE, 2)]
    (one,), left = crops_around([*near, JudgedPlace((600, 600, 630, 630), UNJUDGED)], 640, 640)
    assert left == ()
    assert (one.width, one.height) == (CROP_SIDE, CROP_SIDE)
    assert (len(one.labels), len(one.false_calls)) == (1, 1)
    # An unjudged detection 20 px beside it: the crop moves; on both sides, it shrinks.
    right, left_of = JudgedPlace((150, 0, 180, 640), UNJUDGED), JudgedPlace((0, 0, 40, 640), UNJUDGED)
    ((moved,), _) = crops_around([JudgedPlace((180, 100, 210, 130), DEFECT), left_of], 640, 640)
    assert moved.width == CROP_SIDE
    (shrunk,), left = crops_around([near[0], right, left_of], 640, 640)
    assert left == ()
    assert SMALLEST_SIDE <= shrunk.width <= 110
    assert 40 <= shrunk.x <= shrunk.x + shrunk.width <= 150


def test_a_place_that_cannot_be_had_is_given_back() -> None:
    inside = JudgedPlace((100, 100, 130, 130), DEFECT)
    around = JudgedPlace((90, 90, 140, 140), UNJUDGED)
    assert crops_around([inside, around], 640, 640) == ((), (inside,))


def test_a_whole_image_has_nothing_unjudged() -> None:
    judged = [JudgedPlace((1, 2, 30, 40), DEFECT, 3), JudgedPlace((50, 50, 60, 60), FALSE, 1)]
    cut = whole_image(judged, 100, 80)
    assert (cut.x, cut.y, cut.width, cut.height) == (0, 0, 100, 80)
    assert cut.labels.boxes.tolist() == [[1, 2, 30, 40]]
    assert cut.false_calls.class_ids.tolist() == [1]
    assert len(whole_image([], 100, 80).labels) == 0
    with pytest.raises(ValueError, match="judged places alone"):
        whole_image([*judged, JudgedPlace((70, 70, 75, 75), UNJUDGED)], 100, 80)
