from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from copperline.runtime import network_input


@hypothesis_settings(max_examples=50, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    stride=st.sampled_from([1, 8, 16, 32]),
    seed=st.integers(0, 99),
    single=st.booleans(),
)
def test_padding_repeats_the_edge_and_moves_no_pixel(
    height: int, width: int, stride: int, seed: int, single: bool
) -> None:
    rng = np.random.default_rng(seed)
    test, reference = rng.integers(0, 256, (2, height, width)).astype(np.uint8)
    found = network_input(test, None if single else reference, stride)

    bottom, right = -height % stride, -width % stride
    assert found.shape == (1, 3, height + bottom, width + right)
    assert found.dtype == np.float32
    channels = [test, reference, np.abs(test.astype(int) - reference)]
    if single:
        channels = [test, np.zeros_like(test), np.zeros_like(test)]
    expected = np.pad(np.stack(channels), ((0, 0), (0, bottom), (0, right)), mode="edge") / 255
    assert found[0] == pytest.approx(expected, abs=1e-6)
