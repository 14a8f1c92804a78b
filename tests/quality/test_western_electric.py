from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import SettingsError
from copperline.quality import WESTERN_ELECTRIC_RULES, western_electric_alarms

# rule: points needed, of how many in a row, beyond how many sigma.
RULES = {1: (1, 1, 3), 2: (2, 3, 2), 3: (4, 5, 1), 4: (8, 8, 0)}


def _naive(values: list[float]) -> set[tuple[int, str, tuple[int, ...], int]]:
    """Look at each window of each rule, one by one, and join the patterns that share points."""
    found = set()
    for rule, (needed, window, sigmas) in RULES.items():
        for side, sign in (("above", 1), ("below", -1)):
            patterns: list[tuple[set[int], int]] = []
            for end in range(len(values)):
                points = set()
                for i in range(end, max(-1, end - window), -1):
                    if isnan(values[i]):
                        break
                    if values[i] * sign > sigmas:
                        points.add(i)
                if len(points) < needed:
                    continue
                if patterns and patterns[-1][0] & points:
                    patterns[-1][0].update(points)
                else:
                    patterns.append((points, end))
            found |= {(rule, side, tuple(sorted(points)), raised) for points, raised in patterns}
    return found


NEAR_A_LIMIT = st.sampled_from([nan, 0.0, -0.0, *(s * z for s in (1, -1) for z in (0.2, 1, 1.5, 2, 2.5, 3, 3.5))])
MOSTLY_ABOVE = st.sampled_from([0.5, 1.5, 1.5, 2.5, 2.5, 3.5, -0.5, nan])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(NEAR_A_LIMIT, max_size=30) | st.lists(MOSTLY_ABOVE, max_size=40))
def test_against_looking_at_each_window(values: list[float]) -> None:
    alarms = western_electric_alarms(np.array(values, dtype=np.float64))
    assert {(a.rule, a.side, a.points, a.raised_at) for a in alarms} == _naive(values)
    assert len(alarms) == len(_naive(values))
    assert [a.raised_at for a in alarms] == sorted(a.raised_at for a in alarms)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(NEAR_A_LIMIT, max_size=20), st.lists(NEAR_A_LIMIT, max_size=20))
def test_a_gap_parts_the_chart(before: list[float], after: list[float]) -> None:
    whole = western_electric_alarms(np.array([*before, nan, *after]))
    apart = [(a.rule, a.side, a.points) for a in western_electric_alarms(np.array(before, dtype=np.float64))]
    shift = len(before) + 1
    apart += [
        (alarm.rule, alarm.side, tuple(point + shift for point in alarm.points))
        for alarm in western_electric_alarms(np.array(after, dtype=np.float64))
    ]
    assert sorted((a.rule, a.side, a.points) for a in whole) == sorted(apart)


def _rules(*values: float) -> list[tuple[int, str, tuple[int, ...]]]:
    return [(a.rule, a.side, a.points) for a in western_electric_alarms(np.array(values))]


def test_each_rule_by_example() -> None:
    assert _rules(0, 3.1, 0, -3.1) == [(1, "above", (1,)), (1, "below", (3,))]
    assert _rules(0, 2.1, 0, 2.1) == [(2, "above", (1, 3))]
    assert _rules(0, 2.1, 0, 0, 2.1) == []
    assert _rules(0, 2.1, -2.1) == []
    assert _rules(-1.1, -1.1, 0, -1.1, -1.1) == [(3, "below", (0, 1, 3, 4))]
    assert _rules(*[0.1] * 7) == []
    assert _rules(*[0.1] * 8) == [(4, "above", tuple(range(8)))]
    assert _rules(*[0.1] * 4, nan, *[0.1] * 4) == []
    assert _rules(*[0.1] * 4, 0, *[0.1] * 4) == []


def test_exactly_on_a_limit_is_not_beyond_it() -> None:
    assert _rules(3.0, 0, 0, -3.0) == []
    assert _rules(2.0, 2.0, 2.0) == []
    assert _rules(*[1.0, -1.0] * 5) == []


def test_a_long_run_is_one_alarm_raised_at_its_eighth_point() -> None:
    (alarm,) = western_electric_alarms(np.array([-0.1, *[0.5] * 12, -0.1]))
    assert (alarm.rule, alarm.points, alarm.raised_at) == (4, tuple(range(1, 13)), 8)


def test_sentences_name_rule_side_and_points() -> None:
    hours = [f"{hour:02}:00" for hour in range(12)]
    values = np.array([-3.2, 0, 0, *[0.5] * 9])
    first, second = western_electric_alarms(values, hours)
    assert first.text == "Rule 1: 00:00 is more than 3 sigma below the centre line."
    assert second.text == ("Rule 4: 9 points from 03:00 to 11:00 are above the centre line, with at least 8 in a row.")
    assert western_electric_alarms(values)[0].text.startswith("Rule 1: 1 is more")
    assert sorted(WESTERN_ELECTRIC_RULES) == [1, 2, 3, 4]


def test_false_alarms_are_as_rare_as_published() -> None:
    """Rule 1 alone: a point of a process in control is beyond 3 sigma once in 370."""
    points = np.random.default_rng(4).standard_normal(200_000)
    alarms = [alarm for alarm in western_electric_alarms(points) if alarm.rule == 1]
    assert len(points) / len(alarms) == pytest.approx(370.4, rel=0.1)


def test_no_points_and_only_gaps() -> None:
    assert western_electric_alarms(np.array([])) == ()
    assert western_electric_alarms(np.array([nan, nan])) == ()


def test_each_point_needs_its_label() -> None:
    with pytest.raises(SettingsError, match="expected 2 labels"):
        western_electric_alarms(np.array([1.0, 2.0]), ["Mon"])
