"""Training crops of board pairs.

A board's defects do not care which way up it lies, so every crop is flipped and turned; its reference is never
perfectly registered, so it is shifted a little; the next product's scans have rougher edges, so some images are
binarised anew with noise; some crops have their defects painted over with the reference, so that the network learns
what a good board looks like; some have no reference at all. Some show no defects of their own: the reference takes
the test image's place and has defects drawn into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.drawn import drawn_pair, is_binarised
from copperline.data.synthetic import ScanSettings, binarised_scan
from copperline.detections import Detections
from copperline.taxonomy import DEEPPCB
from copperline.training.config import TrainConfig

Grey = npt.NDArray[np.uint8]

# A box cut by the crop's edge stays a label while this share of it is inside.
KEPT_SHARE = 0.4
# Of a crop's side, for each defect that is drawn: more find no place beside each other.
SIDE_PER_DEFECT = 48


@dataclass(frozen=True, slots=True)
class Crop:
    """One training example.

    Attributes:
        test: (S, S) uint8.
        reference: (S, S) uint8, or None.
        labels: boxes in pixels of the crop.
    """

    test: Grey
    reference: Grey | None
    labels: Detections


def sample_crop(
    rng: np.random.Generator,
    test: Grey,
    reference: Grey | None,
    labels: Detections,
    config: TrainConfig,
    false_calls: Detections | None = None,
) -> Crop:
    """A random crop of a board pair with everything that training does to it.

    Args:
        rng: decides everything; the same state gives the same crop.
        test, reference: (H, W) uint8, the same size.
        labels: defects on `test`.
        false_calls: places of `test` to look at as at defects; they are none.
    """
    size = config.crop_size
    # Not asked where it cannot be so, which leaves the crops of runs without drawn defects as they were.
    drawn = config.drawn > 0 and reference is not None and rng.random() < config.drawn
    around = _some_copper(rng, reference) if drawn and reference is not None else _looked_at(labels, false_calls)
    x, y = _corner(rng, around, test.shape[1], test.shape[0], size, config.near_defect)
    test_crop = _window(test, x, y, size)
    reference_crop = None if reference is None else _window(reference, x, y, size)
    labels = labels.shifted(-x, -y)

    if drawn and reference_crop is not None:
        test_crop, reference_crop, labels = _drawn(rng, reference_crop, config)
    elif reference_crop is not None and rng.random() < config.clean_share:
        test_crop = _painted_over(test_crop, reference_crop, labels.clipped(size, size))
        labels = Detections.empty()
    labels = _cut(labels, size)
    if rng.random() < config.reference_dropout:
        reference_crop = None
    if reference_crop is not None and config.reference_jitter > 0 and (drawn or rng.random() < 0.5):
        reference_crop = _shifted(reference_crop, *rng.uniform(-config.reference_jitter, config.reference_jitter, 2))
    test_crop = _rescanned(rng, test_crop, config.rescan)
    if reference_crop is not None:
        reference_crop = _rescanned(rng, reference_crop, config.rescan)
    return _turned(Crop(test_crop, reference_crop, labels), int(rng.integers(8)))


def _looked_at(labels: Detections, false_calls: Detections | None) -> Detections:
    return labels if not false_calls else Detections.concatenate([labels, false_calls])


def _corner(
    rng: np.random.Generator, labels: Detections, width: int, height: int, size: int, near_defect: float
) -> tuple[int, int]:
    """Top left corner of the crop: around a random defect, or anywhere."""
    free_x, free_y = max(width - size, 0), max(height - size, 0)
    if len(labels) and rng.random() < near_defect:
        x1, y1, x2, y2 = labels.boxes[rng.integers(len(labels))]
        x = rng.uniform(x2 - size, x1) if x2 - x1 < size else x1
        y = rng.uniform(y2 - size, y1) if y2 - y1 < size else y1
        return int(np.clip(round(x), 0, free_x)), int(np.clip(round(y), 0, free_y))
    return int(rng.integers(free_x + 1)), int(rng.integers(free_y + 1))


def _some_copper(rng: np.random.Generator, image: Grey) -> Detections:
    """A random pixel of copper, as a box: a crop of bare laminate gives defects next to nothing to do. Maybe none."""
    rows, columns = rng.integers(image.shape[0], size=64), rng.integers(image.shape[1], size=64)
    found = np.flatnonzero(image[rows, columns] < 128)[:1]
    return Detections.of([[columns[i], rows[i], columns[i] + 1, rows[i] + 1] for i in found], [0] * len(found))


def _window(image: Grey, x: int, y: int, size: int) -> Grey:
    """A copy of the window; an image smaller than the window is continued by its edge."""
    window = image[y : y + size, x : x + size]
    below, right = size - window.shape[0], size - window.shape[1]
    if below or right:
        return np.asarray(cv2.copyMakeBorder(window, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return window.copy()


def _cut(labels: Detections, size: int) -> Detections:
    before = labels.areas()
    boxes = labels.boxes.clip(0, size)
    cut = Detections(boxes, labels.class_ids, labels.confidences)
    return cut[(cut.areas() > KEPT_SHARE * before) & (cut.areas() > 0)]


def _painted_over(test: Grey, reference: Grey, labels: Detections) -> Grey:
    painted = test.copy()
    for x1, y1, x2, y2 in labels.boxes.round().astype(int):
        painted[y1:y2, x1:x2] = reference[y1:y2, x1:x2]
    return painted


def _shifted(image: Grey, dx: float, dy: float) -> Grey:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    moved = cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _drawn(rng: np.random.Generator, golden: Grey, config: TrainConfig) -> tuple[Grey, Grey, Detections]:
    """Test image, reference and labels; as many of them are without defects as of other crops."""
    most = max(golden.shape[0] // SIDE_PER_DEFECT, 1)
    count = 0 if rng.random() < config.clean_share else int(rng.integers(1, most + 1))
    classes = [int(class_id) for class_id in rng.integers(len(DEEPPCB), size=count)]
    pair = drawn_pair(golden, rng, classes=classes, box_margin=config.box_margin)
    return pair.test, pair.reference, pair.labels


def _rescanned(rng: np.random.Generator, image: Grey, share: float) -> Grey:
    """With the probability `share` the image as another scanner would have binarised it; a grey image stays."""
    if rng.random() >= share or not is_binarised(image):
        return image
    return binarised_scan(image, ScanSettings(), rng)


def _turned(crop: Crop, symmetry: int) -> Crop:
    """One of the square's eight symmetries: bit 0 mirrors left-right, bit 1 top-bottom, bit 2 transposes."""
    size = crop.test.shape[0]
    boxes = crop.labels.boxes.copy()
    if symmetry & 1:
        boxes[:, [0, 2]] = size - boxes[:, [2, 0]]
    if symmetry & 2:
        boxes[:, [1, 3]] = size - boxes[:, [3, 1]]
    if symmetry & 4:
        boxes = boxes[:, [1, 0, 3, 2]]
    labels = Detections(boxes, crop.labels.class_ids, crop.labels.confidences)
    reference = None if crop.reference is None else _turned_image(crop.reference, symmetry)
    return Crop(_turned_image(crop.test, symmetry), reference, labels)


def _turned_image(image: Grey, symmetry: int) -> Grey:
    # OpenCV's, because a view with other strides makes everything that follows slow.
    if symmetry & 3:
        image = np.asarray(cv2.flip(image, {1: 1, 2: 0, 3: -1}[symmetry & 3]), np.uint8)
    return np.asarray(cv2.transpose(image), np.uint8) if symmetry & 4 else image
