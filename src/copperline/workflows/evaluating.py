"""Measuring a detector on labelled boards, with reports to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from copperline.data import BoardPair
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.evaluation import ErrorAnalysis, Evaluation, analyse_errors, evaluate, predict_pairs
from copperline.evaluation.error_report import write_error_report
from copperline.evaluation.report import write_report
from copperline.inspection import Detector
from copperline.progress import progress
from copperline.taxonomy import Taxonomy


@dataclass(frozen=True)
class MeasuredDetector:
    """An evaluation with the detections that it was made from, one entry per board.

    Attributes:
        evaluation: of all boards: the official figures.
        taxonomy: the classes.
        pairs: the boards.
        detections: of each board.
        clean_detections: of the clean boards: one for each pair that has a reference, in the order of `pairs`.
    """

    evaluation: Evaluation
    taxonomy: Taxonomy
    pairs: tuple[BoardPair, ...]
    detections: list[Detections]
    clean_detections: list[Detections]

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

    def errors(self) -> ErrorAnalysis:
        """Every error at the operating point, in its kind."""
        return analyse_errors(self.detections, self.pairs, self.taxonomy, self.evaluation.operating_point)

    def write_error_report(self, folder: Path, errors: ErrorAnalysis, *, title: str) -> Path:
        """The folder with the page, the contact sheets and `errors.json`; gives the path of the page."""
        point = self.evaluation.operating_point
        return write_error_report(folder, errors, self.detections, self.pairs, self.taxonomy, point, title=title)

    def without(self, board_ids: Sequence[str]) -> Evaluation:
        """The figures of the other boards, at the same operating point and without intervals.

        For boards whose labels a person found wrong; to be stated beside the official figures, never instead.

        Raises:
            DataError: there is no such board, or no board is left.
        """
        require_boards(self.pairs, board_ids)
        kept = [pair.board_id not in board_ids for pair in self.pairs]
        with_clean = [keep for pair, keep in zip(self.pairs, kept, strict=True) if pair.reference_path is not None]
        figures = evaluate(
            [found for found, keep in zip(self.detections, kept, strict=True) if keep],
            [pair.labels for pair, keep in zip(self.pairs, kept, strict=True) if keep],
            [found for found, keep in zip(self.clean_detections, with_clean, strict=True) if keep],
            self.taxonomy,
            self.evaluation.operating_point,
            resamples=0,
        )
        return figures.model_copy(
            update={"model": self.evaluation.model, "model_version": self.evaluation.model_version}
        )


def require_boards(pairs: Sequence[BoardPair], excluded: Sequence[str]) -> None:
    """Raises DataError if a board to exclude is not among `pairs`, or if none would be left."""
    known = {pair.board_id for pair in pairs}
    unknown = [board_id for board_id in excluded if board_id not in known]
    if unknown:
        raise DataError(
            f"expected ids of boards that are measured, found {', '.join(map(repr, unknown))} to exclude",
            fix=f"name boards of this split as errors.json does, such as {pairs[0].board_id}",
        )
    if known <= set(excluded):
        raise DataError(
            f"expected at least one board to be left, found all {len(known)} excluded", fix="exclude fewer boards"
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
    return MeasuredDetector(named, detector.taxonomy, tuple(pairs), detections, clean)
