from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections
from copperline.evaluation.drawing import _best_place, _overlap, bgr, draw_detections, gallery, pair_panel, stacked
from copperline.taxonomy import DEEPPCB

WHITE = np.full((200, 300), 255, np.uint8)
FOUND = Detections.of([[100, 80, 140, 120]], [4], [0.87])
COPPER = bgr(DEEPPCB.by_name("copper").colour)


def has(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(image.astype(int) - colour).max(axis=2) < 40


def test_a_box_in_the_colour_of_its_class_and_nothing_inside_it() -> None:
    before = WHITE.copy()
    drawn = draw_detections(WHITE, FOUND, DEEPPCB)
    assert drawn.shape == (200, 300, 3)
    assert has(drawn, COPPER)[80, 105:135].all()
    assert has(drawn, COPPER)[85:115, 100].all()
    assert (drawn[86:114, 106:134] == 255).all()
    assert np.array_equal(WHITE, before)


def test_nothing_to_draw_gives_the_image_in_colour() -> None:
    assert np.array_equal(draw_detections(WHITE, Detections.empty(), DEEPPCB), np.repeat(WHITE[..., None], 3, axis=2))


def test_labels_are_dashed_and_outside_the_detection() -> None:
    label = Detections.of(FOUND.boxes, FOUND.class_ids)
    extra = (draw_detections(WHITE, FOUND, DEEPPCB, label) != draw_detections(WHITE, FOUND, DEEPPCB)).any(axis=2)
    row = extra[76, 96:143]
    assert 0.2 < row.mean() < 0.95  # neither absent nor solid
    assert not extra[84:116, 104:136].any()


def test_a_label_that_no_detection_states_gets_a_tag() -> None:
    missed = Detections.of([[200, 50, 230, 80]], [0])
    stated = Detections.of(FOUND.boxes + 2, FOUND.class_ids)

    def changed(labels: Detections) -> int:
        return int((draw_detections(WHITE, FOUND, DEEPPCB, labels) != draw_detections(WHITE, FOUND, DEEPPCB)).sum())

    dashes_only = changed(stated)
    assert changed(missed) > dashes_only * 1.3


def test_zoom_and_colour_input() -> None:
    colour = np.repeat(WHITE[..., None], 3, axis=2)
    assert draw_detections(colour, FOUND, DEEPPCB, zoom=2).shape == (400, 600, 3)
    assert draw_detections(WHITE, FOUND, DEEPPCB, zoom=0.5).shape == (100, 150, 3)
    assert np.array_equal(draw_detections(colour, FOUND, DEEPPCB), draw_detections(WHITE, FOUND, DEEPPCB))


def test_confidences_can_be_left_out() -> None:
    with_them, without = (draw_detections(WHITE, FOUND, DEEPPCB, confidences=c) for c in (True, False))
    assert has(with_them, COPPER).sum() > has(without, COPPER).sum()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(-20, 300), st.integers(-20, 200), st.integers(1, 80), st.integers(1, 80)), max_size=6
    )
)
def test_tags_stay_inside_whatever_the_boxes(corners: list[tuple[int, int, int, int]]) -> None:
    boxes = [(x, y, x + w, y + h) for x, y, w, h in corners]
    for box in boxes:
        x1, y1, x2, y2 = _best_place(box, 70, 16, 300, 200, boxes)
        assert 0 <= x1 < x2 <= 300
        assert 0 <= y1 < y2 <= 200
    found = Detections.of(boxes, [i % 6 for i in range(len(boxes))], [0.5] * len(boxes))
    assert draw_detections(WHITE, found, DEEPPCB, found).shape == (200, 300, 3)


@pytest.mark.parametrize("box", [(0, 0, 40, 40), (260, 160, 300, 200), (0, 160, 40, 200), (130, 0, 170, 40)])
def test_a_tag_at_the_border_does_not_cover_its_defect(box: tuple[int, int, int, int]) -> None:
    assert _overlap(_best_place(box, 70, 16, 300, 200, [box]), box) == 0


def test_a_panel_has_both_images_side_by_side() -> None:
    reference = np.full((200, 300), 90, np.uint8)
    panel = pair_panel(WHITE, reference, FOUND, DEEPPCB)
    assert panel.shape[0] > 200
    assert panel.shape[1] == 600 + 3 * 16
    assert (panel[34:234, 16:316] == 90).all()
    assert np.array_equal(panel[34:234, 332:632], draw_detections(WHITE, FOUND, DEEPPCB))
    assert pair_panel(WHITE, None, FOUND, DEEPPCB).shape[1] == 300 + 2 * 16


def test_a_gallery_puts_pictures_of_any_size_row_by_row() -> None:
    pictures = [("a", np.full((20, 60, 3), 10, np.uint8)), ("b", np.full((50, 40, 3), 20, np.uint8))]
    pictures.append(("c", np.full((30, 30, 3), 30, np.uint8)))
    drawn = gallery(pictures, columns=2)
    assert drawn.shape == (34 + 50 + 16 + 34 + 30 + 16, 16 + 60 + 16 + 40 + 16, 3)
    assert (drawn[34:54, 16:76] == 10).all()
    assert (drawn[34:84, 92:132] == 20).all()
    assert (drawn[134:164, 16:46] == 30).all()


def test_panels_are_stacked_on_paper() -> None:
    drawn = stacked([np.zeros((10, 20, 3), np.uint8), np.zeros((5, 30, 3), np.uint8)])
    assert drawn.shape == (15, 30, 3)
    assert (drawn[:10, :20] == 0).all()
    assert (drawn[:10, 20:] == 255).all()
    assert (drawn[10:] == 0).all()
