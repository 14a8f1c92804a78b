"""One board: from its images to a call."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from copperline.data.images import Image, require_same_size
from copperline.data.scans import decode_grey
from copperline.data.statistics import grey_levels
from copperline.detections import Detections
from copperline.inspection.detector import Detector, as_grey
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy, decide
from copperline.inspection.scans import TileSummary, look_at_scan
from copperline.reference import register
from copperline.reference.scan_registration import require_similar_size
from copperline.runtime import Selection, TileProgress
from copperline.stage import Location, is_url, name_of, read_bytes
from copperline.taxonomy import Call, Taxonomy
from copperline.warehouse import InspectionRecord, inspection_id_for


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector and the policy say of one image pair.

    Attributes:
        call: PASS, FAIL or WITHHELD.
        registration_score: in [0, 1]; None without a reference.
        latency_ms: from decoded images to the call: grey levels, registration, network, decision.
        detections: those that passed the operating point; none if the call is WITHHELD.
        brightness, contrast: of the test image, whatever the call: see `GreyLevels`.
        tiles: how an image that is so large that it is inspected in tiles was looked at; None for any other.
    """

    call: Call
    registration_score: float | None
    latency_ms: float
    detections: Detections
    brightness: float
    contrast: float
    tiles: TileSummary | None = None


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image with the bytes' SHA-256, so that a row names exactly what was inspected."""

    path: Location
    sha256: str
    image: Image


@dataclass(frozen=True, slots=True)
class Inspection:
    """One image pair through one model version: the verdict and all that is needed to trace it.

    Attributes:
        inspected_at: UTC.
        operating_point: JSON text.
        width, height: of the test image in px.
        taxonomy: of the detections' class ids.
    """

    board_id: str
    inspected_at: datetime
    model_name: str
    model_version: str
    operating_point: str
    image_path: Location
    image_sha256: str
    reference_path: Location | None
    reference_sha256: str | None
    width: int
    height: int
    verdict: Verdict
    taxonomy: Taxonomy

    def to_dict(self) -> dict[str, Any]:
        """As `copperline inspect --json` prints it."""
        score, tiles = self.verdict.registration_score, self.verdict.tiles
        return {
            "board_id": self.board_id,
            "image": str(self.image_path),
            "reference": None if self.reference_path is None else str(self.reference_path),
            "model": self.model_name,
            "model_version": self.model_version,
            "call": self.verdict.call.value,
            "registration_score": None if score is None else round(score, 4),
            "latency_ms": round(self.verdict.latency_ms, 2),
            "brightness": round(self.verdict.brightness, 2),
            "contrast": round(self.verdict.contrast, 2),
            "detections": self.verdict.detections.to_dicts(self.taxonomy),
            **({} if tiles is None else {"tiles": tiles.to_dict()}),
        }

    def to_record(
        self, station_id: str, *, reference_id: str | None = None, conditioning: str | None = None
    ) -> InspectionRecord:
        """The row, with an id that is the same each time these images are inspected in this way.

        `reference_id` is of the golden library, `conditioning` the JSON text of the images' recipe.
        """
        return InspectionRecord(
            inspection_id=inspection_id_for(
                self.board_id,
                self.image_sha256,
                self.reference_sha256,
                self.model_name,
                self.model_version,
                self.operating_point,
                conditioning,
            ),
            board_id=self.board_id,
            inspected_at=self.inspected_at,
            station_id=station_id,
            model_name=self.model_name,
            model_version=self.model_version,
            operating_point=self.operating_point,
            image_path=str(self.image_path),
            image_sha256=self.image_sha256,
            reference_path=None if self.reference_path is None else str(self.reference_path),
            reference_sha256=self.reference_sha256,
            registration_score=self.verdict.registration_score,
            call=self.verdict.call,
            latency_ms=self.verdict.latency_ms,
            width=self.width,
            height=self.height,
            detections=self.verdict.detections,
            brightness=self.verdict.brightness,
            contrast=self.verdict.contrast,
            reference_id=reference_id,
            conditioning=conditioning,
        )


def inspect_image(
    detector: Detector,
    image_path: str | os.PathLike[str],
    reference_path: str | os.PathLike[str] | None = None,
    *,
    board_id: str | None = None,
    policy: CallPolicy = DEFAULT_POLICY,
    skip_equal: bool = True,
    progress: TileProgress | None = None,
) -> Inspection:
    """Inspects one image file.

    Args:
        detector: model and operating point.
        image_path: the test image, a path or a URL.
        reference_path: the golden image of the same board; without one the test image is judged by itself.
        board_id: default: the file's name without its suffix and without `_test`.
        policy: what fails a board.
        skip_equal, progress: see `inspect_arrays`.

    Raises:
        DataError: a file is missing or not a usable image, the two images differ in size, or there is not enough
            memory for them.
    """
    test = read_file(image_path)
    reference = None if reference_path is None else read_file(reference_path)
    return inspect_files(
        detector, board_id or board_id_of(test.path), test, reference, policy, skip_equal=skip_equal, progress=progress
    )


def inspect_files(
    detector: Detector,
    board_id: str,
    test: ImageFile,
    reference: ImageFile | None,
    policy: CallPolicy = DEFAULT_POLICY,
    *,
    skip_equal: bool = True,
    progress: TileProgress | None = None,
) -> Inspection:
    """As `inspect_image`, with files that are read already."""
    if reference is not None:
        require = require_similar_size if detector.looks_in_tiles(test.image) else require_same_size
        require(test.image, reference.image, reference.path)
    golden = None if reference is None else reference.image
    verdict = inspect_arrays(detector, test.image, golden, policy, skip_equal=skip_equal, progress=progress)
    return inspection_of(detector, board_id, test, reference, verdict)


def inspection_of(
    detector: Detector, board_id: str, test: ImageFile, reference: ImageFile | None, verdict: Verdict
) -> Inspection:
    """The inspection that came to `verdict` just now."""
    height, width = test.image.shape[:2]
    return Inspection(
        board_id=board_id,
        inspected_at=datetime.now(UTC),
        model_name=detector.name,
        model_version=detector.version,
        operating_point=detector.operating_point_json,
        image_path=test.path,
        image_sha256=test.sha256,
        reference_path=None if reference is None else reference.path,
        reference_sha256=None if reference is None else reference.sha256,
        width=width,
        height=height,
        verdict=verdict,
        taxonomy=detector.taxonomy,
    )


def inspect_arrays(
    detector: Detector,
    test: Image,
    reference: Image | None = None,
    policy: CallPolicy = DEFAULT_POLICY,
    *,
    skip_equal: bool = True,
    progress: TileProgress | None = None,
) -> Verdict:
    """Inspects one image pair in memory: (H, W) uint8 grey or (H, W, 3) BGR each.

    An image that is so large that it is inspected in tiles is registered tile by tile. Its registration score is the
    lowest of all tiles: where one cannot be judged, the board cannot.

    Args:
        skip_equal: tiles that equal their reference are not looked at by the network, see `equals_reference`.
        progress: called with (tiles done, tiles in all) where the image is inspected in tiles.

    Raises:
        DataError: an image is of another shape or type, or the two differ in size.
    """
    start = time.perf_counter()
    test = as_grey(test, "test image")
    reference = None if reference is None else as_grey(reference, "reference")
    levels = grey_levels(test)
    tiles = None
    if detector.looks_in_tiles(test):
        selection = Selection(floor=detector.floor)
        found = look_at_scan(
            detector.model,
            test,
            reference,
            selection,
            withheld_below=policy.withheld_below,
            skip_equal=skip_equal,
            progress=progress,
        )
        score, tiles = found.registration_score, found.summary
        detections = found.detections.called(detector.operating_point.as_array(detector.taxonomy))
    else:
        registration = None if reference is None else register(test, reference)
        golden, score = (None, None) if registration is None else (registration.reference, registration.score)
        detections = detector(test, golden, registered=True) if policy.registers(score) else Detections.empty()
    call = decide(detections, score, detector.taxonomy, policy)
    latency = (time.perf_counter() - start) * 1e3
    return Verdict(call, score, latency, detections, levels.brightness, levels.contrast, tiles)


def read_file(location: str | os.PathLike[str]) -> ImageFile:
    """Reads and decodes an image once, with the hash of just those bytes; a URL is read from its store.

    Raises:
        DataError: the file cannot be read, or is not a usable image.
        StageError: the store that the URL names cannot be reached.
    """
    path: Location = os.fspath(location) if is_url(location) else Path(location)
    data = read_bytes(path)
    return ImageFile(path, hashlib.sha256(data).hexdigest(), decode_grey(data, path))


def board_id_of(image: Location) -> str:
    """The board that a file name stands for.

    >>> board_id_of(Path("line2/20085000_test.jpg")), board_id_of("s3://boards/AX7-0001.png")
    ('20085000', 'AX7-0001')
    """
    return PurePath(name_of(image)).stem.removesuffix("_test")
