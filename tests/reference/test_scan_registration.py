from __future__ import annotations

import cv2
import numpy as np
import pytest

from copperline.data.images import Image
from copperline.data.synthetic import Distortion, ScanSettings, draw_whole_board
from copperline.errors import DataError
from copperline.reference import register
from copperline.reference.scan_registration import ScanRegistration, require_similar_size
from copperline.runtime import Tiling

SIDE = 2000
TILES = Tiling().tiles(SIDE, SIDE)
SMOOTH = ScanSettings(blur=(0.8, 0.8), roughness=(6.0, 6.0))


def difference(first: Image, second: Image) -> float:
    return float(cv2.norm(first, second, cv2.NORM_L1)) / first.size / 255


@pytest.fixture(scope="module")
def bent() -> tuple[Image, Image]:
    """A board whose reference is shifted, turned, and bent by up to 2 px, as of a carriage that does not run evenly."""
    distortion = Distortion(shift=(14.4, -9.7), rotation=0.15, bend=2.0)
    test, reference, _ = draw_whole_board(5, SIDE, scan=SMOOTH, distortion=distortion)
    return test, reference


def test_each_tile_of_a_bent_scan_meets_its_reference(bent: tuple[Image, Image]) -> None:
    test, reference = bent
    registration = ScanRegistration(test, reference)
    as_a_whole = register(test, reference).reference
    for tile in TILES:
        found = registration.tile(tile.of(test), tile.x1, tile.y1)
        assert found.score > 0.85
        assert difference(tile.of(test), found.reference) < 0.05
    by_tiles = np.mean([difference(t.of(test), registration.tile(t.of(test), t.x1, t.y1).reference) for t in TILES])
    assert by_tiles < 0.7 * difference(test, as_a_whole)


def test_a_reference_that_fits_is_not_blurred(bent: tuple[Image, Image]) -> None:
    test = bent[0]
    registration = ScanRegistration(test, test)
    for tile in TILES[:: len(TILES) // 4]:
        found = registration.tile(tile.of(test), tile.x1, tile.y1)
        assert np.array_equal(found.reference, tile.of(test))
        assert found.score == pytest.approx(1)


def test_whole_pixels_are_moved_without_interpolation(bent: tuple[Image, Image]) -> None:
    test = bent[0]
    registration = ScanRegistration(test, np.roll(test, (7, -4), axis=(0, 1)))
    tile = TILES[len(TILES) // 2]
    assert np.array_equal(registration.tile(tile.of(test), tile.x1, tile.y1).reference, tile.of(test))


@pytest.mark.parametrize(("wider", "higher"), [(15, -12), (-18, 7)])
def test_scans_may_differ_in_size_by_some_pixels(bent: tuple[Image, Image], wider: int, higher: int) -> None:
    test, reference = bent
    cut = np.pad(reference, ((0, max(higher, 0)), (0, max(wider, 0))), mode="edge")
    cut = cut[: SIDE + higher, : SIDE + wider]
    assert cut.shape == (SIDE + higher, SIDE + wider)
    registration = ScanRegistration(test, cut)
    assert all(registration.tile(t.of(test), t.x1, t.y1).score > 0.8 for t in TILES)


def test_a_scan_of_another_size_is_refused() -> None:
    test = np.zeros((2000, 3000), np.uint8)
    require_similar_size(test, np.zeros((2020, 2970), np.uint8), "golden.png")
    with pytest.raises(
        DataError, match=r"golden\.png: .*3000 x 2000, up to 1% of a side more or less, found 2969 x 2000"
    ):
        require_similar_size(test, np.zeros((2000, 2969), np.uint8), "golden.png")


def test_a_size_that_differs_by_scale_is_found() -> None:
    test, reference, _ = draw_whole_board(6, SIDE, scan=SMOOTH, distortion=Distortion((0, 0), 0, 0))
    larger = cv2.warpAffine(reference, cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0, 1.006), (SIDE, SIDE))
    registration = ScanRegistration(test, np.asarray(larger, np.uint8))
    inner = [t for t in TILES if 300 < t.x1 < 1000 and 300 < t.y1 < 1000]
    assert inner
    assert all(registration.tile(t.of(test), t.x1, t.y1).score > 0.9 for t in inner)


def test_another_board_scores_low_in_every_tile(bent: tuple[Image, Image]) -> None:
    other = draw_whole_board(77, SIDE)[1]
    registration = ScanRegistration(bent[0], other)
    assert all(registration.tile(t.of(bent[0]), t.x1, t.y1).score < 0.6 for t in TILES)
