from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("streamlit")

import streamlit as st

from copperline.dashboard.board_pictures import (
    OTHER_COLOUR,
    THUMBNAIL,
    as_detections,
    board_image,
    board_picture,
    cut_out,
    taxonomy_for,
    thumbnail_url,
)
from copperline.data import write_image
from copperline.data.images import encode_image
from copperline.errors import StageError
from copperline.stage import StagePath
from copperline.stage.snowflake_files import put_bytes
from copperline.taxonomy import DEEPPCB
from copperline.warehouse import DetectionRow


def row(name: str, box: tuple[float, float, float, float], confidence: float = 0.5) -> DetectionRow:
    return DetectionRow(f"id of {name}", "inspection", name, confidence, box, None)


def board() -> np.ndarray:
    """White, with one black square of 20 px at x 100-119, y 40-59, of 200 x 160 px."""
    image = np.full((160, 200), 255, np.uint8)
    image[40:60, 100:120] = 0
    return image


def test_the_box_is_in_the_middle_of_what_is_cut_out() -> None:
    part = cut_out(board(), (0.55, 50 / 160, 0.1, 0.125), 80)
    assert part.shape == (80, 80, 3)
    dark = np.argwhere(part[:, :, 0] < 128)
    assert np.abs(dark.mean(axis=0) - 39.5).max() < 1.5
    # 20 px of the (0.5 + 1.5) * 20 * 2 = 80 px around it.
    assert len(dark) == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
def test_at_the_edge_it_moves_inwards(centre: tuple[float, float]) -> None:
    assert cut_out(board(), (*centre, 0.05, 0.05), 64).shape == (64, 64, 3)
    assert cut_out(np.zeros((6, 9), np.uint8), (*centre, 0.5, 0.5), 64).shape == (64, 64, 3)


def test_the_outline_has_the_colour_of_the_class() -> None:
    part = cut_out(board(), (0.55, 50 / 160, 0.1, 0.125), 200, outline="#ff0000")
    assert (part == (0, 0, 255)).all(axis=2).any()  # BGR


def test_words_in_place_of_a_picture(tmp_path: Path) -> None:
    assert board_image(None) == "inspected without a reference"
    assert isinstance(board_image(str(tmp_path / "gone.png")), str)
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert isinstance(board_image(str(tmp_path / "cut.png")), str)
    assert thumbnail_url(str(tmp_path / "gone.png"), None) is None


def test_a_thumbnail_is_a_png_of_that_size(tmp_path: Path) -> None:
    write_image(tmp_path / "b.png", board())
    url = thumbnail_url(str(tmp_path / "b.png"), row("open", (0.5, 0.5, 0.1, 0.1)))
    assert url is not None
    encoded = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    assert cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).shape == (THUMBNAIL, THUMBNAIL, 3)


def test_rows_become_detections_in_px_of_the_image() -> None:
    found = as_detections((row("short", (0.5, 0.25, 0.2, 0.1), 0.75),), DEEPPCB, 200, 160)
    assert found.boxes.tolist() == [pytest.approx([80, 32, 120, 48])]
    assert found.confidences.tolist() == [0.75]
    assert [DEEPPCB[int(i)].name for i in found.class_ids] == ["short"]
    assert len(as_detections((), DEEPPCB, 200, 160)) == 0


def test_classes_of_older_models_are_added_in_grey() -> None:
    taxonomy = taxonomy_for(
        (row("scratch", (0, 0, 0, 0)), row("open", (0, 0, 0, 0)), row("dent", (0, 0, 0, 0))), DEEPPCB
    )
    assert taxonomy.names == (*DEEPPCB.names, "dent", "scratch")
    assert taxonomy.by_name("dent").colour == OTHER_COLOUR
    assert taxonomy_for((), DEEPPCB) == DEEPPCB


def test_a_picture_is_read_from_a_stage_as_its_row_says(snowpark: Any) -> None:
    st.cache_data.clear()
    place = "@PCB_CV.PUBLIC.MODEL_STAGE/lot7/B1.png"
    put_bytes(snowpark, StagePath.parse(place), encode_image(board(), ".png"))
    found = board_image(place)
    assert not isinstance(found, str)
    assert (found == board()).all()
    whole = board_picture(place)
    assert not isinstance(whole, str)
    assert whole.shape == (160, 200, 3)
    assert thumbnail_url(place, None) is not None
    assert board_image("@PCB_CV.PUBLIC.MODEL_STAGE/lot7/gone.png") == "expected a file, found no such file"
    assert isinstance(board_image("@"), str)


def test_a_stage_that_does_not_answer_is_asked_again_the_next_time(
    snowpark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    st.cache_data.clear()
    place = "@PCB_CV.PUBLIC.MODEL_STAGE/lot7/B1.png"
    put_bytes(snowpark, StagePath.parse(place), encode_image(board(), ".png"))
    with monkeypatch.context() as cut:
        cut.setattr("copperline.stage.snowflake_files.get_bytes", refused)
        assert board_image(place) == "the stage cannot be reached"
        assert board_picture(place) == "the stage cannot be reached"
    assert not isinstance(board_image(place), str)


def refused(session: object, file: object) -> bytes:
    raise StageError("the stage cannot be reached", fix="check the network")
