"""One board through one model for Vision Lab: what was said, and the pictures that are shown of it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np

from copperline.dashboard import board_view
from copperline.dashboard.board_view import Picture
from copperline.dashboard.lab_sources import LabBoard
from copperline.data.images import Image, encode_image
from copperline.detections import Detections
from copperline.evaluation import BoardComparison, compare_board, draw_detections
from copperline.evaluation.drawing import bgr, scaled, solid_box
from copperline.inspection import Detector, Trial, Verdict, try_pair
from copperline.inspection.inspect import inspection_of
from copperline.model_info import OperatingPoint
from copperline.runtime import TileProgress
from copperline.taxonomy import Call, Taxonomy

# Of the picture that can be saved: tags stay readable, and any viewer opens it.
_SAVED_PIXELS = 16_000_000
_MOST_TAGS = 250
# A whole-panel pair takes 1.5 GB while it is registered; two at a time could be too much for a laptop.
_LARGE = 32_000_000  # px
_one_large = threading.Lock()


class View(StrEnum):
    """What of the board is shown; the words are the page's."""

    TEST = "Test"
    REFERENCE = "Reference"
    DIFFERENCE = "Difference"
    BEFORE_AFTER = "Before / after"


@dataclass(frozen=True, eq=False, slots=True)
class LabTrial:
    """A board, what the model said of it, and its whole pictures in a size that a browser can show.

    Attributes:
        board: its reference is the registered one.
        trial: holds the same images.
        pictures: by view, except before / after; those that need a reference are missing without one.
        is_reduced: whether the pictures have fewer pixels than the board.
    """

    board: LabBoard
    detector: Detector
    trial: Trial
    pictures: dict[View, Picture]
    is_reduced: bool

    @property
    def width(self) -> int:
        return int(self.trial.test.shape[1])

    @property
    def height(self) -> int:
        return int(self.trial.test.shape[0])

    @property
    def nbytes(self) -> int:
        images = (self.trial.test, self.trial.reference)
        return sum(i.nbytes for i in images if i is not None) + sum(p.nbytes for p in self.pictures.values())

    @property
    def views(self) -> tuple[View, ...]:
        return (View.TEST,) if self.trial.reference is None else tuple(View)

    def pictures_of(self, view: View) -> tuple[Picture, ...]:
        """The whole board; for before / after the registered reference and the test image."""
        if view is View.BEFORE_AFTER:
            return self.pictures[View.REFERENCE], self.pictures[View.TEST]
        return (self.pictures[view],)

    def close_up(self, view: View, window: tuple[int, int, int, int]) -> Picture:
        """Part of the board as it is, pixel by pixel unless the part is itself too large.

        Args:
            view: before / after is shown as the test image.
            window: x1, y1, x2, y2 in px, inside the image.
        """
        x1, y1, x2, y2 = window
        part = slice(y1, y2), slice(x1, x2)
        test, reference = self.trial.test[part], self.trial.reference
        if view is View.DIFFERENCE and reference is not None:
            shown = board_view.difference(test, reference[part])
        else:
            shown = board_view.reduced(reference[part] if view is View.REFERENCE and reference is not None else test)
        return board_view.picture(shown, x2 - x1, y2 - y1, x1, y1)

    def truth(self) -> Detections | None:
        """The labels, if the model's classes are theirs; None where there is nothing to compare with."""
        known = self.board.truth
        if known is None or known.taxonomy.names != self.detector.taxonomy.names:
            return None
        return known.labels

    def compared(self, verdict: Verdict) -> BoardComparison | None:
        """What was called against the labels; None where there is no truth or no call: not measured."""
        truth = self.truth()
        if truth is None or verdict.call is Call.WITHHELD:
            return None
        return compare_board(verdict.detections, truth)

    def json(self, operating_point: OperatingPoint) -> str:
        """As `copperline inspect --json` prints it."""
        at = self.detector.with_operating_point(operating_point)
        verdict = self.trial.verdict(operating_point)
        found = inspection_of(at, self.board.board_id, self.board.test, self.board.reference, verdict)
        return json.dumps(found.to_dict())

    def png(self, verdict: Verdict, taxonomy: Taxonomy, *, labels: bool) -> bytes:
        """The test image with its detections, and the labels dashed, as a PNG file of at most 16 megapixels.

        The most confident ones have tags; finding a free place for thousands would take minutes.
        """
        image = board_view.reduced(self.trial.test, _SAVED_PIXELS)
        scale = image.shape[1] / self.width
        truth = self.truth() if labels else None
        found = _scaled(verdict.detections, scale)
        canvas = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
        for box, class_id in zip(found.boxes[_MOST_TAGS:], found.class_ids[_MOST_TAGS:], strict=True):
            solid_box(canvas, scaled(box, 1), bgr(taxonomy[int(class_id)].colour))
        drawn = draw_detections(canvas, found[:_MOST_TAGS], taxonomy, None if truth is None else _scaled(truth, scale))
        return encode_image(drawn, ".png")


def run_trial(detector: Detector, board: LabBoard, progress: TileProgress | None = None) -> LabTrial:
    """The network on the board, once, and the pictures for the page.

    One large scan at a time; others wait for it. Raises DataError or ModelError.
    """
    golden = None if board.reference is None else board.reference.image
    if board.test.image.size < _LARGE:
        return _run(detector, board, golden, progress)
    with _one_large:
        return _run(detector, board, golden, progress)


def _run(detector: Detector, board: LabBoard, golden: Image | None, progress: TileProgress | None) -> LabTrial:
    trial = try_pair(detector, board.test.image, golden, progress=progress)
    registered = trial.reference
    # The reference as it was sent is not needed any more, and may be as large as the test image.
    reference = board.reference
    if reference is not None and registered is not None:
        reference = replace(reference, image=registered)
    test = board_view.reduced(trial.test)
    height, width = trial.test.shape
    pictures = {View.TEST: board_view.picture(test, width, height)}
    if registered is not None:
        pictures[View.REFERENCE] = board_view.picture(board_view.reduced(registered), width, height)
        pictures[View.DIFFERENCE] = board_view.picture(board_view.difference(trial.test, registered), width, height)
    return LabTrial(replace(board, reference=reference), detector, trial, pictures, test.shape != trial.test.shape)


def _scaled(detections: Detections, scale: float) -> Detections:
    return Detections.of(detections.boxes * scale, detections.class_ids, detections.confidences)
