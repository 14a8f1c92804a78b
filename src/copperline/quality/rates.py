"""Quality figures of a line, each with its formula, its unit and its denominator.

A figure whose denominator is zero or unknown has the value None: it is shown as "not measured", never as 0 or 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp

from copperline.errors import DataError
from copperline.evaluation.intervals import Interval, wilson_interval
from copperline.quality.intervals import poisson_interval

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A figure together with what it was computed from.

    Attributes:
        numerator, denominator: as counted; the denominator is None where it is unknown.
        value: as the function's formula gives it; None: not measured.
        interval: 95 % interval, in the unit of the value: Wilson's for a proportion, Byar's for defects per unit. None:
            not measured.
        unit: in words, of what per what.
        proportion: whether the value is a fraction in [0, 1], which may be shown in per cent.
    """

    numerator: int
    denominator: int | None
    value: float | None
    interval: Interval | None
    unit: str
    proportion: bool = True


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One class of a Pareto table; `share` and `cumulative` are fractions of all defects counted."""

    name: str
    count: int
    share: float
    cumulative: float


def defect_rate(failed_boards: int, inspected_boards: int) -> Rate:
    """Boards called FAIL / inspected boards, in [0, 1]. It is not defects / boards: that is `dpu`.

    >>> defect_rate(3, 200).value
    0.015
    """
    return _proportion(failed_boards, inspected_boards, "boards called FAIL per inspected board")


def class_defect_rate(boards_with_class: int, inspected_boards: int) -> Rate:
    """Boards with at least one defect of one class / inspected boards, in [0, 1].

    A board with two classes counts for each, so the rates of all classes may add up to more than the defect rate.

    >>> class_defect_rate(4, 200).value
    0.02
    """
    return _proportion(boards_with_class, inspected_boards, "boards with a defect of the class per inspected board")


def withheld_rate(withheld_boards: int, inspected_boards: int) -> Rate:
    """Boards whose call was WITHHELD / inspected boards, in [0, 1]: the machine could not decide, a person has to.

    >>> withheld_rate(1, 200).value
    0.005
    """
    return _proportion(withheld_boards, inspected_boards, "boards withheld per inspected board")


def machine_yield(passed_boards: int, inspected_boards: int) -> Rate:
    """Machine first-pass yield: boards whose first inspection was PASS / inspected boards, in [0, 1].

    A WITHHELD board is inspected and did not pass, so yield and defect rate need not add up to 1.

    >>> machine_yield(0, 0).value is None
    True
    """
    return _proportion(passed_boards, inspected_boards, "boards passed at first inspection per inspected board")


def reviewed_yield(
    passed_boards: int, false_call_boards: int, escaped_boards: int, inspected_boards: int, reviewed_boards: int
) -> Rate:
    """First-pass yield after review: false calls counted as PASS, escapes as FAIL, in [0, 1].

    (passed - escaped + false calls) / inspected, all of first inspections. A board that nobody reviewed keeps the
    machine's call, so with few boards reviewed it is close to `machine_yield`.

    Args:
        passed_boards: boards that the machine passed, escaped ones among them.
        false_call_boards: boards called FAIL or WITHHELD that review found good.
        escaped_boards: boards called PASS that review or a later test found bad.
        inspected_boards: all of them.
        reviewed_boards: boards with a disposition; with 0 it is not measured.

    >>> reviewed_yield(180, false_call_boards=12, escaped_boards=2, inspected_boards=200, reviewed_boards=20).value
    0.95
    >>> reviewed_yield(180, 0, 0, inspected_boards=200, reviewed_boards=0).value is None
    True
    """
    unit = "boards good after review per inspected board"
    _counts(
        passed_boards=passed_boards,
        false_call_boards=false_call_boards,
        escaped_boards=escaped_boards,
        inspected_boards=inspected_boards,
        reviewed_boards=reviewed_boards,
    )
    if escaped_boards > passed_boards:
        raise DataError(
            f"expected at most {passed_boards} escaped boards, as many as passed, found {escaped_boards}",
            fix="count both over the same boards and period",
        )
    if false_call_boards + escaped_boards > reviewed_boards:
        raise DataError(
            f"expected at most {reviewed_boards} false calls and escapes, as many as reviewed boards, "
            f"found {false_call_boards + escaped_boards}",
            fix="count them over the same boards and period",
        )
    rate = _proportion(passed_boards - escaped_boards + false_call_boards, inspected_boards, unit)
    return rate if reviewed_boards else replace(rate, value=None, interval=None)


def dpu(defects: int, inspected_boards: int) -> Rate:
    """Defects per unit: defects / inspected boards, from 0 up, with Byar's interval of a Poisson count.

    >>> rate = dpu(30, 20)
    >>> rate.value, [round(limit, 2) for limit in rate.interval]
    (1.5, [1.01, 2.14])
    """
    _counts(defects=defects, inspected_boards=inspected_boards)
    value = defects / inspected_boards if inspected_boards else None
    interval = poisson_interval(defects, inspected_boards)
    return Rate(defects, inspected_boards, value, interval, "defects per inspected board", proportion=False)


def poisson_yield(defects: int, inspected_boards: int) -> Rate:
    """A single step's yield as its defects alone foretell it: exp(-DPU), in [0, 1].

    The share of boards without a defect if defects fall on boards by chance, each for itself (Poisson). Where defects
    come in clusters, more boards than that are free of them. The interval is exp of Byar's limits of the DPU. The
    numerator is defects, so it may exceed the boards. The product of the steps' yields is `rolled_throughput_yield`.

    >>> rate = poisson_yield(30, 200)
    >>> round(rate.value, 4), [round(limit, 4) for limit in rate.interval]
    (0.8607, [0.8072, 0.9038])
    >>> poisson_yield(0, 0).value is None
    True
    """
    per_unit = dpu(defects, inspected_boards)
    unit = "boards without a defect, by exp(-DPU), per inspected board"
    if per_unit.value is None or per_unit.interval is None:
        return replace(per_unit, unit=unit, proportion=True)
    low, high = per_unit.interval
    return replace(per_unit, value=exp(-per_unit.value), interval=(exp(-high), exp(-low)), unit=unit, proportion=True)


def dpmo(defects: int, inspected_boards: int, opportunities_per_board: int | None) -> Rate:
    """Defects per million opportunities: 10^6 x defects / (inspected boards x opportunities per board).

    The interval is Byar's. Opportunities per board come from the product's record; None: unknown, so not measured.

    >>> dpmo(6, 100, 1_200).value
    50.0
    >>> dpmo(6, 100, None).value is None
    True
    """
    _counts(defects=defects, inspected_boards=inspected_boards)
    if opportunities_per_board is None:
        return dpmo_of_products(defects, None)
    _counts(opportunities_per_board=opportunities_per_board)
    return dpmo_of_products(defects, inspected_boards * opportunities_per_board)


def dpmo_of_products(defects: int, opportunities: int | None) -> Rate:
    """DPMO over boards of several products: 10^6 x defects / opportunities, both summed over the same boards.

    Args:
        opportunities: summed over the boards whose product's record has them, and the defects over these boards alone.
            None: unknown, so not measured.

    >>> dpmo_of_products(6, 60 * 1_200 + 40 * 1_200).value
    50.0
    """
    unit = "defects per million opportunities"
    _counts(defects=defects)
    if opportunities is None:
        return Rate(defects, None, None, None, unit, proportion=False)
    _counts(opportunities=opportunities)
    value = PPM * defects / opportunities if opportunities else None
    interval = _per_million(poisson_interval(defects, opportunities))
    return Rate(defects, opportunities, value, interval, unit, proportion=False)


def false_call_rate(false_call_boards: int, boards_reviewed_good: int) -> Rate:
    """Boards called FAIL that review found good / boards reviewed good, in [0, 1].

    Boards that nobody reviewed are in neither count. `false_call_ppm` is the same in PPM.

    >>> rate = false_call_rate(2, 400)
    >>> rate.value, [round(limit, 4) for limit in rate.interval]
    (0.005, [0.0014, 0.018])
    """
    return _proportion(false_call_boards, boards_reviewed_good, "boards falsely called FAIL per board reviewed good")


def false_call_ppm(false_call_boards: int, boards_reviewed_good: int) -> Rate:
    """The false-call rate in PPM: boards called FAIL that review found good per million boards reviewed good.

    >>> rate = false_call_ppm(2, 400)
    >>> rate.value, [round(limit) for limit in rate.interval]
    (5000.0, [1372, 18045])
    """
    rate = false_call_rate(false_call_boards, boards_reviewed_good)
    value = PPM * false_call_boards / boards_reviewed_good if boards_reviewed_good else None
    unit = "boards falsely called FAIL per million boards reviewed good"
    return replace(rate, value=value, interval=_per_million(rate.interval), unit=unit, proportion=False)


def escape_rate(escaped_boards: int, boards_found_bad: int | None) -> Rate:
    """Boards called PASS that review or a later test found bad / boards found bad, in [0, 1].

    Inspection alone cannot know it. Give None for `boards_found_bad` until an escape or an audit is recorded.

    >>> escape_rate(0, None).value is None
    True
    """
    return _proportion(escaped_boards, boards_found_bad, "boards passed though bad per board found bad")


def false_discovery_rate(false_detections: int, reviewed_detections: int) -> Rate:
    """False detections / all reviewed detections, in [0, 1]. It is not the false positive rate.

    >>> false_discovery_rate(5, 20).value
    0.25
    """
    return _proportion(false_detections, reviewed_detections, "false detections per reviewed detection")


def pareto(counts: Mapping[str, int]) -> list[ParetoRow]:
    """Classes by descending count, with their cumulative share; ties by name, classes without defects left out.

    Count confirmed defects or, before review, called ones; false calls do not belong in it.

    >>> [(row.name, row.count, row.cumulative) for row in pareto({"spur": 1, "open": 3, "short": 0})]
    [('open', 3, 0.75), ('spur', 1, 1.0)]
    """
    _counts(**counts)
    total, running, rows = sum(counts.values()), 0, []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count:
            running += count
            rows.append(ParetoRow(name, count, count / total, running / total))
    return rows


def _proportion(part: int, whole: int | None, unit: str) -> Rate:
    if whole is None:
        _counts(numerator=part)
        return Rate(part, None, None, None, unit)
    _counts(numerator=part, denominator=whole)
    if part > whole:
        raise DataError(
            f"expected at most {whole} {unit.split(' per ', maxsplit=1)[0]}, found {part}",
            fix="count both over the same boards and period",
        )
    return Rate(part, whole, part / whole if whole else None, wilson_interval(part, whole), unit)


def _per_million(interval: Interval | None) -> Interval | None:
    return None if interval is None else (PPM * interval[0], PPM * interval[1])


def _counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 0:
            raise DataError(f"expected a count of 0 or more for {name}, found {count}", fix="correct the count")
