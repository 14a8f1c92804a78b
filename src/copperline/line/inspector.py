"""From what a station hands in to a call that is written: the one way, for the service and the watched folder.

Three steps, so that each can run where it is best: `prepare` beside others on any core, `judge` one board after the
other with all cores in the network, `write` some boards in one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import Engine

from copperline.data import decode_image
from copperline.data.images import require_same_size
from copperline.errors import DataError
from copperline.inspection import DEFAULT_POLICY, CallPolicy, Detector
from copperline.inspection.inspect import ImageFile, Inspection, inspect_files
from copperline.line.documents import InspectionDocument
from copperline.line.references import ReferenceShelf
from copperline.reference import Recipe, WhiteImages, condition
from copperline.stage import Stage
from copperline.warehouse import BoardTold, Event, InspectionRecord, LineResult, RequestKey, Written, write_line_results
from copperline.warehouse.records import Source

INSPECTION_COMPLETED: Final = "inspection.completed"


@dataclass(frozen=True, eq=False, slots=True)
class Submission:
    """A board as a station hands it in.

    Attributes:
        image: bytes of the test image's file.
        image_name: for messages.
        reference: bytes of a golden image's file, used instead of the library's.
        reference_id: of the golden library, used instead of the product's current one.
        revision: of the product.
        recipe: conditioning where the reference is not of the library, whose references have their own; None: none.
        source: `simulated` if line, product or board are made up.
        request: idempotency key; None: none was given.
    """

    board_id: str
    station_id: str
    image: bytes = field(repr=False)
    image_name: str = "image"
    reference: bytes | None = field(default=None, repr=False)
    reference_id: str | None = None
    product_type: str | None = None
    revision: str = ""
    line_id: str | None = None
    panel_id: str | None = None
    recipe: Recipe | None = None
    source: Source = "real"
    request: RequestKey | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A submission whose images are decoded, conditioned and kept on the stage.

    Attributes:
        width, height: px of the test image as it was given; its recipe may have resized it.
    """

    submission: Submission
    test: ImageFile
    reference: ImageFile | None
    reference_id: str | None
    recipe: Recipe
    opportunities: int | None
    width: int
    height: int


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """An inspection that is not written yet, with the class names of its detector."""

    result: LineResult
    document: InspectionDocument
    detector: Detector


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a submission.

    Attributes:
        written: which inspection answers it, and whether this submission made it.
        document: of the inspection that was made for it; None: another one answers it, see the warehouse.
    """

    written: Written
    document: InspectionDocument | None


class LineInspector:
    """Inspects what stations hand in.

    Args:
        detector: may be replaced at any time (`swap`); each board is judged by one, whole.
        engine: the warehouse.
        stage: where images are kept.
        sinks: names of those that are told of every inspection.
        max_pixels: of one image.
        requires_reference: refuse boards that the library has no reference for, instead of judging them by themselves.
    """

    def __init__(
        self,
        detector: Detector,
        engine: Engine,
        stage: Stage,
        *,
        policy: CallPolicy = DEFAULT_POLICY,
        sinks: Sequence[str] = (),
        max_pixels: int | None = None,
        requires_reference: bool = False,
    ) -> None:
        self._detector = detector
        self.engine = engine
        self._white_images = WhiteImages(stage)
        self.references = ReferenceShelf(engine, self._white_images)
        self._stage = stage
        self._policy = policy
        self._sinks = tuple(sinks)
        self._max_pixels = max_pixels
        self._requires_reference = requires_reference

    @property
    def detector(self) -> Detector:
        """That new boards are judged by."""
        return self._detector

    def swap(self, detector: Detector) -> None:
        """From the next board on another model judges; what is being judged ends with the one it began with."""
        self._detector = detector

    def prepare(self, submission: Submission) -> Prepared:
        """Decodes, conditions and keeps the images. Safe to call from several threads.

        Raises:
            DataError: an image cannot be used, the two differ in size, there is no reference where one is needed, or
                the stage cannot be written.
            WarehouseError: there is no reference of that id.
        """
        recipe, golden = submission.recipe or Recipe(), None
        if submission.reference is None:
            if submission.reference_id is not None:
                golden = self.references.get(submission.reference_id)
            elif submission.product_type:
                golden = self.references.find(submission.product_type, submission.revision)
        if golden is not None:
            recipe = golden.recipe
        limit = self._max_pixels
        if limit is not None and recipe.scale > 1:  # what counts is what the recipe makes of the image
            limit = int(limit / recipe.scale**2)
        given = decode_image(submission.image, submission.image_name, max_pixels=limit)
        test = condition(given, recipe, self._white_images.of(recipe), where=submission.image_name)
        reference: ImageFile | None = None
        if submission.reference is not None:
            golden_image = decode_image(submission.reference, "reference", bare_ok=True, max_pixels=limit)
            image = condition(golden_image, recipe, self._white_images.of(recipe), where="reference")
            require_same_size(test, image, "reference")
            stored = self._stage.put(submission.reference)
            reference = ImageFile(stored.path, stored.sha256, image)
        elif golden is not None:
            require_same_size(test, golden.image, f"reference of {golden.record.product_type}")
            reference = ImageFile(Path(golden.record.image_path), golden.record.image_sha256, golden.image)
        elif self._requires_reference:
            raise DataError(
                f"expected a golden reference for product {submission.product_type or 'unknown'}, found none",
                where=submission.image_name,
                fix="add one with `copperline references add`, or send one with the board",
            )
        kept = self._stage.put(submission.image)
        return Prepared(
            submission,
            ImageFile(kept.path, kept.sha256, test),
            reference,
            None if golden is None else golden.record.reference_id,
            recipe,
            None if golden is None else golden.record.opportunities,
            width=given.shape[1],
            height=given.shape[0],
        )

    def judge(self, prepared: Prepared) -> Judged:
        """Registration, network and call; nothing is written. Raises DataError or ModelError."""
        submission, detector = prepared.submission, self._detector
        inspection = inspect_files(detector, submission.board_id, prepared.test, prepared.reference, self._policy)
        record = _in_given_pixels(inspection, prepared).to_record(
            submission.station_id, reference_id=prepared.reference_id, conditioning=prepared.recipe.to_json()
        )
        told = BoardTold(
            line_id=submission.line_id,
            product_type=submission.product_type,
            panel_id=submission.panel_id,
            opportunities=prepared.opportunities,
            source=submission.source,
        )
        document = InspectionDocument.of_record(record, told, detector.taxonomy)
        return Judged(LineResult(record, told, submission.request, self._event(record, document)), document, detector)

    def write(self, judged: Sequence[Judged]) -> tuple[Answer, ...]:
        """Writes them, those of one model in one transaction; gives the answers in order. Raises WarehouseError."""
        answers: dict[int, Answer] = {}
        positions = list(range(len(judged)))
        while positions:
            taxonomy = judged[positions[0]].detector.taxonomy
            same = [p for p in positions if judged[p].detector.taxonomy == taxonomy]
            positions = [p for p in positions if p not in same]
            results = [judged[p].result for p in same]
            written = write_line_results(self.engine, results, taxonomy, sinks=self._sinks)
            for position, outcome in zip(same, written, strict=True):
                answers[position] = Answer(outcome, judged[position].document if outcome.new else None)
        return tuple(answers[p] for p in range(len(judged)))

    def inspect(self, submission: Submission) -> Answer:
        """All three steps for one board. Raises as they do."""
        return self.write([self.judge(self.prepare(submission))])[0]

    def _event(self, record: InspectionRecord, document: InspectionDocument) -> Event | None:
        if not self._sinks:
            return None
        return Event(
            event_id=str(uuid.uuid4()),
            event_type=INSPECTION_COMPLETED,
            occurred_at=record.inspected_at,
            subject=record.board_id,
            payload=document.model_dump_json(),
        )


def _in_given_pixels(inspection: Inspection, prepared: Prepared) -> Inspection:
    """With size and boxes of the image as it was given, which is what the stage has and people look at."""
    if (inspection.width, inspection.height) == (prepared.width, prepared.height):
        return inspection
    verdict = inspection.verdict
    factors = prepared.width / inspection.width, prepared.height / inspection.height
    detections = replace(verdict.detections, boxes=verdict.detections.boxes * np.array(factors * 2, np.float32))
    return replace(
        inspection,
        width=prepared.width,
        height=prepared.height,
        verdict=replace(verdict, detections=detections),
    )
