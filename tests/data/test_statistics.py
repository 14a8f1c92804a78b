from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from copperline.data import grey_levels
from copperline.data.images import Image


@settings(max_examples=100, derandomize=True, deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 255)))
def test_they_are_mean_and_standard_deviation(image: Image) -> None:
    levels = grey_levels(image)
    assert levels.brightness == pytest.approx(image.mean())
    assert levels.contrast == pytest.approx(image.std(), abs=1e-6)
    assert 0 <= levels.brightness <= 255
    assert 0 <= levels.contrast <= 127.5


def test_light_shows_in_brightness_and_mist_in_contrast() -> None:
    board = np.kron([[40, 200], [200, 40]], np.ones((20, 20))).astype(np.uint8)
    plain, lit, misted = (grey_levels(image) for image in (board, board + 30, board // 2 + 60))
    assert (plain.brightness, plain.contrast) == (120, 80)
    assert (lit.brightness, lit.contrast) == (150, 80)
    assert (misted.brightness, misted.contrast) == (120, 40)


def test_a_large_image_does_not_overflow() -> None:
    white = np.full((5000, 5000), 255, np.uint8)
    white[:2500] = 0
    levels = grey_levels(white)
    assert (levels.brightness, levels.contrast) == pytest.approx((127.5, 127.5))
