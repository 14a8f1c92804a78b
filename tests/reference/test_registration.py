from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board
from copperline.errors import DataError
from copperline.reference import WITHHELD_BELOW, Registration, agreement, register

Points = npt.NDArray[np.generic]


def board(seed: int, size: int = 320) -> Image:
    """Grey, anti-aliased dark traces and pads on a light ground, with edges soft as a scan's."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size), 255, np.uint8)
    for _ in range(14):
        points = rng.integers(0, size, (3, 2)).astype(np.int32)
        cv2.polylines(image, [points], False, 0, int(rng.integers(5, 12)), cv2.LINE_AA)
    for x, y in rng.integers(0, size, (12, 2)).tolist():
        cv2.circle(image, (x, y), int(rng.integers(6, 16)), 0, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)


def moved(image: Image, x: float, y: float, degrees: float = 0.0, scale: float = 1.0) -> Image:
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, scale)
    matrix[:, 2] += (x, y)
    flags = cv2.INTER_CUBIC
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), x=st.floats(-12, 12), y=st.floats(-12, 12))
def test_known_shifts_are_recovered_to_a_fraction_of_a_pixel(seed: int, x: float, y: float) -> None:
    reference = board(seed)
    test = moved(reference, x, y)
    found = register(test, reference)
    if abs(x) + abs(y) > 1.5:
        # A reduced pixel is four; of 600 random shifts 24 in 25 were found to 0.3 px, and the worst to 0.58 px.
        assert (found.shift_x, found.shift_y) == pytest.approx((x, y), abs=0.75)
        assert found.rotation == pytest.approx(0, abs=0.1)
    assert found.score > 0.95
    inner = slice(16, -16)
    before = np.abs(test[inner, inner].astype(int) - reference[inner, inner]).mean()
    assert np.abs(test[inner, inner].astype(int) - found.reference[inner, inner]).mean() <= before + 0.05


@pytest.mark.parametrize("degrees", [-1.0, -0.3, 0.5, 1.2])
def test_a_small_rotation_is_recovered(degrees: float) -> None:
    reference = board(3, 640)
    found = register(moved(reference, 3.4, -2.2, degrees), reference)
    assert found.rotation == pytest.approx(degrees, abs=0.05)
    assert (found.shift_x, found.shift_y) == pytest.approx((3.4, -2.2), abs=0.3)
    assert found.score > 0.95


def test_an_aligned_reference_is_given_back_untouched() -> None:
    reference = board(1)
    test = reference.copy()
    cv2.circle(test, (150, 150), 9, 0, -1)
    found = register(test, reference)
    assert found.reference is reference
    assert (found.shift_x, found.shift_y, found.rotation, found.scale) == (0, 0, 0, 1)
    assert found.score > 0.95


def test_the_inputs_are_left_as_they_were() -> None:
    test, reference = board(1), moved(board(1), 4, 2)
    before = test.copy(), reference.copy()
    register(test, reference)
    assert np.array_equal(test, before[0])
    assert np.array_equal(reference, before[1])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), sigma=st.floats(0, 20), contrast=st.floats(0.8, 1.0))
def test_scan_noise_and_defects_do_not_hide_a_true_pair(seed: int, sigma: float, contrast: float) -> None:
    rng = np.random.default_rng(seed)
    reference = board(seed)
    test = moved(reference, 2.5, -1.5) * contrast + rng.normal(0, sigma, reference.shape)
    test = test.clip(0, 255).astype(np.uint8)
    for x, y in rng.integers(10, 310, (12, 2)).tolist():
        cv2.circle(test, (x, y), 5, int(rng.choice([0, 255])), -1)
    assert register(test, reference).score > 0.8 > WITHHELD_BELOW


def test_what_is_not_the_boards_reference_scores_low() -> None:
    test = board(1)
    noise = np.random.default_rng(0).integers(0, 256, test.shape).astype(np.uint8)
    photo = cv2.GaussianBlur(noise, (0, 0), 12)
    photo = cv2.normalize(photo, None, 0, 255, cv2.NORM_MINMAX)
    others = {
        "other board": board(2),
        "mirrored": test[:, ::-1].copy(),
        "upside down": test[::-1, ::-1].copy(),
        "negative": 255 - test,
        "noise": noise,
        "photo": photo,
        "white": np.full_like(test, 255),
        "black": np.zeros_like(test),
    }
    scores = {name: register(test, np.asarray(other, np.uint8)).score for name, other in others.items()}
    assert max(scores.values()) < 0.5 < WITHHELD_BELOW, scores


@pytest.mark.parametrize("degrees", [3.0, 5.0])
def test_a_reference_that_is_turned_too_far_scores_low(degrees: float) -> None:
    """Most of it still lies on the test image, so that the whole agrees; the outer places do not."""
    reference = board(3, 640)
    found = register(moved(reference, 0, 0, degrees), reference)
    assert found.score < WITHHELD_BELOW


def test_a_reference_shifted_as_far_as_a_fixture_may_scores_high() -> None:
    reference = board(3, 640)
    assert register(moved(reference, 20, -20), reference).score > 0.9


def test_half_of_another_board_scores_low() -> None:
    reference = board(1)
    test = reference.copy()
    test[:, 160:] = board(2)[:, 160:]
    assert register(test, reference).score < WITHHELD_BELOW < agreement(test, test)


def test_many_defects_do_not_make_it_another_board() -> None:
    rng = np.random.default_rng(0)
    reference = board(1, 640)
    test = reference.copy()
    for x, y in rng.integers(20, 620, (40, 2)).tolist():
        cv2.circle(test, (x, y), 8, int(rng.choice([0, 255])), -1)
    assert register(test, reference).score > 0.8


def test_a_nearly_empty_pair_is_not_judged_by_its_one_defect() -> None:
    reference = np.full((640, 640), 255, np.uint8)
    test = reference.copy()
    cv2.circle(test, (300, 200), 8, 0, -1)
    found = register(test, reference)
    assert found.score > 0.8
    assert found.reference is reference


def test_parallel_traces_give_no_wild_shift_along_them() -> None:
    reference = np.full((320, 320), 255, np.uint8)
    reference[:, 40:300:60] = 0
    reference = cv2.GaussianBlur(np.repeat(np.repeat(reference[::4, ::4], 4, 0), 4, 1), (0, 0), 1.5)
    found = register(moved(reference, 3.0, 0), reference)
    assert found.shift_x == pytest.approx(3.0, abs=0.3)
    assert abs(found.shift_y) < 1
    assert found.score > 0.9


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), height=st.integers(32, 90), width=st.integers(32, 300), levels=st.integers(1, 256))
def test_nothing_that_is_no_board_breaks_it(seed: int, height: int, width: int, levels: int) -> None:
    """Noise, blank and two-level images, of which Gauss-Newton makes wild estimates."""
    rng = np.random.default_rng(seed)
    test, reference = ((rng.integers(0, levels, (height, width)) * (255 // levels)).astype(np.uint8) for _ in range(2))
    for first, second in ((test, reference), (test, np.zeros_like(test)), (np.full_like(test, 255), reference)):
        assert 0 <= register(first, second).score <= 1


@pytest.mark.parametrize("shape", [(32, 32), (33, 200), (70, 65), (257, 641)])
def test_any_size_of_image_registers(shape: tuple[int, int]) -> None:
    reference = board(4, 700)[: shape[0], : shape[1]].copy()
    found = register(reference, reference)
    assert found.reference.shape == shape
    assert found.score == pytest.approx(1)


def test_a_reference_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match=r"320 x 320.*300 x 320"):
        register(board(1), board(1)[:, :300])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_agreement_is_symmetric_and_within_0_and_1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 256, (20, 30)).astype(np.uint8) for _ in range(2))
    assert 0 <= agreement(a, b) <= 1
    assert agreement(a, b) == pytest.approx(agreement(b, a))
    assert agreement(a, a) == 1


def drawn(seed: int, shape: tuple[int, int]) -> Image:
    """A golden board of a random product, as large as wanted."""
    board = draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), max(shape))
    return board.image()[: shape[0], : shape[1]].copy()


def scan(image: Image, seed: int) -> Image:
    return binarised_scan(image, ScanSettings(), np.random.default_rng(seed))


def misplacement(points: Points, shape: tuple[int, int], found: Registration, motion: tuple[float, ...]) -> Points:
    """px between where points of the reference, as x + iy, were moved to and where they are in the test image."""
    x, y, degrees, scale = motion
    centred = points - complex(shape[1] - 1, shape[0] - 1) / 2
    there = centred * scale * np.exp(1j * np.radians(degrees)) + complex(x, y)
    turn = found.scale * np.exp(1j * np.radians(found.rotation))
    return np.abs(centred * turn + complex(found.shift_x, found.shift_y) - there)


def corners(shape: tuple[int, int]) -> Points:
    return np.array([complex(x, y) for x in (0, shape[1] - 1) for y in (0, shape[0] - 1)])


def copper_edges(image: Image) -> Points:
    """Where there is something to compare: a corner of bare laminate may lie anywhere."""
    y, x = np.nonzero(cv2.Canny(image, 100, 200))
    return x + 1j * y


SHAPES = [(320, 320), (480, 640), (900, 300), (300, 900), (800, 800)]


def test_another_size_is_recovered_with_shift_and_rotation() -> None:
    """Or what is left is so little that it was not tried: what the detector was trained to bear.

    Of 1,139 boards by lot 19 were further off, the worst by 7 px in the mean: a score that is good without another size
    keeps it from being tried.
    """
    lot = np.random.default_rng(0)
    tried = further_off = 0
    for seed in range(60):
        shape = SHAPES[seed % len(SHAPES)]
        scale, degrees, x, y = lot.uniform((0.98, -1, -14, -14), (1.02, 1, 14, 14)).tolist()
        reference = drawn(seed, shape)
        if not 0.1 < (reference < 128).mean() < 0.9:
            continue
        tried += 1
        test = scan(moved(reference, x, y, degrees, scale), seed + 1)
        found = register(test, scan(reference, seed + 2))
        assert found.score > 0.8
        errors = misplacement(copper_edges(reference), shape, found, (x, y, degrees, scale))
        further_off += bool(np.quantile(errors, 0.95) >= 6 or errors.mean() >= 3)
    assert tried > 50
    assert further_off <= 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.981, 1.019])
def test_a_clear_change_of_size_is_recovered_to_a_pixel(shape: tuple[int, int], scale: float) -> None:
    reference = drawn(5, shape)
    found = register(moved(reference, 6, -4, 0.5, scale), reference)
    assert misplacement(corners(shape), shape, found, (6, -4, 0.5, scale)).max() < 1
    assert found.scale == pytest.approx(scale, abs=0.001)
    assert found.score > 0.97


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), shape=st.sampled_from(SHAPES))
def test_no_size_makes_another_board_this_one(seed: int, shape: tuple[int, int]) -> None:
    test = scan(drawn(seed, shape), seed)
    assume(0.1 < (test < 128).mean() < 0.9)
    others = [drawn(seed + 20_000, shape), test[:, ::-1], test[::-1], test[::-1, ::-1], 255 - test]
    for other in others:
        found = register(test, np.ascontiguousarray(other))
        # Some drawn boards are nearly symmetric; those agree as they are.
        assert found.scale == 1 or found.score < WITHHELD_BELOW


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), shape=st.sampled_from(SHAPES), scale=st.floats(0.98, 1.02))
def test_another_mirrored_or_turned_board_scores_low_at_any_size(
    seed: int, shape: tuple[int, int], scale: float
) -> None:
    pattern, stranger = (board(n, 900)[: shape[0], : shape[1]] for n in (seed, seed + 5000))
    test = moved(pattern, 0, 0, 0, scale)
    for other in (stranger, pattern[:, ::-1], pattern[::-1], pattern[::-1, ::-1], 255 - pattern):
        assert register(test, np.ascontiguousarray(other)).score < WITHHELD_BELOW


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), x=st.floats(-10, 10), y=st.floats(-10, 10), degrees=st.floats(-1, 1))
def test_a_pair_of_one_size_is_not_resized(seed: int, x: float, y: float, degrees: float) -> None:
    reference = drawn(seed, (480, 640))
    assert register(scan(moved(reference, x, y, degrees), seed), scan(reference, seed + 1)).scale == 1


def test_deeppcb_true_pairs_are_called_and_wrong_references_withheld() -> None:
    root = os.environ.get("COPPERLINE_DEEPPCB")
    if not root:
        pytest.skip("COPPERLINE_DEEPPCB is not set to a DeepPCB folder")
    lines = (Path(root) / "trainval.txt").read_text(encoding="utf-8").splitlines()[::25]
    stems = [Path(root) / line.split()[0].removesuffix(".jpg") for line in lines]
    tests = [np.asarray(cv2.imread(f"{stem}_test.jpg", cv2.IMREAD_GRAYSCALE)) for stem in stems]
    references = [np.asarray(cv2.imread(f"{stem}_temp.jpg", cv2.IMREAD_GRAYSCALE)) for stem in stems]
    true = [register(t, r) for t, r in zip(tests, references, strict=True)]
    assert min(found.score for found in true) > WITHHELD_BELOW + 0.05
    for test, reference, found in zip(tests, references, true, strict=True):
        assert cv2.norm(test, found.reference, cv2.NORM_L1) <= cv2.norm(test, reference, cv2.NORM_L1)

    # Boards of the same group are neighbours in the list, boards of another one lie far from each other in it.
    for distance, most_called in ((1, 1), (len(stems) // 2, 0)):
        wrong = [references[(i + distance) % len(stems)] for i in range(len(stems))]
        called = [register(t, r).score >= WITHHELD_BELOW for t, r in zip(tests, wrong, strict=True)]
        assert sum(called) <= most_called
    for change in (np.rot90, lambda r: 255 - r, lambda r: np.full_like(r, 255), lambda r: np.zeros_like(r)):
        wrong = [np.ascontiguousarray(change(r)) for r in references]
        assert max(register(t, r).score for t, r in zip(tests, wrong, strict=True)) < WITHHELD_BELOW
