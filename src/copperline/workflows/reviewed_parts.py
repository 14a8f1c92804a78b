"""What can be learned from one reviewed image, and what cannot, with the reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from copperline.data import SkippedBoard, decode_image, is_bare
from copperline.data.images import Image
from copperline.data.reviewed import Cut, Finding, JudgedPlace, crops_around, whole_image
from copperline.errors import DataError
from copperline.files import file_name
from copperline.reference import Recipe, condition, register
from copperline.taxonomy import Taxonomy
from copperline.warehouse import pixel_boxes
from copperline.warehouse.reviewed_boards import ReviewedImage, ReviewedPlace

_SMALLEST_BOX = 1.0  # px a side, of what is left of a box inside the image


class LeftOut(StrEnum):
    """Why something that was reviewed is not learned from."""

    IMAGE_GONE = "the image is gone or cannot be read"
    IMAGE_CHANGED = "the image is not the one that was inspected: its SHA-256 differs"
    REFERENCE_GONE = "the reference is gone or cannot be read"
    REFERENCE_CHANGED = "the reference is not the one that was compared with: its SHA-256 differs"
    WITHHELD = "the call was withheld: the reference is not that board's"
    UNJUDGED = "not judged"
    NEAR_UNJUDGED = "too near to a place that was not judged, or to another defect"
    BARE = "nothing is to be seen there: the crop has no contrast"
    UNLOCATED_ESCAPE = "an escape without a box"
    NO_CLASS = "an escape without a class"
    UNKNOWN_CLASS = "of a class that is none of this factory's"
    OUTSIDE = "a box outside the image"
    DISAGREED = "one reviewer found the board good, another a defect on it"
    IN_TEST = "the board is in the split `test` of a data set"
    NO_NAME = "the board's id cannot be a file name"


@dataclass
class Account:
    """What is left out, each with its board."""

    skipped: list[SkippedBoard] = field(default_factory=list)
    counts: Counter[LeftOut] = field(default_factory=Counter)

    def leave_out(self, board: str, why: LeftOut, detail: str = "") -> None:
        self.counts[why] += 1
        self.skipped.append(SkippedBoard(board=board, reason=f"{why}{': ' + detail if detail else ''}"))


@dataclass(frozen=True)
class Part:
    """An image pair as the model saw it, the reference registered, and what to take of it."""

    image: ReviewedImage
    test: Image
    reference: Image | None
    cuts: tuple[Cut, ...]
    whole: bool


def part_of(image: ReviewedImage, taxonomy: Taxonomy, account: Account) -> Part | None:
    """What can be learned from an image; None: nothing, and the account says why."""
    board = image.board_id
    try:
        file_name(board, ".png")
    except DataError:
        account.leave_out(board, LeftOut.NO_NAME)
        return None
    for applies, why in (
        (image.withheld, LeftOut.WITHHELD),
        (image.disagreed, LeftOut.DISAGREED),
        (image.unlocated_escape, LeftOut.UNLOCATED_ESCAPE),
    ):
        if applies:
            account.leave_out(board, why)
            return None
    recipe = Recipe.from_json(image.conditioning)
    test = _read(image.image_path, image.image_sha256, recipe, board, account, reference=False)
    if test is None:
        return None
    reference = None
    if image.reference_path is not None:
        reference = _read(image.reference_path, image.reference_sha256, recipe, board, account, reference=True)
        if reference is None:
            return None
        if reference.shape != test.shape:
            account.leave_out(board, LeftOut.REFERENCE_CHANGED, "it has another size")
            return None
        reference = register(test, reference).reference
    height, width = test.shape
    places = _places(image, taxonomy, width, height, account)
    unjudged = any(place.finding is Finding.UNJUDGED for place in places)
    if image.looked_at and not unjudged:
        return Part(image, test, reference, (whole_image(places, width, height),), whole=True)
    crops, left = crops_around(places, width, height)
    for place in left:
        account.leave_out(board, LeftOut.NEAR_UNJUDGED, f"{place.finding} at {_text(place)}")
    seen = tuple(cut for cut in crops if not is_bare(test[cut.y : cut.y + cut.height, cut.x : cut.x + cut.width]))
    for _ in range(len(crops) - len(seen)):
        account.leave_out(board, LeftOut.BARE)
    return Part(image, test, reference, seen, whole=False) if seen else None


def _places(
    image: ReviewedImage, taxonomy: Taxonomy, width: int, height: int, account: Account
) -> tuple[JudgedPlace, ...]:
    """In pixels, with class ids. A defect that cannot be labelled becomes a place that no crop may hold."""
    found: list[JudgedPlace] = []
    for place in image.places:
        box = _pixels(place, width, height)
        if box is None:
            account.leave_out(image.board_id, LeftOut.OUTSIDE)
            continue
        finding, class_id = place.finding, 0
        if place.defect_class in taxonomy.names:
            class_id = taxonomy.by_name(place.defect_class or "").id
        elif finding is Finding.DEFECT:
            finding = Finding.UNJUDGED
            account.leave_out(image.board_id, LeftOut.UNKNOWN_CLASS, str(place.defect_class))
        if place.finding is Finding.UNJUDGED:
            account.leave_out(image.board_id, LeftOut.UNJUDGED if place.defect_class else LeftOut.NO_CLASS)
        found.append(JudgedPlace(box, finding, class_id))
    return tuple(found)


def _pixels(place: ReviewedPlace, width: int, height: int) -> tuple[float, float, float, float] | None:
    """The box cut to the image; None if nothing of it is left. To a hundredth of a pixel, which is what is stored."""
    x1, y1, x2, y2 = np.round(_pixel_box(place, width, height), 2).tolist()
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    return (x1, y1, x2, y2) if x2 - x1 >= _SMALLEST_BOX and y2 - y1 >= _SMALLEST_BOX else None


def _pixel_box(place: ReviewedPlace, width: int, height: int) -> np.ndarray:
    return np.asarray(pixel_boxes([place.box], width, height)[0])


def _read(
    path: str, sha256: str | None, recipe: Recipe, board: str, account: Account, *, reference: bool
) -> Image | None:
    """(H, W) uint8 as the model was shown it; None if it is not what was inspected any more."""
    gone = LeftOut.REFERENCE_GONE if reference else LeftOut.IMAGE_GONE
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        account.leave_out(board, gone, f"{path} ({error.strerror})")
        return None
    if hashlib.sha256(data).hexdigest() != sha256:
        account.leave_out(board, LeftOut.REFERENCE_CHANGED if reference else LeftOut.IMAGE_CHANGED, path)
        return None
    try:
        return condition(decode_image(data, path, bare_ok=reference), recipe)
    except DataError as error:
        account.leave_out(board, gone, str(error))
        return None


def _text(place: JudgedPlace) -> str:
    return " ".join(f"{value:.0f}" for value in place.box)
