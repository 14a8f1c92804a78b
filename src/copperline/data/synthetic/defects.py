"""Draws the six defects of a bare board into a golden image, by what they do to its nets, with exact boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.connectivity import copper_labels, keeps_topology, pieces_touched
from copperline.data.synthetic.shapes import GreyImage
from copperline.data.synthetic.sizes import DefectSizes
from copperline.data.synthetic.strokes import Blob, grown, paint_stroke, random_stroke
from copperline.data.synthetic.workpiece import Change, Workpiece
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB

SMALLEST_SIDE = 48
_TRIES = 40  # places that are tried before a defect is left out
_LEAST_NET = 40  # square pixels: less is a speck of the scan, and cutting or bridging it would be no open or short
_LEAST_PIXELS = 16  # square pixels that change at least, to stand out from scan noise
_TYPICAL_LENGTH = 24.0  # pixels, of opens and shorts
_LEAST_DEPTH = 4.0  # pixels that a mousebite or spur reaches in or out at least, to stand out from a rough edge

Box = tuple[int, int, int, int]


def draw_defects(
    golden: GreyImage,
    rng: np.random.Generator,
    *,
    classes: Sequence[int] | None = None,
    sizes: DefectSizes | None = None,
) -> tuple[GreyImage, Detections]:
    """Draws defects into a copy of a golden image.

    Copper is what is darker than 128. After each defect, on the image as drawn:

    - an open has cut one net into two;
    - a short has joined two nets;
    - a mousebite (a notch) and a spur (a protrusion) have neither cut nor joined nor enclosed anything, and would not
      if they were `sizes.clearance` pixels larger;
    - spurious copper is a new net that touches nothing, a pin-hole a new piece of laminate inside copper.

    The boxes do not overlap each other and nothing changes outside of them.

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
    >>> image, labels = draw_defects(golden, np.random.default_rng(1), classes=[0])
    >>> labels.class_ids.tolist(), int(cv2.connectedComponents(255 - image)[0]) - 1
    ([0], 2)
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
    """Tries places until the defect does to the nets what its class says; its box, or None if no place was found."""
    kind = _KINDS[name]
    for _ in range(_TRIES):
        area = sizes.classes[name].sample_area(rng)
        blob = kind.propose(piece, area, sizes, rng)
        change = None if blob is None else piece.change(blob, adds_copper=kind.adds_copper)
        if change is None or cv2.countNonZero(change.pixels) < _LEAST_PIXELS:
            continue
        box = _box_around(change, sizes.classes[name].margins, sizes.margin_jitter, piece.image.shape, rng)
        if not any(_overlap(box, other) for other in others) and kind.accept(piece, change, sizes):
            piece.paint(change, adds_copper=kind.adds_copper)
            return box
    return None


def _box_around(
    change: Change,
    margins: tuple[float, float, float, float],
    jitter: float,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Box:
    left, top, right, bottom = np.maximum(1, np.rint(np.array(margins) + jitter * rng.standard_normal(4))).astype(int)
    x1, y1, x2, y2 = change.bounds()
    return (
        max(0, x1 - int(left)),
        max(0, y1 - int(top)),
        min(shape[1], x2 + int(right)),
        min(shape[0], y2 + int(bottom)),
    )


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


# Each class proposes a blob that is likely to fit, then accepts what the blob really does.


def _propose_across(*, copper: bool) -> Callable[[Workpiece, float, DefectSizes, np.random.Generator], Blob | None]:
    """A stroke across a trace (an open) or across a gap (a short)."""

    def propose(piece: Workpiece, area: float, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
        point = piece.random_middle(rng, of_copper=copper)
        ends = None if point is None else piece.chord(*point, sizes.longest, rng)
        if ends is None:
            return None
        way = ends[1] - ends[0]
        length = float(np.linalg.norm(way))
        along = way / length
        # The board gives the length, so that the area can only choose the width.
        width = float(np.clip(area / _TYPICAL_LENGTH, sizes.least_width, 11.0))
        bend = np.array([-along[1], along[0]]) * float(rng.normal(0, 0.1)) * length
        # It reaches a little beyond both edges, so that it ends on the far side.
        points = np.stack([ends[0] - along * 1.5, ends[0] + way / 2 + bend, ends[1] + along * 1.5])
        return paint_stroke(points, width / 2 * rng.uniform(0.9, 1.25, 3), rng)

    return propose


def _propose_at_edge(*, outward: bool) -> Callable[[Workpiece, float, DefectSizes, np.random.Generator], Blob | None]:
    """A stroke that begins on a copper edge and goes out (a spur) or in (a mousebite)."""

    def propose(piece: Workpiece, area: float, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
        point = piece.random_edge(rng)
        direction = None if point is None else piece.outward(*point)
        if point is None or direction is None:
            return None
        heading = direction + (0 if outward else np.pi)
        start = (point[0] - np.cos(heading), point[1] - np.sin(heading))
        # The part of the stroke behind the edge changes nothing, so that it is drawn a little larger.
        return random_stroke(start, heading + rng.normal(0, 0.45), 1.25 * area, sizes.least_width, rng)

    return propose


def _propose_inside(
    depth: Callable[[Workpiece], npt.NDArray[np.float32]],
) -> Callable[[Workpiece, float, DefectSizes, np.random.Generator], Blob | None]:
    """A stroke wholly within laminate (spurious copper) or within copper (a pin-hole)."""

    def propose(piece: Workpiece, area: float, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
        depths = depth(piece)
        rows = rng.integers(0, depths.shape[0], 64)
        columns = rng.integers(0, depths.shape[1], 64)
        deep = np.flatnonzero(depths[rows, columns] > sizes.least_width / 2 + sizes.clearance)
        if not len(deep):
            return None
        start = (float(columns[deep[0]]), float(rows[deep[0]]))
        return random_stroke(start, float(rng.uniform(0, 2 * np.pi)), area, sizes.least_width, rng)

    return propose


def _accept_open(piece: Workpiece, change: Change, sizes: DefectSizes) -> bool:
    count, labels = piece.labels
    if len(pieces_touched(labels[change.window], grown(change.pixels, sizes.clearance))) != 1:
        return False  # it also touches a neighbour
    if copper_labels(change.after)[0] <= copper_labels(change.before)[0]:
        return False  # not even cut here, so not cut anywhere
    cut = piece.copper.copy()
    cut[change.window] = change.after
    count_after, labels_after = copper_labels(cut)
    ends = pieces_touched(labels_after[change.window], change.pixels)
    return count_after == count + 1 and len(ends) == 2 and _are_nets(labels_after, ends)


def _accept_short(piece: Workpiece, change: Change, sizes: DefectSizes) -> bool:
    _, labels = piece.labels
    ends = pieces_touched(labels[change.window], change.pixels)
    if len(ends) != 2 or pieces_touched(labels[change.window], grown(change.pixels, sizes.clearance)) != ends:
        return False
    return _are_nets(labels, ends)


def _are_nets(labels: npt.NDArray[np.int32], found: set[int]) -> bool:
    return all(cv2.countNonZero(cv2.inRange(labels, label, label)) >= _LEAST_NET for label in found)


def _accept_edge(piece: Workpiece, change: Change, sizes: DefectSizes, *, outward: bool) -> bool:
    depth = piece.laminate_depth if outward else piece.copper_depth
    if depth[change.window][change.pixels > 0].max() < _LEAST_DEPTH:
        return False
    wide = grown(change.pixels, sizes.clearance)
    wide &= 1 - change.before if outward else change.before
    for pixels in (change.pixels, wide):
        if len(pieces_touched(copper_labels(change.before)[1], pixels)) != 1:
            return False
        if not keeps_topology(change.before, change.before ^ pixels):
            return False
    return True


def _accept_inside(_: Workpiece, change: Change, sizes: DefectSizes) -> bool:
    around = grown(change.pixels, sizes.clearance) > 0
    return bool((change.before[around] == change.before[change.pixels > 0][0]).all())


@dataclass(frozen=True, slots=True)
class _Kind:
    adds_copper: bool
    propose: Callable[[Workpiece, float, DefectSizes, np.random.Generator], Blob | None]
    accept: Callable[[Workpiece, Change, DefectSizes], bool]


_KINDS = {
    "open": _Kind(False, _propose_across(copper=True), _accept_open),
    "short": _Kind(True, _propose_across(copper=False), _accept_short),
    "mousebite": _Kind(
        False,
        _propose_at_edge(outward=False),
        lambda piece, change, sizes: _accept_edge(piece, change, sizes, outward=False),
    ),
    "spur": _Kind(
        True,
        _propose_at_edge(outward=True),
        lambda piece, change, sizes: _accept_edge(piece, change, sizes, outward=True),
    ),
    "copper": _Kind(True, _propose_inside(lambda piece: piece.laminate_depth), _accept_inside),
    "pin-hole": _Kind(False, _propose_inside(lambda piece: piece.copper_depth), _accept_inside),
}
