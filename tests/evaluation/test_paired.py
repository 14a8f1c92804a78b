from __future__ import annotations

import re
from fractions import Fraction
from itertools import product
from math import exp, lgamma, log

import numpy as np
import pytest

from copperline.detections import Detections
from copperline.errors import SettingsError
from copperline.evaluation import (
    Discordance,
    PairedComparison,
    PairedFigure,
    bootstrap_counts,
    compare_paired,
    evaluate,
    mcnemar_exact,
    verdict,
)
from copperline.model_info import OperatingPoint
from copperline.taxonomy import DEEPPCB

HALF = OperatingPoint.uniform(DEEPPCB, 0.5)
LOWER = OperatingPoint.uniform(DEEPPCB, 0.3)


def coins(only_first: int, only_second: int) -> Fraction:
    """The p-value by definition: every outcome of so many fair coins, counted if no more likely than the one seen."""
    total = only_first + only_second
    seen = abs(2 * only_first - total)
    extreme = sum(abs(2 * sum(faces) - total) >= seen for faces in product((0, 1), repeat=total))
    return Fraction(extreme, 2**total)


@pytest.mark.parametrize("first", range(0, 7))
@pytest.mark.parametrize("second", range(0, 6))
def test_mcnemar_is_the_share_of_outcomes_as_extreme(first: int, second: int) -> None:
    assert mcnemar_exact(first, second) == pytest.approx(float(coins(first, second)), rel=1e-14)


@pytest.mark.parametrize(("first", "second"), [(480, 520), (481, 521), (900, 1100), (2400, 2700), (10_000, 10_000)])
def test_mcnemar_of_many_boards(first: int, second: int) -> None:
    total, least = first + second, min(first, second)
    tail = sum(
        exp(lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) - total * log(2)) for k in range(least + 1)
    )
    assert mcnemar_exact(first, second) == pytest.approx(min(1.0, 2 * tail), rel=1e-8)


def test_mcnemar_needs_counts() -> None:
    with pytest.raises(SettingsError, match="counts of 0 or more"):
        mcnemar_exact(-1, 3)


def models(make_boards, boards: int = 40):  # type: ignore[no-untyped-def]
    """The same boards through two models: the second misses some of what the first finds."""
    detections, labels = make_boards(5, boards, classes=6, decimals=4)
    rng = np.random.default_rng(1)
    weaker = [each[rng.random(len(each)) > 0.15] for each in detections]
    clean = make_boards(6, boards, misses=1.0, invented=1)[0]
    return (detections, weaker), (clean, [each[:0] for each in clean]), labels


def test_figures_are_those_of_the_evaluation(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, clean, labels = models(make_boards)
    compared = compare_paired(detections, clean, labels, DEEPPCB, (HALF, LOWER), resamples=50)
    first, second = (
        evaluate(found, labels, cleans, DEEPPCB, point, resamples=0)
        for found, cleans, point in zip(detections, clean, (HALF, LOWER), strict=True)
    )
    assert set(compared.figures) == {"recall", "precision", "f_score", "false_call_rate", "map50"}
    for name, figure in compared.figures.items():
        before, after = getattr(first, name), getattr(second, name)
        assert (figure.first, figure.second) == (pytest.approx(before), pytest.approx(after))
        assert figure.difference == pytest.approx(after - before)
    assert (compared.boards, compared.labels, compared.clean_boards) == (40, first.labels, 40)
    assert compared.false_calls is not None
    assert compared.false_calls.only_first == first.false_call_boards
    assert compared.false_calls.only_second == 0


def test_the_interval_agrees_with_boards_drawn_one_by_one(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, clean, labels = models(make_boards, 25)
    compared = compare_paired(detections, clean, labels, DEEPPCB, (HALF, HALF), resamples=60, seed=3)
    drawn: dict[str, list[float]] = {name: [] for name in ("recall", "precision", "f_score", "map50")}
    for counts in bootstrap_counts(len(labels), 60, seed=3):
        boards = np.repeat(np.arange(len(labels)), counts)
        first, second = (
            evaluate([found[i] for i in boards], [labels[i] for i in boards], [], DEEPPCB, HALF, resamples=0)
            for found in detections
        )
        for name, differences in drawn.items():
            differences.append(getattr(second, name) - getattr(first, name))
    for name, differences in drawn.items():
        # Copies of a board rank as one in an average precision, which can move it by a hair.
        tolerance = 0.005 if name == "map50" else 1e-12
        assert compared.figures[name].interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=tolerance)
    assert compared.figures["recall"].excludes_zero
    assert compared.figures["recall"].interval[1] < 0


def test_the_interval_does_not_hang_on_the_generator(make_boards) -> None:  # type: ignore[no-untyped-def]
    """Another way to draw: an index for each board, by another generator."""
    detections, clean, labels = models(make_boards, 60)
    compared = compare_paired(detections, clean, labels, DEEPPCB, (HALF, HALF), resamples=2000)
    false_called = np.array([bool(len(each.called(HALF.as_array(DEEPPCB)))) for each in clean[0]])
    index = np.random.RandomState(7).randint(0, 60, (4000, 60))
    low, high = np.quantile(-false_called[index].mean(axis=1), [0.025, 0.975])
    assert compared.figures["false_call_rate"].interval == pytest.approx((low, high), abs=0.02)


def test_a_model_against_itself_differs_in_nothing(make_boards) -> None:  # type: ignore[no-untyped-def]
    (detections, _), (clean, _), labels = models(make_boards, 12)
    compared = compare_paired((detections, detections), (clean, clean), labels, DEEPPCB, (HALF, HALF), resamples=20)
    for figure in compared.figures.values():
        assert (figure.difference, figure.interval, figure.excludes_zero) == (0.0, (0.0, 0.0), False)
    assert (compared.missing_boards.only_first, compared.missing_boards.p_value) == (0, 1.0)


def test_turned_round(make_boards) -> None:  # type: ignore[no-untyped-def]
    detections, clean, labels = models(make_boards, 12)
    there = compare_paired(detections, clean, labels, DEEPPCB, (HALF, LOWER), resamples=20)
    back = compare_paired(detections[::-1], clean[::-1], labels, DEEPPCB, (LOWER, HALF), resamples=20)
    turned = there.reversed()
    assert (turned.false_calls, turned.missing_boards) == (back.false_calls, back.missing_boards)
    for name, figure in back.figures.items():
        assert turned.figures[name].difference == pytest.approx(figure.difference)
        assert turned.figures[name].interval == pytest.approx(figure.interval)


def test_what_has_no_denominator_is_not_measured() -> None:
    nothing = [Detections.empty()] * 3
    compared = compare_paired((nothing, nothing), ([], []), nothing, DEEPPCB, (HALF, HALF), resamples=5)
    assert all((f.first, f.difference, f.interval) == (None, None, None) for f in compared.figures.values())
    assert compared.false_calls is None
    assert "no labelled defect; false calls are not measured" in verdict(compared)


def test_clean_boards_must_be_the_same() -> None:
    nothing = [Detections.empty()]
    with pytest.raises(ValueError, match="found 1 and 0"):
        compare_paired((nothing, nothing), (nothing, []), nothing, DEEPPCB, (HALF, HALF))


def figure(difference: float, low: float, high: float) -> PairedFigure:
    return PairedFigure(first=0.9, second=0.9 + difference, difference=difference, interval=(low, high))


@pytest.mark.parametrize(
    ("recall", "calls", "said"),
    [
        (
            figure(0.008, 0.002, 0.014),
            (3, 2),
            r"finds more: \+0.8 pp recall, interval \+0.2 to \+1.4; fewer false",
        ),
        (figure(-0.02, -0.03, -0.01), (0, 12), "finds less: -2.0 pp recall, interval -3.0 to -1.0; it raises more"),
        (figure(0.001, -0.01, 0.01), (9, 0), "as far as these boards can tell: \\+0.1 pp recall, .*; it raises fewer"),
    ],
)
def test_the_verdict(recall: PairedFigure, calls: tuple[int, int], said: str) -> None:
    none = figure(0.0, 0.0, 0.0)
    compared = PairedComparison(
        boards=400,
        labels=900,
        clean_boards=400,
        figures={"recall": recall, "precision": none, "map50": figure(0.01, 0.005, 0.02), "false_call_rate": none},
        false_calls=Discordance.of(*calls),
        missing_boards=Discordance.of(0, 0),
        resamples=1000,
    )
    assert re.search(said, verdict(compared))
    assert ("What differs beyond chance: mAP50 +1.0 pp" in verdict(compared)) == (not recall.excludes_zero)
    assert "no ground for a promotion" in verdict(compared.model_copy(update={"boards": 12}))
