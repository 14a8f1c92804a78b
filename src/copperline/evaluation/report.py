"""The report of an evaluation: a folder with a page, its pictures and the figures as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copperline.data.images import read_pair, write_image
from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation import plots
from copperline.evaluation.drawing import pair_panel
from copperline.evaluation.matching import Matches, match
from copperline.evaluation.pages import environment
from copperline.evaluation.predict import BoardImages
from copperline.evaluation.results import Evaluation
from copperline.files import atomic_folder
from copperline.taxonomy import Taxonomy

METRICS_FILE = "metrics.json"
PAGE = "report.html"


def write_report(
    folder: str | os.PathLike[str],
    evaluation: Evaluation,
    detections: Sequence[Detections],
    labels: Sequence[Detections],
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
    images: BoardImages = read_pair,
    *,
    history: Sequence[Mapping[str, Any]] | None = None,
    title: str = "Evaluation report",
    samples: int = 12,
) -> Path:
    """Writes `report.html` (needs no network), `metrics.json` and PNG pictures; replaces an older report at once.

    Args:
        folder: to write; an existing one is only replaced if it holds a `metrics.json`.
        evaluation: of `detections` and `labels`.
        detections: of each board, from the lowest confidence on.
        labels: of the same boards.
        pairs: the same boards, for their ids and images.
        taxonomy: the classes.
        images: reads a board's images; called for the sample boards only, one at a time.
        history: the records of the training, for the learning curves.
        title: of the page.
        samples: boards to show: those with the most errors first, at least a third of them ordinary ones.

    Returns:
        The path of `report.html`.

    Raises:
        DataError: the folder holds something else or cannot be written, or an image cannot be read.
        ValueError: detections, labels and pairs are not of the same boards.
    """
    if not len(detections) == len(labels) == len(pairs):
        raise ValueError(
            f"expected the same boards, found {len(detections)} detections, {len(labels)} labels, {len(pairs)} pairs"
        )
    target = Path(folder)
    limits = evaluation.operating_point.as_array(taxonomy)
    called = [d.called(limits) for d in detections]
    with atomic_folder(target, overwrite=True, marker=METRICS_FILE) as temporary:
        figures = _write_figures(
            temporary, evaluation, match([d.one_per_place() for d in detections], labels), taxonomy, history
        )
        boards = errors_by_board(called, labels, pairs)
        shown = choose_samples(boards, samples)
        for board in shown:
            pair = pairs[board.index]
            test, reference = images(pair)
            panel = pair_panel(test, reference, called[board.index], taxonomy, labels[board.index])
            write_image(temporary / board.picture, panel)
        (temporary / METRICS_FILE).write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")
        page = environment().get_template("report.html.j2")
        html = page.render(title=title, e=evaluation, classes=tuple(taxonomy), figures=figures, samples=shown)
        (temporary / PAGE).write_text(html, encoding="utf-8")
    return target / PAGE


@dataclass(frozen=True)
class _Figure:
    file: str
    title: str
    caption: str


def _write_figures(
    folder: Path,
    evaluation: Evaluation,
    matches: Matches,
    taxonomy: Taxonomy,
    history: Sequence[Mapping[str, Any]] | None,
) -> list[_Figure]:
    thresholds, iou = evaluation.operating_point.thresholds, f"IoU {evaluation.matching_iou:g}"
    drawn = [
        (
            plots.precision_recall_curves(matches, taxonomy, thresholds),
            _Figure("precision_recall.png", "Precision and recall", f"By class, matched at {iou}."),
        ),
        (
            plots.confusion_matrix(evaluation.confusion),
            _Figure(
                "confusion.png",
                "Confusion matrix",
                f"At the operating point, {iou}. A label is first given to a detection of its own class.",
            ),
        ),
        (
            plots.confidence_histogram(matches, taxonomy, thresholds),
            _Figure(
                "confidence.png",
                "Confidence of true and false detections",
                f"On the labelled boards, {iou}. Dashed: the operating point.",
            ),
        ),
    ]
    curves = plots.learning_curves(history or [])
    if curves is not None:
        drawn.append((curves, _Figure("learning.png", "Learning curves", "As training recorded them.")))
    for figure, description in drawn:
        plots.save(figure, folder / description.file)
    return [description for _, description in drawn]


@dataclass(frozen=True)
class BoardErrors:
    """A board and what the operating point makes of it: `index` among the boards, and its labels and detections."""

    index: int
    board_id: str
    labels: int
    found: int
    missed: int
    false: int

    @property
    def picture(self) -> str:
        return f"board_{self.index:05d}.png"


def errors_by_board(
    called: Sequence[Detections], labels: Sequence[Detections], pairs: Sequence[BoardPair]
) -> list[BoardErrors]:
    """Of each board, given what was called on it at the operating point."""
    boards = []
    for index, (pair, found, labelled) in enumerate(zip(pairs, called, labels, strict=True)):
        hits = int(match([found], [labelled]).correct.sum())
        boards.append(BoardErrors(index, pair.board_id, len(labelled), hits, len(labelled) - hits, len(found) - hits))
    return boards


def choose_samples(boards: Sequence[BoardErrors], samples: int) -> list[BoardErrors]:
    """The boards with the most errors, then ordinary ones spread over the data set."""
    wrong = sorted((b for b in boards if b.missed + b.false), key=lambda b: (-(b.missed + b.false), b.index))
    right = [b for b in boards if not b.missed + b.false]
    ordinary = min(len(right), max(samples - len(wrong), -(-samples // 3)))
    worst = wrong[: samples - ordinary]
    return [*worst, *(right[i * len(right) // ordinary] for i in range(ordinary))]
