"""Choosing the operating point: per-class confidence thresholds for a target recall with the fewest false calls.

The rule
--------
**What is counted.** Detections, one per place, are matched with the labels of the validation boards (same class, IoU
0.33). For any thresholds that gives the recall (labels found / labels, all classes together), the false detections, the
precision, and the false-call boards (defect-free boards with any detection at or above its threshold).

**Candidates.** Thresholds are whole per cents from `floor` to 99 %, so that people can read and set them. Below
`floor` a detection is noise and is never used to reach a recall. The candidates are

1. every common threshold, the same for all classes, and
2. for a series of prices w of a missed defect (from 1/8 to 256 false detections), the thresholds that minimise
   w x misses + false detections + v x false detections on the defect-free boards, class by class, for v of 1, 10
   and 100.

A class with few labels says little about its own best threshold: with 200 labels one miss is half a per cent of
recall, all that a target of 99.5 % allows. So in step 2 its counts are taken together with those of all classes, scaled
to the weight of `PRIOR_LABELS` labels: a class with few labels falls back to the common threshold, a class with many
follows its own labels, with no jump between.

**Choice.** A candidate is acceptable if its recall is at or above the target and its precision at or above
`min_precision` (a recall bought with arbitrarily many false detections is no operating point). Of the acceptable
ones the choice is that with the fewest false-call boards, then the fewest false detections, then the highest recall.

**If none is acceptable**, the defects that are missing are not detected at any usable confidence, and lowering the
thresholds further would only buy false calls. Then the choice is the highest F-score among the candidates whose
false-call rate is at most 5 % even at the upper end of its 95 % interval, since the next product's boards are not
those of validation; of candidates within 0.005 of it, that with the fewest false-call boards, then the highest F-score.
For the same reason the detections on defect-free boards are shared out evenly among the classes in step 2: they are so
few that it is chance which class they are of, and no class should get a low threshold for not being among them.
With so few defect-free boards that even none would not show this, the rate itself must be at most 5 %. `reached` is
False, and `criterion` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from copperline.detections import Detections
from copperline.errors import DataError, SettingsError
from copperline.evaluation.intervals import wilson_interval
from copperline.evaluation.matching import MATCHING_IOU, Floats, Integers, match
from copperline.model_info import OperatingPoint
from copperline.taxonomy import Taxonomy

PRIOR_LABELS = 200
F_SCORE_TOLERANCE = 0.005
MAX_FALSE_CALL_RATE = 0.05
_PRICES = 2.0 ** np.arange(-3, 8.25, 0.25)
_CLEAN_WEIGHTS = (1, 10, 100)


def choose_operating_point(
    detections: Sequence[Detections],
    labels: Sequence[Detections],
    clean_detections: Sequence[Detections],
    taxonomy: Taxonomy,
    target_recall: float = 0.995,
    iou: float = MATCHING_IOU,
    *,
    floor: float = 0.05,
    min_precision: float = 0.95,
) -> OperatingPoint:
    """Per-class thresholds with recall at or above the target and the fewest false calls; the rule is above.

    Args:
        detections: of the validation boards, with a confidence floor at or below `floor`.
        labels: of the same boards, in the same order.
        clean_detections: of defect-free boards, not necessarily those of the labels; may be empty, then false calls
            are not measured and false detections decide.
        taxonomy: the classes.
        target_recall: in (0, 1].
        iou: at which a detection finds a label.
        floor: lowest threshold that may be chosen, in [0.01, 0.99].
        min_precision: lowest precision that is accepted for the target, in [0, 1].

    Raises:
        DataError: there are no labels.
        SettingsError: an argument is out of its range.
    """
    _check(target_recall, floor, min_precision)
    if not any(map(len, labels)):
        raise DataError(
            "expected labelled defects to choose the operating point on, found none",
            fix="give a validation split with defects",
        )
    grid = np.arange(round(100 * floor), 100) / 100
    detections = [found.called(grid[0]) for found in detections]
    clean_detections = [found.called(grid[0]) for found in clean_detections]
    counts = _count(detections, labels, clean_detections, len(taxonomy), grid, iou)
    candidates = _candidates(counts, counts.clean)
    scores = _score(counts, candidates, clean_detections, grid)
    acceptable = (scores.recall >= target_recall) & (scores.precision >= min_precision)
    if acceptable.any():
        eligible = acceptable
        order = [scores.false_call_boards, scores.false_detections, -scores.recall]
    else:
        candidates = _candidates(counts, counts.clean.mean(axis=0))
        scores = _score(counts, candidates, clean_detections, grid)
        allowed = _allowed_false_calls(len(clean_detections))
        few_false_calls = scores.false_call_boards <= max(allowed, scores.false_call_boards.min())
        best_f_score = scores.f_score[few_false_calls].max()
        eligible = few_false_calls & (scores.f_score >= best_f_score - F_SCORE_TOLERANCE)
        order = [scores.false_call_boards, -scores.f_score]
    index = np.flatnonzero(eligible)
    # np.lexsort takes the first criterion last; remaining ties go to the earlier candidate, a common threshold.
    best = int(index[np.lexsort([key[index] for key in reversed(order)])[0]])

    reached = bool(acceptable.any())
    return OperatingPoint(
        thresholds={c.name: float(grid[candidates[best, c.id]]) for c in taxonomy},
        criterion=_in_words(scores, best, reached, target_recall, min_precision, floor, iou, len(clean_detections)),
        reached=reached,
    )


def _allowed_false_calls(boards: int) -> int:
    """The most false-call boards of `boards` for which the 95 % Wilson interval of the rate ends at 5 %.

    If even none would not show that, those for which the rate itself is at most 5 %.

    >>> _allowed_false_calls(150), _allowed_false_calls(25)
    (2, 1)
    """
    of_none = wilson_interval(0, boards)
    if of_none is None or of_none[1] > MAX_FALSE_CALL_RATE:
        return int(MAX_FALSE_CALL_RATE * boards)
    allowed = 0
    while (
        allowed < boards and (interval := wilson_interval(allowed + 1, boards)) and interval[1] <= MAX_FALSE_CALL_RATE
    ):
        allowed += 1
    return allowed


def _check(target_recall: float, floor: float, min_precision: float) -> None:
    if not 0 < target_recall <= 1:
        raise SettingsError(f"expected a target recall in (0, 1], found {target_recall}", fix="use 0.995, for example")
    if not 0.01 <= floor <= 0.99:
        raise SettingsError(f"expected a floor in [0.01, 0.99], found {floor}", fix="use 0.05, for example")
    if not 0 <= min_precision <= 1:
        raise SettingsError(f"expected a precision in [0, 1], found {min_precision}", fix="use 0.95, for example")


@dataclass(frozen=True, eq=False)
class _Counts:
    """What is at or above each of G thresholds, for each of C classes.

    Attributes:
        labels: (C,) labels.
        found: (C, G) labels found.
        false: (C, G) false detections on the labelled boards.
        clean: (C, G) detections on the defect-free boards.
    """

    labels: Integers
    found: Integers
    false: Integers
    clean: Integers


def _count(
    detections: Sequence[Detections],
    labels: Sequence[Detections],
    clean_detections: Sequence[Detections],
    classes: int,
    grid: Floats,
    iou: float,
) -> _Counts:
    matches = match(detections, labels, iou)
    correct = matches.correct[0]
    clean = Detections.concatenate(list(clean_detections))

    def at_or_above(confidences: np.ndarray, class_ids: Integers) -> Integers:
        ordered = [np.sort(confidences[class_ids == c]) for c in range(classes)]
        # float32 as in `Detections.above`, so that a detection at its threshold counts in both places.
        return np.stack([len(o) - np.searchsorted(o, grid.astype(np.float32), side="left") for o in ordered])

    return _Counts(
        labels=np.bincount(matches.label_classes, minlength=classes),
        found=at_or_above(matches.confidences[correct], matches.detection_classes[correct]),
        false=at_or_above(matches.confidences[~correct], matches.detection_classes[~correct]),
        clean=at_or_above(clean.confidences, clean.class_ids),
    )


def _candidates(counts: _Counts, clean: Integers | Floats) -> Integers:
    """(K, C) indices into the grid: the common thresholds, then the cheapest ones for each price of a miss.

    `clean`: detections on defect-free boards at or above each threshold, (C, G) by class or (G,) shared out.
    """
    classes, steps = counts.found.shape
    common = np.repeat(np.arange(steps)[:, None], classes, axis=1)
    misses = counts.labels[:, None] - counts.found
    prior = PRIOR_LABELS / counts.labels.sum()
    price = _PRICES[:, None, None]
    return np.concatenate(
        [common]
        + [
            _cheapest(price * (misses + prior * misses.sum(axis=0)) + false + prior * false.sum(axis=0))
            for false in (counts.false + weight * clean for weight in _CLEAN_WEIGHTS)
        ]
    )


def _cheapest(cost: Floats) -> Integers:
    """(K, C) from (K, C, G): the middle of the first run of least cost, between what to keep and what to drop."""
    least = cost <= cost.min(axis=2, keepdims=True) + 1e-9
    first = least.argmax(axis=2)
    until_first = np.arange(cost.shape[2]) < first[:, :, None]
    end = np.cumprod(until_first | least, axis=2).sum(axis=2)
    middle: Integers = (first + end - 1) // 2
    return middle


@dataclass(frozen=True, eq=False)
class _Scores:
    """Of K candidates, each (K,); rates in [0, 1], 0 where nothing is detected."""

    labels: int
    found: Integers
    false_detections: Integers
    false_call_boards: Integers
    recall: Floats
    precision: Floats
    f_score: Floats


def _score(counts: _Counts, candidates: Integers, clean_detections: Sequence[Detections], grid: Floats) -> _Scores:
    class_index = np.arange(candidates.shape[1])
    labels = int(counts.labels.sum())
    found = counts.found[class_index, candidates].sum(axis=1)
    false = counts.false[class_index, candidates].sum(axis=1)
    return _Scores(
        labels=labels,
        found=found,
        false_detections=false,
        false_call_boards=_false_call_boards(clean_detections, grid[candidates]),
        recall=found / labels,
        precision=found / np.maximum(found + false, 1),
        f_score=2 * found / (labels + found + false),
    )


def _false_call_boards(clean_detections: Sequence[Detections], thresholds: Floats) -> Integers:
    """(K,) defect-free boards with any detection at or above its threshold; `thresholds` (K, C)."""
    limits = thresholds.astype(np.float32)
    boards = np.zeros(len(limits), dtype=np.int64)
    for found in clean_detections:
        if len(found):
            boards += (found.confidences >= limits[:, found.class_ids]).any(axis=1)
    return boards


def _in_words(
    scores: _Scores,
    best: int,
    reached: bool,
    target_recall: float,
    min_precision: float,
    floor: float,
    iou: float,
    clean_boards: int,
) -> str:
    target = f"recall >= {_per_cent(target_recall)}"
    calls = (
        f"false calls on {scores.false_call_boards[best]} of {clean_boards} defect-free boards"
        if clean_boards
        else "false calls not measured (no defect-free boards)"
    )
    measured = (
        f"recall {_per_cent(scores.recall[best])} ({scores.found[best]} of {scores.labels} labels), "
        f"precision {_per_cent(scores.precision[best])} ({scores.false_detections[best]} false detections), "
        f"F-score {_per_cent(scores.f_score[best])}, {calls}; matched at IoU {iou:g}"
    )
    if reached:
        return f"{target} on validation with the fewest false calls: {measured}"
    highest = scores.recall.max()
    reason = (
        f"the highest recall at thresholds from {floor:g} is {_per_cent(highest)}"
        if highest < target_recall
        else f"it would cost a precision below {_per_cent(min_precision)}"
    )
    return f"{target} was not reached ({reason}), so the highest F-score on validation with few false calls: {measured}"


def _per_cent(value: float) -> str:
    return f"{100 * value:.4g} %"
