from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DefectClass, Severity, Taxonomy
from copperline.warehouse import label_text, normalised_boxes, parse_label_text, pixel_boxes


@st.composite
def labels_in_image(draw: st.DrawFn) -> tuple[Detections, int, int]:
    width, height = draw(st.integers(2, 8000)), draw(st.integers(2, 8000))
    boxes, classes = [], []
    for _ in range(draw(st.integers(0, 8))):
        x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append([x1, y1, draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))])
        classes.append(draw(st.integers(0, 5)))
    return Detections.of(np.array(boxes).reshape(-1, 4), classes), width, height


@settings(max_examples=60, deadline=None, derandomize=True)
@given(labels_in_image())
def test_labels_survive_text(case: tuple[Detections, int, int]) -> None:
    labels, width, height = case
    back = parse_label_text(label_text(labels, width, height), width, height)
    assert back.class_ids.tolist() == labels.class_ids.tolist()
    np.testing.assert_allclose(back.boxes, labels.boxes, atol=1e-3)
    assert (back.confidences == 1).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(labels_in_image())
def test_normalised_boxes_have_an_inverse(case: tuple[Detections, int, int]) -> None:
    labels, width, height = case
    normalised = normalised_boxes(labels, width, height)
    assert ((normalised >= 0) & (normalised <= 1)).all()
    np.testing.assert_allclose(pixel_boxes(normalised, width, height), labels.boxes, atol=1e-6)


def test_boxes_are_cut_to_the_image() -> None:
    labels = Detections.of([[-10, 0, 10, 10], [200, 0, 220, 10]], [1, 2])
    assert label_text(labels, 100, 100) == "1 0.050000000 0.050000000 0.100000000 0.100000000\n"


def test_blank_text_has_no_labels() -> None:
    assert len(parse_label_text(" \n\n", 10, 10)) == 0


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.1", "0 0.5 0.5 0.1 0.1 0.9", "6 .5 .5 .1 .1", "-1 .5 .5 .1 .1", "x .5 .5 .1 .1",
             "0 nan .5 .1 .1", "0 1.5 .5 .1 .1", "0 .5 .5 -.1 .1", "1.0 .5 .5 .1 .1"],
)  # fmt: skip
def test_a_wrong_line_is_named(line: str) -> None:
    with pytest.raises(DataError, match=r"board\.txt:2: expected .* correct the line"):
        parse_label_text(f"0 0.5 0.5 0.1 0.1\n{line}\n", 640, 640, where="board.txt")


def test_classes_come_from_the_taxonomy() -> None:
    one = Taxonomy((DefectClass(0, "scratch", Severity.MINOR, "#000000"),))
    with pytest.raises(DataError, match="class 0-0"):
        parse_label_text("1 .5 .5 .1 .1", 10, 10, one)
