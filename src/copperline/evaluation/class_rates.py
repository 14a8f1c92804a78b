"""Precision and recall of each class at the operating point, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from copperline.evaluation.intervals import Interval, wilson_interval
from copperline.evaluation.results import Evaluation


@dataclass(frozen=True, slots=True)
class ClassRates:
    """One class on the boards of an evaluation.

    Attributes:
        labels: defects of this class.
        found: of them, those that a detection of this class found.
        called: detections of this class.
        precision, recall: found / called and found / labels; None: not measured, nothing was called or labelled.
        precision_interval, recall_interval: their 95 % Wilson intervals. They take every defect for itself, and defects
            of one board are alike: so they are rather too narrow than too wide.
    """

    name: str
    labels: int
    found: int
    called: int
    precision: float | None
    recall: float | None
    precision_interval: Interval | None
    recall_interval: Interval | None


def class_rates(evaluation: Evaluation) -> tuple[ClassRates, ...]:
    """Of each class, in class-id order, from the confusion counts: their diagonal is what was found."""
    counts = evaluation.confusion.counts
    rates = []
    for index, (name, figures) in enumerate(evaluation.per_class.items()):
        found, called = counts[index][index], sum(row[index] for row in counts)
        rates.append(
            ClassRates(
                name=name,
                labels=figures.labels,
                found=found,
                called=called,
                precision=figures.precision,
                recall=figures.recall,
                precision_interval=wilson_interval(found, called),
                recall_interval=wilson_interval(found, figures.labels),
            )
        )
    return tuple(rates)
