"""The notebook's pictures, from the product's values."""

from __future__ import annotations

from collections.abc import Sequence

from copperline.data import BoardPair, read_pair
from copperline.data.samples import showing_most_classes
from copperline.evaluation import draw_detections, pair_panel
from copperline.evaluation.drawing import gallery, stacked
from copperline.evaluation.report import choose_samples, errors_by_board
from copperline.taxonomy import Taxonomy
from copperline.workflows.evaluating import MeasuredDetector
from copperline.workflows.notebook.output import Picture

_SIDE = 480  # px of a board in a picture of two columns


def labelled_samples(pairs: Sequence[BoardPair], taxonomy: Taxonomy, number: int = 4) -> Picture:
    """Boards with their labelled defects, two in a row, chosen so that they show as many classes as possible.

    Raises:
        DataError: an image cannot be read.
    """
    chosen = showing_most_classes(pairs, number)
    shown = [
        (
            f"Board {pair.board_id} of {pair.board_group}",
            draw_detections(read_pair(pair)[0], pair.labels, taxonomy, confidences=False, zoom=_zoom(pair)),
        )
        for pair in chosen
    ]
    names = sorted({taxonomy[int(class_id)].name for pair in chosen for class_id in pair.labels.class_ids})
    alt = (
        f"{len(shown)} boards with {sum(len(p.labels) for p in chosen)} labelled defects: {', '.join(names) or 'none'}"
    )
    return Picture.of_image(gallery(shown, columns=2), alt)


def predicted_samples(measured: MeasuredDetector, number: int = 3) -> Picture:
    """Boards beside their references with what was called, those with the most errors first, a third ordinary ones.

    Raises:
        DataError: an image cannot be read.
    """
    limits = measured.evaluation.operating_point.as_array(measured.taxonomy)
    called = [found.called(limits) for found in measured.detections]
    chosen = choose_samples(errors_by_board(called, [pair.labels for pair in measured.pairs], measured.pairs), number)
    rows = []
    for board in chosen:
        pair = measured.pairs[board.index]
        test, reference = read_pair(pair)
        told = f"Board {board.board_id}: {board.found} of {board.labels} found, {board.false} false"
        titles = ("Reference", told)
        found, zoom = called[board.index], _zoom(pair)
        rows.append(pair_panel(test, reference, found, measured.taxonomy, pair.labels, zoom=zoom, titles=titles))
    alt = "; ".join(
        f"board {board.board_id}: {board.found} of {board.labels} defects found, {board.false} false detections"
        for board in chosen
    )
    return Picture.of_image(stacked(rows), alt)


def _zoom(pair: BoardPair) -> float:
    return min(1.0, _SIDE / pair.width)
