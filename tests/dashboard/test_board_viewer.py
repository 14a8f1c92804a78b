from __future__ import annotations

import json

import pytest

pytest.importorskip("streamlit")

from copperline.dashboard.board_view import Picture, finding_rows
from copperline.dashboard.board_viewer import MOST_TAGS, Scene, viewer_data
from copperline.detections import Detections
from copperline.evaluation import compare_board
from copperline.taxonomy import DEEPPCB

PICTURE = Picture("data:image/png;base64,AA==", 0, 0, 16000, 9000)
CALLED = Detections.of([[100, 200, 140, 260], [500, 500, 520, 530]], [0, 3], [0.9, 0.6])
LABELS = Detections.of([[102, 200, 140, 262], [8000, 700, 8030, 730]], [0, 5])


def scene(**changes: object) -> Scene:
    rows = finding_rows(CALLED, DEEPPCB, LABELS, compare_board(CALLED, LABELS))
    parts: dict[str, object] = {"width": 16000, "height": 9000, "pictures": (PICTURE,), "rows": rows}
    return Scene(**{**parts, "taxonomy": DEEPPCB, "truth": LABELS, **changes})  # type: ignore[arg-type]


def test_boxes_are_in_px_of_the_board_whatever_the_picture() -> None:
    data = viewer_data(scene())
    json.dumps(data)
    found = [box for box in data["boxes"] if box["style"] == "found"]
    # The most confident is drawn last, on top.
    assert [box["box"] for box in found] == [[500, 500, 520, 530], [100, 200, 140, 260]]
    assert [box["colour"] for box in found] == [DEEPPCB[3].colour, DEEPPCB[0].colour]
    assert found[1]["tag"] == "open 90"
    assert "critical" in found[1]["title"]
    assert data["window"] == [0, 0, 16000, 9000]
    assert data["pictures"][0]["width"] == 16000


def test_ground_truth_is_apart_and_what_was_missed_stands_out() -> None:
    boxes = viewer_data(scene())["boxes"]
    assert [box["style"] for box in boxes] == ["truth", "truth", "found", "found", "missed"]
    assert boxes[-1]["tag"] == "missed pin-hole"
    assert all(box["margin"] > 0 for box in boxes if box["style"] != "found")
    hidden = scene(truth=None, rows=finding_rows(CALLED, DEEPPCB))
    assert [box["style"] for box in viewer_data(hidden)["boxes"]] == ["found", "found"]


def test_a_chosen_row_is_marked_and_seen() -> None:
    data = viewer_data(scene(selected=1, window=(400, 400, 600, 600)))
    assert data["boxes"][-1]["style"] == "selected"
    assert data["boxes"][-1]["box"] == [500, 500, 520, 530]
    assert data["window"] == [400, 400, 600, 600]


def test_many_boxes_have_few_tags() -> None:
    many = Detections.of([[i * 10, 0, i * 10 + 5, 5] for i in range(200)], [0] * 200, [0.9] * 200)
    boxes = viewer_data(scene(rows=finding_rows(many, DEEPPCB), truth=None))["boxes"]
    assert len(boxes) == 200
    assert sum(bool(box["tag"]) for box in boxes) == MOST_TAGS


def test_those_who_hear_the_page_are_told() -> None:
    assert viewer_data(scene())["alt"] == "Board of 16000 by 9000 px: 1 open, 1 spur; 1 missed"


def test_what_a_visitor_drew_is_on_top() -> None:
    boxes = viewer_data(scene(mark=(10.0, 20.0, 30.0, 40.0)))["boxes"]
    assert (boxes[-1]["style"], boxes[-1]["box"], boxes[-1]["title"]) == ("selected", [10, 20, 30, 40], "marked")
