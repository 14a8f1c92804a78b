from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.quality import cohen_kappa, reviewer_agreement, wilson_interval

CATEGORIES = st.sampled_from(["CONFIRMED", "FALSE_CALL", "ESCAPE"])


def _table(counts: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    return [pair for pair, count in counts.items() for _ in range(count)]


def test_published_kappa() -> None:
    """Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions", table 18.1: kappa 0.68."""
    rows = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]
    table = {(f"{i}", f"{j}"): rows[i][j] for i, j in product(range(3), range(3))}
    agreement = cohen_kappa(_table(table))
    assert (agreement.items, agreement.agreed, agreement.observed) == (100, 89, 0.89)
    assert agreement.expected == pytest.approx(0.66)
    assert agreement.kappa == pytest.approx(0.676, abs=5e-4)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(CATEGORIES, CATEGORIES), min_size=2, max_size=30))
def test_against_all_pairings(judgements: list[tuple[str, str]]) -> None:
    """Chance: a judgement of the first reviewer against one of the second, each with each."""
    n = len(judgements)
    expected = sum(a == b for (a, _), (_, b) in product(judgements, judgements)) / n**2
    observed = sum(a == b for a, b in judgements) / n
    agreement = cohen_kappa(judgements)
    assert agreement.observed == observed
    assert agreement.expected == pytest.approx(expected)
    if expected == 1:
        assert (agreement.kappa, agreement.interval) == (None, None)
        return
    assert agreement.kappa == pytest.approx((observed - expected) / (1 - expected))
    assert agreement.interval is not None
    assert agreement.kappa is not None
    low, high = agreement.interval
    assert -1 <= low <= agreement.kappa <= high <= 1
    wilson = wilson_interval(agreement.agreed, n)
    assert wilson is not None
    assert high == pytest.approx((wilson[1] - expected) / (1 - expected))
    assert low == pytest.approx(max(-1, (wilson[0] - expected) / (1 - expected)))
    swapped = cohen_kappa([(b, a) for a, b in judgements])
    assert (swapped.kappa, swapped.interval) == (agreement.kappa, agreement.interval)


def test_always_agreeing_is_one_but_not_certain() -> None:
    agreement = cohen_kappa([("OK", "OK"), ("NG", "NG")] * 5)
    assert agreement.kappa == 1
    assert agreement.interval == pytest.approx((0.445, 1), abs=1e-3)


@pytest.mark.parametrize(
    ("judgements", "items", "observed"),
    [([], 0, None), ([("OK", "OK")], 1, 1), ([("OK", "NG")], 1, 0), ([("OK", "OK")] * 9, 9, 1)],
)
def test_kappa_that_cannot_be_measured(judgements: list[tuple[str, str]], items: int, observed: float | None) -> None:
    agreement = cohen_kappa(judgements)
    assert (agreement.items, agreement.observed, agreement.kappa, agreement.interval) == (items, observed, None, None)


def test_one_reviewer_with_one_category_agrees_as_by_chance() -> None:
    assert cohen_kappa([("OK", "OK"), ("OK", "NG"), ("OK", "OK")]).kappa == pytest.approx(0)


REVIEWERS = st.dictionaries(st.sampled_from(["ann", "bo", "cy", "di"]), CATEGORIES, max_size=4)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.dictionaries(st.integers(0, 30).map(str), REVIEWERS, max_size=20))
def test_pairs_and_pool(judgements: dict[str, dict[str, str]]) -> None:
    result = reviewer_agreement(judgements)
    observed = chance = items = 0.0
    seen = set()
    for first, second in product(["ann", "bo", "cy", "di"], repeat=2):
        both = [(by[first], by[second]) for by in judgements.values() if first in by and second in by]
        if first >= second or not both:
            continue
        seen.add((first, second))
        agreement = cohen_kappa(both)
        assert result.pairs[first, second] == agreement
        if len(both) > 1:
            assert agreement.observed is not None
            assert agreement.expected is not None
            items += len(both)
            observed += len(both) * agreement.observed
            chance += len(both) * agreement.expected
    assert set(result.pairs) == seen
    assert result.pooled.items == items
    if items == 0 or chance == pytest.approx(items):
        assert result.pooled.kappa is None
    else:
        assert result.pooled.kappa == pytest.approx((observed - chance) / (items - chance))
        independent = all(len(by) <= 2 for by in judgements.values())
        assert (result.pooled.interval is not None) == independent


def test_one_pair_is_its_own_pool() -> None:
    seen = {str(i): {"bo": "OK" if i % 3 else "NG", "ann": "OK" if i % 4 else "NG"} for i in range(24)}
    result = reviewer_agreement(seen)
    assert list(result.pairs) == [("ann", "bo")]
    assert result.pooled == result.pairs["ann", "bo"]


def test_nobody_reviewed_anything_twice() -> None:
    result = reviewer_agreement({"b1": {"ann": "OK"}, "b2": {"bo": "OK"}, "b3": {}})
    assert dict(result.pairs) == {}
    assert (result.pooled.items, result.pooled.observed, result.pooled.kappa) == (0, None, None)
