"""Several images that should be of one golden board: what most of them show, and where one shows something else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.images import Image
from copperline.reference.registration import Registration, moved_alike, register

# Edges of two scans of one board lie up to so many px apart, drill holes too; see copperline/data/drawn.py.
_EDGE_TOLERANCE = 5
# Grey levels that a place must differ by, and its least area in px.
_LEAST_DIFFERENCE = 64
_LEAST_AREA = 40


@dataclass(frozen=True, eq=False, slots=True)
class Consensus:
    """What most of the images show.

    Attributes:
        scores: (N, N) float64, registration score of image j moved onto image i; 1 on the diagonal.
        anchor: index of the image that the others were moved onto: the one that agrees best with them.
        image: (H, W) uint8, the median of all in the anchor's frame.
        registrations: of each image onto the anchor; the anchor's is of itself.
    """

    scores: npt.NDArray[np.float64]
    anchor: int
    image: Image
    registrations: tuple[Registration, ...]

    def typical_scores(self) -> list[float]:
        """For each image the score, both ways, that it reaches with at least half of the others.

        It is low for one that is another board, and for all of them where no half is of one board.
        """
        both = (self.scores + self.scores.T) / 2
        others = ~np.eye(len(both), dtype=bool)
        return [float(np.sort(both[i][others[i]])[(len(both) - 1) // 2]) for i in range(len(both))]

    def median_of(self, images: Sequence[Image], scale: float = 1.0) -> Image:
        """The median of other pictures of the same boards, such as the colour images before conditioning.

        `scale` is by how much the images that were registered are larger than these.
        """
        moved = [moved_alike(i, r, 1 / scale) for i, r in zip(images, self.registrations, strict=True)]
        return _median(moved)


def find_consensus(images: Sequence[Image]) -> Consensus:
    """Registers all pairs of two or more (H, W) uint8 images of one size. Raises DataError if sizes differ."""
    count = len(images)
    found = {(i, j): register(images[i], images[j]) for i in range(count) for j in range(count)}
    scores = np.array([[found[i, j].score for j in range(count)] for i in range(count)])
    np.fill_diagonal(scores, 1.0)
    anchor = int(np.argmax(np.median(scores + scores.T, axis=0) + 1e-6 * (scores + scores.T).mean(axis=0)))
    registrations = tuple(found[anchor, j] for j in range(count))
    return Consensus(scores, anchor, _median([r.reference for r in registrations]), registrations)


def differing_places(test: Image, registered: Registration) -> list[tuple[int, int, int, int]]:
    """Boxes x1, y1, x2, y2 in px of `test` where it differs from its registered reference by more than scans do.

    A place differs where one of the two is brighter or darker than all of the other within 5 px. So rough edges and
    drill shift do not count, and neither does a narrow defect: that is for a detector. Border that the moved reference
    left empty is not compared.

    Args:
        test: (H, W) uint8.
        registered: the reference, moved onto `test`.
    """
    reference = registered.reference
    differs = _beyond(test, reference) | _beyond(reference, test)
    edge = _EDGE_TOLERANCE + math.ceil(_reach(registered, test.shape))
    differs[:edge], differs[-edge:], differs[:, :edge], differs[:, -edge:] = False, False, False, False
    # What the tolerance has eaten from the border of the place is given back, and near places are one.
    side = 2 * _EDGE_TOLERANCE + 1
    grown = cv2.dilate(differs.astype(np.uint8), np.ones((side, side), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(grown)
    boxes = []
    for x, y, width, height, _area in stats[1:count].tolist():
        if int(differs[y : y + height, x : x + width].sum()) >= _LEAST_AREA:
            boxes.append((x, y, x + width, y + height))
    return boxes


def sharpness(grey: Image) -> float:
    """How steep the steepest edges are, per px, relative to the image's contrast: falls with blur, not with light.

    >>> step = np.pad(np.full((40, 40), 200, np.uint8), 20)
    >>> sharpness(step) > 2 * sharpness(cv2.GaussianBlur(step, (0, 0), 3)), sharpness(np.full((9, 9), 7, np.uint8))
    (True, 0.0)
    """
    quiet = cv2.GaussianBlur(grey, (0, 0), 0.7)
    low, high = np.quantile(quiet, (0.02, 0.98))
    if high - low < 1:
        return 0.0
    change = cv2.magnitude(cv2.Sobel(quiet, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(quiet, cv2.CV_32F, 0, 1) / 8)
    return float(np.quantile(change, 0.99) / (high - low))


def _beyond(first: Image, second: Image) -> npt.NDArray[np.bool_]:
    """Where `first` is brighter or darker than all of `second` nearby."""
    side = 2 * _EDGE_TOLERANCE + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    brightest, darkest = cv2.dilate(second, disc).astype(np.int16), cv2.erode(second, disc).astype(np.int16)
    beyond = (first > brightest + _LEAST_DIFFERENCE) | (first < darkest - _LEAST_DIFFERENCE)
    return np.asarray(beyond, np.bool_)


def _reach(registered: Registration, shape: tuple[int, ...]) -> float:
    turn = math.hypot(math.radians(registered.rotation), registered.scale - 1)
    return math.hypot(registered.shift_x, registered.shift_y) + turn * math.hypot(*shape) / 2


def _median(images: Sequence[Image]) -> Image:
    """The lower median where the number is even, so that binarised images stay binarised."""
    stack = np.sort(np.stack(images), axis=0)
    return np.ascontiguousarray(stack[(len(images) - 1) // 2])
