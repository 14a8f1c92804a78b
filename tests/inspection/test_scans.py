from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from copperline.data.images import Image, write_image
from copperline.data.synthetic import Distortion, ScanSettings, draw_whole_board
from copperline.detections import Detections, box_iou
from copperline.errors import DataError
from copperline.inspection import CallPolicy, Detector, inspect_arrays, inspect_image
from copperline.inspection.scans import look_at_scan
from copperline.runtime import Selection, Tiling
from copperline.taxonomy import Call

SIDE = 2000
TILING = Tiling()
EDGES = [edge for start in TILING.starts(SIDE) for edge in (start, start + TILING.side) if 0 < edge < SIDE]
CORNERS = [(x, y) for x in EDGES[::2] for y in EDGES[1::2]]
SMOOTH = ScanSettings(blur=(0.8, 0.8), roughness=(6.0, 6.0))
Board = tuple[Image, Image, Detections]


@pytest.fixture(scope="module")
def shipped() -> Detector:
    return Detector.load("builtin:deeppcb", threads=2)


@pytest.fixture(scope="module")
def board() -> Board:
    """With defects on edges and corners of tiles, and some elsewhere."""
    places = [*CORNERS, *((x, 300) for x in EDGES), *((1000, y) for y in EDGES)]
    return draw_whole_board(2, SIDE, defects=8, at=places, scan=SMOOTH)


@pytest.fixture(scope="module")
def good() -> Board:
    """Two scans of copper without defects, which a smooth scanner made."""
    return draw_whole_board(3, SIDE, scan=SMOOTH, distortion=Distortion((3.0, -2.0), 0.0, 0.0))


def found_by(labels: Detections, detections: Detections) -> np.ndarray:
    return box_iou(labels.boxes, detections.boxes) >= 0.33


def test_each_defect_of_a_whole_board_is_found_once(shipped: Detector, board: Board) -> None:
    test, reference, labels = board
    assert len(labels) >= 15
    verdict = inspect_arrays(shipped, test, reference)
    assert verdict.call is Call.FAIL
    found = found_by(labels, verdict.detections)
    assert found.any(axis=1).sum() >= 0.9 * len(labels)
    assert found.sum(axis=1).max() == 1
    assert verdict.tiles is not None
    assert verdict.tiles.tiles == len(TILING.tiles(SIDE, SIDE))
    assert verdict.registration_score is not None
    assert verdict.registration_score > 0.7


def test_skipping_equal_tiles_changes_no_finding(shipped: Detector, board: Board) -> None:
    test, reference, labels = board
    # Defects in one half alone, so that there is something to skip.
    half = test.copy()
    half[:, SIDE // 2 :] = reference[:, SIDE // 2 :]
    gated, every = (inspect_arrays(shipped, half, reference, skip_equal=skip) for skip in (True, False))
    assert gated.tiles is not None
    assert every.tiles is not None
    assert gated.tiles.skipped > 0
    assert every.tiles.skipped == 0
    in_half = labels[labels.boxes[:, 2] < SIDE // 2 - 60]
    assert len(in_half) >= 5
    np.testing.assert_array_equal(
        found_by(in_half, gated.detections).any(axis=1), found_by(in_half, every.detections).any(axis=1)
    )


def test_a_board_that_equals_its_reference_passes_without_the_network(shipped: Detector, good: Board) -> None:
    test = good[0]
    verdict = inspect_arrays(shipped, test, test.copy())
    assert verdict.call is Call.PASS
    assert verdict.tiles is not None
    assert verdict.tiles.skipped == verdict.tiles.tiles


def test_one_tile_that_shows_something_else_withholds_the_call(shipped: Detector, board: Board) -> None:
    test, reference, _ = board
    wrong = reference.copy()
    wrong[1400:, 1400:] = np.ascontiguousarray(reference[1400:, 1400:][::-1, ::-1])
    verdict = inspect_arrays(shipped, test, wrong)
    assert verdict.call is Call.WITHHELD
    assert len(verdict.detections) == 0
    assert verdict.registration_score is not None
    assert verdict.registration_score < 0.6
    assert verdict.tiles is not None
    assert verdict.tiles.skipped == 0
    assert verdict.tiles.unregistered
    assert all(tile.x2 > 1400 and tile.y2 > 1400 for tile in verdict.tiles.unregistered)
    lenient = inspect_arrays(shipped, test, wrong, CallPolicy(withheld_below=0))
    assert lenient.call is Call.FAIL


def test_the_result_does_not_depend_on_the_number_of_threads(shipped: Detector, board: Board) -> None:
    test, reference, _ = board
    one = Detector.load("builtin:deeppcb", threads=1)
    first, second = (look_at_scan(d.model, test, reference, Selection(floor=0.3)) for d in (one, shipped))
    assert first.registration_score == second.registration_score
    assert first.summary == second.summary
    assert len(first.detections) == len(second.detections)
    np.testing.assert_allclose(first.detections.boxes, second.detections.boxes, atol=0.01)


def test_progress_is_told_tile_by_tile(shipped: Detector, good: Board) -> None:
    done: list[tuple[int, int]] = []
    inspect_arrays(shipped, good[0], None, progress=lambda *progress: done.append(progress))
    tiles = len(TILING.tiles(SIDE, SIDE))
    assert done == [(number, tiles) for number in range(tiles + 1)]


def test_without_a_reference_a_scan_is_judged_by_itself(shipped: Detector, board: Board) -> None:
    verdict = inspect_arrays(shipped, board[0])
    assert verdict.registration_score is None
    assert verdict.call is Call.FAIL
    assert verdict.tiles is not None
    assert verdict.tiles.skipped == 0


def test_evaluation_registers_a_scan_as_inspection_does(shipped: Detector, board: Board) -> None:
    test, reference, _ = board
    inspected = inspect_arrays(shipped, test, reference, skip_equal=False).detections
    called = shipped(test, reference)
    assert called == inspected


def test_a_scan_in_a_file_gets_the_same_row_as_any_board(shipped: Detector, board: Board, tmp_path: Path) -> None:
    test, reference, _ = board
    paths = [tmp_path / "P7_test.png", tmp_path / "P7_temp.tif"]
    write_image(paths[0], test)
    # Another scanner's image is some px larger.
    write_image(paths[1], np.pad(reference, ((0, 9), (0, 4)), mode="edge"))
    inspection = inspect_image(shipped, *paths)
    record = inspection.to_record("AOI-1")
    assert (record.board_id, record.width, record.height, record.call) == ("P7", SIDE, SIDE, Call.FAIL)
    assert len(record.detections) >= 15
    shown = json.loads(json.dumps(inspection.to_dict()))
    assert shown["tiles"] == {"tiles": 25, "skipped": shown["tiles"]["skipped"], "unregistered": []}
    assert replace(inspection).to_record("AOI-1").inspection_id == record.inspection_id


def test_a_reference_of_another_size_is_refused_by_name(shipped: Detector, good: Board, tmp_path: Path) -> None:
    paths = [tmp_path / "P8_test.png", tmp_path / "P8_temp.png"]
    write_image(paths[0], good[0])
    write_image(paths[1], good[1][:, :-21])
    with pytest.raises(DataError, match=r"P8_temp\.png: expected .* 2000 x 2000, up to 1%.* found 1979 x 2000"):
        inspect_image(shipped, *paths)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_memory_is_a_few_bytes_for_each_pixel(tmp_path: Path) -> None:
    # One pair of 1,600 px and one of 4,800: what the larger one takes more is for its pixels.
    program = """
        import resource, sys
        from copperline.inspection import Detector, inspect_image
        verdict = inspect_image(Detector.load("builtin:deeppcb", threads=2), *sys.argv[1:]).verdict
        assert verdict.tiles.tiles > 1
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    """

    def peak(side: int) -> int:
        golden = np.tile(draw_whole_board(4, 1600, scan=SMOOTH)[0], (side // 1600, side // 1600))
        paths = [tmp_path / f"{side}_{name}.png" for name in ("test", "temp")]
        for path in paths:
            write_image(path, golden)
        command = [sys.executable, "-c", textwrap.dedent(program), *map(str, paths)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return int(run.stdout)

    more_pixels = 4800**2 - 1600**2
    # Two images, and a third while the second is decoded: 3 bytes. A float copy would be 4 more.
    assert peak(4800) - peak(1600) < 5 * more_pixels
