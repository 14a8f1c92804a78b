"""Draws the six defects of a bare board into a golden image, by what they do to its copper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.effects import effect_of_copper, effect_of_etching, grown
from copperline.data.synthetic.proposals import (
    Propose,
    propose_copper,
    propose_mousebite,
    propose_open,
    propose_pin_hole,
    propose_short,
    propose_spur,
)
from copperline.data.synthetic.shapes import GreyImage
from copperline.data.synthetic.sizes import DefectSizes
from copperline.data.synthetic.strokes import Blob
from copperline.data.synthetic.workpiece import Change, Workpiece
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB

SMALLEST_SIDE = 48
_TRIES = 40  # places that are tried before a defect is left out
_LEAST_PIXELS = 14  # square pixels that change at least, to stand out from scan noise
_LEAST_DEPTH = 3.0  # pixels that a mousebite or spur reaches in or out at least, to stand out from a rough edge

Box = tuple[int, int, int, int]


def draw_defects(
    golden: GreyImage,
    rng: np.random.Generator,
    *,
    classes: Sequence[int] | None = None,
    sizes: DefectSizes | None = None,
) -> tuple[GreyImage, Detections]:
    """Draws defects into a copy of a golden image.

    Copper is what is darker than 128. A brush stroke is painted in copper or in laminate where a defect of the class
    may be, and kept if it does there, on the image as drawn so far, what its class says. See `effects`: what counts
    is what can be seen within a few millimetres, as for an inspector.

    - an open has cut a piece of copper into two;
    - a short has joined two pieces, or two arms of one;
    - a mousebite (a notch) and a spur (a protrusion) have neither cut nor joined anything;
    - spurious copper touches nothing, and a pin-hole is wholly inside copper.

    A box is what was painted, whether it can be seen or not, and the margin. The boxes do not overlap each other and
    nothing changes outside of them.

    Args:
        golden: (H, W) uint8, at least 48 px per side; grey or binary, for example a DeepPCB reference.
        rng: source of all randomness; the same state gives the same result.
        classes: class id of each defect to draw, as in `copperline.taxonomy.DEEPPCB`. None draws 3 to 10, all classes
            about equally often. A defect that finds no place is left out, with its label.
        sizes: sizes and box margins; None for the defaults of `DefectSizes`.

    Returns:
        The image with defects, (H, W) uint8, and its labels: whole-pixel boxes, confidence 1.

    Raises:
        DataError: the image is not H x W uint8 or too small, or there is no such class.

    >>> golden = np.full((64, 64), 255, np.uint8)
    >>> golden[:, 24:40] = 0
    >>> image, labels = draw_defects(golden, np.random.default_rng(1), classes=[4])
    >>> labels.class_ids.tolist(), int(cv2.connectedComponents(255 - image)[0]) - 1
    ([4], 2)
    """
    _check_image(golden)
    sizes = sizes or DefectSizes()
    piece = Workpiece(golden)
    placed: list[tuple[Box, int]] = []
    for class_id in _random_classes(rng) if classes is None else _checked_classes(classes):
        box = _draw_one(piece, DEEPPCB[class_id].name, [box for box, _ in placed], sizes, rng)
        if box is not None:
            placed.append((box, class_id))
    return piece.image, Detections.of([box for box, _ in placed], [class_id for _, class_id in placed])


def _check_image(golden: npt.NDArray[np.generic]) -> None:
    if golden.ndim != 2 or golden.dtype != np.uint8:
        raise DataError(
            f"expected a golden image H x W of uint8, found shape {golden.shape} of {golden.dtype}",
            fix="convert it to grey",
        )
    if min(golden.shape) < SMALLEST_SIDE:
        raise DataError(
            f"expected a golden image of at least {SMALLEST_SIDE} px per side, found {golden.shape[1]} x "
            f"{golden.shape[0]}",
            fix="use a larger crop",
        )


def _random_classes(rng: np.random.Generator) -> list[int]:
    shuffled = np.concatenate([rng.permutation(len(_KINDS)) for _ in range(2)])
    return [int(i) for i in shuffled[: rng.integers(3, 11)]]


def _checked_classes(classes: Sequence[int]) -> Sequence[int]:
    for class_id in classes:
        if not 0 <= class_id < len(_KINDS):
            raise DataError(f"expected class ids 0 to {len(_KINDS) - 1}, found {class_id}", fix="see the taxonomy")
    return classes


def _draw_one(
    piece: Workpiece, name: str, others: list[Box], sizes: DefectSizes, rng: np.random.Generator
) -> Box | None:
    """Tries places until a stroke does what the class says; its box, or None if no place was found."""
    kind = _KINDS[name]
    for _ in range(_TRIES):
        stroke = kind.propose(piece, sizes, rng)
        blob = None if stroke is None else stroke.within(*piece.image.shape[::-1])
        if blob is None:
            continue
        box = _box_around(blob, sizes, piece.image.shape, rng)
        if any(_overlap(box, other) for other in others):
            continue
        change = piece.change(blob, adds_copper=kind.adds_copper)
        if _is(name, kind, piece, change, sizes):
            piece.paint(change, adds_copper=kind.adds_copper)
            return box
    return None


def _is(name: str, kind: _Kind, piece: Workpiece, change: Change, sizes: DefectSizes) -> bool:
    """Whether the change is large enough, and a defect of this class: as it is, and a little larger too."""
    if cv2.countNonZero(change.pixels) < _LEAST_PIXELS:
        return False
    if name in ("mousebite", "spur"):
        depth = piece.copper_depth if name == "mousebite" else piece.laminate_depth
        if depth[change.window][change.pixels > 0].max() < _LEAST_DEPTH:
            return False
    wide = grown(change.pixels, sizes.clearance) & (1 - change.before if kind.adds_copper else change.before)
    return all(kind.effect(change.before, pixels) == name for pixels in (change.pixels, wide))


def _box_around(blob: Blob, sizes: DefectSizes, shape: tuple[int, ...], rng: np.random.Generator) -> Box:
    margins = sizes.box_margin + sizes.margin_jitter * rng.standard_normal(4)
    left, top, right, bottom = np.maximum(1, np.rint(margins)).astype(int).tolist()
    x1, y1, x2, y2 = blob.bounds
    return max(0, x1 - left), max(0, y1 - top), min(shape[1], x2 + right), min(shape[0], y2 + bottom)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True, slots=True)
class _Kind:
    adds_copper: bool
    propose: Propose

    @property
    def effect(self) -> Callable[[GreyImage, GreyImage], str | None]:
        return effect_of_copper if self.adds_copper else effect_of_etching


_KINDS = {
    "open": _Kind(False, propose_open),
    "short": _Kind(True, propose_short),
    "mousebite": _Kind(False, propose_mousebite),
    "spur": _Kind(True, propose_spur),
    "copper": _Kind(True, propose_copper),
    "pin-hole": _Kind(False, propose_pin_hole),
}
