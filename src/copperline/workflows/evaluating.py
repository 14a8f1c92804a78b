"""Measuring a detector on labelled boards, with a report to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from copperline.data import BoardPair
from copperline.detections import Detections
from copperline.evaluation import Evaluation, evaluate, predict_pairs
from copperline.evaluation.report import write_report
from copperline.inspection import Detector
from copperline.progress import progress
from copperline.taxonomy import Taxonomy


@dataclass(frozen=True)
class MeasuredDetector:
    """An evaluation with the detections that it was made from, one entry per board."""

    evaluation: Evaluation
    taxonomy: Taxonomy
    pairs: tuple[BoardPair, ...]
    detections: list[Detections]

    def write_report(self, folder: Path, history: Sequence[Mapping[str, float]] | None = None) -> Path:
        """The report folder with its pictures; `history` adds the learning curves."""
        return write_report(
            folder,
            self.evaluation,
            self.detections,
            [pair.labels for pair in self.pairs],
            self.pairs,
            self.taxonomy,
            history=history,
        )


def measure(detector: Detector, pairs: Sequence[BoardPair], *, single: bool = False) -> MeasuredDetector:
    """Inspects labelled boards, and the clean boards made from them, and compares with the labels.

    Args:
        single: inspect the test images alone; a clean board is then the reference itself.
    """
    started = time.perf_counter()
    with progress("Inspecting labelled boards") as report_progress:
        detections = predict_pairs(detector.predict, pairs, single=single, progress=report_progress)
    seconds = time.perf_counter() - started
    with progress("Inspecting clean boards") as report_progress:
        clean = predict_pairs(detector.predict, pairs, single=single, clean=True, progress=report_progress)
    labels = [pair.labels for pair in pairs]
    evaluation = evaluate(detections, labels, clean, detector.taxonomy, detector.operating_point)
    named = evaluation.model_copy(
        update={"seconds": round(seconds, 2), "model": detector.name, "model_version": detector.version}
    )
    return MeasuredDetector(named, detector.taxonomy, tuple(pairs), detections)
