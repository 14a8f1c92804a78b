"""Makes a drawn board look scanned: misregistered, with rough edges, binarised, and compressed as JPEG.

Scan noise moves an edge by less than two pixels: a few of the smallest mousebites drown in it, nothing larger does.
Misregistration and drill shift come on top, between test and reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from copperline.data.synthetic.shapes import GreyImage

# Together 110 grey levels: a step blurred by the default greatest sigma, 1.3 px, then crosses the threshold at most
# 1.5 sigma = 1.9 px away, and far from any edge, where the image is 0 or 255, nothing crosses it.
_MOST_NOISE = 85.0
_MOST_EXPOSURE = 25.0


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """How a scan differs from the drawing.

    Attributes:
        shift: standard deviation of the misregistration between test and reference, pixels in x and in y; limited to
            twice this.
        rotation: standard deviation of the rotation between the two, degrees; limited to twice this.
        drill_shift: the drill holes of test and reference are apart by up to this many pixels in x and in y.
        blur: least and greatest sigma of the optics, pixels.
        roughness: least and greatest standard deviation of the noise at edges, grey levels before binarising.
        exposure: standard deviation of the threshold between scans, grey levels; makes all traces wider or narrower.
        jpeg_quality: 1-100; None leaves the compression out.
    """

    shift: float = 0.8
    rotation: float = 0.02
    drill_shift: float = 1.5
    blur: tuple[float, float] = (0.8, 1.3)
    roughness: tuple[float, float] = (6.0, 30.0)
    exposure: float = 10.0
    jpeg_quality: int | None = 95


def misregister(image: GreyImage, settings: ScanSettings, rng: np.random.Generator) -> GreyImage:
    """The image moved and turned by a little, as the other scan of a pair is; same shape, grey at the edges."""
    height, width = image.shape
    dx, dy, turn = np.clip(rng.standard_normal(3), -2, 2) * (settings.shift, settings.shift, settings.rotation)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(turn), 1.0)
    matrix[:, 2] += dx, dy
    moved = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def binarised_scan(image: GreyImage, settings: ScanSettings, rng: np.random.Generator) -> GreyImage:
    """One scan of a drawn board, (H, W) uint8, 0 and 255: blurred, with noise along the edges, binarised at 128."""
    optics = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(*settings.blur)))
    white = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    # Longer along the scan line than across it, as the dashes on the edges of real scans are.
    sigma_x, sigma_y = rng.uniform(0.8, 2.2), rng.uniform(0.7, 1.2)
    noise = cv2.GaussianBlur(white, (0, 0), sigma_x, sigmaY=sigma_y)
    # A Gaussian filter of this size leaves white noise of standard deviation s with s / (2 sqrt(pi sx sy)); bytes
    # have s = 73.9.
    gain = float(rng.uniform(*settings.roughness)) / (73.9 / (2 * np.sqrt(np.pi * sigma_x * sigma_y)))
    exposure = float(np.clip(rng.normal(0, settings.exposure), -_MOST_EXPOSURE, _MOST_EXPOSURE))
    levels = np.clip((np.arange(256) - 127.5) * gain, -_MOST_NOISE, _MOST_NOISE) + exposure + 128
    rough = cv2.addWeighted(optics, 1.0, cv2.LUT(noise, np.rint(levels).astype(np.uint8)), 1.0, -128.0)
    return np.asarray(cv2.threshold(rough, 127, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)


def encode_jpeg(image: GreyImage, quality: int) -> bytes:
    """The image as a grey JPEG file."""
    encoded: bytes = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return encoded


def decode_jpeg(encoded: bytes) -> GreyImage:
    """What a reader gets from `encode_jpeg`."""
    return np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
