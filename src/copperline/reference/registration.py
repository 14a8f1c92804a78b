"""Registration: moving the golden reference onto the test image, and saying how well the two then agree.

Three steps, from coarse to fine, on images reduced by area averaging:

1. phase correlation finds the whole-pixel translation,
2. Gauss-Newton on the squared difference refines translation and rotation to a fraction of a pixel
   (inverse compositional alignment; Baker and Matthews, *Lucas-Kanade 20 Years On*, IJCV 56(3), 2004),
3. the candidate that agrees best wins. The reference is moved only if that improves the agreement: a pair that is
   aligned already passes through untouched.

Only where what is left looks like a change of size, as of a camera that came nearer, or where the two agree badly, that
is tried too: from several sizes, and from an image reduced further to this one, Gauss-Newton refines all four. It is
kept if the two then clearly differ less. A pair that registers without it gives the same pixels as if it was not there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from copperline.data.images import Image, require_same_size
from copperline.detections import FloatArray
from copperline.reference.motion import Motion, moved_by, reduced, reduction

# Chosen on DeepPCB's trainval pairs; what it withholds there, and what not, is in docs/models.md.
WITHHELD_BELOW = 0.6

# A fixture repeats to well within this; a larger shift is more likely the next pattern of a step-and-repeat panel.
_MAX_SHIFT = 0.05  # of the shorter side
_MAX_ROTATION = math.radians(1.5)
# Moving the reference blurs its edges, which costs more than half a pixel of misalignment does.
_MIN_MOTION = 0.5  # px, at the corner that moves most
# Variance below which a difference is scan noise: keeps nearly empty images from being judged on a speck.
_NOISE_VARIANCE = (0.09 * 255) ** 2
_MAX_STEPS = 8
# A size is tried where the residual says that it moves a corner so far, or where the score without is lower, and kept
# where the difference falls to the share. Chosen on DeepPCB's trainval pairs and on drawn boards, see docs/models.md.
_SCALE_ABOVE = 3.0  # px
_SCALE_BELOW = 0.85
_SCALE_KEEPS = 0.9
_MAX_SCALE = 0.025
_HOPELESS_SCALE = 0.2  # from where an estimate does not come back
_COARSEST = 120  # px of the shorter side that coarse images keep
_SCALE_STARTS = (-0.016, -0.008, 0.0, 0.008, 0.016)
_CONVERGED = 0.01  # px of the reduced image


@dataclass(frozen=True, slots=True)
class Registration:
    """A reference that has been moved onto its test image.

    Attributes:
        reference: (H, W) uint8, aligned to the test image; the array that was passed in if it did not need moving.
        shift_x, shift_y: px by which the reference's centre was moved to the right and down.
        rotation: degrees by which it was turned about its centre, clockwise as seen.
        score: how surely the two show the same board, in [0, 1], see `match_score`.
        scale: by which it was enlarged about its centre; 1: it was not.
    """

    reference: Image
    shift_x: float
    shift_y: float
    rotation: float
    score: float
    scale: float = 1.0


def register(test: Image, reference: Image) -> Registration:
    """Moves `reference` onto `test`: a translation up to 5 % of the shorter side, a rotation up to 1.5 degrees, and
    where the two do not agree without it, a change of size up to 2 %.

    Args:
        test: (H, W) uint8 grey.
        reference: (H, W) uint8 grey, the golden image of the same board.

    Raises:
        DataError: the two differ in size.
    """
    require_same_size(test, reference, "reference")
    factor = reduction(test.shape)
    small_test, small_reference = reduced(test, factor), reduced(reference, factor)

    motion = best_motion(small_test, small_reference)
    found = _registration(test, reference, small_test, small_reference, motion, factor)
    size_step = Motion(log_scale=size_left(small_test, small_reference, motion))
    if found.score >= _SCALE_BELOW and size_step.reach(test.shape) <= _SCALE_ABOVE:
        return found
    with_size = best_motion_with_size(small_test, small_reference)
    if with_size is None:
        return found
    sized = _registration(test, reference, small_test, small_reference, with_size, factor)
    clearly_better = _difference(test, sized.reference) <= _SCALE_KEEPS * _difference(test, found.reference)
    return sized if clearly_better and sized.score >= found.score else found


def _registration(
    test: Image,
    reference: Image,
    small_test: FloatArray,
    small_reference: FloatArray,
    motion: Motion,
    factor: int,
) -> Registration:
    """By a motion of the images reduced by `factor`; none if the full images then differ no less."""
    full_motion = motion.enlarged(factor)
    moved = reference
    if full_motion.reach(test.shape) > _MIN_MOTION:
        moved = moved_by(reference, full_motion)
    # What counts in the end is the difference that the detector sees, at full size.
    if _difference(test, moved) >= _difference(test, reference):
        return Registration(reference, 0.0, 0.0, 0.0, match_score(small_test, small_reference))
    # The motion maps test pixels to reference pixels; the reference itself moves the other way.
    shift = -full_motion.shift / full_motion.turn
    return Registration(
        reference=moved,
        shift_x=shift.real,
        shift_y=shift.imag,
        rotation=-math.degrees(full_motion.angle),
        score=match_score(small_test, moved_by(small_reference, motion)),
        scale=math.exp(-full_motion.log_scale),
    )


def moved_alike(image: Image, found: Registration, factor: float = 1.0) -> Image:
    """Another picture of the reference, such as the colour image that it came from, moved as the reference was.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        found: how the reference was moved.
        factor: pixels a side of `image` for each of the reference.
    """
    if (found.shift_x, found.shift_y, found.rotation, found.scale) == (0, 0, 0, 1):
        return image
    motion = Motion(0j, -math.radians(found.rotation), -math.log(found.scale))
    shift = complex(found.shift_x, found.shift_y) * factor
    return moved_by(image, replace(motion, shift=-shift * motion.turn))


def match_score(test: FloatArray, reference: FloatArray) -> float:
    """How surely two aligned images show the same board, in [0, 1].

    The mean of their `agreement` as a whole and of the agreement in places that all but a tenth of the places reach,
    both without the outer 5 %, which a shifted reference leaves empty. Defects are in few places; another board, or a
    turned or mirrored reference that looks much the same, differs in many. Against one of those the network finds
    less than without a reference at all, so the call must be withheld.

    Args:
        test, reference: (H, W) float32 grey of one size.

    >>> stripes = np.kron(np.tile([0, 255], 10), np.ones((80, 4))).astype(np.float32)
    >>> half_wrong = stripes.copy()
    >>> half_wrong[:20] = 255 - half_wrong[:20]
    >>> match_score(stripes, stripes), round(agreement(stripes, half_wrong), 2), match_score(stripes, half_wrong) < 0.5
    (1.0, 0.51, True)
    """
    margin_y, margin_x = (math.ceil(_MAX_SHIFT * side) for side in test.shape)
    inner = slice(margin_y, -margin_y), slice(margin_x, -margin_x)
    test, reference = test[inner], reference[inner]
    return (agreement(test, reference) + float(np.quantile(_local_agreements(test, reference), 0.1))) / 2


def agreement(first: Image | FloatArray, second: Image | FloatArray) -> float:
    """How well two images of one size agree, in [0, 1]: 1 for identical images, about 0 for unrelated ones.

    Lin's concordance correlation coefficient (*Biometrics* 45(1), 1989) with a noise floor C, floored at 0:

        1 - mean((a - b)^2) / (var(a) + var(b) + (mean(a) - mean(b))^2 + C)

    It is corrected for chance (unrelated images score 0 however much background they share), and unlike plain
    correlation it counts differences of contrast and brightness, which the detector's difference channel sees too.
    Two blank images of one brightness agree; a blank and a pattern do not.

    >>> pattern = np.kron([[0, 255], [255, 0]], np.ones((8, 8))).astype(np.uint8)
    >>> agreement(pattern, pattern), agreement(pattern, 255 - pattern), agreement(pattern, pattern[:, ::-1])
    (1.0, 0.0, 0.0)
    """
    (mean_a, deviation_a), (mean_b, deviation_b) = _moments(first), _moments(second)
    squared_difference = cv2.norm(first, second, cv2.NORM_L2SQR) / first.size
    spread = deviation_a**2 + deviation_b**2 + (mean_a - mean_b) ** 2 + _NOISE_VARIANCE
    return max(0.0, 1.0 - squared_difference / spread)


def _local_agreements(first: FloatArray, second: FloatArray) -> FloatArray:
    """(8, 8) float32 in [0, 1]: how well the patterns agree in each of the places that a grid cuts the images into.

    As `agreement`, but each place without its mean brightness: in an empty place that is all there is to differ, and
    a lamp that has aged is no other board.
    """

    def means(values: FloatArray) -> FloatArray:
        return np.asarray(cv2.resize(values, (8, 8), interpolation=cv2.INTER_AREA), np.float32)

    def variances(values: FloatArray) -> FloatArray:
        return np.asarray((means(values * values) - means(values) ** 2).clip(min=0), np.float32)

    spread = variances(first) + variances(second) + _NOISE_VARIANCE
    return np.asarray((1 - variances(first - second) / spread).clip(0, 1), np.float32)


def best_motion(test: FloatArray, reference: FloatArray) -> Motion:
    """The motion with the best agreement among none, the translation and the refined motion."""
    best, best_score = Motion(), agreement(test, reference)
    for estimate in (_translation, _refined):
        motion = estimate(test, reference, best)
        if not _within_limits(motion, test.shape):
            continue
        score = agreement(test, moved_by(reference, motion))
        if score > best_score:
            best, best_score = motion, score
    return best


def best_motion_with_size(test: FloatArray, reference: FloatArray) -> Motion | None:
    """The motion with a change of size that agrees best; None: each that was found goes beyond the limits.

    What is far apart is found on images reduced so far that it is near there.
    """
    levels = [(test, reference)]
    while min(levels[-1][0].shape) >= 2 * _COARSEST and len(levels) < 3:
        levels.append((_halved(levels[-1][0]), _halved(levels[-1][1])))
    coarse_test, coarse_reference = levels.pop()
    best, best_score = None, -1.0
    for log_scale in _SCALE_STARTS:
        start = Motion(log_scale=log_scale)
        shift = _translation(coarse_test, moved_by(coarse_reference, start), start).shift
        for first in (start, replace(start, shift=shift * start.turn)):
            motion = _refined(coarse_test, coarse_reference, first, with_size=True)
            score = agreement(coarse_test, moved_by(coarse_reference, motion))
            if _within_limits(motion, coarse_test.shape) and score > best_score:
                best, best_score = motion, score
    while best is not None and levels:
        finer_test, finer_reference = levels.pop()
        best = _refined(finer_test, finer_reference, best.enlarged(2), with_size=True)
        if not _within_limits(best, finer_test.shape):
            best = None
    return best


def size_left(test: FloatArray, reference: FloatArray, motion: Motion) -> float:
    """What one Gauss-Newton step from `motion` says of a change of size: its logarithm.

    It tells too little where traces lie more than their width apart; there the score is low.
    """
    gradient_x, gradient_y = _gradients(test)
    x, y, inside = _grid(test.shape)
    change = (x * gradient_x + y * gradient_y).ravel() * inside
    residual = (moved_by(reference, motion) - test).ravel()
    return float(change @ residual) / (float(change @ change) + 1.0)


def _within_limits(motion: Motion, shape: tuple[int, int]) -> bool:
    return (
        max(abs(motion.shift.real), abs(motion.shift.imag)) <= _MAX_SHIFT * min(shape)
        and abs(motion.angle) <= _MAX_ROTATION
        and abs(motion.log_scale) <= _MAX_SCALE
    )


def _translation(test: FloatArray, reference: FloatArray, _start: Motion) -> Motion:
    """By phase correlation."""
    # OpenCV 5 multiplies float32 inputs by the window in place, so it is given copies.
    (x, y), _response = cv2.phaseCorrelate(test.copy(), reference.copy(), _hann(test.shape))
    return Motion(complex(x, y))


def _refined(test: FloatArray, reference: FloatArray, start: Motion, *, with_size: bool = False) -> Motion:
    """Least-squares translation and rotation, and change of size if wanted, from `start`."""
    gradient_x, gradient_y = _gradients(test)
    x, y, inside = _grid(test.shape)
    # How each pixel changes with a shift in x, in y, with a rotation about the centre, and with size; 0 near the
    # border, where what enters the image is not known.
    changes = [gradient_x, gradient_y, x * gradient_y - y * gradient_x]
    if with_size:
        changes.append(x * gradient_x + y * gradient_y)
    change = np.stack(changes).reshape(len(changes), -1) * inside
    normal = change @ change.T
    # Damping decides what the image leaves open, such as a shift along parallel traces: no motion.
    normal += np.diag(1e-3 * np.diag(normal) + 1e-3)

    motion = start
    for _ in range(_MAX_STEPS * 2 if with_size else _MAX_STEPS):
        residual = moved_by(reference, motion) - test
        step_x, step_y, *turn_and_scale = np.linalg.solve(normal, change @ residual.ravel())
        step = Motion(complex(step_x, step_y), *map(float, turn_and_scale))
        motion = motion.after_inverse_of(step)
        if abs(motion.log_scale) > _HOPELESS_SCALE:
            break
        if step.reach(test.shape) < _CONVERGED:
            break
    return motion


def _gradients(image: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(H, W) each: grey levels per px to the right and down."""
    x = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    y = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _difference(test: Image, reference: Image) -> float:
    return float(cv2.norm(test, reference, cv2.NORM_L1))


def _halved(image: FloatArray) -> FloatArray:
    height, width = image.shape
    whole = image[: height // 2 * 2, : width // 2 * 2]
    return np.asarray(cv2.resize(whole, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)


@lru_cache(maxsize=8)
def _hann(shape: tuple[int, int]) -> FloatArray:
    return np.asarray(cv2.createHanningWindow((shape[1], shape[0]), cv2.CV_32F), np.float32)


@lru_cache(maxsize=8)
def _grid(shape: tuple[int, int]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """x (1, W) and y (H, 1) from the centre, and a mask (H * W,) that is 0 on the border and 1 inside."""
    height, width = shape
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    inside = np.zeros(shape, np.float32)
    margin_x, margin_y = (math.ceil(_MAX_SHIFT * side) for side in (width, height))
    inside[margin_y : height - margin_y, margin_x : width - margin_x] = 1
    return x, y, inside.ravel()


def _moments(image: Image | FloatArray) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(image)
    return float(mean[0, 0]), float(deviation[0, 0])
