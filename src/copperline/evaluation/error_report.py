"""The error report: a folder with a page, a contact sheet of each kind of error, and all errors as JSON."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from copperline.data.images import Image, read_pair, write_image
from copperline.data.pairs import BoardPair
from copperline.detections import Detections
from copperline.evaluation.error_analysis import GUESS, ErrorAnalysis, ErrorCase
from copperline.evaluation.error_kinds import NEAR_IOU, TIGHT_IOU, ErrorKind
from copperline.evaluation.error_sheets import contact_sheet, error_tile
from copperline.evaluation.matching import MATCHING_IOU
from copperline.evaluation.pages import environment
from copperline.evaluation.predict import BoardImages
from copperline.files import atomic_folder
from copperline.model_info import OperatingPoint
from copperline.reference.registration import register
from copperline.taxonomy import Taxonomy

ERRORS_FILE = "errors.json"
PAGE = "errors.html"

_MEANING = {
    ErrorKind.MISSED: f"A label for which no detection is left from IoU {NEAR_IOU:g} on. Those that the model saw "
    f"least of come first. Blind: it had nothing of the right class at {100 * GUESS:.0f} % or more, so that no "
    "threshold finds it.",
    ErrorKind.WRONG_CLASS: "The defect is found, its class is not. Surest first. A board fails all the same.",
    ErrorKind.LOOSE_BOX: f"The right class in the right place, but the IoU is only {NEAR_IOU:g} to {MATCHING_IOU:g}: "
    "a missed label and a false detection at once. Loosest first.",
    ErrorKind.DUPLICATE: "A second detection on a label that another detection has. Surest first.",
    ErrorKind.FALSE_ALARM: f"A detection where no label reaches IoU {NEAR_IOU:g}. Surest first: if the first ones show "
    "defects, the labels lack them.",
    ErrorKind.FOUND_LOOSELY: f"Found at the operating point's IoU {MATCHING_IOU:g}, but below the {TIGHT_IOU:g} of "
    "mAP50: no error at the operating point. Loosest first.",
}


@dataclass(frozen=True)
class _Section:
    """What the page says of one kind of error; `picture` is None where there is nothing to show."""

    kind: ErrorKind
    meaning: str
    cases: tuple[ErrorCase, ...]
    shown: tuple[ErrorCase, ...]
    picture: str | None


def write_error_report(
    folder: str | os.PathLike[str],
    analysis: ErrorAnalysis,
    detections: Sequence[Detections],
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
    operating_point: OperatingPoint,
    images: BoardImages = read_pair,
    *,
    title: str = "Error report",
    tiles: int = 60,
    boards: int = 20,
) -> Path:
    """Writes `errors.html` (needs no network), `errors.json` and a PNG for each kind; replaces an older one at once.

    Args:
        folder: to write; an existing one is only replaced if it holds an `errors.json`.
        analysis: of the same detections, boards, taxonomy and operating point.
        detections: of each board, from the lowest confidence on.
        pairs: the same boards, with their labels.
        taxonomy: the classes.
        operating_point: the thresholds in force.
        images: reads a board's images; called once for each board that is shown.
        title: of the page.
        tiles: most pictures of one kind; the page says of how many.
        boards: most rows in the table of boards.

    Returns:
        The path of `errors.html`.

    Raises:
        DataError: the folder holds something else or cannot be written, or an image cannot be read.
    """
    target = Path(folder)
    limits = operating_point.as_array(taxonomy)
    shown = {kind: analysis.of_kind(kind)[:tiles] for kind in ErrorKind}
    with atomic_folder(target, overwrite=True, marker=ERRORS_FILE) as temporary:
        pictures = _tiles([c for cases in shown.values() for c in cases], detections, pairs, taxonomy, limits, images)
        sections = []
        for kind, cases in shown.items():
            every = analysis.of_kind(kind)
            name = f"{kind}.png" if cases else None
            if name is not None:
                heading = f"{kind.words}: {len(cases)} of {len(every)}, worst first; board and its reference"
                sheet = contact_sheet(heading, [pictures[kind, case.number] for case in cases], taxonomy)
                write_image(temporary / name, sheet)
            sections.append(_Section(kind, _MEANING[kind], every, cases, name))
        (temporary / ERRORS_FILE).write_text(analysis.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")
        page = environment().get_template("errors.html.j2")
        html = page.render(
            title=title,
            a=analysis,
            kinds=tuple(ErrorKind),
            counts=analysis.counts(),
            blind=sum(case.blind for case in analysis.of_kind(ErrorKind.MISSED)),
            guess=GUESS,
            classes=tuple(taxonomy),
            thresholds=operating_point.thresholds,
            boards=dict(list(analysis.by_board().items())[:boards]),
            boards_in_all=len(analysis.by_board()),
            group_of={pair.board_id: pair.board_group for pair in pairs},
            sections=sections,
        )
        (temporary / PAGE).write_text(html, encoding="utf-8")
    return target / PAGE


def _tiles(
    cases: Sequence[ErrorCase],
    detections: Sequence[Detections],
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
    limits: npt.NDArray[np.float32],
    images: BoardImages,
) -> dict[tuple[ErrorKind, int], Image]:
    """The picture of each case, board by board, so that each image is read once."""
    of_board = defaultdict(list)
    for case in cases:
        of_board[case.board].append(case)
    pictures = {}
    for board, its_cases in sorted(of_board.items()):
        test, reference = images(pairs[board])
        if reference is not None:
            reference = register(test, reference).reference  # as the model saw it
        called = detections[board].called(limits)
        for case in its_cases:
            tile = error_tile(case, test, reference, called, pairs[board].labels, taxonomy)
            pictures[case.kind, case.number] = tile
    return pictures
