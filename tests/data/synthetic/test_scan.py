import cv2
import numpy as np
import pytest

from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board, misregister
from copperline.data.synthetic.scan import decode_jpeg, encode_jpeg

BOARD = draw_board(BoardStyle.of_product(1), np.random.default_rng(1), 320).image()
ROUGHEST = ScanSettings(blur=(1.3, 1.3), roughness=(30.0, 30.0), exposure=25.0)


def test_a_scan_is_binary_and_differs_only_at_edges_by_less_than_two_pixels() -> None:
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (5, 5))
    flat = cv2.erode(BOARD, kernel) == cv2.dilate(BOARD, kernel)
    for seed in range(10):
        scan = binarised_scan(BOARD, ROUGHEST, np.random.default_rng(seed))
        assert set(np.unique(scan)) == {0, 255}
        assert (scan != BOARD).any()
        assert np.array_equal(scan[flat], BOARD[flat])


def test_each_scan_has_its_own_noise_and_a_seed_repeats_it() -> None:
    first, again, other = (binarised_scan(BOARD, ScanSettings(), np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_misregistration_moves_by_what_the_settings_say() -> None:
    disc = np.zeros((320, 320), np.uint8)
    cv2.circle(disc, (160, 160), 60, 255, cv2.FILLED)
    shifts = []
    for seed in range(40):
        moments = cv2.moments(misregister(disc, ScanSettings(shift=1.0, rotation=0.1), np.random.default_rng(seed)))
        shifts.append((moments["m10"] / moments["m00"] - 160, moments["m01"] / moments["m00"] - 160))
    assert 0.7 < np.std(shifts) < 1.1
    assert 1.5 < np.abs(shifts).max() < 2.05


def test_no_misregistration_when_it_is_set_to_zero() -> None:
    still = ScanSettings(shift=0.0, rotation=0.0)
    assert np.array_equal(misregister(BOARD, still, np.random.default_rng(0)), BOARD)


@pytest.mark.parametrize("quality", [80, 95])
def test_jpeg_keeps_the_image_binary_at_128(quality: int) -> None:
    decoded = decode_jpeg(encode_jpeg(BOARD, quality))
    assert np.array_equal(decoded < 128, BOARD < 128)
