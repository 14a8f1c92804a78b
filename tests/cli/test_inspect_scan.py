from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from copperline.data.images import write_image
from copperline.data.synthetic import ScanSettings, draw_whole_board

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    smooth = ScanSettings(blur=(0.8, 0.8), roughness=(6.0, 6.0))
    test, reference, labels = draw_whole_board(11, 1700, defects=5, scan=smooth)
    assert len(labels) == 5
    write_image(folder / "panel.png", test)
    write_image(folder / "golden.png", reference)
    write_image(folder / "other.png", np.ascontiguousarray(reference[::-1, ::-1]))
    return folder


def test_a_scan_is_inspected_in_tiles_and_drawn_reduced(scans: Path, copperline: Run, tmp_path: Path) -> None:
    picture = tmp_path / "found.png"
    arguments = ("inspect", scans / "panel.png", "--reference", scans / "golden.png", "--workspace", tmp_path)
    ran = copperline(*arguments, "--model", "builtin:deeppcb", "--picture", picture)
    assert ran.status == 0, ran.err
    assert "panel: FAIL, " in ran.out
    assert "Looked at in 16 tiles" in ran.out
    drawn = cv2.imread(str(picture))
    assert drawn.shape[1] == 1700
    assert drawn.shape[0] > 1700  # with close-ups below

    every = copperline(*arguments, "--model", "builtin:deeppcb", "--every-tile", "--json", "--dry-run")
    assert every.json["tiles"] == {"tiles": 16, "skipped": 0, "unregistered": []}
    assert len(every.json["detections"]) >= 4


def test_a_tile_that_cannot_be_judged_is_named(scans: Path, copperline: Run, tmp_path: Path) -> None:
    arguments = ("inspect", scans / "panel.png", "--reference", scans / "other.png", "--workspace", tmp_path)
    ran = copperline(*arguments, "--model", "builtin:deeppcb", "--dry-run")
    assert ran.status == 0, ran.err
    assert "panel: WITHHELD, 0 defects" in ran.out
    assert "of 16 tiles do not show what the reference shows there, the first at x 0 to 640" in ran.out


def test_a_scan_of_another_size_is_a_one_line_error(scans: Path, copperline: Run, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    write_image(small, np.ascontiguousarray(cv2.imread(str(scans / "golden.png"), cv2.IMREAD_GRAYSCALE)[:1600]))
    ran = copperline("inspect", scans / "panel.png", "--reference", small, "--model", "builtin:deeppcb")
    assert ran.status == 1
    assert ran.err.splitlines()[-1].startswith(f"error: {small}: expected a reference of the scan's size")
