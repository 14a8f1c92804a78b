"""Taking images into the golden library: candidates are checked against each other before one of them is golden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from copperline.data import decode_image, to_grey
from copperline.data.images import Image
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.files import read_whole
from copperline.inspection import Detector
from copperline.progress import Report
from copperline.reference import WITHHELD_BELOW, Recipe, WhiteImages, condition, register
from copperline.reference.consensus import Consensus, differing_places, find_consensus, sharpness
from copperline.reference.light import unevenness
from copperline.reference.suggestion import already_binarised
from copperline.taxonomy import DefectClass, Severity, Taxonomy

DIFFERENCE = "difference"
"""Class of a suspicion that the detector did not name: the image merely differs there."""

# Against the median of the candidates: how much blunter the edges, how much darker or brighter the image may be.
_LEAST_SHARPNESS = 0.6
_BRIGHTNESS_RATIO = 1.25
# By itself: light over the image, and the share of pixels that hit the end of the scale in a grey image.
_MOST_UNEVEN = 2.0
_MOST_CLIPPED = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """An image that may become golden.

    Attributes:
        path: where it was read from.
        data: bytes of the file.
        image: as it is stored; `conditioned`: (H, W) uint8, by the recipe.
    """

    path: Path
    data: bytes = field(repr=False)
    image: Image = field(repr=False)
    conditioned: Image = field(repr=False)


@dataclass(frozen=True, eq=False, slots=True)
class EarlierVersion:
    """The product's reference so far: its version and (H, W) uint8, conditioned."""

    version: int
    image: Image = field(repr=False)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A place where a candidate differs from what the others show: perhaps a defect of a "golden" board.

    Attributes:
        defect_class: as the detector calls it, or `difference`.
        confidence: of the detector; None for a difference.
        box: x1, y1, x2, y2 in px of the candidate's file.
    """

    defect_class: str
    confidence: float | None
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CheckedCandidate:
    """Attributes:
    path: of the file.
    score: registration score against what it was compared with; None: there was nothing to compare with.
    difference: mean absolute difference from it, grey levels; None likewise.
    suspicions: places that differ, the most confident first.
    warnings: on focus and light, for people.
    """

    path: Path
    score: float | None
    difference: float | None
    suspicions: tuple[Suspicion, ...]
    warnings: tuple[str, ...]

    @property
    def registers(self) -> bool:
        return self.score is None or self.score >= WITHHELD_BELOW

    def to_dict(self) -> dict[str, Any]:
        """As `copperline references add --json` prints it."""
        return {
            "file": str(self.path),
            "registration_score": None if self.score is None else round(self.score, 4),
            "difference": None if self.difference is None else round(self.difference, 2),
            "suspicions": [
                {"class": s.defect_class, "confidence": s.confidence, "box": list(s.box)} for s in self.suspicions
            ],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, eq=False, slots=True)
class Check:
    """What the candidates show of each other.

    Attributes:
        compared_with: `the consensus`, `the other candidate`, `version N`, or None: nothing could be cross-checked.
        candidates: in the order given.
        best: index of the one to take: nothing against it, and closest to what it was compared with.
        consensus: of two or more that register; None otherwise.
    """

    compared_with: str | None
    candidates: tuple[CheckedCandidate, ...]
    best: int
    consensus: Consensus | None

    @property
    def strangers(self) -> tuple[CheckedCandidate, ...]:
        """Candidates that are another board, or turned, or beyond what registration corrects."""
        return tuple(c for c in self.candidates if not c.registers)


def read_candidate(path: Path, recipe: Recipe, white_images: WhiteImages) -> Candidate:
    """Raises DataError if the image cannot be used or conditioned."""
    data = read_whole(path)
    image = decode_image(data, path)
    return Candidate(path, data, image, condition(image, recipe, white_images.of(recipe), where=path))


def check_candidates(
    candidates: Sequence[Candidate],
    detector: Detector,
    scale: float = 1.0,
    earlier: EarlierVersion | None = None,
    progress: Report | None = None,
) -> Check:
    """Compares candidates with what most of them show; a single one with the product's earlier version, if any.

    Two candidates are compared with each other: where they differ, one of them has a defect, and nobody knows which.

    Args:
        candidates: one or more, of one size.
        detector: names what differs, at its operating point.
        scale: of the recipe, so that boxes are told in px of the files.
        earlier: the product's current reference.
        progress: called with (candidates done, candidates in all).

    Raises:
        DataError: the candidates differ in size.
    """
    images = [c.conditioned for c in candidates]
    for candidate in candidates[1:]:
        if candidate.image.shape[:2] != candidates[0].image.shape[:2]:
            raise DataError(
                f"expected an image of the first one's size {_size_text(candidates[0].image)}, found "
                f"{_size_text(candidate.image)}",
                where=candidate.path,
                fix="export all from the same crop",
            )
    consensus = find_consensus(images) if len(images) > 1 else None
    compared_with, standards, typical = _standards(images, consensus, earlier)
    warnings = _warnings(candidates)
    checked = []
    for n, candidate in enumerate(candidates):
        checked.append(_compared(candidate, standards[n], typical[n], detector, scale, warnings[n]))
        if progress is not None:
            progress(n + 1, len(candidates))
    best = min(
        range(len(checked)),
        key=lambda n: (
            not checked[n].registers,
            bool(checked[n].suspicions),
            bool(checked[n].warnings),
            checked[n].difference or 0.0,
        ),
    )
    return Check(compared_with, tuple(checked), best, consensus)


def _standards(
    images: Sequence[Image], consensus: Consensus | None, earlier: EarlierVersion | None
) -> tuple[str | None, list[Image | None], list[float | None]]:
    """What each is compared with, in words and as images, and its typical score with the other candidates."""
    if consensus is not None:
        scores: list[float | None] = [*consensus.typical_scores()]
        if len(images) == 2:
            return "the other candidate", [images[1], images[0]], scores
        return "the consensus", [consensus.image] * len(images), scores
    if earlier is not None and earlier.image.shape == images[0].shape:
        return f"version {earlier.version}", [earlier.image], [None]
    return None, [None], [None]


def _compared(
    candidate: Candidate,
    standard: Image | None,
    typical: float | None,
    detector: Detector,
    scale: float,
    warnings: tuple[str, ...],
) -> CheckedCandidate:
    if standard is None:
        return CheckedCandidate(candidate.path, None, None, (), warnings)
    test = candidate.conditioned
    registered = register(test, standard)
    score = registered.score if typical is None else min(typical, registered.score)
    difference = float(np.abs(test.astype(np.int16) - registered.reference).mean())
    if score < WITHHELD_BELOW:
        return CheckedCandidate(candidate.path, score, difference, (), warnings)
    named = detector(test, registered.reference, registered=True)
    suspicions = [
        Suspicion(detector.taxonomy[int(c)].name, round(float(p), 4), _in_file(box.tolist(), scale))
        for box, c, p in zip(named.boxes, named.class_ids, named.confidences, strict=True)
    ]
    suspicions += [
        Suspicion(DIFFERENCE, None, _in_file(place, scale))
        for place in differing_places(test, registered)
        if not any(_meet(place, box) for box in named.boxes.tolist())
    ]
    return CheckedCandidate(candidate.path, score, difference, tuple(suspicions), warnings)


def suspicions_as_detections(suspicions: Sequence[Suspicion], taxonomy: Taxonomy) -> tuple[Detections, Taxonomy]:
    """For `draw_detections`: a difference is one more class, with confidence 1."""
    widened = Taxonomy(
        (*taxonomy.classes, DefectClass(len(taxonomy), DIFFERENCE, Severity.MINOR, "#6b7280"))
        if DIFFERENCE not in taxonomy.names
        else taxonomy.classes
    )
    return (
        Detections.of(
            [s.box for s in suspicions] or np.empty((0, 4)),
            [widened.by_name(s.defect_class).id for s in suspicions],
            [1.0 if s.confidence is None else s.confidence for s in suspicions],
        ),
        widened,
    )


def _warnings(candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """On focus and light: of images as they were taken, before conditioning hides it."""
    greys = [to_grey(c.image) for c in candidates]
    edges, levels = [sharpness(g) for g in greys], [float(g.mean()) for g in greys]
    told = []
    for grey, edge, level in zip(greys, edges, levels, strict=True):
        notes = []
        if edge < _LEAST_SHARPNESS * median(edges):
            notes.append(f"out of focus: its edges are {edge / median(edges):.2f} times as sharp as the others'")
        ratio = level / max(median(levels), 1.0)
        if not 1 / _BRIGHTNESS_RATIO <= ratio <= _BRIGHTNESS_RATIO:
            notes.append(f"another light: it is {ratio:.2f} times as bright as the others")
        if not already_binarised(grey):
            clipped = float(((grey == 0) | (grey == 255)).mean())
            if clipped > _MOST_CLIPPED:
                notes.append(f"wrongly exposed: {100 * clipped:.0f} % of its pixels are black or saturated")
            light = unevenness(grey, 0.25)
            if light > _MOST_UNEVEN:
                notes.append(f"badly lit: the light differs by {light:.1f} times over the image")
        told.append(tuple(notes))
    return told


def _size_text(image: Image) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _in_file(box: Sequence[float], scale: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(value / scale, 1) for value in box)
    return x1, y1, x2, y2


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
