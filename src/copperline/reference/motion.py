"""Motions of an image: shift, rotation and size about its centre; moving and reducing images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from copperline.data.images import Image
from copperline.detections import FloatArray

Pixels = TypeVar("Pixels", Image, FloatArray)


@dataclass(frozen=True, slots=True)
class Motion:
    """Maps a test pixel to its place in the reference, about the image's centre.

    Pixels are complex numbers x + iy, which makes a rotation a product.
    """

    shift: complex = 0j
    angle: float = 0.0
    log_scale: float = 0.0

    @property
    def turn(self) -> complex:
        """Rotation and scale."""
        return math.exp(self.log_scale) * complex(math.cos(self.angle), math.sin(self.angle))

    def matrix(self, shape: tuple[int, int]) -> FloatArray:
        """(2, 3) affine matrix for an image of `shape`."""
        centre, turn = centre_of(shape), self.turn
        offset = centre + self.shift - turn * centre
        return np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]], np.float32)

    def after_inverse_of(self, step: Motion) -> Motion:
        """This motion composed with the inverse of `step`."""
        rest = Motion(0j, self.angle - step.angle, self.log_scale - step.log_scale)
        return replace(rest, shift=self.shift - step.shift * rest.turn)

    def after(self, first: Motion) -> Motion:
        """`first`, then this motion; both about the same centre.

        >>> Motion(2 + 0j).after(Motion(1j)).shift
        (2+1j)
        """
        shift = self.shift + self.turn * first.shift
        return Motion(shift, self.angle + first.angle, self.log_scale + first.log_scale)

    def about(self, offset: complex) -> Motion:
        """The same motion about a point that lies `offset` from this one's centre.

        >>> Motion(1j, math.pi / 2).about(10 + 0j).shift.real
        -10.0
        """
        return replace(self, shift=self.shift + self.turn * offset - offset)

    def enlarged(self, factor: float) -> Motion:
        """The same motion of an image with `factor` times the pixels a side."""
        return replace(self, shift=self.shift * factor)

    def reach(self, shape: tuple[int, int]) -> float:
        """Upper bound of the distance that any pixel of an image of `shape` moves."""
        return abs(self.shift) + math.hypot(self.angle, math.expm1(self.log_scale)) * math.hypot(*shape) / 2


def centre_of(shape: tuple[int, ...]) -> complex:
    """Of an image of `shape`, px."""
    return complex((shape[1] - 1) / 2, (shape[0] - 1) / 2)


def moved_by(image: Pixels, motion: Motion) -> Pixels:
    """The image with every pixel taken from where `motion` says; beyond the border, the border's pixels go on."""
    height, width = image.shape[:2]
    moved = cv2.warpAffine(
        image,
        motion.matrix((height, width)),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, image.dtype)


def reduction(shape: tuple[int, ...]) -> int:
    """By how much to reduce: 4 keeps traces visible and is fast; less for small images, more for very large ones."""
    return max(1, min(4, min(shape) // 64), math.ceil(max(shape) / 2048))


def reduced(image: Image, factor: int) -> FloatArray:
    """(H // factor, W // factor) float32, by area averaging of an (H, W) uint8 image."""
    height, width = image.shape
    whole = image[: height // factor * factor, : width // factor * factor]
    small = cv2.resize(whole, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
