from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.detections import Detections
from copperline.inspection import CallPolicy, decide
from copperline.reference import WITHHELD_BELOW
from copperline.taxonomy import DEEPPCB, Call, Severity


def of_classes(class_ids: list[int]) -> Detections:
    return Detections.of([[0, 0, 9, 9]] * len(class_ids), class_ids)


@given(
    class_ids=st.lists(st.integers(0, 5), max_size=4),
    score=st.none() | st.floats(0, 1),
    failing=st.frozensets(st.sampled_from(list(Severity))),
    limit=st.floats(0, 1),
)
def test_the_call_follows_the_policy(
    class_ids: list[int], score: float | None, failing: frozenset[Severity], limit: float
) -> None:
    call = decide(of_classes(class_ids), score, DEEPPCB, CallPolicy(failing, limit))
    if score is not None and score < limit:
        assert call is Call.WITHHELD
    elif failing & {DEEPPCB[i].severity for i in class_ids}:
        assert call is Call.FAIL
    else:
        assert call is Call.PASS


@pytest.mark.parametrize("class_id", range(6))
def test_every_class_fails_a_board_by_default(class_id: int) -> None:
    assert decide(of_classes([class_id]), None, DEEPPCB) is Call.FAIL


def test_the_default_threshold_is_that_of_the_registration() -> None:
    assert decide(of_classes([]), WITHHELD_BELOW, DEEPPCB) is Call.PASS
    assert decide(of_classes([]), WITHHELD_BELOW - 0.001, DEEPPCB) is Call.WITHHELD
