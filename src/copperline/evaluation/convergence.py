"""Whether a training run had come to its end: a verdict on its learning curves, by a rule that can be said in words.

The rule
--------
Looked at are the figures on the validation split, over the validations of the run, and the training loss at the same
epochs. The last third of the validations (at least two) is compared with what came before.

1. **Too short**: fewer than `FEWEST` validations, or none above `tolerance`: nothing is found yet. Nothing is said.
2. **Overfitting**: the last validation is more than `tolerance` below the best of the run, the best came before the
   last third, and the loss still fell. The network learns its training boards and loses the others.
3. **Still improving**: the best of the last third is more than `tolerance` above the best before it.
4. **Unsteady**: a validation of the last third is more than `tolerance` below the best of the run.
5. **Converged**: none of these. The whole last third lies within `tolerance` of the best, which it did not raise.

The learning rate of a run falls to almost nothing at its end, so every curve becomes flat there. "Converged" says that
this run had no more to give, not that a longer run, with its slower fall, would find no more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from copperline.errors import SettingsError

FEWEST = 4
TOLERANCE = 0.01
# The first that the run has: mAP50 is near its end long before boxes fit tightly.
FIGURES = ("val_map50_95", "val_map50", "val_ap33")
_WORDS = {"val_map50_95": "mAP50:95", "val_map50": "mAP50", "val_ap33": "AP33"}
_LOSS = "loss"


class TrainingVerdict(StrEnum):
    """What a run's curves say."""

    CONVERGED = "converged"
    STILL_IMPROVING = "still improving"
    OVERFITTING = "overfitting"
    UNSTEADY = "unsteady"
    TOO_SHORT = "too short to say"


@dataclass(frozen=True, slots=True)
class Convergence:
    """The verdict on a run.

    Attributes:
        verdict: by the rule above.
        reason: one sentence with the figures that decided.
        figure: that was looked at, such as `mAP50:95`; None: the run was never validated.
        best, last: of that figure, fractions in [0, 1]; None: never validated.
        best_epoch: where the best was first reached.
        loss_change: of the training loss, from the last validation before the last third to the end, as a fraction;
            None: not recorded, or too short.
    """

    verdict: TrainingVerdict
    reason: str
    figure: str | None = None
    best: float | None = None
    last: float | None = None
    best_epoch: int | None = None
    loss_change: float | None = None

    def __str__(self) -> str:
        return f"{self.verdict.value}: {self.reason}"


def judge_convergence(history: Sequence[Mapping[str, float]], *, tolerance: float = TOLERANCE) -> Convergence:
    """The verdict on a run's history; the rule is above.

    Args:
        history: one record for each epoch, by epoch, as training gives it: `epoch`, `loss`, and in the epochs that were
            validated `val_map50_95` and others. What is not finite counts as not recorded.
        tolerance: the smallest difference of the figure that counts, in (0, 1). Validation on few boards moves by more
            than a hundredth by chance: then take a larger one.

    Raises:
        SettingsError: the tolerance is out of its range.

    >>> curve = [0.20, 0.50, 0.62, 0.65, 0.655, 0.656]
    >>> judged = judge_convergence([{"epoch": i, "loss": 1 + 1 / i, "val_map50": v} for i, v in enumerate(curve, 1)])
    >>> judged.verdict.value, round(judged.loss_change, 3)
    ('converged', -0.067)
    """
    if not 0 < tolerance < 1:
        raise SettingsError(f"expected a tolerance in (0, 1), found {tolerance}", fix=f"use {TOLERANCE}")
    name = next((n for n in FIGURES if any(_finite(record, n) for record in history)), None)
    if name is None:
        return Convergence(TrainingVerdict.TOO_SHORT, "the run was never validated")
    validated = [record for record in history if _finite(record, name)]
    values = [float(record[name]) for record in validated]
    best = max(values)
    at_best = validated[values.index(best)]
    seen = Convergence(
        TrainingVerdict.TOO_SHORT,
        f"{len(values)} validation{'s' if len(values) > 1 else ''}; a verdict needs {FEWEST}",
        figure=_WORDS[name],
        best=best,
        last=values[-1],
        best_epoch=int(at_best.get("epoch", history.index(at_best) + 1)),
    )
    if len(values) < FEWEST:
        return seen
    if best <= tolerance:
        return replace(
            seen, reason=f"{seen.figure} never rose above {_per_cent(tolerance)}: almost nothing is found yet"
        )
    return _judged(seen, values, validated, tolerance)


def _judged(
    seen: Convergence, values: Sequence[float], validated: Sequence[Mapping[str, float]], tolerance: float
) -> Convergence:
    third = max(2, math.ceil(len(values) / 3))
    before, late = values[:-third], values[-third:]
    loss = _change(validated[-third - 1], validated[-1])
    best, last = max(values), values[-1]
    part = f"in the last {third} of {len(values)} validations {seen.figure}"
    if max(before) > max(late) and best - last > tolerance and loss is not None and loss < 0:
        verdict = TrainingVerdict.OVERFITTING
        reason = f"{seen.figure} was best in epoch {seen.best_epoch}, {_per_cent(best)}, and ends "
        reason += f"{_points(best - last)} below"
    elif max(late) - max(before) > tolerance:
        verdict, reason = TrainingVerdict.STILL_IMPROVING, f"{part} still rose by {_points(max(late) - max(before))}"
    elif best - min(late) > tolerance:
        verdict = TrainingVerdict.UNSTEADY
        reason = (
            f"{part} falls up to {_points(best - min(late))} below its best, {_per_cent(best)}, and adds nothing to it"
        )
    else:
        verdict = TrainingVerdict.CONVERGED
        reason = f"{part} stays within {_points(tolerance)} of its best, {_per_cent(best)}, and adds no more to it"
    if loss is not None:
        reason += f"; the loss {'fell' if loss < 0 else 'rose'} by {_per_cent(abs(loss))} meanwhile"
    return replace(seen, verdict=verdict, reason=reason, loss_change=loss)


def _change(earlier: Mapping[str, float], later: Mapping[str, float]) -> float | None:
    """Of the loss, as a fraction of the earlier one."""
    if not (_finite(earlier, _LOSS) and _finite(later, _LOSS)) or earlier[_LOSS] <= 0:
        return None
    return later[_LOSS] / earlier[_LOSS] - 1


def _finite(record: Mapping[str, float], name: str) -> bool:
    return name in record and math.isfinite(record[name])


def _per_cent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:.1f} pp"
