"""The verdict on learning curves: each of its rules, and what any curve gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.errors import SettingsError
from copperline.evaluation.convergence import TrainingVerdict, judge_convergence

figures = st.floats(0, 1).map(lambda value: round(value, 3))


def history(values: Sequence[float], losses: Sequence[float] | None = None) -> list[dict[str, float]]:
    losses = losses or [2 / epoch for epoch in range(1, len(values) + 1)]
    return [
        {"epoch": epoch, "loss": loss, "val_map50_95": value, "val_map50": 0.9}
        for epoch, (value, loss) in enumerate(zip(values, losses, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.2, 0.5, 0.6, 0.65, 0.655, 0.656], TrainingVerdict.CONVERGED),
        ([0.2, 0.3, 0.4, 0.5, 0.6, 0.7], TrainingVerdict.STILL_IMPROVING),
        ([0.2, 0.5, 0.7, 0.65, 0.62, 0.6], TrainingVerdict.OVERFITTING),
        ([0.2, 0.5, 0.7, 0.7, 0.6, 0.7], TrainingVerdict.UNSTEADY),
        ([0.2, 0.5, 0.7], TrainingVerdict.TOO_SHORT),
        ([0.0, 0.0, 0.002, 0.001, 0.004, 0.01], TrainingVerdict.TOO_SHORT),
        ([], TrainingVerdict.TOO_SHORT),
    ],
)
def test_each_rule_gives_its_verdict(values: list[float], verdict: TrainingVerdict) -> None:
    assert judge_convergence(history(values)).verdict is verdict


def test_a_fall_while_the_loss_rose_is_no_overfitting() -> None:
    """A run that falls apart learns nothing more about its training boards either."""
    judged = judge_convergence(history([0.2, 0.5, 0.7, 0.65, 0.62, 0.6], [3, 2, 1, 1.5, 2, 3]))
    assert judged.verdict is TrainingVerdict.UNSTEADY
    assert judged.loss_change == pytest.approx(3 / 1.5 - 1)
    assert "the loss rose by 100.0 % meanwhile" in judged.reason


def test_the_figures_that_decided_are_told() -> None:
    judged = judge_convergence(history([0.2, 0.5, 0.7, 0.65, 0.62, 0.6]))
    assert (judged.figure, judged.best, judged.last, judged.best_epoch) == ("mAP50:95", 0.7, 0.6, 3)
    assert str(judged) == (
        "overfitting: mAP50:95 was best in epoch 3, 70.0 %, and ends 10.0 pp below; the loss fell by 33.3 % meanwhile"
    )


def test_epochs_without_validation_do_not_count() -> None:
    sparse = history([0.2, 0.5, 0.6, 0.65, 0.655, 0.656])
    between = [{"epoch": record["epoch"] + 0.5, "loss": 9.0} for record in sparse]
    mixed = sorted([*sparse, *between], key=lambda record: record["epoch"])
    assert judge_convergence(mixed) == judge_convergence(sparse)


def test_what_is_not_finite_counts_as_not_recorded() -> None:
    spoiled = [{"epoch": 1, "loss": 1.0, "val_map50": 0.5, "val_map50_95": math.nan}]
    judged = judge_convergence(spoiled)
    assert (judged.figure, judged.best) == ("mAP50", 0.5)
    assert judge_convergence([{"epoch": 1, "loss": 1.0}]).reason == "the run was never validated"


def test_without_a_loss_there_is_no_word_of_it() -> None:
    bare = [{"epoch": r["epoch"], "val_map50": r["val_map50_95"]} for r in history([0.2, 0.5, 0.7, 0.65, 0.62, 0.6])]
    judged = judge_convergence(bare)
    assert judged.verdict is TrainingVerdict.UNSTEADY
    assert "loss" not in judged.reason


@given(st.lists(figures, min_size=4, max_size=30))
def test_a_plateau_after_any_curve_ends_it(values: list[float]) -> None:
    """Twice as many equal validations as there were before: the last third is flat, and is all that is looked at."""
    top = max([*values, 0.1])
    judged = judge_convergence(history([*values, *[top] * (2 * len(values))]))
    assert judged.verdict is TrainingVerdict.CONVERGED


@given(st.lists(figures, max_size=30), st.floats(0.001, 0.2))
def test_every_curve_gets_one_verdict_and_its_best(values: list[float], tolerance: float) -> None:
    judged = judge_convergence(history(values), tolerance=tolerance)
    assert judged.best == (max(values) if values else None)
    if judged.verdict is TrainingVerdict.OVERFITTING:
        assert judged.best is not None
        assert judged.last is not None
        assert judged.best - judged.last > tolerance
    if judged.best_epoch is not None:
        assert values.index(max(values)) + 1 == judged.best_epoch


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 1.0, math.nan])
def test_a_tolerance_out_of_range_is_refused(tolerance: float) -> None:
    with pytest.raises(SettingsError, match=r"expected a tolerance in \(0, 1\)"):
        judge_convergence([], tolerance=tolerance)
