"""What each confidence threshold would cost: misses against false calls, for a person to choose between.

One threshold for all classes is swept; `choose_operating_point` chooses one for each class by its own rule. Sweep
validation boards, never those of the test split: a threshold that was chosen on them would flatter their figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from copperline.detections import Detections
from copperline.errors import DataError, SettingsError
from copperline.evaluation.matching import MATCHING_IOU, Floats, Integers, match


@dataclass(frozen=True, eq=False)
class ThresholdSweep:
    """Counts at or above each of T thresholds, all classes together.

    Attributes:
        thresholds: (T,) float64, ascending.
        labels: defects on the boards.
        found: (T,) int64, labels found, at an IoU of 0.33 and of the same class.
        false_detections: (T,) int64, detections on the labelled boards that found no label.
        clean_boards: defect-free boards that were inspected; 0: false calls were not measured.
        false_call_boards: (T,) int64, those of them with any detection.
    """

    thresholds: Floats
    labels: int
    found: Integers
    false_detections: Integers
    clean_boards: int
    false_call_boards: Integers

    @property
    def missed(self) -> Integers:
        """(T,) int64, labels not found."""
        return self.labels - self.found

    @property
    def recall(self) -> Floats:
        """(T,) in [0, 1]."""
        recall: Floats = self.found / self.labels
        return recall

    @property
    def precision(self) -> Floats:
        """(T,) in [0, 1]; NaN where nothing is detected."""
        detected = self.found + self.false_detections
        precision: Floats = np.divide(self.found, detected, out=np.full(len(detected), np.nan), where=detected > 0)
        return precision

    @property
    def f_score(self) -> Floats:
        """(T,) in [0, 1]."""
        scores: Floats = 2 * self.found / (self.labels + self.found + self.false_detections)
        return scores

    @property
    def false_call_rate(self) -> Floats:
        """(T,) in [0, 1]; NaN if no defect-free board was inspected."""
        return (
            self.false_call_boards / self.clean_boards if self.clean_boards else np.full(len(self.thresholds), np.nan)
        )

    def cheapest(self, price: float) -> int:
        """Index of the threshold with the lowest cost: missed defects x `price` + false detections + false-call boards.

        Of equal costs the middle of the first run of them, between what to keep and what to drop.

        Args:
            price: what a missed defect costs, in reviews of a false detection; above 0.

        Raises:
            SettingsError: the price is not above 0.
        """
        if not 0 < price < float("inf"):
            raise SettingsError(f"expected a price above 0, found {price}", fix="use 100, for example")
        cost = price * self.missed + self.false_detections + self.false_call_boards
        first = int(cost.argmin())
        later = np.flatnonzero(cost[first:] > cost[first])
        end = first + int(later[0]) if len(later) else len(cost)
        return (first + end - 1) // 2


def sweep_thresholds(
    detections: Sequence[Detections],
    labels: Sequence[Detections],
    clean_detections: Sequence[Detections],
    *,
    floor: float = 0.05,
) -> ThresholdSweep:
    """Counts at every whole per cent from `floor` to 99 %.

    Args:
        detections: of each labelled board, from a confidence at or below `floor` on.
        labels: of the same boards, in the same order.
        clean_detections: of defect-free boards; may be empty.
        floor: lowest threshold, in [0.01, 0.99].

    Raises:
        DataError: there are no labels.
        SettingsError: the floor is out of its range.
        ValueError: detections and labels are not of the same number of boards.
    """
    if not 0.01 <= floor <= 0.99:
        raise SettingsError(f"expected a floor in [0.01, 0.99], found {floor}", fix="use 0.05, for example")
    if not any(map(len, labels)):
        raise DataError("expected labelled defects to sweep thresholds on, found none", fix="give boards with defects")
    grid = np.arange(round(100 * floor), 100) / 100
    matches = match([found.called(grid[0]) for found in detections], labels, MATCHING_IOU)
    correct = matches.correct[0]
    highest = [found.called(grid[0]).confidences.max(initial=-1.0) for found in clean_detections]
    return ThresholdSweep(
        thresholds=grid,
        labels=len(matches.label_images),
        found=_at_or_above(matches.confidences[correct], grid),
        false_detections=_at_or_above(matches.confidences[~correct], grid),
        clean_boards=len(clean_detections),
        false_call_boards=_at_or_above(np.array(highest, np.float32), grid),
    )


def _at_or_above(confidences: np.ndarray, grid: Floats) -> Integers:
    """(T,) how many; in float32 as in `Detections.above`, so that one at its threshold counts in both places."""
    counts: Integers = len(confidences) - np.searchsorted(np.sort(confidences), grid.astype(np.float32), side="left")
    return counts
