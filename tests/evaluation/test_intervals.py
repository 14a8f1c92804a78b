from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import SettingsError
from copperline.evaluation.intervals import bootstrap_counts, percentile_interval, wilson_interval


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data(), st.integers(1, 5000), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_limits_are_where_the_score_test_just_rejects(data: st.DataObject, total: int, confidence: float) -> None:
    """Wilson's definition, found by bisection: the rates p at which |observed - p| is z standard errors of p."""
    successes = data.draw(st.integers(0, total))
    observed, z = successes / total, NormalDist().inv_cdf((1 + confidence) / 2)

    def crossing(inside: float, outside: float) -> float:
        for _ in range(80):
            middle = (inside + outside) / 2
            rejected = abs(observed - middle) > z * math.sqrt(middle * (1 - middle) / total)
            inside, outside = (inside, middle) if rejected else (middle, outside)
        return inside

    expected = crossing(observed, 0.0), crossing(observed, 1.0)
    assert wilson_interval(successes, total, confidence) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data(), st.integers(1, 10**6))
def test_contains_the_rate_and_stays_in_bounds(data: st.DataObject, total: int) -> None:
    successes = data.draw(st.integers(0, total))
    interval = wilson_interval(successes, total)
    assert interval is not None
    assert 0 <= interval[0] <= successes / total <= interval[1] <= 1


def test_published_value() -> None:
    # 15 of 148: Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_nothing_counted_is_not_measured() -> None:
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize(("successes", "total", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_impossible_counts_are_refused(successes: int, total: int, confidence: float) -> None:
    with pytest.raises(SettingsError, match="expected"):
        wilson_interval(successes, total, confidence)


def test_bootstrap_is_seeded_and_draws_as_many_boards_as_there_are() -> None:
    counts = bootstrap_counts(40, 500, seed=7)
    assert counts.shape == (500, 40)
    assert (counts.sum(axis=1) == 40).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(40), abs=0.2)
    assert np.array_equal(counts, bootstrap_counts(40, 500, seed=7))
    assert not np.array_equal(counts, bootstrap_counts(40, 500, seed=8))


def test_percentile_interval_leaves_out_what_was_not_measured() -> None:
    nan = float("nan")
    assert percentile_interval(np.array([nan, 1.0, 2.0, 3.0, nan]), 0.5) == (1.5, 2.5)
    assert percentile_interval(np.array([nan, nan])) is None
    assert percentile_interval(np.array([])) is None
